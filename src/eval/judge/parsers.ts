/**
 * @file Parsers of a judge's completion: which of two answers it prefers, in the order in which it saw them.
 * The names and settings are those of AlpacaEval's annotator configurations (`fn_completion_parser`).
 */
import { QuernError } from "../../errors.js";
import { nearest, show } from "../../options.js";
import { PythonRegex } from "../harness/python-regex.js";
import type { Preference } from "./win-rate.js";

/** Log-probabilities of the likeliest tokens at one position. */
export type TopLogprobs = readonly { readonly token: string; readonly logprob: number }[];

/** What a judge answered. */
export interface Completion {
  readonly text: string;
  /** By position; needed by `logprob_parser`. */
  readonly logprobs?: readonly TopLogprobs[];
}

/**
 * Returns one preference for each judgement of a completion (one, unless the prompt asked for several): 1 for the first
 * answer shown, 2 for the second, 1.5 or 0 for a tie, a number between for a weighted preference. Null marks a judgement
 * that cannot be read; an unreadable completion gives [null].
 */
export type CompletionParser = (completion: Completion) => readonly Preference[];

type Settings = Readonly<Record<string, unknown>>;

const PARSERS: Readonly<Record<string, (settings: Settings) => CompletionParser>> = {
  logprob_parser: logprobParser,
  regex_parser: regexParser,
  ranking_parser: rankingParser,
  json_parser: jsonParser,
  eval_parser: () => readableOr((text) => [literalOf(text)].flat().map(preferenceOf)),
  lmsys_parser:
    () =>
    ({ text }) => [scorePair(text)],
  verdict_parser:
    () =>
    ({ text }) => [verdict(text)],
};

/**
 * Returns the parser of a configuration. `verdict_parser` reads MT-bench's [[A]], [[B]], [[C]] and Arena-Hard's [[A>>B]].
 * @param settings `completion_parser_kwargs`
 * @throws QuernError for an unknown name or wrong settings
 */
export function completionParser(name: string, settings: Settings = {}): CompletionParser {
  const make = Object.hasOwn(PARSERS, name) ? PARSERS[name] : undefined;
  if (make !== undefined) return make(settings);
  const known = Object.keys(PARSERS);
  throw new QuernError(`unknown parser ${name}; did you mean ${nearest(name, known)}? Known: ${known.join(", ")}`);
}

/**
 * The share of `numerator_token`, which means that the first answer is better, among `denominator_tokens`. A token that
 * is not among the likeliest counts as 0. `is_binarize` (default) rounds; ties prefer the second answer, as AlpacaEval's.
 */
function logprobParser(settings: Settings): CompletionParser {
  const numerator = textSetting(settings, "numerator_token");
  const { denominator_tokens: tokens, is_binarize: binarize = true, log_prob_index: index = "batch" } = settings;
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every((token) => typeof token === "string")) {
    throw new QuernError(`denominator_tokens must be a list of tokens, not ${show(tokens)}`);
  }
  if (index !== "batch" && !Number.isInteger(index)) {
    throw new QuernError(`log_prob_index must be "batch" or a position, not ${show(index)}`);
  }
  const at = (top: TopLogprobs): Preference => {
    const found = new Map(top.map(({ token, logprob }) => [token, logprob]));
    const weight = (token: string) => Math.exp(found.get(token) ?? Number.NEGATIVE_INFINITY);
    const sum = tokens.reduce((total: number, token) => total + weight(token), 0);
    if (sum === 0) return null;
    if (binarize === true) {
      return tokens.every((token) => token === numerator || weight(numerator) > weight(token)) ? 1 : 2;
    }
    return 2 - weight(numerator) / sum;
  };
  return ({ logprobs = [] }) => {
    const positions = index === "batch" ? logprobs : logprobs.slice(index as number).slice(0, 1);
    return positions.length === 0 ? [null] : positions.map(at);
  };
}

/** Patterns by preference (`outputs_to_match`); the earliest match counts, then the next after it. */
function regexParser({ outputs_to_match: given }: Settings): CompletionParser {
  if (typeof given !== "object" || given === null || Object.keys(given).length === 0) {
    throw new QuernError(`outputs_to_match must map preferences to regular expressions, not ${show(given)}`);
  }
  const patterns = Object.entries(given).map(([key, pattern]) => {
    const preference = preferenceOf(Number(key));
    if (preference === null || typeof pattern !== "string") {
      throw new QuernError(`outputs_to_match must map 1, 2 or 1.5 to a pattern, not ${show(key)} to ${show(pattern)}`);
    }
    return { preference, regex: new PythonRegex(pattern) };
  });
  return ({ text }) => {
    const found: Preference[] = [];
    for (let rest = text; ; ) {
      const matches = patterns.flatMap(({ preference, regex }) => {
        const match = regex.search(rest);
        return match === null ? [] : [{ preference, start: match.start, end: match.end }];
      });
      if (matches.length === 0) break;
      const first = matches.reduce((best, match) => (match.start < best.start ? match : best));
      found.push(first.preference);
      // An empty match would be found for ever.
      if (first.end === 0) break;
      rest = rest.slice(first.end);
    }
    return found.length === 0 ? [null] : found;
  };
}

/** Reads [{'model': 'model_1', 'rank': 1}, …]; the rank of `model_1_name` is the preference. */
function rankingParser(settings: Settings): CompletionParser {
  const name = settings.model_1_name === undefined ? "model_1" : textSetting(settings, "model_1_name");
  return readableOr((text) => {
    const list = literalOf(text);
    const first = (Array.isArray(list) ? list : [list]).find((item) => (item as { model?: unknown })?.model === name);
    const { rank } = (first ?? {}) as { readonly rank?: unknown };
    return [rank === 1 || rank === 2 ? rank : null];
  });
}

/** Reads a JSON object, a list of them, or the first block marked ```json; the preference is at `annotation_key`. */
function jsonParser(settings: Settings): CompletionParser {
  const key = textSetting(settings, "annotation_key");
  return readableOr((text) => {
    const parsed: unknown = JSON.parse(/```json([\s\S]*?)```/.exec(text)?.[1] ?? text);
    return [parsed].flat().map((item) => preferenceOf((item as Settings | null)?.[key]));
  });
}

const readableOr =
  (parse: (text: string) => readonly Preference[]): CompletionParser =>
  ({ text }) => {
    try {
      const found = parse(text);
      return found.length === 0 ? [null] : found;
    } catch (error) {
      if (error instanceof SyntaxError) return [null];
      throw error;
    }
  };

function preferenceOf(value: unknown): Preference {
  return typeof value === "number" && (value === 0 || (value >= 1 && value <= 2)) ? value : null;
}

/** Parses JSON or a Python literal of lists, dictionaries, strings, numbers, True, False and None. */
function literalOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const json = text.replace(
      /'((?:[^'\\]|\\.)*)'|"(?:[^"\\]|\\.)*"|\b(?:True|False|None)\b|,(?=\s*[\]}])/g,
      (token, single: string | undefined) => {
        if (single !== undefined) return JSON.stringify(single.replace(/\\(['"\\])/g, "$1"));
        return { True: "true", False: "false", None: "null", ",": "" }[token] ?? token;
      },
    );
    return JSON.parse(json);
  }
}

/** Compares the two scores on the first line, such as "8 7.5" or "8, 7.5" (Vicuna's judge). */
export function scorePair(text: string): Preference {
  const scores = text.split("\n", 1)[0].replaceAll(",", " ").trim().split(/\s+/);
  if (scores.length !== 2 || !scores.every((score) => /^[-+]?(\d+\.?\d*|\.\d+)$/.test(score))) return null;
  const [first, second] = scores.map(Number);
  return first > second ? 1 : first < second ? 2 : 1.5;
}

/**
 * Reads the last verdict: [[A]], [[B]] or [[C]] (a tie) as MT-bench asks for (Zheng et al. 2023), or [[A>>B]], [[A>B]],
 * [[A=B]], [[B>A]], [[B>>A]] as Arena-Hard does.
 */
export function verdict(text: string): Preference {
  const found = [...text.matchAll(/\[\[([ABC]|A[<>=]{1,2}B|B[<>=]{1,2}A)\]\]/g)].at(-1)?.[1];
  if (found === undefined) return null;
  if (found === "C" || /^[AB]={1,2}[AB]$/.test(found)) return 1.5;
  if (found.length === 1) return found === "A" ? 1 : 2;
  const [left] = found;
  if (/^.(>{1,2}).$/.test(found)) return left === "A" ? 1 : 2;
  return /^.(<{1,2}).$/.test(found) ? (left === "A" ? 2 : 1) : null;
}

function textSetting(settings: Settings, key: string): string {
  const value = settings[key];
  if (typeof value === "string") return value;
  throw new QuernError(`${key} must be text, not ${show(value)}`);
}
