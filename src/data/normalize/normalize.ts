/**
 * @file Normalizes text: repairs wrong decoding, composes characters (NFC), removes control characters, simplifies
 * whitespace, and removes the boilerplate lines of web sites.
 */

import { drop, KEEP, type Step, type StepResult } from "../filters/filter.js";
import { stepOptions } from "../filters/step-options.js";
import { strip } from "../text/characters.js";
import { repairMojibake } from "./mojibake.js";

export interface NormalizeOptions {
  /** Repair UTF-8 that was decoded as Windows-1252. */
  readonly mojibake?: boolean;
  /** Apply Unicode's canonical composition, NFC. */
  readonly compose?: boolean;
  /** Remove control characters, byte order marks, soft hyphens, noncharacters and lone surrogates. */
  readonly controls?: boolean;
  /** Turn runs of any spaces into one space, line ends into `\n`, and three or more line ends into two. */
  readonly whitespace?: boolean;
  /** Remove lines such as "Skip to content" and "All rights reserved". */
  readonly boilerplate?: boolean;
}

export const NORMALIZE: Required<NormalizeOptions> = {
  mojibake: true,
  compose: true,
  controls: true,
  whitespace: true,
  boilerplate: true,
};

/** Control characters used as line ends and spaces; the whitespace rule replaces them. */
const LAYOUT = "\\t\\n\\v\\f\\r\u001c-\u001f\u0085";
/** All other control characters, soft hyphens, byte order marks, noncharacters and lone surrogates. */
const CONTROLS = new RegExp(`(?![${LAYOUT}])\\p{Cc}|\\p{Cs}|[\u00ad\ufeff\ufff9-\ufffb\ufffe\uffff]`, "gu");
/** Terminal escape sequences are removed as a whole, before the control characters. */
const ESCAPE = "\u001b";
const ESCAPES = new RegExp(`${ESCAPE}\\[[0-9;?]{0,32}[ -/]{0,4}[@-~]`, "g");
const BREAKS = "\\v\\f\u001c-\u001e\u0085\u2028\u2029";
const LINE_ENDS = new RegExp(`\\r\\n?|[${BREAKS}]`, "g");
const WIDE_SPACES = "\u001f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";
const SPACES = new RegExp(`[\\t ${WIDE_SPACES}]+`, "g");

/** Boilerplate lines, compared without case and without punctuation at both ends. */
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

/** The step that normalizes texts and drops those that become empty. */
export function normalize(options: NormalizeOptions = {}): Step {
  const rules = { ...NORMALIZE, ...stepOptions("normalise", options, NORMALIZE) };
  return {
    name: "normalise", // the name in reports and recipe files, kept from before the rename
    settings: rules,
    expectsChange: false,
    judge({ passage }): StepResult {
      const edits: Record<string, number> = {};
      const text = normalizeText(passage.text, rules, edits);
      if (text === passage.text) return KEEP;
      return strip(text) === "" ? drop("empty") : { keep: true, text, edits };
    },
  };
}

/** Returns the normalized text. Counts in `edits` the rules that changed it and the boilerplate lines removed. */
export function normalizeText(
  given: string,
  options: NormalizeOptions = {},
  edits: Record<string, number> = {},
): string {
  const rules = { ...NORMALIZE, ...options };
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
