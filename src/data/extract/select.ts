/**
 * @file Selects the parts of a page that are its content. First, boilerplate (menus, footers, notices, teasers) is marked as
 * skipped, by tag, role and names. An element that contains most of the page's text is never
 * removed. Then the smallest element that contains nearly all the remaining prose becomes the root.
 */
import { Hint } from "./hints.js";
import { measure } from "./measure.js";
import type { PageType } from "./page-type.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";
import { trim } from "./trim.js";

/** Boilerplate on pages of every type. */
const BOILERPLATE =
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

/** Additions to the content: reviews, captions, bylines. */
const ADDITIONS = Hint.Review | Hint.Caption | Hint.Meta;

/** What is removed from pages of a type. */
export interface Profile {
  /** An element with one of these hints is removed. */
  readonly hints: number;
  /** An element with one of these tags is removed. */
  readonly tags: ReadonlySet<string>;
  /** An element hidden in one of these ways is removed. What a click reveals is content on some types of page only. */
  readonly hidden: readonly ("hidden" | "aria-hidden" | "none")[];
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));
const TAGS = words("nav footer aside form header button");

export const PROFILES: Readonly<Record<PageType, Profile>> = {
  article: {
    hints: BOILERPLATE | ADDITIONS | Hint.Comments | Hint.Contents,
    tags: words("nav footer aside form header button figcaption"),
    hidden: ["hidden", "aria-hidden", "none"],
  },
  documentation: { hints: BOILERPLATE, tags: TAGS, hidden: [] },
  forum: { hints: BOILERPLATE | Hint.Member, tags: TAGS, hidden: ["aria-hidden", "none"] },
  product: { hints: BOILERPLATE | ADDITIONS, tags: TAGS, hidden: ["hidden", "aria-hidden"] },
  // A listing's content is often the latest or most read pages of the site, so "related" links stay.
  listing: {
    hints: (BOILERPLATE & ~Hint.Related) | ADDITIONS | Hint.Comments,
    tags: TAGS,
    hidden: ["hidden", "aria-hidden"],
  },
  collection: { hints: BOILERPLATE | Hint.Review | Hint.Meta | Hint.Comments, tags: TAGS, hidden: [] },
  service: { hints: BOILERPLATE | Hint.Review | Hint.Comments, tags: TAGS, hidden: ["aria-hidden", "none"] },
};

/** What is removed even with focus `recall`. */
const RECALL: Profile = {
  hints: Hint.Navigation | Hint.Chrome | Hint.Advertisement | Hint.Consent | Hint.Popup,
  tags: words("nav footer form button"),
  hidden: [],
};

export type Focus = "precision" | "balanced" | "recall";

export interface Selection {
  readonly type: PageType;
  readonly focus: Focus;
  /** Overrides the profile of the page type; used to measure the effect of each sign. */
  readonly profile?: Profile;
  /** The page's title; a heading that repeats it is removed. */
  readonly title: string;
  /** Whether `<noscript>` is counted, as passed to `measure`. */
  readonly withNoscript?: boolean;
}

/** If the selection has less than this share of the page's characters, it is compared with the profile for listings. */
const SMALL_SHARE = 0.1;
/** Characters of prose from which a selection is always accepted. */
const ENOUGH_PROSE = 500;

/** Marks boilerplate as skipped and returns the elements that contain the content. `root` must have been measured. */
export function selectContent(root: Node, selection: Selection): Node[] {
  const whole = root.chars;
  const chosen = choose(root, selection);
  const { type } = selection;
  if (
    type === "listing" ||
    type === "product" ||
    total(chosen, "chars") >= whole * SMALL_SHARE ||
    total(chosen, "prose") >= ENOUGH_PROSE
  )
    return chosen;
  // Too little text: perhaps the page type is wrong. The profile for listings keeps the most.
  const chars = total(chosen, "chars");
  measure(root, selection);
  const plainer = choose(root, { type: "listing", focus: selection.focus, title: selection.title });
  if (total(plainer, "chars") > chars * 3) return plainer;
  measure(root, selection);
  return choose(root, selection);
}

const total = (nodes: readonly Node[], count: "chars" | "prose"): number =>
  nodes.reduce((sum, node) => sum + node[count], 0);

function choose(root: Node, { type, focus, title, profile = PROFILES[type] }: Selection): Node[] {
  prune(root, focus === "recall" ? RECALL : profile, root, type === "forum" && focus !== "recall");
  recount(root);
  if (focus !== "recall") {
    trim(root, { type, title, strict: focus === "precision" });
    recount(root);
  }
  const main = mainOf(root);
  if (focus === "recall") return [main];
  if ((type === "article" || type === "documentation" || focus === "precision") && main.prose >= main.chars * 0.3) {
    const best = { node: main, score: -Infinity };
    findRoot(main, best);
    // If no single part contains half of the prose, the page consists of many parts.
    if (best.node.prose >= main.prose * 0.5)
      return type === "article" || focus === "precision" ? narrow(oneArticle(best.node)) : [best.node];
  }
  return [main];
}

/** Returns the element that the page marks as its main one, if it contains most of the remaining text. */
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

/** Descends to the part with the paragraphs, without byline and pictures above it; a header with prose is kept before it. */
function narrow(root: Node): Node[] {
  const heads: Node[] = [];
  let node = root;
  for (;;) {
    let inner: Node | null = null;
    let head: Node | null = null;
    for (let child = node.first; child !== null && inner === null; child = child.next) {
      if (child.skipped || !child.tag.block) continue;
      if (child.prose >= root.prose * NARROW_SHARE) inner = child;
      else if (child.tag.name === "header" && child.prose > 0) head ??= child;
    }
    if (inner === null || inner.tag.name === "p") return [...heads, node];
    if (head !== null) heads.push(head);
    node = inner;
  }
}

/** `narrow` descends into a child only if it contains at least this share of the prose. */
const NARROW_SHARE = 0.65;

/** Returns the first article if the page has several. */
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

/** Subtracts skipped elements from all counts and sets their own counts to 0. */
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

/**
 * Marks boilerplate below `node` as skipped.
 * @param threaded whether the page is a discussion, where comments below a post are removed
 */
function prune(node: Node, profile: Profile, whole: Node, threaded: boolean, posted = false): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT || child.skipped) continue;
    const limit =
      threaded && posted && (child.hints & (Hint.Comments | Hint.Post)) === Hint.Comments
        ? COMMENTS_SHARE
        : removableShare(child, profile);
    if (limit > 0 && child.prose < whole.prose * limit && child.chars < whole.chars * (limit + 0.25)) {
      child.skipped = true;
      continue;
    }
    if (child.first !== null) prune(child, profile, whole, threaded, posted || (child.hints & Hint.Post) !== 0);
  }
}

/** An element with more than these shares of the page's prose is never removed. */
const SURE_SHARE = 0.7;
const UNSURE_SHARE = 0.35;
const COMMENTS_SHARE = 0.12;

/** Hints that are rarely wrong. */
const SURE = Hint.Consent | Hint.Popup;

/** Returns the share of the page's prose below which an element is removed as boilerplate; 0 for content. */
function removableShare(node: Node, profile: Profile): number {
  let hints = node.hints & profile.hints;
  if ((node.hints & Hint.Content) !== 0) hints &= ~Hint.Member;
  if (hints !== 0) return (hints & SURE) !== 0 ? SURE_SHARE : UNSURE_SHARE;
  const { name } = node.tag;
  if (profile.tags.has(name)) {
    // An article's header is content: it has prose and few links. A site's header is not.
    if (name === "header" && node.prose > 0 && node.linkChars < node.chars * 0.3) return 0;
    // A form with a list is content: ingredients to check off, questions and answers.
    return name === "form" && containsListItems(node) ? 0 : UNSURE_SHARE;
  }
  if (node.attributes === null) return 0;
  if (MATHEMATICS.test(node.className) || name === "math") return 0;
  for (const way of profile.hidden) {
    const hidden =
      way === "hidden"
        ? node.attributes.has("hidden") && node.get("hidden") !== "until-found"
        : way === "aria-hidden"
          ? node.get("aria-hidden") === "true"
          : DISPLAY_NONE.test(node.get("style"));
    if (hidden) return UNSURE_SHARE;
  }
  return 0;
}

function containsListItems(node: Node): boolean {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag.name === "li" || (child.first !== null && containsListItems(child))) return true;
  }
  return false;
}

/** Formulas have a hidden copy for screen readers, which must stay. */
const MATHEMATICS = /math|katex|mjx/i;

const DISPLAY_NONE = /display\s*:\s*none/i;
