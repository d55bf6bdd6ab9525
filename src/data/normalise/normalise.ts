/**
 * @file Text in one form: repaired where it was decoded wrongly, composed (NFC), without controls, with plain white space
 * and without the lines that web sites put on every page.
 */

import { drop, KEEP, type Step, type Verdict } from "../filters/filter.js";
import { stepOptions } from "../filters/step-options.js";
import { strip } from "../text/characters.js";
import { repairMojibake } from "./mojibake.js";

export interface NormaliseOptions {
  readonly mojibake?: boolean;
  /** Unicode's canonical composition. */
  readonly compose?: boolean;
  /** Take out control characters, byte order marks, soft hyphens, and what cannot be shown. */
  readonly controls?: boolean;
  /** Other spaces become spaces, runs one space, line ends `\n`, three and more line ends two. */
  readonly whitespace?: boolean;
  /** Lines that only a web site says. */
  readonly boilerplate?: boolean;
}

export const NORMALISE: Required<NormaliseOptions> = {
  mojibake: true,
  compose: true,
  controls: true,
  whitespace: true,
  boilerplate: true,
};

/** Controls that a text may have for its lines and spaces; the next two rules turn them into plain ones. */
const LAYOUT = "\\t\\n\\v\\f\\r\u001c-\u001f\u0085";
/** All other controls, soft hyphens, marks of byte order, and what stands for no character. */
const CONTROLS = new RegExp(`(?![${LAYOUT}])\\p{Cc}|\\p{Cs}|[\u00ad\ufeff\ufff9-\ufffb\ufffe\uffff]`, "gu");
/** Escape sequences of terminals go whole, before their first byte does alone. */
const ESCAPE = "\u001b";
const ESCAPES = new RegExp(`${ESCAPE}\\[[0-9;?]{0,32}[ -/]{0,4}[@-~]`, "g");
const BREAKS = "\\v\\f\u001c-\u001e\u0085\u2028\u2029";
const LINE_ENDS = new RegExp(`\\r\\n?|[${BREAKS}]`, "g");
const WIDE_SPACES = "\u001f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";
const SPACES = new RegExp(`[\\t ${WIDE_SPACES}]+`, "g");

/** Whole lines, without regard to case and to marks at their ends. */
const BOILERPLATE = new Set(
  (
    "skip to content|skip to main content|skip to navigation|jump to navigation|back to top|share this|share this post|share on " +
    "facebook|share on twitter|tweet|pin it|print this page|email this|sign in|sign up|log in|login|register|read more|continue " +
    "reading|learn more|show more|see more|view all|load more|leave a comment|leave a reply|post comment|no comments|previous post|" +
    "next post|previous article|next article|related posts|related articles|you may also like|advertisement|advertisements|" +
    "sponsored|sponsored content|subscribe|subscribe to our newsletter|all rights reserved|accept cookies|accept all cookies|" +
    "cookie settings|privacy policy|terms of use|terms of service|add to cart|add to wishlist|view cart|checkout|loading|please " +
    "enable javascript|javascript is disabled|javascript is required|menu|toggle navigation|close|search"
  ).split("|"),
);

export function normalise(options: NormaliseOptions = {}): Step {
  const rules = { ...NORMALISE, ...stepOptions("normalise", options, NORMALISE) };
  return {
    name: "normalise",
    settings: rules,
    expectsChange: false,
    judge({ passage }): Verdict {
      const edits: Record<string, number> = {};
      const text = normaliseText(passage.text, rules, edits);
      if (text === passage.text) return KEEP;
      return strip(text) === "" ? drop("empty") : { keep: true, text, edits };
    },
  };
}

/** The text in its normal form; counts in `edits` which rules changed it, and how many lines were boilerplate. */
export function normaliseText(
  given: string,
  options: NormaliseOptions = {},
  edits: Record<string, number> = {},
): string {
  const rules = { ...NORMALISE, ...options };
  let text = given;
  const apply = (name: string, change: (text: string) => string) => {
    const next = change(text);
    if (next !== text) edits[name] = (edits[name] ?? 0) + 1;
    text = next;
  };
  if (rules.mojibake) apply("mojibake", repairMojibake);
  if (rules.controls) apply("controls", (old) => old.replace(ESCAPES, "").replace(CONTROLS, ""));
  if (rules.compose) apply("compose", (old) => old.normalize("NFC"));
  if (rules.whitespace) {
    apply("whitespace", (old) =>
      old
        .replace(LINE_ENDS, "\n")
        .replace(SPACES, " ")
        .replace(/ ?\n ?/g, "\n"),
    );
  }
  if (rules.boilerplate) {
    const kept = text.split("\n").filter((line) => !isBoilerplate(line));
    const lines = text.split("\n").length - kept.length;
    if (lines > 0) {
      edits.boilerplate = (edits.boilerplate ?? 0) + lines;
      text = kept.join("\n");
    }
  }
  if (rules.whitespace) text = strip(text.replace(/\n{3,}/g, "\n\n"));
  return text;
}

function isBoilerplate(line: string): boolean {
  if (line.length > 60 || line === "") return false;
  const bare = line
    .toLowerCase()
    .replace(/^[\s©|•·»>«<*[\]()-]+|[\s.…!|•·»>«<*[\]():→-]+$/gu, "")
    .replace(/\s+/g, " ");
  return bare !== "" && (BOILERPLATE.has(bare) || /^(?:copyright|\(c\)|\d{4})?.{0,45}all rights reserved$/.test(bare));
}
