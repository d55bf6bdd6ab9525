/**
 * @file LoRA (Hu et al., arXiv:2106.09685): a projection x·Wᵀ becomes x·Wᵀ + s·(x·Aᵀ)·Bᵀ, and only A (rank, in) and B (out,
 * rank) are trained. s is alpha / rank, or alpha / √rank for rank-stabilized LoRA (Kalajdzievski, arXiv:2312.03732). A starts
 * with random values and B with zeros, so that the model is unchanged at first.
 */
import { QuernError } from "../errors.js";
import { literal, type Tensor, variable } from "../tensor/index.js";
import type { ModelConfig } from "./config.js";
import { type Parameter, parametersOf } from "./parameters.js";
import { randomStream } from "./random.js";

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Projections that get an adapter, by the last part of their names, such as `q_proj`. */
  readonly targets: readonly string[];
  /** Dropout probability of the adapters' inputs in training. */
  readonly dropout: number;
  /** Scales by alpha / √rank instead of alpha / rank. */
  readonly rankStabilized: boolean;
}

/** Returns s, the factor of an adapter's update. */
export const loraScale = ({ rank, alpha, rankStabilized }: LoraConfig) =>
  alpha / (rankStabilized ? Math.sqrt(rank) : rank);

/** The adapter of one projection. */
export interface LoraPair {
  /** The projection's parameter: `model.layers.0.self_attn.q_proj.weight`. */
  readonly projection: Parameter;
  /** (rank, in), named `model.layers.0.self_attn.q_proj.lora_A.weight`. */
  readonly a: LoraMatrix;
  /** (out, rank) */
  readonly b: LoraMatrix;
}

export interface LoraMatrix {
  readonly name: string;
  readonly shape: readonly [number, number];
}

const moduleOf = ({ name }: Parameter) => name.slice(0, -".weight".length);
const lastPart = (name: string) => name.slice(name.lastIndexOf(".") + 1);

/** Returns the last parts of the names of all projections in a model's layers. */
export function projectionNames(config: ModelConfig): readonly string[] {
  const names = parametersOf(config).flatMap((parameter) =>
    parameter.kind === "projection" ? [lastPart(moduleOf(parameter))] : [],
  );
  return [...new Set(names)];
}

/** Returns the adapters of a model. @throws QuernError for a target that the model does not have */
export function loraPairs(config: ModelConfig, { rank, targets }: LoraConfig): readonly LoraPair[] {
  const known = projectionNames(config);
  // PEFT also accepts longer names: `self_attn.q_proj`.
  const isTarget = (module: string) => targets.some((target) => module === target || module.endsWith(`.${target}`));
  const projections = parametersOf(config).filter((parameter) => parameter.kind === "projection");
  const missing = targets.find((target) => !projections.some((one) => `.${moduleOf(one)}`.endsWith(`.${target}`)));
  if (missing !== undefined) {
    throw new QuernError(`the model has no projection "${missing}" for LoRA; it has ${known.join(", ")}`, {
      exitCode: 2,
    });
  }
  return projections
    .filter((parameter) => isTarget(moduleOf(parameter)))
    .map((projection) => {
      const [out, width] = projection.shape;
      const module = moduleOf(projection);
      return {
        projection,
        a: { name: `${module}.lora_A.weight`, shape: [rank, width] },
        b: { name: `${module}.lora_B.weight`, shape: [out, rank] },
      };
    });
}

/** Name of the adapters' scale among a model's variables, for `forward`. */
export const LORA_SCALE = "lora.scale";

/** Adds the variables of the adapters to a model's; `forward` then applies the adapters. */
export function withLora(
  config: ModelConfig,
  weights: ReadonlyMap<string, Tensor>,
  lora: LoraConfig,
  prefix = "",
): ReadonlyMap<string, Tensor> {
  const matrices = loraPairs(config, lora).flatMap(({ a, b }) => [a, b]);
  return new Map<string, Tensor>([
    ...weights,
    ...matrices.map(({ name, shape }) => [name, variable(prefix + name, shape)] as const),
    [LORA_SCALE, literal(loraScale(lora))],
  ]);
}

/** Returns the initial values of A: uniform in ±1/√in, as in PEFT; they depend only on the seed and the name. */
export function initialLora({ name, shape: [rank, width] }: LoraMatrix, seed: number): Float32Array {
  const random = randomStream(seed, `initial ${name}`);
  const bound = 1 / Math.sqrt(width);
  return Float32Array.from({ length: rank * width }, (_, i) => bound * (2 * random.uniform(i) - 1));
}

/** w (out, in) += s · B·A, in place, in float64. */
export function mergeLora(
  w: Float32Array,
  { a, b }: LoraPair,
  valuesOfA: Float32Array,
  valuesOfB: Float32Array,
  scale: number,
): void {
  const [rank, width] = a.shape;
  const row = new Float64Array(width);
  for (let out = 0; out < b.shape[0]; out++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = scale * valuesOfB[out * rank + r];
      if (factor === 0) continue;
      for (let c = 0; c < width; c++) row[c] += factor * valuesOfA[r * width + c];
    }
    for (let c = 0; c < width; c++) w[out * width + c] += row[c];
  }
}
