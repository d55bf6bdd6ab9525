/**
 * @file Declarative shadow trees: what `<template shadowrootmode>` holds is what a browser shows of its host, with the host's
 * own children in the slots. https://html.spec.whatwg.org/multipage/scripting.html#attr-template-shadowrootmode
 */
import type { Node } from "./node.js";
import { TEXT } from "./tags.js";

/** The elements of HTML that may have a shadow tree; so may any whose name has a hyphen. */
const HOSTS = new Set(
  "article aside blockquote body div footer h1 h2 h3 h4 h5 h6 header main nav p section span".split(" "),
);

/** True for a template that a browser makes its parent's shadow tree, if it is the first one there. */
export function holdsShadow(template: Node, parent: Node): boolean {
  if (!/^(?:open|closed)$/i.test(template.get("shadowrootmode"))) return false;
  const { name } = parent.tag;
  return HOSTS.has(name) || name.includes("-");
}

/**
 * Gives hosts the children that a browser shows. `templates` by host, in the page's order, so that an outer tree comes first.
 * Trees inside trees are followed to a depth of `deepest`; slots could otherwise stack more levels than later passes can recurse.
 */
export function attachShadows(templates: ReadonlyMap<Node, Node>, deepest: number): void {
  for (const [host, template] of templates) {
    const own = childrenOf(host).filter((child) => child !== template);
    if (depthOf(host, deepest) >= deepest) {
      setChildren(host, own);
      continue;
    }
    setChildren(host, childrenOf(template));
    const bySlot = new Map<string, Node[]>();
    for (const child of own) {
      const slot = child.get("slot");
      const list = bySlot.get(slot);
      if (list === undefined) bySlot.set(slot, [child]);
      else list.push(child);
    }
    fillSlots(host, bySlot);
  }
}

/** A slot shows the children meant for it, or else its own. Children without a slot are not shown. */
function fillSlots(node: Node, bySlot: Map<string, Node[]>): void {
  for (const child of childrenOf(node)) {
    // What is inside another shadow tree has its own slots.
    if (child.tag === TEXT || child.tag.name === "template") continue;
    const given = child.tag.name === "slot" ? bySlot.get(child.get("name")) : undefined;
    if (given === undefined) fillSlots(child, bySlot);
    else {
      bySlot.delete(child.get("name"));
      setChildren(child, given);
    }
  }
}

/** Levels above a node, counted up to `most`. */
function depthOf(node: Node, most: number): number {
  let depth = 0;
  for (let at = node.parent; at !== null && depth < most; at = at.parent) depth++;
  return depth;
}

function childrenOf(node: Node): Node[] {
  const list: Node[] = [];
  for (let child = node.first; child !== null; child = child.next) list.push(child);
  return list;
}

function setChildren(parent: Node, list: readonly Node[]): void {
  parent.first = list[0] ?? null;
  parent.last = list[list.length - 1] ?? null;
  list.forEach((child, i) => {
    child.parent = parent;
    child.next = list[i + 1] ?? null;
  });
}
