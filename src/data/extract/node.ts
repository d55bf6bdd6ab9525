/** @file An element or text node of a page. */
import { type Tag, TEXT } from "./tags.js";

export class Node {
  readonly tag: Tag;
  parent: Node | null = null;
  first: Node | null = null;
  last: Node | null = null;
  next: Node | null = null;
  /** Text of a text node, entities decoded. */
  text = "";
  className = "";
  id = "";
  attributes: Map<string, string> | null = null;

  // Set by measure(), for the whole subtree:
  /** Characters without spaces: in total, and inside links. */
  chars = 0;
  linkChars = 0;
  /** Characters in sentences, outside links: text that reads like prose and not like labels. */
  prose = 0;
  /** Bits of `Hint` from role, class and id. */
  hints = 0;
  /** Whether the subtree is left out of the result. */
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
