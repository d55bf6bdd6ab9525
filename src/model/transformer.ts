/**
 * @file The forward pass of a transformer over symbolic tensors, for training (a whole sequence) and for generation
 * (a chunk at a moving position, against a cache of keys and values). Both are the same layers; families differ in `partsOf`
 * and `placeOf`.
 *
 * Letters: B batch, T tokens of this call, S cache capacity, C width, H heads, G key/value heads, D head width,
 * F hidden width, V vocabulary.
 */
import { QuernError } from "../errors.js";
import {
  add,
  attention,
  cacheCopy,
  cacheWrite,
  embedding,
  gelu,
  layerNorm,
  linear,
  linearCrossEntropy,
  linearTokenStatistics,
  mul,
  positions,
  recomputed,
  reshape,
  rmsNorm,
  rope,
  silu,
  split,
  type Tensor,
  type TokenStatistics,
  variable,
} from "../tensor/index.js";
import type { ModelConfig } from "./config.js";
import { namesOf, parametersOf } from "./parameters.js";
import { rotaryTables } from "./rotary.js";

/** The parameters of a model as variables of a program, by name. */
export type ModelVariables = ReadonlyMap<string, Tensor>;

/**
 * One variable a parameter, by its name in `parametersOf`. The variables' own names begin with `prefix`, which tells the
 * models of one program apart.
 */
export function modelVariables(config: ModelConfig, prefix = ""): ModelVariables {
  return new Map(parametersOf(config).map(({ name, shape }) => [name, variable(prefix + name, shape)]));
}

/** The keys and values of the tokens before a chunk, (slots,S,G,D) each, one pair a layer. A slot holds one text. */
export interface KeyValueCache {
  /** S, how many tokens it holds. */
  readonly capacity: number;
  readonly layers: readonly { readonly keys: Tensor; readonly values: Tensor }[];
}

/** A cache for `slots` texts of up to `capacity` tokens. Positions that no token has reached yet are never read. */
export function keyValueCache(config: ModelConfig, slots: number, capacity: number, prefix = ""): KeyValueCache {
  const shape = [slots, capacity, config.keyValueHeads, config.headWidth];
  return {
    capacity,
    layers: Array.from({ length: config.layers }, (_, layer) => ({
      keys: variable(`${prefix}cache.${layer}.keys`, shape),
      values: variable(`${prefix}cache.${layer}.values`, shape),
    })),
  };
}

/** How a call differs from a batch of whole texts. */
export interface ForwardOptions {
  /** What came before the chunk of a text; without, the tokens stand at 0 … T−1 and see only each other. */
  readonly cache?: KeyValueCache;
  /** The position of each chunk's first token, an i32 scalar or (B); given with `cache`. */
  readonly position?: Tensor;
  /**
   * (B) i32: how many tokens of a row's text there are, this chunk's among them; what follows is padding that no token
   * sees. A row of length 0 does no work in attention: an empty slot. Its hidden states mean nothing.
   */
  readonly lengths?: Tensor;
  /** (B) i32: row b continues the text in slot rows[b] of the cache; without, in slot b. A negative one writes nothing. */
  readonly rows?: Tensor;
  /**
   * (B,T) i32: a token sees only those of its own number, the documents of a packed row. Positions go on through the row:
   * rotations tell distances alone, and a table of positions would learn its later rows from no short document.
   */
  readonly segments?: Tensor;
  /** (B,T) i32: rows of a table of positions, where they do not go on through the row. Rotations do not need them. */
  readonly places?: Tensor;
  /** Keeps only each layer's input for the backward pass, which computes the layers again. */
  readonly recompute?: boolean;
}

export interface ForwardResult {
  /** (B,T,C), after the last norm: what the head takes. */
  readonly hidden: Tensor;
  /** The cache with this chunk in it: assignments for the program's entry. Empty without a cache. */
  readonly assign: readonly (readonly [variable: Tensor, value: Tensor])[];
}

/**
 * ids (B,T) i32 → hidden states (B,T,C). Against a cache, the bits of a row depend on its own tokens, position and length and
 * on T alone, whatever B is and whatever the other rows hold: a text is generated alike alone and beside others.
 */
export function forward(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  options: ForwardOptions = {},
): ForwardResult {
  const { cache, position, lengths, rows, segments, recompute = false } = options;
  const names = namesOf(config);
  const parts = partsOf(config, weights, cache !== undefined);
  const [B, T] = ids.shape;
  const { heads: H, headWidth: D } = config;
  const place = placeOf(config, weights, ids, options);
  const assign: [Tensor, Tensor][] = [];

  const layerOf = (layer: number) => (x: Tensor) => {
    const at = names.layer(layer);
    const projected = parts.queriesKeysValues(parts.norm(x, `${at}.${names.attentionNorm}`), at);
    const q = place.turn(projected.q);
    let k = place.turn(projected.k);
    let v = projected.v;
    if (cache && position) {
      const { keys, values } = cache.layers[layer];
      k = cacheWrite(keys, k, position, { rows });
      v = cacheWrite(values, v, position, { rows });
      assign.push([keys, k], [values, v]);
    }
    const o = reshape(attention(q, k, v, { position, lengths, rows, segments }), [B, T, H * D]);
    const attended = add(x, parts.project(o, `${at}.${names.attentionOutput}`));

    const h = parts.feedForward(parts.norm(attended, `${at}.${names.feedForwardNorm}`), at);
    return add(attended, parts.project(h, `${at}.${names.feedForwardOutput}`));
  };

  let x = place.embed(embedding(weightOf(weights, names.embedding), ids)); // (B,T,C)
  for (let layer = 0; layer < config.layers; layer++) {
    const own = [...weights].flatMap(([name, weight]) => (name.startsWith(`${names.layer(layer)}.`) ? [weight] : []));
    x = recompute ? recomputed(layerOf(layer), x, own) : layerOf(layer)(x);
  }
  return { hidden: parts.norm(x, names.finalNorm), assign };
}

/**
 * The cache with the first lengths[r] tokens of slot from[r] copied to slot to[r]; all (R) i32. Samples of one prompt, or
 * prompts with one beginning, share its prefill. Copies are made in the order of r; a negative slot copies nothing.
 */
export function copyCache(cache: KeyValueCache, from: Tensor, to: Tensor, lengths: Tensor): ForwardResult["assign"] {
  return cache.layers.flatMap(({ keys, values }) =>
    [keys, values].map((half) => [half, cacheCopy(half, from, to, lengths)] as const),
  );
}

/**
 * The parts in which families differ.
 * @param batchInvariant whether the bits of a row are to be the same in any batch
 */
function partsOf(config: ModelConfig, weights: ModelVariables, batchInvariant: boolean) {
  const { heads: H, keyValueHeads: G, headWidth: D, normEpsilon } = config;
  const weight = (name: string) => weightOf(weights, name);
  const bias = (name: string) => weights.get(`${name}.bias`) ?? null;
  /** x · wᵀ, and a bias where the model has one: (B,T,in) → (B,T,out) */
  const project = (x: Tensor, name: string) => linear(x, weight(name), bias(name), { batchInvariant });
  const norm = (x: Tensor, name: string) => {
    const shift = bias(name);
    return shift ? layerNorm(x, weight(name), shift, normEpsilon) : rmsNorm(x, weight(name), normEpsilon);
  };
  const inHeads = (x: Tensor, count: number) => reshape(x, [...x.shape.slice(0, 2), count, D]);
  /** (B,T,C) → q (B,T,H,D), k and v (B,T,G,D), not yet turned to their positions */
  const queriesKeysValues = (x: Tensor, at: string): { q: Tensor; k: Tensor; v: Tensor } => {
    if (config.family === "gpt2") {
      const [q, k, v] = split(inHeads(project(x, `${at}.attn.c_attn`), 3 * H), [H, H, H], 2);
      return { q, k, v };
    }
    const part = (name: string, count: number) => inHeads(project(x, `${at}.self_attn.${name}`), count);
    const [q, k, v] = [part("q_proj", H), part("k_proj", G), part("v_proj", G)];
    if (config.family === "llama") return { q, k, v };
    return { q: norm(q, `${at}.self_attn.q_norm`), k: norm(k, `${at}.self_attn.k_norm`), v };
  };
  /** (B,T,C) → (B,T,F) */
  const feedForward = (x: Tensor, at: string): Tensor => {
    if (config.family === "gpt2") return gelu(project(x, `${at}.mlp.c_fc`));
    return mul(silu(project(x, `${at}.mlp.gate_proj`)), project(x, `${at}.mlp.up_proj`));
  };
  return { project, norm, queriesKeysValues, feedForward };
}

/** How tokens learn where they stand: by rows of a table added to them, or by turning queries and keys. */
function placeOf(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  { cache, position, places }: ForwardOptions,
) {
  const same = (x: Tensor) => x;
  // Rotations go on past the trained positions; a table ends, and rows that are not there would be zeros. Dynamic ones would
  // turn by other angles.
  const ends = config.family === "gpt2" || config.ropeScaling?.type === "dynamic";
  if (ends && !cache && ids.shape[1] > config.sequence) {
    throw new QuernError(
      `this model has ${config.sequence} positions, fewer than the ${ids.shape[1]} tokens of a text`,
    );
  }
  if (config.family === "gpt2") {
    const rows = embedding(weightOf(weights, "transformer.wpe"), places ?? positions(ids.shape, position));
    return { embed: (x: Tensor) => add(x, rows), turn: same };
  }
  const { cos, sin } = rotaryTables(config, cache ? cache.capacity : ids.shape[1]);
  return { embed: same, turn: (x: Tensor) => rope(x, cos, sin, position) };
}

/** How whole texts go through a model. */
type TextOptions = Pick<ForwardOptions, "lengths" | "segments" | "places" | "recompute">;

/** ids and targets (B,T) i32 → −log p(target) of every token (B·T), in nats; targets of −100 count 0. */
export function tokenLosses(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  targets: Tensor,
  options: TextOptions = {},
): Tensor {
  const { hidden } = forward(config, weights, ids, options);
  const rows = ids.shape[0] * ids.shape[1];
  return linearCrossEntropy(reshape(hidden, [rows, config.width]), headOf(config, weights), reshape(targets, [rows]));
}

/**
 * ids and targets (B,T) i32 → log p(target), entropy and greedy choice of every token (B·T), as `linearTokenStatistics` has
 * them.
 */
export function tokenStatistics(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  targets: Tensor,
  options: TextOptions = {},
): TokenStatistics {
  const { hidden } = forward(config, weights, ids, options);
  const rows = ids.shape[0] * ids.shape[1];
  const head = headOf(config, weights);
  return linearTokenStatistics(reshape(hidden, [rows, config.width]), head, reshape(targets, [rows]));
}

/** hidden (N,C) → logits (N,V), each row with the same bits in any batch. Only for a few rows: training never holds them all. */
export function logits(config: ModelConfig, weights: ModelVariables, hidden: Tensor): Tensor {
  return linear(hidden, headOf(config, weights), null, { batchInvariant: true });
}

/** The head (V,C). */
export function headOf(config: ModelConfig, weights: ModelVariables): Tensor {
  const { embedding, head } = namesOf(config);
  return weightOf(weights, config.tiedHead ? embedding : head);
}

function weightOf(weights: ModelVariables, name: string): Tensor {
  const tensor = weights.get(`${name}.weight`);
  if (tensor === undefined) throw new Error(`the model has no parameter ${name}.weight`);
  return tensor;
}
