/**
 * @file Drops pages that contain a word of the user's list, as C4 does with its list (Raffel et al. 2020, section 2.2).
 * The reason name is datatrove's. Quern includes no list.
 */
import { z } from "zod";
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions, word, wordList } from "./step-options.js";
import { readWordList, type WordList, wordPattern } from "./word-list.js";

export interface BadWordsOptions {
  /** One list for all languages, or one per language: `{ en: [...], de: { file: "de.txt" } }`. */
  readonly words: WordList | Readonly<Record<string, WordList>>;
  /** Language of documents that declare none. */
  readonly language?: string;
}

const lists = z.custom<unknown>(
  (value) => wordList.or(z.record(z.string(), wordList)).safeParse(value).success,
  'must be a list of words, { "file": "words.txt" }, or one of these for each language',
);

/** Written without spaces: a word matches anywhere. */
const UNSPACED = new Set(["ja", "th", "zh", "jpn", "tha", "cmn", "lo", "km", "my", "bo"]);

export function badWords(given: BadWordsOptions): Step {
  const options = stepOptions("bad-words", given, {}, { words: lists, language: word.optional() });
  const perLanguage = !Array.isArray(options.words) && !("file" in options.words);
  const patterns = new Map<string, RegExp | undefined>();
  return {
    name: "bad-words",
    settings: { ...options },
    expectsChange: false,
    async prepare() {
      const listed = perLanguage
        ? (options.words as Readonly<Record<string, WordList>>)
        : { "": options.words as WordList };
      for (const [language, list] of Object.entries(listed)) {
        patterns.set(language, wordPattern(await readWordList(list), UNSPACED.has(language)));
      }
    },
    judge({ passage, language = options.language ?? "en" }) {
      const pattern = patterns.get(perLanguage ? language : "");
      if (pattern === undefined) return KEEP;
      pattern.lastIndex = 0;
      return pattern.test(passage.text.toLowerCase()) ? drop("document_removed_with_badwords") : KEEP;
    },
  };
}
