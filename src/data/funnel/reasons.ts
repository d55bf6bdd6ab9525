/**
 * @file Explanations of the built-in steps' reasons for the report: a meaning, the option with the threshold, and the text that
 * triggered it.
 */
import { type Spans, spansOf } from "../../pages/index.js";

export interface ReasonGloss {
  readonly meaning: string;
  /** The option of the step that sets the threshold. */
  readonly option?: string;
  /** Finds the text that triggered the reason in an excerpt. */
  readonly trigger?: (text: string) => Spans;
}

const pattern = (expression: RegExp) => (text: string) => spansOf(text, expression);

/** Returns the lines that occurred before. */
function repeatedLines(text: string): Spans {
  const seen = new Set<string>();
  return spansOf(text, /[^\n]+/g).filter(([start, end]) => {
    const line = text.slice(start, end).trim();
    if (line === "") return false;
    const isRepeated = seen.has(line);
    seen.add(line);
    return isRepeated;
  });
}

/** Returns a function that finds runs of n words that occurred before, merged if they overlap. */
function repeatedRuns(n: number): (text: string) => Spans {
  return (text) => {
    const words = spansOf(text, /\S+/g);
    const seen = new Set<string>();
    const found: [number, number][] = [];
    for (let i = 0; i + n <= words.length; i++) {
      const [start, end] = [words[i][0], words[i + n - 1][1]];
      const run = words
        .slice(i, i + n)
        .map(([from, to]) => text.slice(from, to))
        .join(" ");
      if (seen.has(run)) {
        const last = found.at(-1);
        if (last !== undefined && start <= last[1]) last[1] = end;
        else found.push([start, end]);
      }
      seen.add(run);
    }
    return found;
  };
}

const REASONS: Readonly<Record<string, ReasonGloss>> = {
  empty: { meaning: "no text is left" },
  dup_line_frac: { meaning: "too many repeated lines", option: "maxRepeatedLines", trigger: repeatedLines },
  dup_para_frac: { meaning: "too many repeated paragraphs", option: "maxRepeatedParagraphs", trigger: repeatedLines },
  dup_line_char_frac: {
    meaning: "too many characters in repeated lines",
    option: "maxRepeatedLineCharacters",
    trigger: repeatedLines,
  },
  dup_para_char_frac: {
    meaning: "too many characters in repeated paragraphs",
    option: "maxRepeatedParagraphCharacters",
    trigger: repeatedLines,
  },
  gopher_short_doc: { meaning: "too few words", option: "minWords" },
  gopher_long_doc: { meaning: "too many words", option: "maxWords" },
  gopher_below_avg_threshold: { meaning: "words are too short on average", option: "minMeanWordLength" },
  gopher_above_avg_threshold: { meaning: "words are too long on average", option: "maxMeanWordLength" },
  gopher_too_many_hashes: { meaning: "too many # per word", option: "maxSymbolsPerWord", trigger: pattern(/#+/g) },
  gopher_too_many_ellipsis: {
    meaning: "too many ellipses per word",
    option: "maxSymbolsPerWord",
    trigger: pattern(/\.{3}|…/g),
  },
  gopher_too_many_bullets: {
    meaning: "too many lines begin with a bullet",
    option: "maxBulletLines",
    trigger: pattern(/^[ \t]*[•-]/gm),
  },
  gopher_too_many_end_ellipsis: {
    meaning: "too many lines end with an ellipsis",
    option: "maxEllipsisLines",
    trigger: pattern(/(?:\.{3}|…)[ \t]*$/gm),
  },
  gopher_below_alpha_threshold: {
    meaning: "too few words contain a letter",
    option: "minAlphabeticWords",
    trigger: pattern(/(?<!\S)[^\s\p{L}]+(?!\S)/gu),
  },
  gopher_enough_stop_words: { meaning: "too few stop words", option: "minStopWords" },
  lorem_ipsum: { meaning: "placeholder text", trigger: pattern(/lorem ipsum/gi) },
  curly_bracket: { meaning: "a curly bracket: probably code", trigger: pattern(/\{/g) },
  too_few_sentences: { meaning: "too few sentences", option: "minSentences" },
  line_punct_ratio: { meaning: "too few lines end with a punctuation mark", option: "minPunctuatedLines" },
  short_line_ratio: { meaning: "too many short lines", option: "maxShortLines" },
  char_dup_ratio: {
    meaning: "too many characters in repeated lines",
    option: "maxRepeatedCharacters",
    trigger: repeatedLines,
  },
  list_ratio: { meaning: "too many line breaks per word: probably a list", option: "maxLinesPerWord" },
  too_many_bad_lines: { meaning: "too many words in removed lines", option: "maxCutWords" },
  language_score: { meaning: "the language is uncertain", option: "minScore" },
  document_removed_with_badwords: { meaning: "contains a word of the list" },
  too_few_words: { meaning: "too few words", option: "minWords" },
  too_many_words: { meaning: "too many words", option: "maxWords" },
  too_few_characters: { meaning: "too few characters", option: "minCharacters" },
  too_many_characters: { meaning: "too many characters", option: "maxCharacters" },
  too_few_bytes: { meaning: "too few bytes", option: "minBytes" },
  too_many_bytes: { meaning: "too many bytes", option: "maxBytes" },
  toxicity_share: { meaning: "too many words from the list", option: "maxShare" },
  toxicity_different: { meaning: "too many different words from the list", option: "maxDifferent" },
  adult_share: { meaning: "too many words from the list", option: "maxShare" },
  adult_different: { meaning: "too many different words from the list", option: "maxDifferent" },
  no_url: { meaning: "the document has no address" },
  domain: { meaning: "the domain is on the list" },
  subdomain: { meaning: "the subdomain is on the list" },
  url: { meaning: "the address is on the list" },
  hard_blacklisted: { meaning: "the address contains a word from the list" },
  soft_blacklisted: { meaning: "the address contains several words of the soft list", option: "softLimit" },
  blacklisted_subword: { meaning: "the address contains a part of the list" },
};

const languageNames = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

function nameOfLanguage(code: string): string | undefined {
  try {
    return languageNames.of(code);
  } catch {
    return undefined; // not a language code
  }
}

/** Returns the gloss of a built-in reason, or undefined for a custom one. */
export function glossOf(reason: string): ReasonGloss | undefined {
  if (Object.hasOwn(REASONS, reason)) return REASONS[reason];
  const top = /^top_(\d+)_gram$/.exec(reason);
  if (top !== null) {
    const n = Number(top[1]);
    const meaning = `one run of ${n} words fills too much of the text`;
    return { meaning, option: "commonestRuns", trigger: repeatedRuns(n) };
  }
  const repeated = /^duplicated_(\d+)_n_grams$/.exec(reason);
  if (repeated !== null) {
    const n = Number(repeated[1]);
    const meaning = `too many characters in repeated runs of ${n} words`;
    return { meaning, option: "repeatedRuns", trigger: repeatedRuns(n) };
  }
  const paragraphs = /^< (\d+) paragraphs$/.exec(reason);
  if (paragraphs !== null) return { meaning: "too few long paragraphs", option: "minParagraphs" };
  const language = /^language_([a-z]{2,3})$/.exec(reason);
  if (language === null) return undefined;
  return { meaning: `the language is ${nameOfLanguage(language[1]) ?? language[1]}, which the recipe does not keep` };
}

/** Describes a reason with its threshold, such as `too few words (minWords 50)`; "" for an unknown reason. */
export function reasonInWords(reason: string, settings: Readonly<Record<string, unknown>> = {}): string {
  const gloss = glossOf(reason);
  if (gloss === undefined) return "";
  const value = thresholdOf(reason, gloss, settings);
  return value === undefined ? gloss.meaning : `${gloss.meaning} (${gloss.option} ${value})`;
}

function thresholdOf(
  reason: string,
  { option }: ReasonGloss,
  settings: Readonly<Record<string, unknown>>,
): string | undefined {
  const value = option === undefined ? undefined : settings[option];
  if (typeof value === "number") return String(value);
  if (!Array.isArray(value)) return undefined;
  // The value is a list of pairs: run length and share.
  const n = Number(/\d+/.exec(reason)?.[0]);
  const pair = (value as unknown[]).find((each) => Array.isArray(each) && each[0] === n) as
    | [number, number]
    | undefined;
  return pair === undefined ? undefined : String(pair[1]);
}
