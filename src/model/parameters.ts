/** @file The parameters of a model: names, shapes, initial values and counts; FLOPs and activation memory. */
import type { ModelConfig } from "./config.js";
import { randomStream } from "./random.js";

/** Distribution of a parameter before training. */
export type InitialValue =
  | { readonly kind: "ones" | "zeros" }
  | { readonly kind: "normal"; readonly deviation: number };

export interface Parameter {
  /** Name in a Hugging Face folder: `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** Matrices are (out, in). */
  readonly shape: readonly number[];
  readonly initial: InitialValue;
  /** A table is an embedding or the head, a projection is the matrix of a linear layer, a vector is a norm or bias. */
  readonly kind: "table" | "projection" | "vector";
  /** Whether Hugging Face folders store it as (in, out), like GPT-2's projections. */
  readonly storedTransposed: boolean;
}

/** Names of a family's modules in Hugging Face folders. */
export interface PartNames {
  readonly embedding: string;
  readonly layer: (index: number) => string;
  /** Within a layer: norm and output projection of attention, then of the feed-forward part. */
  readonly attentionNorm: string;
  readonly attentionOutput: string;
  readonly feedForwardNorm: string;
  readonly feedForwardOutput: string;
  readonly finalNorm: string;
  readonly head: string;
}

const GPT2_NAMES: PartNames = {
  embedding: "transformer.wte",
  layer: (index) => `transformer.h.${index}`,
  attentionNorm: "ln_1",
  attentionOutput: "attn.c_proj",
  feedForwardNorm: "ln_2",
  feedForwardOutput: "mlp.c_proj",
  finalNorm: "transformer.ln_f",
  head: "lm_head",
};

const LLAMA_NAMES: PartNames = {
  embedding: "model.embed_tokens",
  layer: (index) => `model.layers.${index}`,
  attentionNorm: "input_layernorm",
  attentionOutput: "self_attn.o_proj",
  feedForwardNorm: "post_attention_layernorm",
  feedForwardOutput: "mlp.down_proj",
  finalNorm: "model.norm",
  head: "lm_head",
};

export const namesOf = ({ family }: ModelConfig): PartNames => (family === "gpt2" ? GPT2_NAMES : LLAMA_NAMES);

/** The parameters before, in and after the layers. */
interface Parts {
  readonly before: readonly Parameter[];
  readonly layer: (index: number) => readonly Parameter[];
  readonly after: readonly Parameter[];
}

/**
 * Returns all parameters in the order of the forward pass. Initial weights are normal with standard deviation .02.
 * Those that write to the residual stream are scaled by 1/√(2L), since each layer adds to it twice (Radford et al.
 * 2019, section 2.3). Norms start at 1, biases at 0.
 */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const { before, layer, after } = partsOf(config);
  return [...before, ...Array.from({ length: config.layers }, (_, index) => layer(index)).flat(), ...after];
}

function partsOf(config: ModelConfig): Parts {
  const { layers, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F, vocabSize: V } = config;
  const plain = config.family === "gpt2";
  const names = namesOf(config);
  const weight = (name: string, shape: readonly number[], scale: number): Omit<Parameter, "kind"> => ({
    name: `${name}.weight`,
    shape,
    initial: { kind: "normal", deviation: 0.02 * scale },
    storedTransposed: false,
  });
  const vector = (name: string, size: number, kind: "ones" | "zeros"): Parameter => ({
    name,
    shape: [size],
    initial: { kind },
    kind: "vector",
    storedTransposed: false,
  });
  const table = (name: string, rows: number): Parameter => ({ ...weight(name, [rows, C], 1), kind: "table" });
  const norm = (name: string, size = C): Parameter[] => [
    vector(`${name}.weight`, size, "ones"),
    ...(plain ? [vector(`${name}.bias`, size, "zeros")] : []),
  ];
  const projection = (name: string, shape: readonly [number, number], bias: boolean, scale = 1): Parameter[] => [
    { ...weight(name, shape, scale), kind: "projection", storedTransposed: plain },
    ...(bias ? [vector(`${name}.bias`, shape[0], "zeros")] : []),
  ];
  const residual = 1 / Math.sqrt(2 * layers);

  const attention = (at: string): Parameter[] => {
    if (config.family === "gpt2") return projection(`${at}.attn.c_attn`, [3 * C, C], true);
    const { attentionBias } = config;
    const normed = config.family === "qwen3";
    return [
      ...projection(`${at}.self_attn.q_proj`, [H * D, C], attentionBias),
      ...projection(`${at}.self_attn.k_proj`, [G * D, C], attentionBias),
      ...projection(`${at}.self_attn.v_proj`, [G * D, C], attentionBias),
      ...(normed ? [...norm(`${at}.self_attn.q_norm`, D), ...norm(`${at}.self_attn.k_norm`, D)] : []),
    ];
  };
  const feedForward = (at: string): Parameter[] => {
    if (config.family === "gpt2") return projection(`${at}.mlp.c_fc`, [F, C], true);
    return [
      ...projection(`${at}.mlp.gate_proj`, [F, C], config.feedForwardBias),
      ...projection(`${at}.mlp.up_proj`, [F, C], config.feedForwardBias),
    ];
  };
  const [attentionBias, feedForwardBias] =
    config.family === "gpt2" ? [true, true] : [config.attentionBias, config.feedForwardBias];
  const layer = (index: number): Parameter[] => {
    const at = names.layer(index);
    return [
      ...norm(`${at}.${names.attentionNorm}`),
      ...attention(at),
      ...projection(`${at}.${names.attentionOutput}`, [C, H * D], attentionBias, residual),
      ...norm(`${at}.${names.feedForwardNorm}`),
      ...feedForward(at),
      ...projection(`${at}.${names.feedForwardOutput}`, [C, F], feedForwardBias, residual),
    ];
  };
  return {
    before: [table(names.embedding, V), ...(plain ? [table("transformer.wpe", config.sequence)] : [])],
    layer,
    after: [...norm(names.finalNorm), ...(config.tiedHead ? [] : [table(names.head, V)])],
  };
}

/** Returns the initial values of a parameter. They depend only on the seed and its name, and are equal on every machine. */
export function initialValues(parameter: Parameter, seed: number): Float32Array {
  const values = new Float32Array(size(parameter));
  initialise(parameter, seed, values);
  return values;
}

/**
 * Writes the initial values to existing memory: the embedding of a 124M model takes 154 MB, too much for a second copy.
 */
export function initialise({ name, initial }: Parameter, seed: number, values: Float32Array): void {
  if (initial.kind === "normal") randomStream(seed, `initial ${name}`).fillNormal(values, initial.deviation);
  else values.fill(initial.kind === "ones" ? 1 : 0);
}

const size = ({ shape }: Parameter) => shape.reduce((product, dimension) => product * dimension, 1);

/** Counts the parameters of a model. */
export function countParameters(config: ModelConfig): number {
  return countOf(config, () => true);
}

/** Counts the selected parameters. All layers are alike, so it counts one of them. */
function countOf(config: ModelConfig, wanted: (parameter: Parameter) => boolean): number {
  const { before, layer, after } = partsOf(config);
  const count = (parameters: readonly Parameter[]) =>
    parameters.reduce((total, parameter) => total + (wanted(parameter) ? size(parameter) : 0), 0);
  return count(before) + config.layers * count(layer(0)) + count(after);
}

/**
 * Returns the training FLOPs per token of a sequence of T tokens (Chowdhery et al., arXiv:2204.02311, appendix B). Each
 * weight of a matrix product takes 6: 2 forward and 4 backward; the head counts, embedding look-ups do not. Causal
 * attention takes 6·L·T·H·D, half of full attention.
 */
export function trainingFlopsPerToken(config: ModelConfig, sequence: number): number {
  const { layers: L, width: C, heads: H, headWidth: D, vocabSize: V } = config;
  const weights = countOf(config, ({ kind }) => kind === "projection");
  return 6 * (weights + V * C) + 6 * L * sequence * H * D;
}

/**
 * Returns the bytes that the forward pass of a training step stores for the backward pass, in float32, for B sequences of T
 * tokens. All other values live only from one kernel to the next. Values that are cheap to recompute (activations, the
 * normalized x, the T × T attention weights) are not stored. test/model/counts.test.ts compares this to the memory
 * plan.
 */
export function activationBytes(config: ModelConfig, batch: number, sequence: number): number {
  const { layers: L, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F } = config;
  const plain = config.family === "gpt2";
  const statistics = plain ? 2 : 1; // per norm and token: layer norm has two sums, RMS norm one
  const attention = H * D + 2 * G * D + H * D + H; // q, k, v, the output, its log-sum-exp
  const beforeHeadNorms = config.family === "qwen3" ? H * D + G * D + H + G : 0;
  const feedForward = plain ? F : 2 * F; // before GELU; gate and up
  // Residual stream, before attention and before the feed-forward part
  const layer = 2 * C + attention + beforeHeadNorms + feedForward;
  const ends = C + statistics + (plain ? 1 : 0); // final residual stream, its norm's statistics, gpt2's positions
  return 4 * batch * sequence * (L * layer + ends);
}
