/**
 * @file The instructions of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for Large Language Models") that a program can
 * verify: each says whether a response follows it.
 */
import { QuernError } from "../../../errors.js";
import { PythonRegex } from "../python-regex.js";
import { codePoints, splitWords, strip } from "../python-text.js";
import { detectLanguage } from "./language.js";
import { sentencesOf, wordsOf } from "./sentences.js";

/** The arguments of one instruction, without those that are null, zero or empty. */
export type InstructionArguments = Readonly<Record<string, unknown>>;
type Check = (given: InstructionArguments) => (response: string) => boolean;

/** lm-eval draws a missing argument at random, so no result could be repeated. */
function argument<T>(
  given: InstructionArguments,
  key: string,
  isKind: (value: unknown) => value is T,
  kind: string,
): T {
  const value = given[key];
  if (isKind(value)) return value;
  throw new QuernError(`the instruction needs the argument ${key}, ${kind}`);
}
const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number => Number.isInteger(Number(value)) && Number(value) >= 0;
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText);
const text = (given: InstructionArguments, key: string): string => argument(given, key, isText, "a text");
const count = (given: InstructionArguments, key: string): number =>
  Number(argument(given, key, (value): value is number => value !== undefined && isCount(value), "a whole number"));
const texts = (given: InstructionArguments, key: string): readonly string[] =>
  argument(given, key, isTexts, "a list of texts");

/** Compares a count with a threshold. */
function compared(given: InstructionArguments, relationKey: string, countKey: string): (found: number) => boolean {
  const relation = text(given, relationKey);
  const threshold = count(given, countKey);
  if (relation === "less than") return (found) => found < threshold;
  if (relation === "at least") return (found) => found >= threshold;
  throw new QuernError(`the relation of an instruction is "less than" or "at least", not ${relation}`);
}

const ignoringCase = (pattern: string): PythonRegex => new PythonRegex(pattern, { ignoreCase: true });
const lines = (pattern: string): PythonRegex => new PythonRegex(pattern, { multiLine: true });

const WORD = new PythonRegex("\\w+");
const DIVIDER = new PythonRegex("\\s?\\*\\*\\*\\s?");
const PLACEHOLDER = new PythonRegex("\\[.*?\\]");
const STAR_BULLET = lines("^\\s*\\*[^\\*].*$");
const DASH_BULLET = lines("^\\s*-.*$");
const HIGHLIGHT = new PythonRegex("\\*[^\\n\\*]*\\*");
const DOUBLE_HIGHLIGHT = new PythonRegex("\\*\\*[^\\n\\*]*\\*\\*");
const TITLE = new PythonRegex("<<[^\\n]+>>");
const CONSTRAINED = ["My answer is yes.", "My answer is no.", "My answer is maybe."];

/** Python's `isupper` and `islower`: letters of one case, and at least one. */
const isUpper = (value: string): boolean => /\p{Uppercase}/u.test(value) && !/\p{Lowercase}|\p{Lt}/u.test(value);
const isLower = (value: string): boolean => /\p{Lowercase}/u.test(value) && !/\p{Uppercase}|\p{Lt}/u.test(value);

/** A text without letters counts as any language. */
function isLanguage(response: string, wanted: string): boolean {
  const found = detectLanguage(response);
  return found === null || found === wanted;
}

/** Parts between dividers; null if one inside is empty. */
function paragraphs(response: string): number | null {
  const parts = DIVIDER.split(response).map((part) => strip(part ?? ""));
  const inside = parts.slice(1, -1);
  if (inside.includes("")) return null;
  const ends = parts.length === 1 ? parts : [parts[0], parts[parts.length - 1]];
  return parts.length - ends.filter((part) => part === "").length;
}

/** The first word of a paragraph in lower case, up to a mark of punctuation. */
function firstWord(paragraph: string): string {
  const word = splitWords(paragraph)[0].replace(/^'+/, "").replace(/^"+/, "");
  return word.split(/[.,?!'"]/)[0].toLowerCase();
}

/** Whether Python's `json.loads` reads a text; unlike JSON, it knows NaN and Infinity. */
function isPythonJson(source: string): boolean {
  const plain = source.replace(/"(?:[^"\\]|\\.)*"|NaN|-?Infinity/g, (token) => (token.startsWith('"') ? token : "0"));
  try {
    JSON.parse(plain);
    return true;
  } catch {
    return false;
  }
}

const trimmedOf = (value: string, mark: string): string => {
  let [from, to] = [0, value.length];
  while (from < to && value[from] === mark) from++;
  while (to > from && value[to - 1] === mark) to--;
  return value.slice(from, to);
};

export const INSTRUCTION_CHECKS: Readonly<Record<string, Check>> = {
  "keywords:existence": (given) => {
    const keywords = texts(given, "keywords").map(ignoringCase);
    return (response) => keywords.every((keyword) => keyword.search(response) !== null);
  },
  "keywords:frequency": (given) => {
    const keyword = ignoringCase(strip(text(given, "keyword")));
    const isRight = compared(given, "relation", "frequency");
    return (response) => isRight(keyword.findAll(response).length);
  },
  "keywords:forbidden_words": (given) => {
    const words = texts(given, "forbidden_words").map((word) => ignoringCase(`\\b${word}\\b`));
    return (response) => words.every((word) => word.search(response) === null);
  },
  "keywords:letter_frequency": (given) => {
    // For another character than a to z lm-eval draws a letter at random; here it counts.
    const letter = strip(text(given, "letter")).toLowerCase();
    if (codePoints(letter) !== 1) throw new QuernError("the instruction needs the argument letter, one character");
    const isRight = compared(given, "let_relation", "let_frequency");
    return (response) => isRight(response.toLowerCase().split(letter).length - 1);
  },
  "language:response_language": (given) => {
    const language = text(given, "language");
    return (response) => isLanguage(response, language);
  },
  "length_constraints:number_sentences": (given) => {
    const isRight = compared(given, "relation", "num_sentences");
    return (response) => isRight(sentencesOf(response).length);
  },
  "length_constraints:number_paragraphs": (given) => {
    const wanted = count(given, "num_paragraphs");
    return (response) => paragraphs(response) === wanted;
  },
  "length_constraints:number_words": (given) => {
    const isRight = compared(given, "relation", "num_words");
    return (response) => isRight(WORD.findAll(response).length);
  },
  "length_constraints:nth_paragraph_first_word": (given) => {
    const wanted = count(given, "num_paragraphs");
    const place = count(given, "nth_paragraph");
    if (place < 1 || place > wanted) {
      throw new QuernError("the instruction needs the argument nth_paragraph, a number from 1 to num_paragraphs");
    }
    const word = text(given, "first_word").toLowerCase();
    return (response) => {
      const parts = response.split("\n\n").map(strip);
      const filled = parts.filter((part) => part !== "").length;
      const paragraph = parts[place - 1];
      if (place > filled || paragraph === "") return false;
      return filled === wanted && firstWord(paragraph) === word;
    };
  },
  "detectable_content:number_placeholders": (given) => {
    const wanted = count(given, "num_placeholders");
    return (response) => PLACEHOLDER.findAll(response).length >= wanted;
  },
  "detectable_content:postscript": (given) => {
    const marker = strip(text(given, "postscript_marker"));
    const patterns: Readonly<Record<string, string>> = { "P.P.S": "p\\.\\s?p\\.\\s?s.*$", "P.S.": "p\\.\\s?s\\..*$" };
    const pattern = lines(`\\s*${Object.hasOwn(patterns, marker) ? patterns[marker] : `${marker.toLowerCase()}.*$`}`);
    return (response) => pattern.search(response.toLowerCase()) !== null;
  },
  "detectable_format:number_bullet_lists": (given) => {
    const wanted = count(given, "num_bullets");
    return (response) => STAR_BULLET.findAll(response).length + DASH_BULLET.findAll(response).length === wanted;
  },
  "detectable_format:constrained_response": () => (response) =>
    CONSTRAINED.some((option) => strip(response).includes(option)),
  "detectable_format:number_highlighted_sections": (given) => {
    const wanted = count(given, "num_highlights");
    return (response) => {
      const single = HIGHLIGHT.findAll(response).map((part) => trimmedOf(part as string, "*"));
      const double = DOUBLE_HIGHLIGHT.findAll(response).map((part) => (part as string).slice(2, -2));
      return [...single, ...double].filter((part) => strip(part) !== "").length >= wanted;
    };
  },
  "detectable_format:multiple_sections": (given) => {
    const splitter = new PythonRegex(`\\s?${strip(text(given, "section_spliter"))}\\s?\\d+\\s?`);
    const wanted = count(given, "num_sections");
    return (response) => splitter.split(response).length - 1 >= wanted;
  },
  "detectable_format:json_format": () => (response) => {
    let source = strip(response);
    for (const fence of ["```json", "```Json", "```JSON", "```"]) {
      if (source.startsWith(fence)) source = source.slice(fence.length);
    }
    return isPythonJson(strip(source.endsWith("```") ? source.slice(0, -3) : source));
  },
  "detectable_format:title": () => (response) =>
    TITLE.findAll(response).some((title) => strip((title as string).replace(/^<+/, "").replace(/>+$/, "")) !== ""),
  "combination:two_responses": () => (response) => {
    const parts = response.split("******").map(strip);
    if (parts.slice(1, -1).includes("")) return false;
    const filled = parts.filter((part) => part !== "");
    return filled.length === 2 && filled[0] !== filled[1];
  },
  "combination:repeat_prompt": (given) => {
    const prompt = strip(text(given, "prompt_to_repeat")).toLowerCase();
    return (response) => strip(response).toLowerCase().startsWith(prompt);
  },
  "startend:end_checker": (given) => {
    const phrase = strip(text(given, "end_phrase")).toLowerCase();
    return (response) => trimmedOf(strip(response), '"').toLowerCase().endsWith(phrase);
  },
  "change_case:capital_word_frequency": (given) => {
    const isRight = compared(given, "capital_relation", "capital_frequency");
    return (response) => isRight(wordsOf(response).filter(isUpper).length);
  },
  "change_case:english_capital": () => (response) => isUpper(response) && isLanguage(response, "en"),
  "change_case:english_lowercase": () => (response) => isLower(response) && isLanguage(response, "en"),
  "punctuation:no_comma": () => (response) => !response.includes(","),
  "startend:quotation": () => (response) => {
    const whole = strip(response);
    return codePoints(whole) > 1 && whole.startsWith('"') && whole.endsWith('"');
  },
};
