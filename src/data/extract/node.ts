/** @file An element or a text of a page. */
import { type Tag, TEXT } from "./tags.js";

export class Node {
  readonly tag: Tag;
  parent: Node | null = null;
  first: Node | null = null;
  last: Node | null = null;
  next: Node | null = null;
  /** Of a text node: its characters, entities decoded. */
  text = "";
  className = "";
  id = "";
  attributes: Map<string, string> | null = null;

  // What measure() finds, of the whole subtree:
  /** Characters without spaces, and those inside links. */
  chars = 0;
  linkChars = 0;
  /** Characters of sentences: text runs that read like prose, not like labels. */
  prose = 0;
  /** Bits of `Hint` that tag, role, class and id give. */
  hints = 0;
  /** True when nothing of the subtree is written. */
  skipped = false;

  constructor(tag: Tag) {
    this.tag = tag;
  }

  get(name: string): string {
    return this.attributes?.get(name) ?? "";
  }
}

export function textOf(node: Node): string {
  if (node.tag === TEXT) return node.text;
  if (node.skipped) return "";
  let text = "";
  for (let child = node.first; child !== null; child = child.next)
    text += child.tag.name === "br" ? " " : textOf(child);
  return text;
}
