/** @file Votes for tests, from rows of fixtures or simulated. */
import { ReadLog } from "../../../src/documents/index.js";
import type { Votes } from "../../../src/eval/arena/votes.js";

/** Model A, model B, winner, time, margin. */
export type FixtureVote = readonly [a: string, b: string, winner: string, time: number, margin: number];

export function votesOf(rows: readonly FixtureVote[], style: readonly (readonly number[])[] = []): Votes {
  const models = [...new Set(rows.flatMap(([a, b]) => [`${a}`, b]))];
  return {
    models,
    first: Int32Array.from(rows, ([a]) => models.indexOf(a)),
    second: Int32Array.from(rows, ([, b]) => models.indexOf(b)),
    outcome: Float64Array.from(rows, ([, , winner]) => (winner === "model_a" ? 1 : winner === "model_b" ? 0 : 0.5)),
    time: Float64Array.from(rows, ([, , , time]) => time),
    margin: Float64Array.from(rows, ([, , , , margin]) => margin),
    style: Float64Array.from(style.flat()),
    report: new ReadLog().report,
  };
}

/** Simulates `count` votes between random pairs of models of the given θ; a share of `ties` is a tie. */
export function simulate(
  theta: readonly number[],
  count: number,
  uniform: () => number,
  { ties = 0 }: { readonly ties?: number } = {},
): Votes {
  const first = new Int32Array(count);
  const second = new Int32Array(count);
  const outcome = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    first[n] = Math.floor(uniform() * theta.length);
    second[n] = (first[n] + 1 + Math.floor(uniform() * (theta.length - 1))) % theta.length;
    const p = 1 / (1 + Math.exp(theta[second[n]] - theta[first[n]]));
    outcome[n] = uniform() < ties ? 0.5 : uniform() < p ? 1 : 0;
  }
  return {
    ...{ models: theta.map((_, m) => `m${m}`), first, second, outcome, time: undefined },
    ...{ margin: new Float64Array(0), style: new Float64Array(0), report: new ReadLog().report },
  };
}
