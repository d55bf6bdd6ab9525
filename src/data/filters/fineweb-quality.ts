/**
 * @file FineWeb's own rules (Penedo et al. 2024, arXiv:2406.17557, section 3.6): drops pages whose lines are not
 * sentences, mostly short or repeated, or a list. Rule order and reason names follow datatrove.
 */

import { codePointCount, strip, TERMINAL_MARKS } from "../text/characters.js";
import { type Candidate, drop, KEEP, type Step, type StepResult } from "./filter.js";
import { repeated } from "./gopher-repetition.js";
import { type PerLanguage, thresholdsFor } from "./per-language.js";
import { perLanguage, stepOptions } from "./step-options.js";

export interface FineWebQualityOptions {
  /** Minimum share of lines that end with a terminal mark. */
  readonly minPunctuatedLines?: number;
  /** Keep documents in which no line ends with a terminal mark. */
  readonly allowUnpunctuated?: boolean;
  /** Characters that count as terminal marks. */
  readonly terminalMarks?: readonly string[];
  /** Maximum share of short lines. */
  readonly maxShortLines?: number;
  /** Maximum length of a short line, in characters. */
  readonly shortLine?: number;
  /** Maximum share of characters in repeated lines. */
  readonly maxRepeatedCharacters?: number;
  /** Maximum number of line breaks per word. */
  readonly maxLinesPerWord?: number;
}

/** The paper's thresholds. */
export const FINEWEB_QUALITY: Required<FineWebQualityOptions> = {
  minPunctuatedLines: 0.12,
  allowUnpunctuated: false,
  terminalMarks: TERMINAL_MARKS,
  maxShortLines: 0.67,
  shortLine: 30,
  maxRepeatedCharacters: 0.01,
  maxLinesPerWord: 0.3,
};

export function finewebQuality(given: PerLanguage<FineWebQualityOptions> = {}): Step {
  const options = stepOptions("fineweb-quality", given, FINEWEB_QUALITY, perLanguage);
  const limitsOf = thresholdsFor(FINEWEB_QUALITY, options, (table) => ({
    maxShortLines: 999,
    maxRepeatedCharacters: 0.1,
    minPunctuatedLines: table.line_punct_thr,
    maxLinesPerWord: table.new_line_ratio,
  }));
  const { terminalMarks, ...shown } = { ...FINEWEB_QUALITY, ...options };
  return {
    name: "fineweb-quality",
    settings: terminalMarks === TERMINAL_MARKS ? shown : { ...shown, terminalMarks },
    judge: (document) => apply(document, limitsOf(document.language)),
  };
}

function apply({ passage }: Candidate, limits: Required<FineWebQualityOptions>): StepResult {
  const lines = passage.lines.filter((line) => strip(line) !== "");
  if (lines.length === 0) return drop("empty");

  let punctuated = 0;
  let short = 0;
  for (const line of lines) {
    if (endsWithAny(line, limits.terminalMarks)) punctuated += 1;
    if (
      line.length <= limits.shortLine ||
      (line.length <= 2 * limits.shortLine && codePointCount(line) <= limits.shortLine)
    ) {
      short += 1;
    }
  }
  const share = punctuated / lines.length;
  if (share < limits.minPunctuatedLines && !(share === 0 && limits.allowUnpunctuated)) return drop("line_punct_ratio");
  if (short / lines.length > limits.maxShortLines) return drop("short_line_ratio");

  const ends = passage.lines.length - 1;
  if (repeated(lines).points / (passage.points - ends) > limits.maxRepeatedCharacters) return drop("char_dup_ratio");
  if (ends / passage.wordCount > limits.maxLinesPerWord) return drop("list_ratio");
  return KEEP;
}

function endsWithAny(line: string, marks: readonly string[]): boolean {
  // A full stop is by far the most common; it and the other marks up to U+007F take one lookup.
  const last = line.charCodeAt(line.length - 1);
  if (last === 0x2e || last === 0x21 || last === 0x3f) return marks.includes(line[line.length - 1]);
  if (last < 0x80 && marks === TERMINAL_MARKS) return false;
  return marks.some((mark) => line.endsWith(mark));
}
