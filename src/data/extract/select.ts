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

/** What no page is about, whatever its type. */
const NEVER =
  Hint.Navigation |
  Hint.Chrome |
  Hint.Aside |
  Hint.Social |
  Hint.Advertisement |
  Hint.Related |
  Hint.Subscribe |
  Hint.Consent |
  Hint.Popup |
  Hint.Control |
  Hint.Hidden;

/** What stands beside the things that a page shows: opinions on them, words under pictures, who wrote when. */
const BESIDE = Hint.Review | Hint.Caption | Hint.Meta;

/** What is left out on pages of a type. */
export interface Profile {
  /** Hints that take an element out. */
  readonly hints: number;
  /** Tags that do. */
  readonly tags: ReadonlySet<string>;
  /** Ways of hiding that do: what a page shows only after a click is content on some pages and machinery on others. */
  readonly hidden: readonly ("hidden" | "aria-hidden" | "none")[];
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));
const TAGS = words("nav footer aside form header button");

export const PROFILES: Readonly<Record<PageType, Profile>> = {
  article: {
    hints: NEVER | BESIDE | Hint.Comments | Hint.Contents,
    tags: words("nav footer aside form header button figcaption"),
    hidden: ["hidden", "aria-hidden", "none"],
  },
  documentation: { hints: NEVER, tags: TAGS, hidden: [] },
  forum: { hints: NEVER | Hint.Member, tags: TAGS, hidden: ["aria-hidden", "none"] },
  product: { hints: NEVER | BESIDE, tags: TAGS, hidden: ["hidden", "aria-hidden"] },
  // The latest or most read pages of a site are what its lists show.
  listing: { hints: (NEVER & ~Hint.Related) | BESIDE | Hint.Comments, tags: TAGS, hidden: ["hidden", "aria-hidden"] },
  collection: { hints: NEVER | Hint.Review | Hint.Meta | Hint.Comments, tags: TAGS, hidden: [] },
  service: { hints: NEVER | Hint.Review | Hint.Comments, tags: TAGS, hidden: ["aria-hidden", "none"] },
};

/** What is left out even where everything is wanted. */
const RECALL: Profile = {
  hints: Hint.Navigation | Hint.Chrome | Hint.Advertisement | Hint.Consent | Hint.Popup,
  tags: words("nav footer form button"),
  hidden: [],
};

export type Focus = "precision" | "balanced" | "recall";

export interface Selection {
  readonly type: PageType;
  readonly focus: Focus;
  /** What is left out, where it is not what pages of this type leave out; for measuring what each sign is worth. */
  readonly profile?: Profile;
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
  const plainer = choose(root, { type: "listing", focus: selection.focus, title: selection.title });
  if (total(plainer, "chars") > chars * 3) return plainer;
  measure(root, selection.bare);
  return choose(root, selection);
}

const total = (nodes: readonly Node[], count: "chars" | "prose"): number =>
  nodes.reduce((sum, node) => sum + node[count], 0);

function choose(root: Node, { type, focus, title, profile = PROFILES[type] }: Selection): Node[] {
  prune(root, focus === "recall" ? RECALL : profile, root, type === "forum" && focus !== "recall");
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

/** Share of the prose that the part gone down to holds at least. */
const NARROW = 0.65;

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

/** @param threaded true on pages of discussions, where comments below a post are left out */
function prune(node: Node, profile: Profile, whole: Node, threaded: boolean, posted = false): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT || child.skipped) continue;
    const doubt =
      threaded && posted && (child.hints & (Hint.Comments | Hint.Post)) === Hint.Comments
        ? COMMENTS
        : isOther(child, profile);
    if (doubt > 0 && child.prose < whole.prose * doubt && child.chars < whole.chars * (doubt + 0.25)) {
      child.skipped = true;
      continue;
    }
    if (child.first !== null) prune(child, profile, whole, threaded, posted || (child.hints & Hint.Post) !== 0);
  }
}

/** Up to these shares of a page's prose an element may hold and still be taken for something else. */
const SURELY = 0.7;
const PERHAPS = 0.35;
const COMMENTS = 0.12;

/** Hints that are seldom wrong. */
const SURE = Hint.Consent | Hint.Popup;

/** Up to which share of the page's prose the element may hold and still be taken for something else; 0 for content. */
function isOther(node: Node, profile: Profile): number {
  let hints = node.hints & profile.hints;
  if ((node.hints & Hint.Content) !== 0) hints &= ~Hint.Member;
  if (hints !== 0) return (hints & SURE) !== 0 ? SURELY : PERHAPS;
  const { name } = node.tag;
  if (profile.tags.has(name)) {
    // The head of an article tells what it is about; that of a site does not.
    if (name === "header" && node.prose > 0 && node.linkChars < node.chars * 0.3) return 0;
    // Labels of boxes in a list are its items: ingredients, questions and answers.
    return name === "form" && holdsItems(node) ? 0 : PERHAPS;
  }
  if (node.attributes === null) return 0;
  if (MATHEMATICS.test(node.className) || name === "math") return 0;
  for (const way of profile.hidden) {
    const hidden =
      way === "hidden"
        ? node.attributes.has("hidden") && node.get("hidden") !== "until-found"
        : way === "aria-hidden"
          ? node.get("aria-hidden") === "true"
          : NONE.test(node.get("style"));
    if (hidden) return PERHAPS;
  }
  return 0;
}

function holdsItems(node: Node): boolean {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag.name === "li" || (child.first !== null && holdsItems(child))) return true;
  }
  return false;
}

/** The readable copy of a formula is hidden from the eye. */
const MATHEMATICS = /math|katex|mjx/i;

const NONE = /display\s*:\s*none/i;
