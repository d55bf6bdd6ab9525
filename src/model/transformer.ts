/**
 * @file The forward pass of a Llama model over symbolic tensors, for training (a whole sequence) and for generation
 * (a chunk at a moving position, against a cache of keys and values). Both are the same layers.
 *
 * Letters: B batch, T tokens of this call, S cache capacity, C width, H heads, G key/value heads, D head width,
 * F hidden width, V vocabulary.
 */
import {
  add,
  attention,
  cacheWrite,
  constant,
  embedding,
  linear,
  linearCrossEntropy,
  mul,
  reshape,
  rmsNorm,
  rope,
  silu,
  type Tensor,
  variable,
} from "../tensor/index.js";
import type { ModelConfig } from "./config.js";
import { parametersOf } from "./parameters.js";

/** The parameters of a model as variables of a program, by name. */
export type ModelVariables = ReadonlyMap<string, Tensor>;

/** One variable a parameter, named as in `parametersOf`. */
export function modelVariables(config: ModelConfig): ModelVariables {
  return new Map(parametersOf(config).map(({ name, shape }) => [name, variable(name, shape)]));
}

/** The keys and values of the tokens before a chunk, (B,S,G,D) each, one pair a layer. */
export interface KeyValueCache {
  /** S, how many tokens it holds. */
  readonly capacity: number;
  readonly layers: readonly { readonly keys: Tensor; readonly values: Tensor }[];
}

/** A cache for texts of up to `capacity` tokens. Rows that no token has reached yet are never read. */
export function keyValueCache(config: ModelConfig, batch: number, capacity: number): KeyValueCache {
  const shape = [batch, capacity, config.keyValueHeads, config.headWidth];
  return {
    capacity,
    layers: Array.from({ length: config.layers }, (_, layer) => ({
      keys: variable(`cache.${layer}.keys`, shape),
      values: variable(`cache.${layer}.values`, shape),
    })),
  };
}

/** Where a chunk stands and what came before it. */
export interface CachedCall {
  readonly cache: KeyValueCache;
  /** The position of the chunk's first token, an i32 scalar. */
  readonly position: Tensor;
}

export interface ForwardResult {
  /** (B,T,C), after the last norm: what the head takes. */
  readonly hidden: Tensor;
  /** The cache with this chunk in it: assignments for the program's entry. Empty without a cache. */
  readonly assign: readonly (readonly [variable: Tensor, value: Tensor])[];
}

/** ids (B,T) i32 → hidden states (B,T,C). Without a cache the tokens stand at 0 … T−1 and see only each other. */
export function forward(config: ModelConfig, weights: ModelVariables, ids: Tensor, cached?: CachedCall): ForwardResult {
  const { layers, heads: H, keyValueHeads: G, headWidth: D, normEpsilon } = config;
  const [B, T] = ids.shape;
  const weight = (name: string) => weightOf(weights, name);
  const norm = (x: Tensor, name: string) => rmsNorm(x, weight(name), normEpsilon);
  const { cos, sin } = rotaryTables(config, cached ? cached.cache.capacity : T);
  const assign: [Tensor, Tensor][] = [];

  let x = embedding(weight("model.embed_tokens"), ids); // (B,T,C)
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    const a = norm(x, `${at}.input_layernorm`);
    const project = (name: string, count: number) =>
      reshape(linear(a, weight(`${at}.self_attn.${name}`)), [B, T, count, D]);
    const q = rope(project("q_proj", H), cos, sin, cached?.position);
    let k = rope(project("k_proj", G), cos, sin, cached?.position);
    let v = project("v_proj", G);
    if (cached) {
      const { keys, values } = cached.cache.layers[layer];
      k = cacheWrite(keys, k, cached.position);
      v = cacheWrite(values, v, cached.position);
      assign.push([keys, k], [values, v]);
    }
    const mixed = reshape(attention(q, k, v, { position: cached?.position }), [B, T, H * D]);
    x = add(x, linear(mixed, weight(`${at}.self_attn.o_proj`)));

    const h = norm(x, `${at}.post_attention_layernorm`);
    const gate = silu(linear(h, weight(`${at}.mlp.gate_proj`)));
    const up = linear(h, weight(`${at}.mlp.up_proj`));
    x = add(x, linear(mul(gate, up), weight(`${at}.mlp.down_proj`)));
  }
  return { hidden: norm(x, "model.norm"), assign };
}

/** ids and targets (B,T) i32 → −log p(target) of every token (B·T), in nats; targets of −100 count 0. */
export function tokenLosses(config: ModelConfig, weights: ModelVariables, ids: Tensor, targets: Tensor): Tensor {
  const { hidden } = forward(config, weights, ids);
  const rows = ids.shape[0] * ids.shape[1];
  return linearCrossEntropy(reshape(hidden, [rows, config.width]), headOf(config, weights), reshape(targets, [rows]));
}

/** hidden (N,C) → logits (N,V). Only for a few rows: training never holds them all. */
export function logits(config: ModelConfig, weights: ModelVariables, hidden: Tensor): Tensor {
  return linear(hidden, headOf(config, weights));
}

function headOf(config: ModelConfig, weights: ModelVariables): Tensor {
  return weightOf(weights, config.tiedHead ? "model.embed_tokens" : "lm_head");
}

function weightOf(weights: ModelVariables, name: string): Tensor {
  const tensor = weights.get(`${name}.weight`);
  if (tensor === undefined) throw new Error(`the model has no parameter ${name}.weight`);
  return tensor;
}

/** cos and sin of position · θ^(−2d/D), (positions, D/2) each, computed in float64. */
function rotaryTables(
  { headWidth, ropeTheta }: ModelConfig,
  positions: number,
): { readonly cos: Tensor; readonly sin: Tensor } {
  const half = headWidth / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let d = 0; d < half; d++) {
      const angle = position * ropeTheta ** ((-2 * d) / headWidth);
      cos[position * half + d] = Math.cos(angle);
      sin[position * half + d] = Math.sin(angle);
    }
  }
  return { cos: constant(cos, [positions, half]), sin: constant(sin, [positions, half]) };
}
