/** @file The filters `regex` and `multi_choice_regex` of lm-eval: take the answer out of a response by a pattern. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { escapePattern, PythonRegex } from "./python-regex.js";
import { codePoints, strip } from "./python-text.js";

/** lm-eval's default: the answer after the four hashes of GSM8K. */
const DEFAULT_PATTERN = "#### (\\-?[0-9\\.\\,]+)";

interface Extraction {
  readonly regex: PythonRegex;
  /** Which of all matches; negative counts from the end. */
  readonly select: number;
  readonly fallback: unknown;
}

type Arguments = Readonly<Record<string, unknown>>;

function extraction({
  regex_pattern = DEFAULT_PATTERN,
  group_select = 0,
  fallback = "[invalid]",
}: Arguments): Extraction {
  if (typeof regex_pattern !== "string") throw new QuernError("a regex filter needs regex_pattern, a text");
  if (typeof group_select !== "number" || !Number.isInteger(group_select)) {
    throw new QuernError("a regex filter needs group_select, a whole number");
  }
  return { regex: new PythonRegex(regex_pattern), select: group_select, fallback };
}

/** Returns the selected match; a pattern without a match gives undefined. */
function selected({ regex, select }: Extraction, text: string): string | string[] | undefined {
  const found = regex.findAll(text);
  if (found.length === 0) return undefined;
  const value = found.at(select);
  if (value !== undefined && select < found.length) return value;
  throw new QuernError(
    `group_select ${select} is beyond the ${found.length} matches of ${quoted(regex.pattern)} in ${quoted(text.slice(0, 80))}`,
  );
}

/** Returns a function from a response to its answer. A response that is not text counts as empty. */
export function regexFilter(args: Arguments): (response: unknown) => unknown {
  const parts = extraction(args);
  return (response) => {
    const match = selected(parts, typeof response === "string" ? response : "");
    if (match === undefined) return parts.fallback;
    const value = typeof match === "string" ? match : (match.find((group) => group !== "") ?? parts.fallback);
    return typeof value === "string" ? strip(value) : value;
  };
}

/**
 * Returns a function from a document to the function that finds the letter of one of its choices, `(A)`. It looks for the
 * pattern, then for the text of a choice, then for a letter after a colon.
 */
export function choiceRegexFilter(
  args: Arguments,
): (document: Readonly<Record<string, unknown>>, position: number) => (response: unknown) => unknown {
  const parts = extraction(args);
  const simplify = simplifier(args);
  return (document, position) => {
    const { choices } = document;
    if (!Array.isArray(choices) || !choices.every((choice) => typeof choice === "string")) {
      throw new QuernError(`multi_choice_regex needs a field choices, a list of texts; document ${position} has none`);
    }
    const letters = new Map<string, string>();
    const patterns: string[] = [];
    const bare = new Map<string, string>();
    choices.forEach((choice, i) => {
      const letter = String.fromCodePoint(65 + i);
      const text = simplify(strip(choice));
      patterns.push(escapePattern(text));
      letters.set(text, `(${letter})`);
      bare.set(letter, `(${letter})`);
    });
    // Longest first, so that a choice that another one begins with cannot hide it.
    patterns.sort((a, b) => codePoints(b) - codePoints(a));
    const byText = { ...parts, regex: new PythonRegex(patterns.join("|")) };
    const byLetter = { ...parts, regex: new PythonRegex(`:[\\s]*(${[...bare.keys()].join("|")})`) };
    return (response) => {
      const text = typeof response === "string" ? response : "";
      return (
        converted(selected(parts, text)) ||
        converted(selected(byText, simplify(text)), letters) ||
        converted(selected(byLetter, text), bare) ||
        parts.fallback
      );
    };
  };
}

function converted(match: string | string[] | undefined, letters?: ReadonlyMap<string, string>): string {
  if (match === undefined) return "";
  const value = strip(typeof match === "string" ? match : (match.find((group) => group !== "") ?? ""));
  return (value !== "" && letters?.get(value)) || value;
}

function simplifier({ ignore_case, ignore_punctuation, regexes_to_ignore }: Arguments): (text: string) => string {
  if (regexes_to_ignore !== undefined && regexes_to_ignore !== null && !Array.isArray(regexes_to_ignore)) {
    throw new QuernError("a regex filter needs regexes_to_ignore, a list of patterns");
  }
  const ignored = ((regexes_to_ignore ?? []) as readonly unknown[]).map((pattern) => new PythonRegex(String(pattern)));
  return (text) => {
    let result = ignored.reduce((rest, regex) => regex.sub("", rest), text);
    if (ignore_case === true) result = result.toLowerCase();
    if (ignore_punctuation === true) result = result.replace(/\p{P}/gu, "");
    return result;
  };
}
