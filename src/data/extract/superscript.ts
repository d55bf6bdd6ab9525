/**
 * @file Superscripts and subscripts in plain text: `10<sup>6</sup>` is 10⁶ and never 106, `H<sub>2</sub>O` is H₂O,
 * `x<sub>max</sub>` x_max, while `1<sup>st</sup>` stays 1st. A footnote's mark that is a link is `[1]`, so that nobody takes it
 * for a power.
 */

import { textOf } from "./node.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

const PLAIN = "0123456789+-=(),ni";
const UP = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾,ⁿⁱ";
const DOWN = "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎,";

/** Letters that print raises by custom: ordinals and abbreviations in several languages, trademarks. */
const PRINTED =
  /^(?:st|nd|rd|th|e|er|ers|re|res|ère|ème|es|de|nde|te|ste|o|os|a|as|ª|º|r|s|d|mo|me|mes|mme|lle|lles|le|gr|tm|sm|mc)\.?$/iu;

/** Longer ones are small print. Characters. */
const LONGEST = 24;

/** Letters, digits and the signs of a formula. */
const FORMULA = /^[\p{L}\p{N}\p{M}+\-−–=()*/.,:′'∞∘°|<>≤≥⊥∥⋅·\s]+$/u;

/**
 * What is written for a `sup` or `sub` element, or undefined where its own text says it as well.
 * @param before what stands before it in its line, a few characters at least
 */
export function scriptText(node: Node, before: string): string | undefined {
  const raised = node.tag.name === "sup";
  const text = textOf(node).trim();
  if (text === "" || text.length > LONGEST || /\p{L}\s+\p{L}/u.test(text)) return undefined;
  const digits = /^\d+$/.test(text);
  if (raised && /^(?:\d+|[a-z]|[*†‡])$/.test(text) && isNote(node)) return `[${text}]`;
  // Halves are written 1/2, cents of a price are raised too.
  if (digits && raised && isOver(node)) return /\d$/.test(before) ? ` ${text}` : text;
  if (digits && !raised && /\d[/⁄]$/.test(before)) return text;
  if (/^\d\d$/.test(text) && raised && /\p{Sc}\s?\d{1,4}$/u.test(before)) return `.${text}`;
  const word = /^\p{L}{2,}\.?$/u.test(text);
  const own = text.replace(/[−–‑]/g, "-");
  if (!word) {
    const signs = translated(own.replace(/\s/g, ""), raised ? UP : DOWN);
    if (signs !== undefined) return signs;
  }
  const last = before.slice(-1);
  if (last === "" || /\s/.test(last) || PRINTED.test(text) || !FORMULA.test(text) || !/[\p{L}\p{N}∞]/u.test(text))
    return undefined;
  // Words above words are print's, not a formula's.
  if (word && raised && (text.length > 3 || /\p{L}{2}$/u.test(before))) return undefined;
  const single = [...own].length === 1 || /^-?[\d.]+$/.test(own) || (!raised && /^[\p{L}\d]+$/u.test(own));
  return `${raised ? "^" : "_"}${single ? own : `(${own})`}`;
}

/** The text in characters of their own, or undefined where one of them has none. */
function translated(text: string, signs: string): string | undefined {
  if (!/[\p{L}\d+-]/u.test(text)) return undefined;
  let written = "";
  for (const char of text) {
    const at = PLAIN.indexOf(char);
    if (at < 0 || at >= signs.length) return undefined;
    written += signs[at];
  }
  return written;
}

/** True for a mark that leads to a note on the page: a link inside it or around it. */
function isNote(node: Node): boolean {
  const leads = (at: Node | null): boolean => at !== null && at.tag.name === "a" && at.get("href").includes("#");
  let inner = node.first;
  while (inner !== null && inner.tag === TEXT && inner.text.trim() === "") inner = inner.next;
  return leads(inner) || leads(inner?.first ?? null) || leads(node.parent);
}

/** True for the upper half of a fraction: a stroke and a `sub` follow. */
function isOver(node: Node): boolean {
  const stroke = node.next;
  return stroke !== null && stroke.tag === TEXT && /^[/⁄]$/.test(stroke.text.trim()) && stroke.next?.tag.name === "sub";
}
