/**
 * @file Which parts of a page are its content. First what is plainly something else is marked as skipped (menus, footers,
 * notices, teasers), by tag, role and names, never by a name alone where most of the page's text would go with it; then the
 * smallest element that holds nearly all the prose that is left becomes the root.
 */
import { Hint } from "./hints.js";
import { measure } from "./measure.js";
import type { PageType } from "./page-type.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";
import { trim } from "./trim.js";

const ALWAYS =
  Hint.Navigation |
  Hint.Chrome |
  Hint.Social |
  Hint.Advertisement |
  Hint.Consent |
  Hint.Popup |
  Hint.Subscribe |
  Hint.Aside;

/** Hints that are seldom wrong, unless a page's lists work by pop-ups. */
const SURE = Hint.Consent | Hint.Popup;

interface Profile {
  /** Hints that take an element out. */
  readonly hints: number;
  /** Hints trusted even where they take most of the page's prose. */
  readonly sure: number;
  /** True where comments below a post are left out. */
  readonly comments?: boolean;
  /** Tags that do. */
  readonly tags: ReadonlySet<string>;
  /** Ways of hiding that do: what a page shows only after a click is content on some pages and machinery on others. */
  readonly hidden: readonly ("hidden" | "aria-hidden" | "none")[];
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));

const PROFILES: Readonly<Record<PageType, Profile>> = {
  article: {
    sure: SURE,
    hints:
      ALWAYS |
      Hint.Hidden |
      Hint.Related |
      Hint.Comments |
      Hint.Meta |
      Hint.Control |
      Hint.Contents |
      Hint.Review |
      Hint.Caption,
    tags: words("nav footer aside form header button figcaption"),
    hidden: ["hidden", "aria-hidden", "none"],
  },
  documentation: {
    sure: SURE,
    hints: ALWAYS | Hint.Hidden | Hint.Related | Hint.Control,
    tags: words("nav footer aside form header"),
    hidden: [],
  },
  forum: {
    sure: SURE,
    comments: true,
    hints: ALWAYS | Hint.Hidden | Hint.Related | Hint.Control | Hint.Member,
    tags: words("nav footer aside form header button"),
    hidden: ["aria-hidden", "none"],
  },
  product: {
    sure: SURE,
    hints: ALWAYS | Hint.Hidden | Hint.Related | Hint.Control | Hint.Review,
    tags: words("nav footer aside form header button"),
    hidden: ["aria-hidden", "hidden"],
  },
  listing: {
    sure: Hint.Consent,
    hints: ALWAYS | Hint.Hidden | Hint.Comments | Hint.Review,
    tags: words("nav footer aside form header button"),
    hidden: ["hidden", "aria-hidden"],
  },
  collection: {
    sure: SURE,
    hints: ALWAYS | Hint.Comments | Hint.Control | Hint.Related,
    tags: words("nav footer aside form header button"),
    hidden: [],
  },
  service: {
    sure: SURE,
    hints: ALWAYS | Hint.Hidden | Hint.Related | Hint.Comments,
    tags: words("nav footer form header"),
    hidden: ["aria-hidden", "none"],
  },
};

/** What is left out even where everything is wanted. */
const RECALL: Profile = {
  sure: Hint.Consent,
  hints: Hint.Navigation | Hint.Chrome | Hint.Advertisement | Hint.Consent | Hint.Popup,
  tags: new Set(["nav", "footer", "form", "button", "label"]),
  hidden: [],
};

export type Focus = "precision" | "balanced" | "recall";

export interface Selection {
  readonly type: PageType;
  readonly focus: Focus;
  /** The page's title: content does not repeat it. */
  readonly title: string;
  /** True where `<noscript>` counts, as it was measured. */
  readonly bare?: boolean;
}

/** Below this share of the page's characters, what was chosen is compared with what a plainer choice gives. */
const SUSPICIOUS = 0.1;
/** Prose that makes any choice a good one. Characters. */
const ENOUGH = 500;

/** Marks what is no content as skipped, and returns the elements that hold the rest. `root` is measured. */
export function selectContent(root: Node, selection: Selection): Node[] {
  const whole = root.chars;
  const chosen = choose(root, selection);
  const { type } = selection;
  if (
    type === "listing" ||
    type === "product" ||
    total(chosen, "chars") >= whole * SUSPICIOUS ||
    total(chosen, "prose") >= ENOUGH
  )
    return chosen;
  // Too little: the page is perhaps no such page at all. A list keeps the most.
  const chars = total(chosen, "chars");
  measure(root, selection.bare);
  const plainer = choose(root, { ...selection, type: "listing" });
  if (total(plainer, "chars") > chars * 3) return plainer;
  measure(root, selection.bare);
  return choose(root, selection);
}

const total = (nodes: readonly Node[], count: "chars" | "prose"): number =>
  nodes.reduce((sum, node) => sum + node[count], 0);

function choose(root: Node, { type, focus, title }: Selection): Node[] {
  const own = focus === "recall" ? RECALL : PROFILES[type];
  const profile = OF_PARTS.has(type) ? believable(root, own) : own;
  prune(root, profile, root);
  recount(root);
  if (focus !== "recall") {
    trim(root, type, title, focus === "precision");
    recount(root);
  }
  const main = mainOf(root);
  if (focus === "recall") return [main];
  if ((type === "article" || type === "documentation" || focus === "precision") && main.prose >= main.chars * 0.3) {
    const best = { node: main, score: -Infinity };
    findRoot(main, best);
    // Where no one part holds most of the prose, the page is made of many parts.
    if (best.node.prose >= main.prose * 0.5)
      return type === "article" || focus === "precision" ? narrow(oneArticle(best.node)) : [best.node];
  }
  return [main];
}

/** The element that the page calls its main one, if it holds most of what is left. */
function mainOf(root: Node): Node {
  let node = root;
  const visit = (at: Node): void => {
    for (let child = at.first; child !== null; child = child.next) {
      if (child.skipped || child.chars < root.chars * 0.4 || child.prose < root.prose * 0.75) continue;
      if (child.tag.name === "main" || child.get("role") === "main" || child.id === "main" || child.id === "content")
        node = child;
      visit(child);
    }
  };
  visit(root);
  return node;
}

/** Goes down to the part that holds the paragraphs, leaving byline and pictures above it; a header with prose goes before it. */
function narrow(root: Node): Node[] {
  const heads: Node[] = [];
  let node = root;
  for (;;) {
    let inner: Node | null = null;
    let head: Node | null = null;
    for (let child = node.first; child !== null && inner === null; child = child.next) {
      if (child.skipped || !child.tag.block) continue;
      if (child.prose >= root.prose * NARROW) inner = child;
      else if (child.tag.name === "header" && child.prose > 0) head ??= child;
    }
    if (inner === null || inner.tag.name === "p") return [...heads, node];
    if (head !== null) heads.push(head);
    node = inner;
  }
}

const NARROW = 0.75;

/** Of several articles on one page, the one that the page is about: that whose heading is the title, or the first. */
function oneArticle(root: Node): Node {
  const articles: Node[] = [];
  const visit = (node: Node): void => {
    for (let child = node.first; child !== null; child = child.next) {
      if (child.skipped || child.prose < 300) continue;
      if (child.tag.name === "article" || /Article|BlogPosting/.test(child.get("itemtype"))) articles.push(child);
      else visit(child);
    }
  };
  if (root.tag.name !== "article") visit(root);
  if (articles.length < 2) return root;
  return articles[0];
}

/** Counts again, without what is skipped; what was skipped counts nothing from then on. */
function recount(node: Node): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) continue;
    const { chars, linkChars, prose } = child;
    if (child.skipped) child.chars = child.linkChars = child.prose = 0;
    else recount(child);
    node.chars -= chars - child.chars;
    node.linkChars -= linkChars - child.linkChars;
    node.prose -= prose - child.prose;
  }
}

function findRoot(node: Node, best: { node: Node; score: number }): void {
  if (node.skipped || node.tag === TEXT) return;
  const score = node.prose - 0.5 * (node.chars - node.prose);
  if (score >= best.score) {
    best.node = node;
    best.score = score;
  }
  for (let child = node.first; child !== null; child = child.next) {
    if (child.prose > best.score) findRoot(child, best);
  }
}

/** Types whose pages are many parts of one kind: where each carries a misleading name, all would be lost. */
const OF_PARTS = new Set<PageType>(["forum", "collection", "listing"]);

/** Signs that are heeded even where they would take most of a page: what carries them is never what a page is about. */
const CERTAIN = Hint.Consent | Hint.Popup | Hint.Navigation | Hint.Chrome | Hint.Comments | Hint.Member | Hint.Hidden;
/** Above this share of a page's prose in all, a sign stands for the page's own content there. */
const TOO_MUCH = 0.5;

/** The profile without those hints and tags that, all together, would take most of this page. */
function believable(root: Node, profile: Profile): Profile {
  const sums = new Map<number | string, { chars: number; prose: number; parts: number }>();
  const count = (sign: number | string, { chars, prose }: Node): void => {
    const sum = sums.get(sign) ?? { chars: 0, prose: 0, parts: 0 };
    sums.set(sign, { chars: sum.chars + chars, prose: sum.prose + prose, parts: sum.parts + 1 });
  };
  const visit = (node: Node): void => {
    for (let child = node.first; child !== null; child = child.next) {
      if (child.tag === TEXT || child.skipped || child.chars === 0) continue;
      const hints = child.hints & profile.hints;
      const doubtful = hints & ~CERTAIN;
      const tag = child.tag.name;
      if (doubtful !== 0 && doubtful === hints) {
        // The lowest bit stands for all: what carries several hints is doubted under one name.
        const bit = doubtful & -doubtful;
        count(bit, child);
      } else if (hints === 0 && (tag === "header" || tag === "aside") && profile.tags.has(tag)) {
        count(tag, child);
      } else if (hints === 0) visit(child);
    }
  };
  visit(root);
  let { hints } = profile;
  let tags = profile.tags;
  for (const [sign, { chars, prose, parts }] of sums) {
    // A teaser that is one link has no prose; it is often the header of its card.
    const most = sign === "header" && parts > 5 && chars > root.chars * TOO_MUCH;
    if (prose <= root.prose * TOO_MUCH && !most) continue;
    if (typeof sign === "number") hints &= ~sign;
    else tags = new Set([...tags].filter((tag) => tag !== sign));
  }
  return { ...profile, hints, tags };
}

function prune(node: Node, profile: Profile, whole: Node, posted = false): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT || child.skipped) continue;
    const doubt = isOther(child, profile, posted);
    if (doubt > 0 && child.prose < whole.prose * doubt && child.chars < whole.chars * (doubt + 0.25)) {
      child.skipped = true;
      continue;
    }
    if (child.first !== null) prune(child, profile, whole, posted || (child.hints & Hint.Post) !== 0);
  }
}

/** Up to which share of the page's prose the element may hold and still be taken for something else; 0 for content. */
function isOther(node: Node, profile: Profile, posted: boolean): number {
  let hints = node.hints & profile.hints;
  if ((node.hints & Hint.Content) !== 0) hints &= ~Hint.Member;
  if (profile.comments && posted && (node.hints & (Hint.Comments | Hint.Post)) === Hint.Comments) return 0.12;
  // A long text of few links is no menu, whatever a part of its name says.
  if (node.chars > LONG_MENU && node.linkChars < node.chars * 0.5) hints &= ~Hint.Navigation;
  if ((hints & profile.sure) !== 0) return 0.7;
  if (hints !== 0) return 0.35;
  const { name } = node.tag;
  if (profile.tags.has(name)) {
    // A form around a whole page is how some systems work.
    if (name === "form") return node.prose < 300 ? 0.35 : 0;
    // The head of an article tells what it is about; that of a site does not.
    if (name === "header" && node.prose > 0 && node.linkChars < node.chars * 0.3) return 0;
    return 0.35;
  }
  if (node.attributes === null) return 0;
  for (const way of profile.hidden) {
    if (MATHEMATICS.test(node.className) || node.tag.name === "math") return 0;
    if (
      way === "hidden"
        ? node.attributes.has("hidden") && node.get("hidden") !== "until-found"
        : way === "aria-hidden"
          ? node.get("aria-hidden") === "true"
          : NONE.test(node.get("style"))
    ) {
      return 0.35;
    }
  }
  return 0;
}

const LONG_MENU = 1500;

/** The readable copy of a formula is hidden from the eye. */
const MATHEMATICS = /math|katex|mjx/i;

const NONE = /display\s*:\s*none/i;
