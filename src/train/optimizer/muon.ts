/**
 * @file Muon as a graph: the update of a matrix is its momentum with all singular values moved close to 1 (Jordan et
 * al. 2024, https://kellerjordan.github.io/posts/muon/). Parameters that are not projections (embeddings, the head,
 * norms, biases) use AdamW. Options and results match PyTorch's `torch.optim.Muon`, except that its iteration rounds to
 * bfloat16 and this one does not.
 */
import type { Parameter } from "../../model/index.js";
import { add, div, matmul, maximum, mul, scalar, sqrt, sub, sum, type Tensor, variable } from "../../tensor/index.js";
import {
  ADAMW_DEFAULTS,
  type AdamWOptions,
  adamwAssignments,
  adamwScalars,
  clipping,
  momentNames,
  type OptimizerUpdate,
  type ParameterStep,
} from "./adamw.js";

export interface MuonOptions {
  readonly kind: "muon";
  /** Decay of the gradient's running mean per step. */
  readonly momentum: number;
  /** Nesterov momentum: the step adds the current gradient to the mean once more. */
  readonly nesterov: boolean;
  /** a, b, c of one iteration, X ← a·X + b·(XXᵀ)X + c·(XXᵀ)²X. */
  readonly coefficients: readonly [number, number, number];
  readonly iterations: number;
  /** Lower bound of the norm that a matrix is divided by. */
  readonly epsilon: number;
  /** Weight decay per step, as a fraction of the learning rate. */
  readonly decay: number;
  /**
   * Factor of the learning rate for a (rows, columns) matrix: `original` is √max(1, rows / columns); `match_rms_adamw` is
   * .2·√max(rows, columns), which gives updates the size of AdamW's, so that AdamW's rates fit (Liu et al.,
   * arXiv:2502.16982).
   */
  readonly adjustRate: "original" | "match_rms_adamw";
  /** AdamW options for the other parameters; its `clip` applies to all parameters. */
  readonly adamw: AdamWOptions;
}

export const MUON_DEFAULTS: MuonOptions = {
  kind: "muon",
  momentum: 0.95,
  nesterov: true,
  coefficients: [3.4445, -4.775, 2.0315],
  iterations: 5,
  epsilon: 1e-7,
  decay: 0.1,
  adjustRate: "match_rms_adamw",
  adamw: ADAMW_DEFAULTS,
};

type Kind = Pick<Parameter, "kind">;
type Layout = Kind & Partial<Pick<Parameter, "storedTransposed">>;

/** Muon updates the projections of the layers. */
export const isMuonMatrix = ({ kind }: Kind) => kind === "projection";

/** Returns the FLOPs of the iterations of a step: of an (n, m) matrix with n ≤ m, 4n²m + 2n³ each. */
export function muonFlops(
  parameters: readonly (Kind & { readonly shape: readonly number[] })[],
  { iterations }: Pick<MuonOptions, "iterations"> = MUON_DEFAULTS,
): number {
  return parameters.filter(isMuonMatrix).reduce((sum, { shape }) => {
    const [n, m] = shape.toSorted((a, b) => a - b);
    return sum + iterations * (4 * n * n * m + 2 * n ** 3);
  }, 0);
}

/** Names of a parameter's optimizer state. */
export const muonStateNames = (name: string, parameter: Kind): readonly string[] =>
  isMuonMatrix(parameter) ? [`momentum.${name}`] : momentNames(name);

/** Builds one step for all parameters. Each run of the program needs the inputs of `muonScalars`. */
export function muon(parameters: readonly (ParameterStep & Layout)[], options: MuonOptions): OptimizerUpdate {
  const { norm, scale } = clipping(parameters, options.adamw.clip);
  return { assign: muonAssignments(parameters, scale, options), gradientNorm: norm };
}

/** Builds the assignments for some parameters; the clipping factor is that of all parameters. */
export function muonAssignments(
  parameters: readonly (ParameterStep & Layout)[],
  scale: Tensor,
  options: MuonOptions,
): OptimizerUpdate["assign"] {
  const rate = scalar("muon_learning_rate");
  const { momentum, nesterov, decay } = options;
  const projections = parameters.filter(isMuonMatrix);
  const rest = parameters.filter((parameter) => !isMuonMatrix(parameter));

  const assign = projections.flatMap((parameter): [Tensor, Tensor][] => {
    const { name, variable: weight, gradient } = parameter;
    const before = variable(muonStateNames(name, parameter)[0], weight.shape);
    const g = mul(gradient, scale);
    const mean = add(mul(before, momentum), mul(g, 1 - momentum));
    const direction = nesterov ? add(mul(mean, momentum), mul(g, 1 - momentum)) : mean;
    const step = mul(orthogonalized(direction, options), rateFactor(weight, parameter, options));
    return [
      [weight, sub(mul(weight, sub(1, mul(rate, decay))), mul(rate, step))],
      [before, mean],
    ];
  });
  return [...assign, ...adamwAssignments(rest, scale, options.adamw)];
}

/** Returns the inputs of the update at step `step` (from 1). `rate` is AdamW's learning rate and the default of `muonRate`. */
export function muonScalars(
  step: number,
  rate: number,
  options: MuonOptions,
  muonRate: number = rate,
): Record<string, number> {
  return { ...adamwScalars(step, rate, options.adamw), muon_learning_rate: muonRate };
}

/**
 * Orthogonalizes a matrix by Newton–Schulz iteration: keeps its singular vectors and moves its singular values near 1
 * (about .7 to 1.2 with the default coefficients). Forms the Gram matrix of the shorter side, which is cheaper.
 */
function orthogonalized(x: Tensor, { coefficients: [a, b, c], iterations, epsilon }: MuonOptions): Tensor {
  const tall = x.shape[0] > x.shape[1];
  let y = div(x, maximum(sqrt(sum(mul(x, x))), epsilon)); // (rows, columns)
  for (let i = 0; i < iterations; i++) {
    const gram = matmul(y, y, { transposeA: tall, transposeB: !tall }); // (n, n), n the shorter side
    const polynomial = add(mul(gram, b), mul(matmul(gram, gram), c));
    y = add(mul(y, a), tall ? matmul(y, polynomial) : matmul(polynomial, y));
  }
  return y;
}

/** Uses the shape of the stored matrix, as PyTorch does. */
function rateFactor({ shape }: Tensor, { storedTransposed }: Layout, { adjustRate }: MuonOptions): number {
  const [rows, columns] = storedTransposed ? shape.toReversed() : shape;
  switch (adjustRate) {
    case "original":
      return Math.sqrt(Math.max(1, rows / columns));
    case "match_rms_adamw":
      return 0.2 * Math.sqrt(Math.max(rows, columns));
    default:
      throw new Error(adjustRate satisfies never);
  }
}
