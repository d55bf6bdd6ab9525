/** @file Rewards for the form of a completion: a regular expression, a JSON Schema, its length, the tags of its thinking. */
import { createContext, runInContext } from "node:vm";
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { quoted } from "../../printable.js";
import type { Content } from "../data/examples.js";
import { spokenText } from "./answers.js";
import { type Fields, type RewardContext, textOf } from "./reward.js";

/** Milliseconds that one search may take; some patterns need exponential time. */
const MAX_SEARCH = 1000;

/**
 * Returns a function that tells whether a text matches. The pattern is checked at once.
 * @throws QuernError for a pattern that is no regular expression
 */
export function matcherOf(pattern: string, flags: string): (text: string) => boolean {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern, flags.replace(/[gy]/g, ""));
  } catch (cause) {
    const why = quoted((cause as Error).message);
    throw new QuernError(`${quoted(pattern)} with flags "${quoted(flags)}" is no regular expression: ${why}`, {
      exitCode: 2,
      cause,
    });
  }
  // In a context of its own, because only its search can be stopped.
  const box = createContext({ expression, text: "" });
  return (text) => {
    box.text = text;
    try {
      return runInContext("expression.test(text)", box, { timeout: MAX_SEARCH }) as boolean;
    } catch (cause) {
      throw new QuernError(`the pattern ${quoted(pattern)} searched longer than ${MAX_SEARCH / 1000} s`, { cause });
    }
  };
}

/** Returns the text of a completion, without its thinking and without a code fence that encloses the rest. */
export function jsonText(completion: Content): string {
  const text = spokenText(completion).trim();
  return /^```(?:json)?\s*\n([\s\S]*?)\n?```$/.exec(text)?.[1] ?? text;
}

/** Tells whether a value is valid under a JSON Schema. */
export type Validator = (value: unknown) => boolean;

/**
 * Compiles a JSON Schema of draft 2020-12.
 * @throws QuernError for an invalid schema
 */
export async function validatorOf(schema: unknown): Promise<Validator> {
  const { Ajv2020 } = await import("ajv/dist/2020.js");
  try {
    // Unknown keywords are annotations, and `format` asserts nothing by default, as the standard says.
    const compiled = new Ajv2020({ strict: false, validateFormats: false, logger: false }).compile(schema as object);
    return (value) => compiled(value) === true;
  } catch (cause) {
    throw new QuernError(`the JSON Schema is invalid: ${quoted((cause as Error).message)}`, { exitCode: 2, cause });
  }
}

/** Returns the schema of an example, in its field `schema` or `json_schema`, as an object or as JSON. */
export function schemaOf(example: Fields): unknown {
  const value = example.schema ?? example.json_schema;
  if (typeof value === "object" && value !== null) return value;
  if (typeof value === "boolean") return value;
  if (typeof value === "string") {
    try {
      return JSON.parse(value);
    } catch {
      // Reported below.
    }
  }
  throw new QuernError(
    `the example's field schema must be a JSON Schema, not ${show(value)}; or give json:schema=FILE`,
    {
      exitCode: 2,
    },
  );
}

/** 1 if the completion is JSON that is valid. */
export function jsonReward(completion: Content, isValid: Validator): number {
  let value: unknown;
  try {
    value = JSON.parse(jsonText(completion));
  } catch {
    return 0;
  }
  return isValid(value) ? 1 : 0;
}

export const LENGTH_UNITS = ["tokens", "words", "characters"] as const;
export type LengthUnit = (typeof LENGTH_UNITS)[number];

/** @throws QuernError for tokens, if the caller does not count them */
export function lengthOf(completion: Content, unit: LengthUnit, { tokens }: RewardContext): number {
  if (unit === "characters") return [...textOf(completion)].length;
  if (unit === "words") return textOf(completion).match(/\S+/g)?.length ?? 0;
  if (tokens === undefined) throw new QuernError("the length in tokens is unknown here; choose words or characters");
  return tokens;
}

/** 1 at the target, falling linearly to 0 at no length and at twice the target. */
export const lengthReward = (length: number, target: number) => Math.max(0, 1 - Math.abs(length - target) / target);

/**
 * DAPO's soft overlong punishment (Yu et al. 2025, eq. 13): 0 up to `max` − `cache`, then falling linearly to −1 at `max`,
 * and −1 beyond.
 */
export function softOverlong(length: number, max: number, cache: number): number {
  if (length <= max - cache) return 0;
  return length > max ? -1 : (max - cache - length) / cache;
}

/** 1 if the completion begins with one `<think>` and closes it, as TRL's `think_format_reward` has it. */
export const thinkFormat = (completion: Content) =>
  /^<think>(?!.*<think>).*?<\/think>/s.test(textOf(completion)) ? 1 : 0;
