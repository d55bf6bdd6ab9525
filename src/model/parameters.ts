/** @file The parameters of a model: their names, shapes, first values, number, and what a token costs. */
import type { ModelConfig } from "./config.js";
import { randomStream } from "./random.js";

/** What a parameter holds before training. */
export type InitialValue =
  | { readonly kind: "ones" | "zeros" }
  | { readonly kind: "normal"; readonly deviation: number };

export interface Parameter {
  /** As in a Hugging Face folder: `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** Matrices are (out, in). */
  readonly shape: readonly number[];
  readonly initial: InitialValue;
  /** A table is looked up (or is the head), a projection is a factor of a matrix product, a vector neither. */
  readonly kind: "table" | "projection" | "vector";
  /** Whether Hugging Face folders hold it as (in, out), as GPT-2's projections are. */
  readonly storedTransposed: boolean;
}

/** What a family calls its parts, as in Hugging Face folders. */
export interface PartNames {
  readonly embedding: string;
  readonly layer: (index: number) => string;
  /** Within a layer: before attention, attention's output, before the feed-forward part, and that part's output. */
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

/** The parameters before the layers, of each layer, and after them. */
interface Parts {
  readonly before: readonly Parameter[];
  readonly layer: (index: number) => readonly Parameter[];
  readonly after: readonly Parameter[];
}

/**
 * All parameters, in the order of the forward pass. Weights are normal with deviation .02, and those that write into
 * the residual stream are scaled by 1/√(2L), since each layer adds twice (Radford et al., "Language models are
 * unsupervised multitask learners", 2019, section 2.3); norms begin at 1, biases at 0.
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

/** The first values of a parameter: a function of the seed and its name alone, the same on every machine. */
export function initialValues(parameter: Parameter, seed: number): Float32Array {
  const values = new Float32Array(size(parameter));
  initialise(parameter, seed, values);
  return values;
}

/** The same into memory that is there: the table of tokens of a model of 124M is 154 MB, which is better not held twice. */
export function initialise({ name, initial }: Parameter, seed: number, values: Float32Array): void {
  if (initial.kind === "normal") randomStream(seed, `initial ${name}`).fillNormal(values, initial.deviation);
  else values.fill(initial.kind === "ones" ? 1 : 0);
}

const size = ({ shape }: Parameter) => shape.reduce((product, dimension) => product * dimension, 1);

/** How many numbers a model learns. */
export function countParameters(config: ModelConfig): number {
  return countOf(config, () => true);
}

/** The same of some: layers are alike, so one is counted. */
function countOf(config: ModelConfig, wanted: (parameter: Parameter) => boolean): number {
  const { before, layer, after } = partsOf(config);
  const count = (parameters: readonly Parameter[]) =>
    parameters.reduce((total, parameter) => total + (wanted(parameter) ? size(parameter) : 0), 0);
  return count(before) + config.layers * count(layer(0)) + count(after);
}

/**
 * Floating-point operations to train on one token of a sequence of T: 6 for each weight of a matrix product (2 forward,
 * 4 backward; the head counts once and look-ups never), and 6·L·T·H·D for causal attention, half of the 12·L·T·H·D of a
 * full one (Chowdhery et al., arXiv:2204.02311, appendix B).
 */
export function trainingFlopsPerToken(config: ModelConfig, sequence: number): number {
  const { layers: L, width: C, heads: H, headWidth: D, vocabSize: V } = config;
  const weights = countOf(config, ({ kind }) => kind === "projection");
  return 6 * (weights + V * C) + 6 * L * sequence * H * D;
}

/**
 * Bytes of what the forward pass of a training step leaves for the backward pass, float32, for B sequences of T tokens.
 * Everything else lives only from one kernel to the next; what is cheap to make again (activations, the normalised x, the
 * T × T weights of attention) is not kept. Held to the memory plan by test/model/counts.test.ts.
 */
export function activationBytes(config: ModelConfig, batch: number, sequence: number): number {
  const { layers: L, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F } = config;
  const plain = config.family === "gpt2";
  const statistics = plain ? 2 : 1; // of a norm, a token: layer norm's two sums, RMS norm's one
  const attention = H * D + 2 * G * D + H * D + H; // q, k, v, what attention gives, its log-sum-exp
  const beforeHeadNorms = config.family === "qwen3" ? H * D + G * D + H + G : 0;
  const feedForward = plain ? 2 * F : 3 * F; // before and after GELU; gate, up and their product
  // The residual stream and what its norm gives, before attention and before the feed-forward part
  const layer = 4 * C + 2 * statistics + attention + beforeHeadNorms + feedForward;
  const ends = C + statistics + (plain ? 1 : 0); // the last residual stream and its norm; the tokens' positions
  return 4 * batch * sequence * (L * layer + ends);
}
