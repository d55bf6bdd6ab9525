/** Runs made from known constants, for the tests of fits and predictions. */
import { randomStream } from "../../src/model/index.js";
import { formatRuns, type RunRow } from "../../src/scale/index.js";

export const TRUE = { A: 480, B: 2100, E: 1.8, alpha: 0.35, beta: 0.37 };

export const lossOf = (params: number, tokens: number, law = TRUE) =>
  law.E + law.A * params ** -law.alpha + law.B * tokens ** -law.beta;

/** Normal numbers of a seed. */
export function normals(seed: number, count: number): Float32Array {
  const values = new Float32Array(count);
  randomStream(seed, "noise").fillNormal(values, 1);
  return values;
}

/** The optimum of the true law for a budget. */
export function trueOptimum(flops: number, { A, B, alpha, beta } = TRUE) {
  const G = ((alpha * A) / (beta * B)) ** (1 / (alpha + beta));
  const params = G * (flops / 6) ** (beta / (alpha + beta));
  return { params, tokens: flops / (6 * params) };
}

export interface MadeRun {
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  readonly loss: number;
}

/** An isoFLOP grid around the true optima; the noise is of log loss. */
export function isoFlopRuns(
  budgets: readonly number[],
  sizes: readonly number[],
  { noise = 0, seed = 0, law = TRUE } = {},
): MadeRun[] {
  const random = normals(seed, budgets.length * sizes.length);
  let at = 0;
  return budgets.flatMap((flops) =>
    sizes.map((factor) => {
      const params = trueOptimum(flops, law).params * factor;
      const tokens = flops / (6 * params);
      return { params, tokens, flops, loss: lossOf(params, tokens, law) * Math.exp(noise * random[at++]) };
    }),
  );
}

export const SIZES = [0.25, 0.4, 0.63, 1, 1.6, 2.5, 4];
export const BUDGETS = [1e18, 1e19, 1e20, 1e21, 1e22];

export const csvOf = (rows: readonly RunRow[]): string => formatRuns(rows);

/** Runs with every column that a fit knows, some of them repeated, diverged or varied: each part of the report has a picture. */
export function everyColumn(): RunRow[] {
  const budgets = [1e18, 1e19, 1e20, 1e21];
  const grid = isoFlopRuns(budgets, [0.25, 0.5, 1, 2, 4], { noise: 0.002, seed: 7 });
  const row = (run: MadeRun, name: string, rate: number, batch: number, unique: number) => ({
    ...{ ...run, run: name, unique_tokens: unique, bits_per_byte: 0.35 * run.loss, learning_rate: rate, batch },
    ...{ params_without_embeddings: 0.8 * run.params, accuracy: 0.25 + 0.6 / (1 + Math.exp(4 * (run.loss - 2.5))) },
  });
  const rates = budgets.flatMap((flops) =>
    [0.5, 1, 2].map((factor) => {
      const { params, tokens } = trueOptimum(flops);
      const loss = lossOf(params, tokens) + 0.03 * Math.log(factor) ** 2;
      const best = 0.3 * flops ** -0.12;
      return row(
        { params, tokens, flops, loss },
        `rate ${factor} at ${flops}`,
        best * factor,
        2 ** 19 * factor,
        tokens,
      );
    }),
  );
  const repeated = [5, 10, 20, 40, 80].map((epochs) => {
    const [params, unique] = [3e8, 1e9];
    const loss = lossOf(params, unique * (1 + 15 * (1 - Math.exp((1 - epochs) / 15))));
    return row(
      { params, tokens: unique * epochs, flops: 6 * params * unique * epochs, loss },
      `e${epochs}`,
      3e-4,
      2 ** 19,
      unique,
    );
  });
  const wild = {
    ...grid[0],
    run: "runs/a-rather-long-name-of-a-run/with-its-folder-0000012",
    status: "diverged",
    loss: "NaN",
  };
  return [...grid.map((run, i) => row(run, `r${i}`, 1e-3, 2 ** 19, run.tokens)), ...rates, ...repeated, wild];
}
