/**
 * @file The second look, inside the content: sections whose heading says that they lead elsewhere, blocks that are all
 * links, lines that are controls, and paragraphs said twice.
 */
import { Hint } from "./hints.js";
import type { PageType } from "./page-type.js";
import { headsOther, isByline, isControl, isNotice } from "./phrases.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

/** A heading or control is at most so long. Characters without spaces. */
const SHORT = 70;

interface Trim {
  readonly type: PageType;
  readonly whole: Node;
  /** Long paragraphs seen so far. */
  readonly seen: Set<string>;
  readonly title: string;
  readonly strict: boolean;
  /** Sections dropped so far; each looks at its neighbours, so their number is bounded. */
  sections: number;
}

const MOST_SECTIONS = 200;

/** Types whose pages consist of links. */
const OF_LINKS = new Set<PageType>(["listing", "collection", "documentation"]);

/** @param strict true to leave out blocks of links on pages of every type */
export function trim(whole: Node, type: PageType, title: string, strict = false): void {
  walk(whole, { type, whole, strict, seen: new Set(), title: squeeze(title), sections: 0 });
}

function walk(node: Node, context: Trim): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.skipped || child.tag === TEXT || child.chars === 0) continue;
    if (child.tag.block && !child.skipped) {
      if (isLinks(child, context) || (context.type === "article" && isTeasers(child))) {
        child.skipped = true;
        continue;
      }
      if (isLeaf(child)) {
        leaf(child, context);
        continue;
      }
    }
    if (child.first !== null) walk(child, context);
  }
}

function leaf(node: Node, context: Trim): void {
  const { type, whole } = context;
  if (node.tag.name === "pre" || inside(node, "pre")) return;
  if (node.chars <= SHORT) {
    const line = squeeze(textOf(node));
    if (isControl(line)) {
      node.skipped = true;
      return;
    }
    if ((type === "article" || type === "forum") && node.tag.heading === 1 && sameTitle(line, context.title)) {
      node.skipped = true;
      return;
    }
    if (type === "article" && isByline(line)) {
      node.skipped = true;
      return;
    }
    if (context.sections < MOST_SECTIONS && headsOther(line, type)) {
      context.sections++;
      dropSection(node, whole);
    }
    return;
  }
  if (node.chars < 700) {
    const line = squeeze(textOf(node));
    if (node.chars < 500 && isNotice(line)) {
      node.skipped = true;
      return;
    }
    if (
      type !== "forum" &&
      type !== "documentation" &&
      node.tag.name !== "td" &&
      node.tag.name !== "th" &&
      node.chars >= 80
    ) {
      if (context.seen.has(line)) node.skipped = true;
      else context.seen.add(line);
    }
  }
}

/** Skips what a heading heads: the largest part that begins with it, or what follows it up to the next heading. */
function dropSection(heading: Node, whole: Node): void {
  let part = heading;
  while (part.parent !== null && part.parent !== whole && beginsWith(part.parent, part) && fits(part.parent, whole)) {
    part = part.parent;
  }
  part.skipped = true;
  if (part !== heading && part.chars > heading.chars) return;
  // The heading stands alone before its section.
  const level = heading.tag.heading === 0 ? 6 : heading.tag.heading;
  for (let next = part.next; next !== null; next = next.next) {
    if (next.tag === TEXT) continue;
    if (next.skipped || next.chars === 0) continue;
    if (next.tag.heading > 0 && next.tag.heading <= level) break;
    const links = next.linkChars >= next.chars * 0.5;
    // A post is never what a line above it announces.
    if ((next.hints & Hint.Post) !== 0 && next.prose > 0 && !links) break;
    // Prose after such a line is the page's own again, unless the line was a heading.
    if (!links && heading.tag.heading === 0) break;
    if (!fits(next, whole)) break;
    next.skipped = true;
    if (heading.tag.heading === 0) break;
  }
}

const fits = (part: Node, whole: Node): boolean => part.prose <= whole.prose * 0.25 && part.chars <= whole.chars * 0.4;

/** True when nothing live with text stands in `parent` before `part`. */
function beginsWith(parent: Node, part: Node): boolean {
  for (let child = parent.first; child !== null && child !== part; child = child.next) {
    if (!child.skipped && child.chars > 0) return false;
  }
  return true;
}

/** True for a block that is all links, where pages of this type do not consist of them. */
function isLinks(node: Node, { type, whole, strict }: Trim): boolean {
  if ((OF_LINKS.has(type) && !strict) || node.tag.heading > 0 || node.linkChars < node.chars * 0.8 || node.prose > 0)
    return false;
  if (node.chars > whole.chars * 0.3) return false;
  const { name } = node.tag;
  if (name === "td" || name === "th" || name === "tr" || name === "dt" || name === "dd" || name === "summary")
    return false;
  const links = countLinks(node, 4);
  if (type === "article") return links >= 2 || name === "p" || name === "ul";
  return links >= 3;
}

/** Items from which a list of teasers is told, and the characters that one has at most on average. */
const TEASERS = 4;
const TEASER = 350;

/** True for a list whose items are each a headline that is a link, with a few words below: other articles. */
function isTeasers(node: Node): boolean {
  let items = 0;
  let teasers = 0;
  for (let child = node.first; child !== null; child = child.next) {
    if (child.skipped || child.chars === 0) continue;
    items += 1;
    if (child.tag.block && (child.linkChars >= child.chars * 0.8 || hasLinkedHeading(child, 6))) teasers += 1;
  }
  return teasers >= TEASERS && teasers >= items * 0.8 && node.chars <= items * TEASER;
}

/** True where the first heading of a part is a link. */
function hasLinkedHeading(node: Node, depth: number): boolean {
  if (node.tag.heading > 0) return node.linkChars >= node.chars * 0.8;
  if (depth === 0) return false;
  for (let child = node.first; child !== null; child = child.next) {
    if (!child.skipped && child.chars > 0 && child.tag !== TEXT && hasLinkedHeading(child, depth - 1)) return true;
  }
  return false;
}

function countLinks(node: Node, most: number): number {
  let links = 0;
  for (let child = node.first; child !== null && links < most; child = child.next) {
    if (child.skipped || child.chars === 0 || child.tag === TEXT) continue;
    links += child.tag.name === "a" ? 1 : countLinks(child, most - links);
  }
  return links;
}

/** True for a block without live blocks in it. */
function isLeaf(node: Node): boolean {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT || child.skipped) continue;
    if (child.tag.block || (child.first !== null && !isLeaf(child))) return false;
  }
  return true;
}

function inside(node: Node, name: string): boolean {
  for (let at = node.parent; at !== null; at = at.parent) if (at.tag.name === name) return true;
  return false;
}

export function textOf(node: Node): string {
  if (node.tag === TEXT) return node.text;
  if (node.skipped) return "";
  let text = "";
  for (let child = node.first; child !== null; child = child.next)
    text += child.tag.name === "br" ? " " : textOf(child);
  return text;
}

const squeeze = (text: string): string =>
  text
    .replace(/[\s\u00a0\u200b]+/g, " ")
    .trim()
    .toLowerCase();

const sameTitle = (line: string, title: string): boolean =>
  line.length > 0 && (title.startsWith(line) || line.startsWith(title) || title.includes(line));
