/**
 * @file Predicts held-out losses from a mixture, and finds the best mixture (RegMix, Liu et al. 2024). Ridge regression fits
 * the losses of each group, once on the shares alone, and once with their squares and logarithms too. Leave-one-out error
 * chooses between the two. The result is the mean of the best simulated mixtures.
 */

/** A proxy run: its mixture, and the held-out loss of each group in nats per token. */
export interface ProxyRun {
  readonly shares: readonly number[];
  readonly losses: readonly number[];
}

type Features = (shares: readonly number[]) => number[];

const FORMS: Readonly<Record<"linear" | "curved", Features>> = {
  linear: (shares) => [1, ...shares],
  // A group's loss falls with its share by a power law, which a logarithm approximates.
  curved: (shares) => [
    1,
    ...shares,
    ...shares.map((share) => Math.log(share + 0.01)),
    ...shares.map((share) => share * share),
  ],
};
export type Form = keyof typeof FORMS;

const RIDGES = [1e-6, 1e-4, 1e-2, 1];

export interface MixtureModel {
  readonly form: Form;
  readonly ridge: number;
  /** Leave-one-out results on target losses: root mean square error in nats, and Spearman's rank correlation. */
  readonly error: number;
  readonly correlation: number;
  /** Returns the predicted loss of each group. */
  readonly predict: (shares: readonly number[]) => number[];
}

/** Fits the losses of the groups. @param target weights of the groups in the target loss */
export function fitMixtureModel(runs: readonly ProxyRun[], target: readonly number[]): MixtureModel {
  let best: MixtureModel | undefined;
  for (const form of ["linear", "curved"] as const) {
    for (const ridge of RIDGES) {
      const predicted = runs.map((run, i) =>
        targetLoss(
          fitForm(
            runs.filter((_, j) => j !== i),
            form,
            ridge,
          )(run.shares),
          target,
        ),
      );
      const real = runs.map(({ losses }) => targetLoss(losses, target));
      const error = Math.sqrt(predicted.reduce((sum, loss, i) => sum + (loss - real[i]) ** 2, 0) / runs.length);
      if (best !== undefined && !(error < best.error)) continue;
      best = { form, ridge, error, correlation: rankCorrelation(predicted, real), predict: fitForm(runs, form, ridge) };
    }
  }
  return best as MixtureModel;
}

/** Returns the target loss: the losses of the groups, weighted by `target`. */
export const targetLoss = (losses: readonly number[], target: readonly number[]) =>
  losses.reduce((sum, loss, i) => sum + loss * target[i], 0);

function fitForm(runs: readonly ProxyRun[], form: Form, ridge: number): (shares: readonly number[]) => number[] {
  const features = FORMS[form];
  const rows = runs.map(({ shares }) => features(shares));
  const groups = runs[0].losses.length;
  const width = rows[0].length;
  const means = Array.from(
    { length: groups },
    (_, g) => runs.reduce((sum, { losses }) => sum + losses[g], 0) / runs.length,
  );
  // (XᵀX + ridge) b = Xᵀ(y − mean), with one right-hand side per group.
  const matrix = Array.from({ length: width }, (_, i) =>
    Array.from(
      { length: width },
      (_, j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0) + (i === j ? ridge : 0),
    ),
  );
  const right = Array.from({ length: width }, (_, i) =>
    means.map((mean, g) => rows.reduce((sum, row, r) => sum + row[i] * (runs[r].losses[g] - mean), 0)),
  );
  const weights = solve(matrix, right);
  return (shares) => {
    const row = features(shares);
    return means.map((mean, g) => mean + row.reduce((sum, value, i) => sum + value * weights[i][g], 0));
  };
}

/** Solves a positive definite system by Gaussian elimination with row pivots. */
function solve(matrix: number[][], right: number[][]): number[][] {
  const size = matrix.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++)
      if (Math.abs(matrix[row][column]) > Math.abs(matrix[pivot][column])) pivot = row;
    [matrix[column], matrix[pivot]] = [matrix[pivot], matrix[column]];
    [right[column], right[pivot]] = [right[pivot], right[column]];
    for (let row = column + 1; row < size; row++) {
      const factor = matrix[row][column] / matrix[column][column];
      for (let i = column; i < size; i++) matrix[row][i] -= factor * matrix[column][i];
      for (let g = 0; g < right[row].length; g++) right[row][g] -= factor * right[column][g];
    }
  }
  const solution = right.map((row) => row.map(() => 0));
  for (let row = size - 1; row >= 0; row--) {
    for (let g = 0; g < right[row].length; g++) {
      let sum = right[row][g];
      for (let i = row + 1; i < size; i++) sum -= matrix[row][i] * solution[i][g];
      solution[row][g] = sum / matrix[row][row];
    }
  }
  return solution;
}

/** Spearman's rank correlation; equal values share their mean rank. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]) => {
    const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
    const result = new Array<number>(values.length).fill(0);
    for (let from = 0; from < order.length; ) {
      let to = from + 1;
      while (to < order.length && values[order[to]] === values[order[from]]) to += 1;
      for (let i = from; i < to; i++) result[order[i]] = (from + to - 1) / 2;
      from = to;
    }
    return result;
  };
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const product = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, value, i) => sum + (value - mean) * (q[i] - mean), 0);
  const scale = Math.sqrt(product(x, x) * product(y, y));
  return scale === 0 ? 0 : product(x, y) / scale;
}

/** Returns the mean of the 1 % of candidates with the lowest predicted loss. */
export function bestMixture(
  candidates: readonly (readonly number[])[],
  model: Pick<MixtureModel, "predict">,
  target: readonly number[],
): number[] {
  const ranked = candidates.map((shares) => ({ shares, loss: targetLoss(model.predict(shares), target) }));
  ranked.sort((a, b) => a.loss - b.loss);
  const best = ranked.slice(0, Math.max(1, Math.floor(ranked.length / 100)));
  return best[0].shares.map((_, i) => best.reduce((sum, { shares }) => sum + shares[i], 0) / best.length);
}
