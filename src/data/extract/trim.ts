/**
 * @file The second look, inside the content: blocks that are all links, lists of teasers, and the page's title. What words
 * say decides nothing: a heading, a button's word or a paragraph said twice may be content on any page.
 */

import { textOf } from "./node.js";
import type { PageType } from "./page-type.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

interface Trim {
  readonly type: PageType;
  readonly whole: Node;
  readonly title: string;
  readonly strict: boolean;
}

/** Types whose pages consist of links. */
const OF_LINKS = new Set<PageType>(["listing", "collection", "documentation"]);

/** @param strict true to leave out blocks of links on pages of every type */
export function trim(whole: Node, type: PageType, title: string, strict = false): void {
  walk(whole, { type, whole, strict, title: squeeze(title) });
}

function walk(node: Node, context: Trim): void {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.skipped || child.tag === TEXT || child.chars === 0) continue;
    if (child.tag.block && !child.skipped) {
      if (isLinks(child, context) || (context.type === "article" && isTeasers(child))) {
        child.skipped = true;
        continue;
      }
      if (isTitle(child, context)) {
        child.skipped = true;
        continue;
      }
    }
    if (child.first !== null) walk(child, context);
  }
  skipHeadings(node);
}

/** Headings of which nothing is left go with their sections. */
function skipHeadings(parent: Node): void {
  let heading: Node | null = null;
  let gone = false;
  for (let child = parent.first; ; child = child.next) {
    if (child !== null && (child.chars === 0 || (child.tag === TEXT && child.text.trim() === ""))) continue;
    if (child === null || child.tag.heading > 0) {
      if (heading !== null && gone) heading.skipped = true;
      if (child === null) return;
      heading = child.skipped ? null : child;
      gone = false;
    } else if (child.skipped) gone = true;
    else heading = null;
  }
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

const squeeze = (text: string): string =>
  text
    .replace(/[\s\u00a0\u200b]+/g, " ")
    .trim()
    .toLowerCase();

/** True for a heading that repeats the page's title, where the title stands for itself. */
function isTitle(node: Node, { type, title }: Trim): boolean {
  if ((type !== "article" && type !== "forum") || node.tag.heading !== 1 || node.chars > 300) return false;
  const line = squeeze(textOf(node));
  return line !== "" && (title.includes(line) || (title !== "" && line.startsWith(title)));
}
