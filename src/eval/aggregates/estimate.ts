/** @file A number with its uncertainty: what every aggregate is made of and gives. */
import { normalInterval, wilsonInterval } from "../judge/intervals.js";
import { centered } from "./core.js";

export interface Estimate {
  readonly value: number;
  /** Null if a part has none. */
  readonly standard_error: number | null;
  /** Of the 95 % interval. */
  readonly lower: number | null;
  readonly upper: number | null;
}

/** The mean of several tasks, which may not all have results. */
export interface Aggregate extends Estimate {
  /** Tasks with a result. */
  readonly tasks: number;
  /** Tasks that belong to the mean; below `of` it is a partial mean, not comparable with a full one. */
  readonly of: number;
  readonly missing: readonly string[];
}

/** Returns an estimate with a normal interval. */
export function estimate(value: number, error: number | null): Estimate {
  if (error === null) return { value, standard_error: null, lower: null, upper: null };
  return { value, standard_error: error, ...normalInterval(value, error) };
}

/** Returns an accuracy of `documents` with Wilson's interval, or a normal one if it is no share of them. */
export function accuracyEstimate(value: number, error: number | null, documents: number): Estimate {
  if (error === null || documents < 2) return estimate(value, error);
  // lm-eval's error of a share of n documents is √(p(1 − p)/(n − 1)).
  const ofShare = Math.sqrt((value * (1 - value)) / (documents - 1));
  const isShare = value >= 0 && value <= 1 && Math.abs(ofShare - error) < 1e-9;
  if (!isShare) return estimate(value, error);
  return { value, standard_error: error, ...wilsonInterval(value * documents, documents) };
}

/** Returns an estimate on a scale where chance is 0 and perfection 1. */
export function centredEstimate(given: Estimate, chance: number): Estimate {
  const scaled = (value: number | null) => (value === null ? null : centered(value, chance));
  return {
    value: centered(given.value, chance),
    standard_error: given.standard_error === null ? null : given.standard_error / (1 - chance),
    lower: scaled(given.lower),
    upper: scaled(given.upper),
  };
}

/** Returns the plain mean of independent estimates: its error is √(Σ error²) / n. */
export function meanEstimate(parts: readonly Estimate[]): Estimate {
  const n = parts.length;
  let squares: number | null = 0;
  let sum = 0;
  for (const { value, standard_error } of parts) {
    sum += value;
    squares = squares === null || standard_error === null ? null : squares + standard_error ** 2;
  }
  return estimate(sum / n, squares === null ? null : Math.sqrt(squares) / n);
}

/** Returns the mean of the parts that are there; null without any. */
export function aggregateOf(parts: ReadonlyMap<string, Estimate | undefined>): Aggregate | null {
  const present = [...parts.values()].filter((part) => part !== undefined);
  if (present.length === 0) return null;
  const missing = [...parts].filter(([, part]) => part === undefined).map(([name]) => name);
  return { ...meanEstimate(present), tasks: present.length, of: parts.size, missing };
}
