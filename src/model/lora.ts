/**
 * @file LoRA: a projection x·Wᵀ becomes x·Wᵀ + s·(x·Aᵀ)·Bᵀ with A (rank, in) and B (out, rank), which alone learn (Hu et al.,
 * arXiv:2106.09685). s is alpha / rank, or alpha / √rank where the rank is stabilised (Kalajdzievski, arXiv:2312.03732). A begins
 * with random numbers and B with zeros, so that the first step changes nothing.
 */
import { QuernError } from "../errors.js";
import { literal, type Tensor, variable } from "../tensor/index.js";
import type { ModelConfig } from "./config.js";
import { type Parameter, parametersOf } from "./parameters.js";
import { randomStream } from "./random.js";

export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Last parts of the names of the projections that get an adapter, such as `q_proj`. */
  readonly targets: readonly string[];
  /** Probability with which an input of an adapter is 0 in training. */
  readonly dropout: number;
  /** Scale by alpha / √rank. */
  readonly rankStabilized: boolean;
}

/** What an adapter's update is multiplied by. */
export const loraScale = ({ rank, alpha, rankStabilized }: LoraConfig) =>
  alpha / (rankStabilized ? Math.sqrt(rank) : rank);

/** The matrices beside one projection. */
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

/** Last parts of the names of all projections of a model's layers. */
export function projectionNames(config: ModelConfig): readonly string[] {
  const names = parametersOf(config).flatMap((parameter) =>
    parameter.kind === "projection" ? [lastPart(moduleOf(parameter))] : [],
  );
  return [...new Set(names)];
}

/** The adapters of a model. @throws QuernError for a target that the model does not have */
export function loraPairs(config: ModelConfig, { rank, targets }: LoraConfig): readonly LoraPair[] {
  const known = projectionNames(config);
  // PEFT takes whole names as well: `self_attn.q_proj`.
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

/** Where `forward` finds the scale of the adapters among a model's variables. */
export const LORA_SCALE = "lora.scale";

/** A model's variables with those of its adapters, which `forward` then uses. */
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

/** First values of A: uniform in ±1/√in, as PEFT draws them; a function of the seed and the name. */
export function initialLora({ name, shape: [rank, width] }: LoraMatrix, seed: number): Float32Array {
  const random = randomStream(seed, `initial ${name}`);
  const bound = 1 / Math.sqrt(width);
  return Float32Array.from({ length: rank * width }, (_, i) => bound * (2 * random.uniform(i) - 1));
}

/** w (out, in) += s · B·A, in place, in double precision. */
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
