/**
 * @file Declarative shadow trees: a browser shows the contents of `<template shadowrootmode>` instead of its host's
 * children, which go into the slots. https://html.spec.whatwg.org/multipage/scripting.html#attr-template-shadowrootmode
 */
import type { Node } from "./node.js";
import { TEXT } from "./tags.js";

/** HTML elements that may have a shadow tree; any element with a hyphen in its name may have one too. */
const HOSTS = new Set(
  "article aside blockquote body div footer h1 h2 h3 h4 h5 h6 header main nav p section span".split(" "),
);

/** Whether a browser makes this template its parent's shadow tree, provided it is the first one there. */
export function isShadowTemplate(template: Node, parent: Node): boolean {
  if (!/^(?:open|closed)$/i.test(template.get("shadowrootmode"))) return false;
  const { name } = parent.tag;
  return HOSTS.has(name) || name.includes("-");
}

/**
 * Replaces the children of hosts by those that a browser shows. `templates` maps hosts to their templates in page order, so
 * that an outer tree comes first. Trees deeper than `deepest` levels are dropped: nested slots could otherwise add more
 * levels than later passes can recurse into.
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

/** Fills each slot with the children assigned to it; a slot without any keeps its own. Children without a slot are not shown. */
function fillSlots(node: Node, bySlot: Map<string, Node[]>): void {
  for (const child of childrenOf(node)) {
    // A nested shadow tree has its own slots.
    if (child.tag === TEXT || child.tag.name === "template") continue;
    const given = child.tag.name === "slot" ? bySlot.get(child.get("name")) : undefined;
    if (given === undefined) fillSlots(child, bySlot);
    else {
      bySlot.delete(child.get("name"));
      setChildren(child, given);
    }
  }
}

/** Returns the number of ancestors of a node, at most `most`. */
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
