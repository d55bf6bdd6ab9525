/**
 * @file Detects a document's language with eld's n-grams and keeps the chosen languages. Only the first 2 KB are read.
 * eld reads about 380 bytes per call, so it receives pieces until one language has a clear lead.
 */

import { QuernError } from "../../errors.js";
import { nearest, show } from "../../options.js";
import { type EldScores, loadEld } from "./eld-scores.js";
import { drop, KEEP, type Step, type StepResult } from "./filter.js";
import { stepOptions } from "./step-options.js";

export interface LanguageOptions {
  /** ISO 639-1 codes to keep; without it, every language is kept and only recorded. */
  readonly keep?: readonly string[];
  /** Minimum score of the detected language, 0 to 1. English prose scores about .78, a list of names .5. */
  readonly minScore?: number;
  /** Trust the language that the input declares. */
  readonly trustDeclared?: boolean;
}

export const LANGUAGE = { keep: ["en"], minScore: 0.5, trustDeclared: false } as const;

/** Characters read in total, and per call of eld. */
const MOST_READ = 2048;
const PIECE = 400;
/** After two pieces, a lead this large of the best language over the second is enough. */
const CLEAR = 0.12;

let eld: EldScores | undefined;

export interface DetectedLanguage {
  /** ISO 639-1; `und` when undetermined. */
  readonly language: string;
  /** Mean score over the pieces, 0 to 1. */
  readonly score: number;
}

/** Loads eld's tables once per thread, for `detectLanguage`. */
export async function loadLanguages(): Promise<void> {
  eld ??= await loadEld();
}

/** Detects the language of a text's beginning. Throws unless `loadLanguages` was awaited. */
export function detectLanguage(text: string): DetectedLanguage {
  if (eld === undefined) throw new Error("call loadLanguages() first");
  const sums = new Float64Array(eld.languages.length);
  let weight = 0;
  const end = Math.min(text.length, MOST_READ);
  for (let start = 0, pieces = 0; start < end; ) {
    const to = pieceEnd(text, start, end);
    const scores = eld.of(text.slice(start, to));
    for (let i = 0; i < sums.length; i++) sums[i] += scores[i] * (to - start);
    weight += to - start;
    start = to;
    pieces += 1;
    if (pieces >= 2 && start < end) {
      const [best, next] = twoBest(sums);
      if ((sums[best] - (sums[next] ?? 0)) / weight > CLEAR) break;
    }
  }
  const [best] = twoBest(sums);
  return best < 0 ? { language: "und", score: 0 } : { language: eld.languages[best], score: sums[best] / weight };
}

/** Cuts at a nearby space if there is one, so that no word is split. */
function pieceEnd(text: string, start: number, end: number): number {
  if (start + PIECE >= end) return end;
  const space = text.lastIndexOf(" ", start + PIECE);
  return space > start + PIECE / 2 ? space : start + PIECE;
}

/** Indices of the largest and the second largest value; -1 where none is above 0. */
function twoBest(sums: Float64Array): readonly [number, number] {
  let [best, next] = [-1, -1];
  for (let i = 0; i < sums.length; i++) {
    if (sums[i] > (sums[best] ?? 0)) [best, next] = [i, best];
    else if (sums[i] > (sums[next] ?? 0)) next = i;
  }
  return [best, next];
}

export function language(given: LanguageOptions = {}): Step {
  const options = stepOptions("language", given, LANGUAGE);
  const { minScore, trustDeclared } = { ...LANGUAGE, ...options };
  const keep = options.keep === undefined ? LANGUAGE.keep : options.keep;
  const wanted = new Set<string>(keep);
  const checkLanguage = (found: string, score: number): StepResult => {
    if (wanted.size > 0 && !wanted.has(found)) return drop(`language_${found}`);
    return score < minScore ? drop("language_score") : KEEP;
  };
  return {
    name: "language",
    settings: { keep, minScore, trustDeclared },
    async prepare() {
      await loadLanguages();
      // An undetectable code would drop every document of its language.
      const known = ["und", ...(eld?.languages ?? [])];
      const unknown = trustDeclared ? undefined : keep.find((code) => !known.includes(code));
      if (unknown === undefined) return;
      const near = nearest(unknown, known);
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new QuernError(`the step language cannot detect ${show(unknown)}; give ISO 639-1 codes${hint}`, {
        exitCode: 2,
      });
    },
    judge(document) {
      if (trustDeclared && document.language !== undefined) return checkLanguage(document.language, 1);
      const found = detectLanguage(document.passage.text);
      document.language = found.language;
      document.fields = { ...document.fields, language_score: Math.round(found.score * 1000) / 1000 };
      return checkLanguage(found.language, found.score);
    },
  };
}
