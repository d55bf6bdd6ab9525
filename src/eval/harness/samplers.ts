/**
 * @file Chooses few-shot examples as lm-eval does. One generator serves the whole task, so the examples of a document depend
 * on how many documents came before it.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PythonFloat } from "./python-json.js";
import { PythonRandom, type PythonSeed } from "./python-random.js";

/** lm-eval's default seed for few-shot examples. */
export const FEW_SHOT_SEED = 1234;

export interface FewShotSampler<T> {
  /**
   * Returns `count` examples. Give `evaluated` only if the examples come from the evaluated split: it is left out.
   *
   * @throws QuernError if there are too few examples
   */
  sample(count: number, evaluated?: T): readonly T[];
}

export interface SamplerOptions {
  readonly seed?: PythonSeed;
  /** Positions in the pool to draw from, in this order. Default: all. */
  readonly indices?: readonly number[];
}

/** The names that `fewshot_config.sampler` may have. */
export const SAMPLERS = ["default", "first_n"] as const;

/** @throws QuernError for another name */
export function createSampler<T>(
  name: string,
  documents: readonly T[],
  options: SamplerOptions = {},
): FewShotSampler<T> {
  const pool = options.indices === undefined ? documents : options.indices.map((i) => documents[checkIndex(i)]!);
  if (name === "default") return randomSampler(pool, options.seed ?? FEW_SHOT_SEED);
  if (name === "first_n") return firstSampler(pool);
  throw new QuernError(
    `there is no few-shot sampler ${quoted(name)}; use default or first_n, or give the examples as a list`,
  );

  function checkIndex(i: number): number {
    if (Number.isInteger(i) && i >= 0 && i < documents.length) return i;
    throw new QuernError(`few-shot example ${i} is beyond the ${documents.length} that there are`);
  }
}

/** Draws one example more than needed if the evaluated document may be among them, and drops that document. */
function randomSampler<T>(pool: readonly T[], seed: PythonSeed): FewShotSampler<T> {
  const random = new PythonRandom(seed);
  return {
    sample(count, evaluated) {
      checkCount(count, pool.length);
      if (count === 0) return [];
      // Python takes an empty document for none.
      if (evaluated === undefined || isEmpty(evaluated)) return random.sample(pool, count);
      checkCount(count + 1, pool.length);
      const others = random.sample(pool, count + 1).filter((example) => !sameValue(example, evaluated));
      if (others.length >= count) return others.slice(0, count);
      // Copies of the document took more than one place.
      const rest = pool.filter((example) => !sameValue(example, evaluated));
      checkCount(count, rest.length);
      return random.sample(rest, count);
    },
  };
}

/** Takes the examples in the order of the file; for tasks whose examples are written by hand. */
function firstSampler<T>(pool: readonly T[]): FewShotSampler<T> {
  return {
    sample(count, evaluated) {
      const rest = evaluated === undefined ? pool : pool.filter((example) => !sameValue(example, evaluated));
      checkCount(count, rest.length);
      return rest.slice(0, count);
    },
  };
}

function checkCount(count: number, available: number): void {
  if (count >= 0 && count <= available) return;
  throw new QuernError(
    `${count} few-shot examples are needed, but the split has only ${available}; lower --num-fewshot`,
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** Compares as Python's `==` does: any order of keys, and `true` equals 1. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (isNumeric(a) && isNumeric(b)) return Number(a) === Number(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(
    (key) =>
      Object.hasOwn(b, key) && sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  );
}

function isNumeric(value: unknown): boolean {
  return ["boolean", "number", "bigint"].includes(typeof value) || value instanceof PythonFloat;
}
