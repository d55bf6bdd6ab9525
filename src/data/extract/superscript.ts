/**
 * @file Superscripts and subscripts in plain text: `10<sup>6</sup>` becomes 10⁶ and never 106, `H<sub>2</sub>O` becomes H₂O,
 * `x<sub>max</sub>` becomes x_max, while `1<sup>st</sup>` stays 1st. A linked footnote mark becomes `[1]`, so that it does not
 * look like a power.
 */

import { textOf } from "./node.js";
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

const PLAIN = "0123456789+-=(),ni";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾,ⁿⁱ";
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎,";

/** Text that is raised by typographic convention: ordinals and abbreviations in several languages, trademarks. */
const TYPOGRAPHIC =
  /^(?:st|nd|rd|th|e|er|ers|re|res|ère|ème|es|de|nde|te|ste|o|os|a|as|ª|º|r|s|d|mo|me|mes|mme|lle|lles|le|gr|tm|sm|mc)\.?$/iu;

/** Maximum characters of a superscript or subscript; longer ones are small print. */
const LONGEST = 24;

/** Letters, digits and mathematical signs. */
const FORMULA = /^[\p{L}\p{N}\p{M}+\-−–=()*/.,:′'∞∘°|<>≤≥⊥∥⋅·\s]+$/u;

/**
 * Returns the plain text of a `sup` or `sub` element, or undefined if its own text needs no change.
 * @param before the text before it on its line, at least a few characters
 */
export function scriptText(node: Node, before: string): string | undefined {
  const raised = node.tag.name === "sup";
  const text = textOf(node).trim();
  if (text === "" || text.length > LONGEST || /\p{L}\s+\p{L}/u.test(text)) return undefined;
  const digits = /^\d+$/.test(text);
  if (raised && /^(?:\d+|[a-z]|[*†‡])$/.test(text) && isNote(node)) return `[${text}]`;
  // Fractions such as 1/2; the raised cents of a price.
  if (digits && raised && isNumerator(node)) return /\d$/.test(before) ? ` ${text}` : text;
  if (digits && !raised && /\d[/⁄]$/.test(before)) return text;
  if (/^\d\d$/.test(text) && raised && /\p{Sc}\s?\d{1,4}$/u.test(before)) return `.${text}`;
  const word = /^\p{L}{2,}\.?$/u.test(text);
  const own = text.replace(/[−–‑]/g, "-");
  if (!word) {
    const signs = translated(own.replace(/\s/g, ""), raised ? SUPERSCRIPTS : SUBSCRIPTS);
    if (signs !== undefined) return signs;
  }
  const last = before.slice(-1);
  if (last === "" || /\s/.test(last) || TYPOGRAPHIC.test(text) || !FORMULA.test(text) || !/[\p{L}\p{N}∞]/u.test(text))
    return undefined;
  // A raised word after a word is typography, not a formula.
  if (word && raised && (text.length > 3 || /\p{L}{2}$/u.test(before))) return undefined;
  const single = [...own].length === 1 || /^-?[\d.]+$/.test(own) || (!raised && /^[\p{L}\d]+$/u.test(own));
  return `${raised ? "^" : "_"}${single ? own : `(${own})`}`;
}

/** Translates text to Unicode superscripts or subscripts; undefined if a character has no such form. */
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

/** Whether a mark links to a note on the page, by a link inside or around it. */
function isNote(node: Node): boolean {
  const leads = (at: Node | null): boolean => at !== null && at.tag.name === "a" && at.get("href").includes("#");
  let inner = node.first;
  while (inner !== null && inner.tag === TEXT && inner.text.trim() === "") inner = inner.next;
  return leads(inner) || leads(inner?.first ?? null) || leads(node.parent);
}

/** Whether this is the numerator of a fraction: a slash and a `sub` follow. */
function isNumerator(node: Node): boolean {
  const stroke = node.next;
  return stroke !== null && stroke.tag === TEXT && /^[/⁄]$/.test(stroke.text.trim()) && stroke.next?.tag.name === "sub";
}
