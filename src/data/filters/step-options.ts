/** @file The options of a recipe's step, checked when the step is made: an unknown one would run with the defaults. */
import { z } from "zod";
import { checkOptions } from "../../options.js";

/** A bound: any number from 0, `Infinity` among them. */
export const bound = z.custom<number>(
  (value) => typeof value === "number" && value >= 0,
  "must be a number of at least 0",
);
export const word = z.string().min(1);
export const words = z.array(z.string());
export const wordList = z.custom<unknown>(
  (value) => words.or(z.strictObject({ file: word, words: words.optional() })).safeParse(value).success,
  'must be a list of words or { "file": "words.txt" }',
);
/** Of steps whose thresholds depend on the language. */
export const perLanguage = { thresholds: z.enum(["fineweb-2"]).optional(), language: word.optional() };

type Shape = Readonly<Record<string, z.ZodType>>;

/**
 * The options of a step without those that are undefined, which stand for the default. Throws a `QuernError` that names
 * what is wrong, and of an unknown option the nearest known one.
 * @param defaults options that must have the type that the default has
 * @param others the schemas of all others
 */
export function stepOptions<O extends object>(
  step: string,
  given: O | undefined,
  defaults: object,
  others: Shape = {},
): O {
  const shape = Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, typeOf(value).optional()]));
  checkOptions(z.object({ ...shape, ...others }), given ?? {}, (key) => key, ` in the step ${step}`);
  return Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)) as O;
}

function typeOf(value: unknown): z.ZodType {
  if (typeof value === "boolean") return z.boolean();
  if (typeof value === "number") return bound;
  if (typeof value === "string") return word;
  // Lengths of runs of words with their shares, or words.
  return Array.isArray(value) && Array.isArray(value[0]) ? z.array(z.tuple([z.int().min(1), bound])) : words;
}
