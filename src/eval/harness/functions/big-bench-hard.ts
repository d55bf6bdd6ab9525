/** @file The filters of BIG-Bench Hard (Suzgun et al. 2022) without examples: they find the answer in a free response. */
import { QuernError } from "../../../errors.js";
import { quoted } from "../../../printable.js";
import type { FilterDocument } from "../filters.js";
import { escapePattern, PythonRegex } from "../python-regex.js";
import { codePoints, splitWords, strip } from "../python-text.js";
import { ENGLISH_NUMBER, numberOfWords } from "./english-numbers.js";
import type { NamedFunctions } from "./fields.js";
import { perDocument } from "./responses.js";

/** The arguments that all of these filters take. */
interface Extraction {
  readonly select: number;
  readonly fallback: unknown;
  /** Removes what a task ignores: patterns, case, punctuation. */
  readonly simplify: (text: string) => string;
}

type Options = Readonly<Record<string, unknown>>;
const COMMON = ["group_select", "fallback", "ignore_case", "ignore_punctuation", "regexes_to_ignore"];

function extractionOf(options: Options, own: string): Extraction {
  const unknown = Object.keys(options).find((key) => key !== own && !COMMON.includes(key));
  if (unknown !== undefined) throw new QuernError(`the filter has no argument ${quoted(unknown)}`);
  const { group_select: select = 0, fallback = "[invalid]", ignore_case, ignore_punctuation } = options;
  if (typeof select !== "number" || !Number.isInteger(select)) {
    throw new QuernError("the filter needs group_select, a whole number");
  }
  const ignored = ((options.regexes_to_ignore ?? []) as readonly string[]).map((pattern) => new PythonRegex(pattern));
  return {
    select,
    fallback,
    simplify: (text) => {
      let rest = ignored.reduce((left, regex) => regex.sub("", left), text);
      if (ignore_case === true) rest = rest.toLowerCase();
      return ignore_punctuation === true ? rest.replace(/\p{P}/gu, "") : rest;
    },
  };
}

/** The selected match without spaces at its ends; of several groups the first that is not empty. Empty without a match. */
function matchOf(found: readonly (string | readonly string[])[], select: number): string {
  if (found.length === 0) return "";
  const match = select < found.length ? found.at(select) : undefined;
  if (match === undefined) {
    throw new QuernError(`group_select ${select} is beyond the ${found.length} matches of the filter's pattern`);
  }
  return strip(typeof match === "string" ? match : (match.find((group) => group !== "") ?? ""));
}

function patternOf({ regex_pattern = "#### (\\-?[0-9\\.\\,]+)" }: Options): PythonRegex {
  if (typeof regex_pattern !== "string") throw new QuernError("the filter needs regex_pattern, a text");
  return new PythonRegex(regex_pattern);
}

/** Each pattern stands for a value. */
const mappedPattern = perDocument((options) => {
  const { select, fallback, simplify } = extractionOf(options, "regex_pattern_to_value");
  const given = options.regex_pattern_to_value ?? {};
  const entries = given instanceof Map ? [...given] : Object.entries(given as object);
  const values = entries.map(([pattern, value]) => [new PythonRegex(String(pattern)), value as unknown] as const);
  const any = new PythonRegex(entries.map(([pattern]) => String(pattern)).join("|"));
  return () => (response) => {
    const match = matchOf(any.findAll(simplify(response)), select);
    if (match === "") return fallback;
    const text = simplify(match);
    for (const [regex, value] of values) {
      if (matchOf(regex.findAll(text), select) !== "") return value === "" || value === null ? fallback : value;
    }
    return fallback;
  };
});

/** A number in digits, else one in English words. */
const parsedNumber = perDocument((options) => {
  const { select, fallback } = extractionOf(options, "regex_pattern");
  const regex = patternOf(options);
  return () => (response) => {
    const digits = matchOf(regex.findAll(response), select);
    if (digits !== "") return digits;
    const words = matchOf(response.toLowerCase().match(ENGLISH_NUMBER) ?? [], select);
    // Words such as "trillion" stop lm-eval; here they are no answer.
    return numberOfWords(words)?.toString() ?? fallback;
  };
});

/** The words of the document's list in the order of their last mention. */
const sortedWords = perDocument((options) => {
  const unknown = Object.keys(options)[0];
  if (unknown !== undefined) throw new QuernError(`the filter has no argument ${quoted(unknown)}`);
  return (document) => {
    const list = inputOf(document).split("List:")[1];
    if (list === undefined) throw new QuernError('the input of the document has no "List:"');
    const regex = new PythonRegex(
      splitWords(list)
        .map((word) => `\\b${word}\\b`)
        .join("|"),
    );
    return (response) => {
      const last = new Set(
        regex
          .findAll(response)
          .map((match) => (typeof match === "string" ? match : match.join(" ")))
          .reverse(),
      );
      return [...last].reverse().join(" ");
    };
  };
});

const CHOICE = new PythonRegex("\\([A-Z]\\)([^\\n^(]*)");

/** The letter of a choice: by the pattern, by the choice's text, or after a colon. */
const letterOfChoice = perDocument((options) => {
  const { select, fallback, simplify } = extractionOf(options, "regex_pattern");
  const regex = patternOf(options);
  return (document) => {
    const choices = CHOICE.findAll(inputOf(document)).map((text) => simplify(strip(text as string)));
    const letters = choices.map((_, i) => String.fromCodePoint(65 + i));
    const byText = new Map(choices.map((choice, i) => [choice, `(${letters[i]})`]));
    // Longest first, so that a choice that another one begins with cannot hide it.
    const texts = choices.map(escapePattern).sort((a, b) => codePoints(b) - codePoints(a));
    const textPattern = new PythonRegex(texts.join("|"));
    const letterPattern = new PythonRegex(`:[\\s]*(${letters.join("|")})`);
    return (response) => {
      const marked = matchOf(regex.findAll(response), select);
      if (marked !== "") return marked;
      const text = matchOf(textPattern.findAll(simplify(response)), select);
      if (text !== "") return byText.get(text) ?? text;
      const letter = matchOf(letterPattern.findAll(response), select);
      if (letter === "") return fallback;
      return letters.includes(letter) ? `(${letter})` : letter;
    };
  };
});

function inputOf({ input }: FilterDocument): string {
  if (typeof input === "string") return input;
  throw new QuernError("the document has no text input");
}

export const BIG_BENCH_HARD_FUNCTIONS: NamedFunctions = ["zeroshot", "cot_zeroshot"].flatMap(
  (folder) =>
    [
      [`bbh/${folder}/utils.MapRegexFilter`, mappedPattern],
      [`bbh/${folder}/utils.NumberParseRegexFilter`, parsedNumber],
      [`bbh/${folder}/utils.WordSortFilter`, sortedWords],
      [`bbh/${folder}/utils.MultiChoiceRegexFilter`, letterOfChoice],
    ] as const,
);
