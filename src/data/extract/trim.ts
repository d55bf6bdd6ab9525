/**
 * @file Removes boilerplate inside the selected content: blocks of links, lists of teasers, and the page's title. Wording is
 * not a criterion: a heading, a button's label or a repeated paragraph may be content on any page.
 */

import { textOf } from "./node.js";
import type { PageType } from "./page-type.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

interface Trim {
  readonly type: PageType;
  readonly whole: Node;
  readonly title: string;
  /** Whether to remove blocks of links on pages of every type. */
  readonly strict: boolean;
}

/** Page types whose content consists of links. */
const LINK_TYPES = new Set<PageType>(["listing", "collection", "documentation"]);

/** Marks boilerplate inside the content as skipped. */
export function trim(whole: Node, { type, title, strict }: Omit<Trim, "whole">): void {
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

/** Skips headings whose whole section has been skipped. */
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

/** Whether a block consists of links, on a page type whose content does not. */
function isLinks(node: Node, { type, whole, strict }: Trim): boolean {
  if ((LINK_TYPES.has(type) && !strict) || node.tag.heading > 0 || node.linkChars < node.chars * 0.8 || node.prose > 0)
    return false;
  if (node.chars > whole.chars * 0.3) return false;
  const { name } = node.tag;
  if (name === "td" || name === "th" || name === "tr" || name === "dt" || name === "dd" || name === "summary")
    return false;
  const links = countLinks(node, 4);
  if (type === "article") return links >= 2 || name === "p" || name === "ul";
  return links >= 3;
}

/** A list of teasers has at least this many items, and at most `LONGEST_TEASER` characters per item on average. */
const MIN_TEASERS = 4;
const LONGEST_TEASER = 350;

/** Whether nearly every item of a list is a linked headline with a few words below it: a list of other articles. */
function isTeasers(node: Node): boolean {
  let items = 0;
  let teasers = 0;
  for (let child = node.first; child !== null; child = child.next) {
    if (child.skipped || child.chars === 0) continue;
    items += 1;
    if (child.tag.block && (child.linkChars >= child.chars * 0.8 || hasLinkedHeading(child, 6))) teasers += 1;
  }
  return teasers >= MIN_TEASERS && teasers >= items * 0.8 && node.chars <= items * LONGEST_TEASER;
}

/** Whether a part contains a heading that is a link. */
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

/** Whether a heading repeats the page's title, on page types that report the title separately. */
function isTitle(node: Node, { type, title }: Trim): boolean {
  if ((type !== "article" && type !== "forum") || node.tag.heading !== 1 || node.chars > 300) return false;
  const line = squeeze(textOf(node));
  return line !== "" && (title.includes(line) || (title !== "" && line.startsWith(title)));
}
