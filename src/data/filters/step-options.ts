/** @file Checks the options of a step when it is created, because a step would silently ignore an unknown option. */
import { z } from "zod";
import { checkOptions } from "../../options.js";

/** A bound: any number from 0, including `Infinity`. */
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
/** Options of steps whose thresholds depend on the language. */
export const perLanguage = { thresholds: z.enum(["fineweb-2"]).optional(), language: word.optional() };

type Shape = Readonly<Record<string, z.ZodType>>;

/**
 * Returns a step's options without undefined ones, which stand for defaults. Throws a `QuernError` that names the wrong
 * option, and for an unknown one the nearest known.
 * @param defaults options that must have the type of their default
 * @param others schemas of all other options
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
  // Either pairs of run length and share, or words.
  return Array.isArray(value) && Array.isArray(value[0]) ? z.array(z.tuple([z.int().min(1), bound])) : words;
}
