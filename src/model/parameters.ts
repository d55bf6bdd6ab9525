/** @file The parameters of a model: their names, shapes, first values, number, and what a token costs. */
import type { ModelConfig } from "./config.js";
import { randomStream } from "./random.js";

/** What a parameter holds before training. */
export type InitialValue = { readonly kind: "ones" } | { readonly kind: "normal"; readonly deviation: number };

export interface Parameter {
  /** As in a Hugging Face folder: `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** Matrices are (out, in). */
  readonly shape: readonly number[];
  readonly initial: InitialValue;
}

/**
 * All parameters, in the order of the forward pass. Weights are normal with deviation .02, and those that write into
 * the residual stream are scaled by 1/√(2L), since each layer adds twice (Radford et al., "Language models are
 * unsupervised multitask learners", 2019, section 2.3); norms begin at 1.
 */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const { layers, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F, vocabSize: V } = config;
  const matrix = (name: string, shape: readonly number[], scale = 1): Parameter => ({
    name: `${name}.weight`,
    shape,
    initial: { kind: "normal", deviation: 0.02 * scale },
  });
  const norm = (name: string): Parameter => ({ name: `${name}.weight`, shape: [C], initial: { kind: "ones" } });
  const residual = 1 / Math.sqrt(2 * layers);
  const layer = (index: number): Parameter[] => {
    const at = `model.layers.${index}`;
    return [
      norm(`${at}.input_layernorm`),
      matrix(`${at}.self_attn.q_proj`, [H * D, C]),
      matrix(`${at}.self_attn.k_proj`, [G * D, C]),
      matrix(`${at}.self_attn.v_proj`, [G * D, C]),
      matrix(`${at}.self_attn.o_proj`, [C, H * D], residual),
      norm(`${at}.post_attention_layernorm`),
      matrix(`${at}.mlp.gate_proj`, [F, C]),
      matrix(`${at}.mlp.up_proj`, [F, C]),
      matrix(`${at}.mlp.down_proj`, [C, F], residual),
    ];
  };
  return [
    matrix("model.embed_tokens", [V, C]),
    ...Array.from({ length: layers }, (_, index) => layer(index)).flat(),
    norm("model.norm"),
    ...(config.tiedHead ? [] : [matrix("lm_head", [V, C])]),
  ];
}

/** The first values of a parameter: a function of the seed and its name alone, the same on every machine. */
export function initialValues({ name, shape, initial }: Parameter, seed: number): Float32Array {
  const values = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
  if (initial.kind === "ones") return values.fill(1);
  randomStream(seed, `initial ${name}`).fillNormal(values, initial.deviation);
  return values;
}

/** How many numbers a model learns. */
export function countParameters(config: ModelConfig): number {
  return parametersOf(config).reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
}

/**
 * Floating-point operations to train on one token of a sequence of T: 6 for each weight of a matrix product (2 forward,
 * 4 backward; the head counts once and the embedding look-up never), and 6·L·T·H·D for causal attention, half of the
 * 12·L·T·H·D of a full one (Chowdhery et al., arXiv:2204.02311, appendix B).
 */
export function trainingFlopsPerToken(config: ModelConfig, sequence: number): number {
  const { layers: L, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F, vocabSize: V } = config;
  const layer = 2 * C * H * D + 2 * C * G * D + 3 * C * F;
  return 6 * (L * layer + V * C) + 6 * L * sequence * H * D;
}
