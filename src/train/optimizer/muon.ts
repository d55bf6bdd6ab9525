/**
 * @file Muon as an expression: the step of a matrix is its momentum with all singular values brought near 1 (Jordan et
 * al., "Muon: an optimizer for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/).
 * What is no projection (tables, the head, norms, biases) takes AdamW's step. The same numbers as PyTorch's
 * `torch.optim.Muon`, whose options these are, but that its iteration rounds to bfloat16 and this one does not.
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
  /** How much of the running mean of the gradient is kept each step. */
  readonly momentum: number;
  /** Whether the step looks one gradient ahead of the mean. */
  readonly nesterov: boolean;
  /** a, b, c of one iteration, X ← a·X + b·(XXᵀ)X + c·(XXᵀ)²X. */
  readonly coefficients: readonly [number, number, number];
  readonly iterations: number;
  /** The least norm that a matrix is divided by. */
  readonly epsilon: number;
  /** A fraction of the learning rate a step. */
  readonly decay: number;
  /**
   * By what the rate of a matrix (rows, columns) is multiplied: `original` by √max(1, rows / columns), `match_rms_adamw`
   * by .2·√max(rows, columns), with which a step is as large as AdamW's, so that its rates serve (Liu et al.,
   * arXiv:2502.16982).
   */
  readonly adjustRate: "original" | "match_rms_adamw";
  /** The other parameters' options; its clipping is that of all parameters together. */
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

/** Whether Muon steps a parameter: the projections of the layers. */
const isMuons = ({ kind }: Kind) => kind === "projection";

/** Names of the optimizer's state beside a parameter. */
export const muonStateNames = (name: string, parameter: Kind): readonly string[] =>
  isMuons(parameter) ? [`momentum.${name}`] : momentNames(name);

/** One step for parameters and their gradients. The program takes `muonScalars` at each run. */
export function muon(parameters: readonly (ParameterStep & Layout)[], options: MuonOptions): OptimizerUpdate {
  const { norm, scale } = clipping(parameters, options.adamw.clip);
  const rate = scalar("muon_learning_rate");
  const { momentum, nesterov, decay } = options;
  const mine = parameters.filter(isMuons);
  const rest = parameters.filter((parameter) => !isMuons(parameter));

  const assign = mine.flatMap((parameter): [Tensor, Tensor][] => {
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
  return { assign: [...assign, ...adamwAssignments(rest, scale, options.adamw)], gradientNorm: norm };
}

/** What the update takes at step `step` (from 1); `rate` is AdamW's, and Muon's too unless it has its own. */
export function muonScalars(
  step: number,
  rate: number,
  options: MuonOptions,
  muonRate: number = rate,
): Record<string, number> {
  return { ...adamwScalars(step, rate, options.adamw), muon_learning_rate: muonRate };
}

/**
 * A matrix with its singular vectors and with singular values near 1 (about .7 to 1.2 with the usual coefficients), by
 * Newton and Schulz's iteration. The products with the shorter side inside are the cheaper ones; they are chosen.
 */
function orthogonalized(x: Tensor, { coefficients: [a, b, c], iterations, epsilon }: MuonOptions): Tensor {
  const tall = x.shape[0] > x.shape[1];
  let y = div(x, maximum(sqrt(sum(mul(x, x))), epsilon));
  for (let i = 0; i < iterations; i++) {
    const gram = matmul(y, y, { transposeA: tall, transposeB: !tall });
    const polynomial = add(mul(gram, b), mul(matmul(gram, gram), c));
    y = add(mul(y, a), tall ? matmul(y, polynomial) : matmul(polynomial, y));
  }
  return y;
}

/** Rows are counted as the matrix is stored, since that is the shape PyTorch sees. */
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
