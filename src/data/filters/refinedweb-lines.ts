/**
 * @file RefinedWeb's line rules (Penedo et al. 2023, arXiv:2306.01116, appendix G.2). Removes lines that are counters,
 * numbers, mostly capitals or single words. Removes web-site phrases from short lines; some phrases remove the whole line. Drops a
 * page that loses more than 5 % of its words.
 */

import { strip } from "../text/characters.js";
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions } from "./step-options.js";

export interface RefinedWebLinesOptions {
  /** Lines with a larger share of capitals among their characters are removed. */
  readonly maxUppercase?: number;
  /** Lines of at most this many words are searched for web-site phrases. */
  readonly shortLine?: number;
  /** A page that loses a larger share of its words is dropped. */
  readonly maxCutWords?: number;
  /** Phrases at the beginning, at the end, or anywhere in a short line. */
  readonly beginnings?: readonly string[];
  readonly endings?: readonly string[];
  readonly anywhere?: readonly string[];
}

export const REFINEDWEB_LINES: Required<RefinedWebLinesOptions> = {
  maxUppercase: 0.5,
  shortLine: 10,
  maxCutWords: 0.05,
  beginnings: [
    "sign in",
    "sign-in",
    "sign up",
    "log in",
    "login",
    "register",
    "subscribe",
    "skip to content",
    "share this",
  ],
  endings: ["read more", "read more...", "read more…", "see more", "show more", "learn more", "continue reading"],
  anywhere: ["items in cart", "item in cart", "add to cart", "cookies", "all rights reserved", "powered by"],
};

/** `3 likes`, `12 comments`, `1.2k views`: a number and a noun that social sites count. */
const COUNTER =
  /^\W*\d[\d.,]*\s*[km]?\s*(?:likes?|shares?|comments?|views?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?|downloads?|followers?|replies|reply|votes?|points?)\W*$/i;

export function refinedWebLines(options: RefinedWebLinesOptions = {}): Step {
  const rules = { ...REFINEDWEB_LINES, ...stepOptions("refinedweb-lines", options, REFINEDWEB_LINES) };
  return {
    name: "refinedweb-lines",
    settings: rules,
    judge({ passage }) {
      const edits: Record<string, number> = {};
      const kept: string[] = [];
      let words = 0;
      let cutWords = 0;
      for (const line of passage.lines) {
        const inner = strip(line);
        if (inner === "") {
          kept.push(line);
          continue;
        }
        const count = inner.split(/\s+/).length;
        words += count;
        const reason = reasonFor(inner, count, rules);
        if (reason === undefined) {
          kept.push(line);
          continue;
        }
        edits[reason] = (edits[reason] ?? 0) + 1;
        const left = reason === "phrase" ? withoutPhrases(inner, rules) : "";
        cutWords += count - (left === "" ? 0 : left.split(/\s+/).length);
        if (left !== "") kept.push(left);
      }
      if (words > 0 && cutWords / words > rules.maxCutWords) return drop("too_many_bad_lines");
      if (cutWords === 0) return KEEP;
      const text = kept.join("\n");
      return strip(text) === "" ? drop("empty") : { keep: true, text, edits };
    },
  };
}

function reasonFor(line: string, words: number, rules: Required<RefinedWebLinesOptions>): string | undefined {
  if (/^[\d\s.,:;%+\-–—/()#]*\d[\d\s.,:;%+\-–—/()#]*$/.test(line)) return "numeric";
  if (COUNTER.test(line)) return "counter";
  if (words === 1) return "one_word";
  const capitals = line.match(/\p{Lu}/gu)?.length ?? 0;
  if (capitals / line.length > rules.maxUppercase) return "uppercase";
  if (words <= rules.shortLine && withoutPhrases(line, rules) !== line) return "phrase";
  return undefined;
}

function withoutPhrases(line: string, rules: Required<RefinedWebLinesOptions>): string {
  let left = line;
  for (const phrase of rules.anywhere) {
    // A phrase that may occur anywhere marks the whole line as boilerplate.
    if (left.toLowerCase().includes(phrase)) return "";
  }
  for (const phrase of rules.beginnings) {
    if (beginsWith(left.toLowerCase(), phrase)) left = left.slice(phrase.length);
  }
  for (const phrase of rules.endings) {
    if (left.toLowerCase().endsWith(phrase)) left = left.slice(0, left.length - phrase.length);
  }
  return left === line ? line : strip(left);
}

function beginsWith(line: string, phrase: string): boolean {
  return line.startsWith(phrase) && !/[\p{L}\p{N}]/u.test(line.slice(phrase.length, phrase.length + 1));
}
