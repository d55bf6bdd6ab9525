/**
 * @file Comparisons: the votes as the observations of a logistic regression. Without style, equal votes become one observation
 * with a count, so that a million votes between 200 models are at most 59,700 observations.
 */
import type { Votes } from "./votes.js";

/** C observations of M models with F covariates. */
export interface Comparisons {
  readonly M: number;
  readonly F: number;
  /** (C) indices of the two models. */
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** (C) 1, ½ or 0: the result of the first. */
  readonly outcome: Float64Array;
  /** (C, F) covariates. */
  readonly features: Float64Array;
  /** (C) number of votes. */
  readonly count: Float64Array;
}

/** Returns the distinct results between pairs of models, first index below second, in order of their first vote. */
export function aggregate({ models, first, second, outcome }: Votes): Comparisons {
  const M = models.length;
  const cellOf = new Map<number, number>();
  const cells: { a: number[]; b: number[]; y: number[]; count: number[] } = { a: [], b: [], y: [], count: [] };
  for (let n = 0; n < outcome.length; n++) {
    const isInOrder = first[n] < second[n];
    const [a, b] = isInOrder ? [first[n], second[n]] : [second[n], first[n]];
    const y = isInOrder ? outcome[n] : 1 - outcome[n];
    const key = (a * M + b) * 3 + 2 * y;
    const cell = cellOf.get(key);
    if (cell !== undefined) cells.count[cell] += 1;
    else {
      cellOf.set(key, cells.count.length);
      cells.a.push(a);
      cells.b.push(b);
      cells.y.push(y);
      cells.count.push(1);
    }
  }
  return {
    ...{ M, F: 0, first: Int32Array.from(cells.a), second: Int32Array.from(cells.b) },
    ...{ outcome: Float64Array.from(cells.y), features: new Float64Array(0), count: Float64Array.from(cells.count) },
  };
}

/** Returns each vote as an observation, with the covariates (N, F) of its style. */
export function withFeatures(
  { models, first, second, outcome }: Votes,
  features: Float64Array,
  F: number,
): Comparisons {
  return { M: models.length, F, first, second, outcome, features, count: new Float64Array(outcome.length).fill(1) };
}

/** The pairs that met in aggregated comparisons, to sum over their results. */
export interface PairSums {
  /** (C) number of each observation's pair. */
  readonly pairOf: Int32Array;
  /** One observation per pair, whose outcome is the share of wins, for the weights that `sum` was last given. */
  readonly pairs: Comparisons;
  /** Sets the pairs' outcomes and counts. @param weights (C) */
  sum(weights: Float64Array): void;
}

/** Merges the observations of each pair: a logistic score depends only on a pair's votes and wins. */
export function sumsOfPairs({ M, first, second, outcome }: Comparisons): PairSums {
  const numbers = new Map<number, number>();
  const pairOf = Int32Array.from(first, (a, c) => {
    const key = a * M + second[c];
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    return known;
  });
  const keys = [...numbers.keys()];
  const pairs: Comparisons = {
    ...{
      M,
      F: 0,
      first: Int32Array.from(keys, (key) => Math.floor(key / M)),
      second: Int32Array.from(keys, (key) => key % M),
    },
    ...{ outcome: new Float64Array(keys.length), features: new Float64Array(0), count: new Float64Array(keys.length) },
  };
  const sum = (weights: Float64Array) => {
    pairs.outcome.fill(0);
    pairs.count.fill(0);
    for (let c = 0; c < pairOf.length; c++) {
      pairs.count[pairOf[c]] += weights[c];
      pairs.outcome[pairOf[c]] += weights[c] * outcome[c];
    }
    for (let p = 0; p < keys.length; p++) if (pairs.count[p] > 0) pairs.outcome[p] /= pairs.count[p];
  };
  return { pairOf, pairs, sum };
}

/** Votes between two models. */
export interface PairVotes {
  readonly a: number;
  readonly b: number;
  readonly wins_a: number;
  readonly wins_b: number;
  readonly ties: number;
}

/** Returns the results of each pair that met. */
export function pairsOf(votes: Votes): readonly PairVotes[] {
  const { first, second, outcome, count, M } = aggregate(votes);
  const pairs = new Map<number, { a: number; b: number; wins_a: number; wins_b: number; ties: number }>();
  for (let c = 0; c < count.length; c++) {
    const key = first[c] * M + second[c];
    const pair = pairs.get(key) ?? { a: first[c], b: second[c], wins_a: 0, wins_b: 0, ties: 0 };
    pairs.set(key, pair);
    if (outcome[c] === 1) pair.wins_a += count[c];
    else if (outcome[c] === 0) pair.wins_b += count[c];
    else pair.ties += count[c];
  }
  return [...pairs.values()];
}
