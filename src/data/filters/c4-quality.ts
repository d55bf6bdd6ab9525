/**
 * @file C4's rules (Raffel et al. 2020, JMLR 21/140, section 2.2, and the released code). Removes lines that are not
 * sentences. Drops pages with lorem ipsum, code, or too few remaining sentences. Rule order and reason names follow datatrove.
 */

import { codePointCount, isSpace, splitLines, strip } from "../text/characters.js";
import { type Candidate, drop, KEEP, type Step, type StepResult } from "./filter.js";
import { stepOptions } from "./step-options.js";

export interface C4QualityOptions {
  /** Remove Wikipedia's `[1]`, `[edit]` and `[citation needed]` from lines. */
  readonly removeCitations?: boolean;
  /** Remove lines that do not end with . ? ! " or '. */
  readonly requireTerminalMark?: boolean;
  /** Drop pages with fewer sentences; 0 turns the rule off. */
  readonly minSentences?: number;
  /** Remove lines with fewer words, separated by white space; 0 turns the rule off. */
  readonly minWordsPerLine?: number;
  /** Remove lines that contain a longer word, in characters; 0 turns the rule off. */
  readonly maxWordLength?: number;
  readonly dropLoremIpsum?: boolean;
  /** Remove lines that mention javascript. */
  readonly dropJavascript?: boolean;
  readonly dropCurlyBrackets?: boolean;
  /** Remove lines about cookies and terms of use. */
  readonly dropPolicies?: boolean;
}

/** The paper's values. FineWeb's recipe turns `requireTerminalMark` off. */
export const C4_QUALITY: Required<C4QualityOptions> = {
  removeCitations: true,
  requireTerminalMark: true,
  minSentences: 5,
  minWordsPerLine: 3,
  maxWordLength: 1000,
  dropLoremIpsum: true,
  dropJavascript: true,
  dropCurlyBrackets: true,
  dropPolicies: true,
};

const CITATION = /\[\p{Nd}*\]|\[edit\]|\[citation needed\]/gu;
const POLICIES = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"];

export function c4Quality(options: C4QualityOptions = {}): Step {
  const rules = { ...C4_QUALITY, ...stepOptions("c4-quality", options, C4_QUALITY) };
  return { name: "c4-quality", settings: rules, judge: (document) => apply(document, rules) };
}

function apply({ passage }: Candidate, rules: Required<C4QualityOptions>): StepResult {
  // Most pages contain none of these, so their lines need no check.
  const lowerText = passage.text.toLowerCase();
  const lorem = rules.dropLoremIpsum && lowerText.includes("lorem ipsum");
  const javascript = rules.dropJavascript && lowerText.includes("javascript");
  const policies = rules.dropPolicies ? POLICIES.filter((policy) => lowerText.includes(policy)) : [];
  const brackets = rules.dropCurlyBrackets && passage.text.includes("{");

  const edits: Record<string, number> = {};
  const kept: string[] = [];
  let sentences = 0;
  /** Number of words removed. */
  let cutWords = 0;
  let added = 0;
  const cut = (line: string, reason: string) => {
    edits[reason] = (edits[reason] ?? 0) + 1;
    cutWords += passage.wordsIn(line) ?? Number.NaN;
  };
  for (const whole of splitLines(passage.text)) {
    let line = strip(whole);
    const words = wordsOf(line, rules.minWordsPerLine, rules.maxWordLength);
    if (words < 0) {
      cut(line, "too_long_word");
      continue;
    }
    if (rules.removeCitations && line.includes("[")) {
      const cited = line;
      line = line.replace(CITATION, "");
      if (line !== cited) {
        cut(cited, "citation");
        added += passage.wordsIn(line) ?? Number.NaN;
      }
    }
    if (rules.requireTerminalMark && !endsLikeASentence(line)) {
      cut(line, "no_terminal_punc");
      continue;
    }
    if (rules.minWordsPerLine && words < rules.minWordsPerLine) {
      cut(line, "too_few_words");
      continue;
    }
    const lower = lorem || javascript || policies.length > 0 ? line.toLowerCase() : "";
    if (lorem && lower.includes("lorem ipsum")) return drop("lorem_ipsum");
    if (javascript && lower.includes("javascript")) {
      cut(line, "javascript");
      continue;
    }
    if (brackets && line.includes("{")) return drop("curly_bracket");
    if (policies.some((policy) => lower.includes(policy))) {
      cut(line, "policy");
      continue;
    }
    // Only whether there are enough sentences matters, so counting stops early on long pages.
    if (rules.minSentences && sentences < rules.minSentences) {
      sentences += passage.countSentences(line, rules.minSentences - sentences);
    }
    kept.push(line);
  }
  if (rules.minSentences && sentences < rules.minSentences) return drop("too_few_sentences");
  const text = strip(kept.join("\n"));
  if (text === passage.text) return KEEP;
  const words = passage.wordCount - cutWords + added;
  return { keep: true, text, edits, ...(Number.isNaN(words) ? {} : { words }) };
}

/** Counts words separated by white space, up to `enough`. Returns −1 if one is longer than `longest` characters (0: no limit). */
function wordsOf(line: string, enough: number, longest: number): number {
  const mayBeLong = longest > 0 && line.length > longest;
  let words = 0;
  for (let at = 0; at < line.length && (mayBeLong || words < enough); ) {
    if (isSpace(line.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const start = at;
    while (at < line.length && !isSpace(line.charCodeAt(at))) at += 1;
    words += 1;
    if (mayBeLong && at - start > longest && codePointCount(line.slice(start, at)) > longest) return -1;
  }
  return words;
}

function endsLikeASentence(line: string): boolean {
  return /[.?!"']$/.test(line) && !line.endsWith("...");
}
