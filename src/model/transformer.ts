/**
 * @file The forward pass of a transformer as a graph, for training (whole sequences) and for generation (chunks at a moving
 * position, with a key/value cache). Both share the same layers; families differ in `modulesOf` and `positionsOf`.
 *
 * Letters: B batch, T tokens per row of this call, S cache capacity, C width, H heads, G key/value heads, D head width,
 * F hidden width, V vocabulary.
 */
import { QuernError } from "../errors.js";
import {
  add,
  attention,
  broadcast,
  cacheCopy,
  cacheWrite,
  concatenate,
  type DType,
  div,
  embedding,
  gelu,
  layerNorm,
  less,
  linear,
  linearCrossEntropy,
  linearTokenStatistics,
  literal,
  mul,
  positions,
  random,
  recomputed,
  reshape,
  rmsNorm,
  rope,
  silu,
  split,
  sub,
  type Tensor,
  type TokenStatistics,
  variable,
} from "../tensor/index.js";
import type { ModelConfig } from "./config.js";
import { LORA_SCALE } from "./lora.js";
import { namesOf, parametersOf } from "./parameters.js";
import { rotaryTables } from "./rotary.js";

/** The parameters of a model as graph variables, by name. */
export type ModelVariables = ReadonlyMap<string, Tensor>;

/**
 * Returns a variable for each parameter, by its name in `parametersOf`. `prefix` is added to the variables' names, to
 * distinguish several models in one program.
 * @param types the storage type of each parameter; f32 by default, and for all vectors
 */
export function modelVariables(
  config: ModelConfig,
  prefix = "",
  types: (name: string) => DType = () => "f32",
): ModelVariables {
  return new Map(parametersOf(config).map(({ name, shape }) => [name, variable(prefix + name, shape, types(name))]));
}

/** Keys and values of the tokens before a chunk, (slots,S,G,D) each, one pair per layer. A slot contains one text. */
export interface KeyValueCache {
  /** S, tokens per slot. */
  readonly capacity: number;
  readonly layers: readonly { readonly keys: Tensor; readonly values: Tensor }[];
}

/** Types of stored keys and values (q8_0: head widths that are multiples of 32). 16 bits halve the memory that attention reads for each token. */
export const KV_DTYPES = ["f32", "bf16", "f16", "q8_0"] as const;
export type KvDType = (typeof KV_DTYPES)[number];

/** Creates a cache for `slots` texts of up to `capacity` tokens. Positions after the last token are never read. */
export function keyValueCache(
  config: ModelConfig,
  slots: number,
  capacity: number,
  { prefix = "", dtype = "f32" }: { readonly prefix?: string; readonly dtype?: KvDType } = {},
): KeyValueCache {
  const shape = [slots, capacity, config.keyValueHeads, config.headWidth];
  return {
    capacity,
    layers: Array.from({ length: config.layers }, (_, layer) => ({
      keys: variable(`${prefix}cache.${layer}.keys`, shape, dtype),
      values: variable(`${prefix}cache.${layer}.values`, shape, dtype),
    })),
  };
}

/**
 * Rows that hold texts with common beginnings, each computed once. A row is their trie in depth-first order; a token attends
 * to itself and its ancestors. Both are (B,T) i32.
 */
export interface TokenTree {
  /** End of each token's subtree: the index after its last descendant. */
  readonly ends: Tensor;
  /** Position of each token in its texts, less than the model's context. */
  readonly depths: Tensor;
}

/** Options for inputs other than a batch of whole texts. */
export interface ForwardOptions {
  /** Keys and values before the chunk. Without it, the tokens have positions 0 … T−1 and attend only to each other. */
  readonly cache?: KeyValueCache;
  /** Position of each chunk's first token, an i32 scalar or (B); required with `cache`. */
  readonly position?: Tensor;
  /**
   * (B) i32: tokens of each row's text, including this chunk. The rest is padding, which no token attends to. A row of
   * length 0 is an empty slot: attention skips it, and its hidden states are meaningless.
   */
  readonly lengths?: Tensor;
  /** (B) i32: the cache slot of each row; default slot b for row b. A row with a negative slot writes nothing. */
  readonly rows?: Tensor;
  /**
   * Attention takes the B·T queries as A rows of B·T/A: the position and slot of each, (A) i32. The bits of a query depend on its
   * place in a row, so a long chunk then has the bits of short ones.
   */
  readonly parts?: { readonly position: Tensor; readonly rows: Tensor };
  /**
   * (B,T) i32: tokens attend only to tokens with the same number, that is, of the same document in a packed row.
   * Positions continue through the row: rotations depend only on distances. With positions per document, the later rows
   * of a position table would not learn from short documents.
   */
  readonly segments?: Tensor;
  /** (B,T) i32: rows of the position table, if they do not continue through the row. Rotations do not need them. */
  readonly places?: Tensor;
  /** Not with `cache`, and instead of `segments` and `places`. Rows may be longer than the model's context. */
  readonly tree?: TokenTree;
  /** Stores only each layer's input for the backward pass, which recomputes the layers. */
  readonly recompute?: boolean;
  /** Dropout of the adapters' inputs: its rate, and the i32 scalars that select them (see `dropout`). */
  readonly adapterDropout?: { readonly rate: Tensor; readonly seed: Tensor; readonly step: Tensor };
}

export interface ForwardResult {
  /** (B,T,C), after the final norm: the input of the head. */
  readonly hidden: Tensor;
  /** Assignments that add this chunk to the cache, for the program's entry. Empty without a cache. */
  readonly assign: readonly (readonly [variable: Tensor, value: Tensor])[];
}

/**
 * ids (B,T) i32 → hidden states (B,T,C). With a cache, the bits of a row depend only on T and on its own tokens,
 * position and length, not on the other rows. So a text is generated identically alone and in a batch.
 */
export function forward(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  options: ForwardOptions = {},
): ForwardResult {
  const { cache, position, lengths, rows, parts, segments, tree, recompute = false } = options;
  const names = namesOf(config);
  const modules = modulesOf(config, weights, {
    batchInvariant: cache !== undefined,
    adapterDropout: options.adapterDropout,
  });
  const [B, T] = ids.shape;
  const { heads: H, headWidth: D } = config;
  const { embed, rotate } = positionsOf(config, weights, ids, options);
  const assign: [Tensor, Tensor][] = [];

  // The outputs of norms and activations are large, but cheap to recompute: the backward pass does not store them.
  const recomputing: typeof recomputed = cache || recompute ? (block, xs) => block(...xs) : recomputed;

  const layerOf = (layer: number) => (x: Tensor) => {
    const at = names.layer(layer);
    const [projectedQ, projectedK, projectedV] = recomputing(
      (x) => modules.queriesKeysValues(modules.norm(x, `${at}.${names.attentionNorm}`), at),
      [x],
    );
    const q = rotate(modules.normHeads(projectedQ, `${at}.self_attn.q_norm`)); // (B,T,H,D)
    let k = rotate(modules.normHeads(projectedK, `${at}.self_attn.k_norm`)); // (B,T,G,D), with a cache (slots,S,G,D)
    let v = projectedV;
    if (cache && position) {
      const { keys, values } = cache.layers[layer];
      k = cacheWrite(keys, k, position, { rows });
      v = cacheWrite(values, v, position, { rows });
      assign.push([keys, k], [values, v]);
    }
    const queries = parts ? reshape(q, [parts.rows.shape[0], (B * T) / parts.rows.shape[0], H, D]) : q;
    const where = parts ?? { position, rows };
    const o = reshape(attention(queries, k, v, { ...where, lengths, segments, ends: tree?.ends }), [B, T, H * D]); // (B,T,H·D)
    const attended = add(x, modules.project(o, `${at}.${names.attentionOutput}`)); // (B,T,C)

    const up = recomputing((x) => modules.up(modules.norm(x, `${at}.${names.feedForwardNorm}`), at), [attended]); // (B,T,F) each
    const [down] = recomputing(
      (...up) => [modules.project(modules.activate(up), `${at}.${names.feedForwardOutput}`)],
      up,
    );
    return [add(attended, down)];
  };

  let x = embed(embedding(weightOf(weights, names.embedding), ids)); // (B,T,C)
  for (let layer = 0; layer < config.layers; layer++) {
    [x] = recompute ? recomputed(layerOf(layer), [x]) : layerOf(layer)(x);
  }
  return { hidden: modules.norm(x, names.finalNorm), assign };
}

/**
 * Copies the first lengths[r] tokens of slot from[r] to slot to[r], in the order of r; all (R) i32. A negative slot copies
 * nothing. Samples of one prompt, or prompts with a common prefix, thus share its prefill.
 */
export function copyCache(cache: KeyValueCache, from: Tensor, to: Tensor, lengths: Tensor): ForwardResult["assign"] {
  return cache.layers.flatMap(({ keys, values }) =>
    [keys, values].map((half) => [half, cacheCopy(half, from, to, lengths)] as const),
  );
}

/**
 * Returns the modules in which families differ.
 * @param batchInvariant makes the bits of a row independent of the batch
 */
function modulesOf(
  config: ModelConfig,
  weights: ModelVariables,
  { batchInvariant, adapterDropout }: Pick<ForwardOptions, "adapterDropout"> & { readonly batchInvariant: boolean },
) {
  const { heads: H, keyValueHeads: G, headWidth: D, normEpsilon } = config;
  const weight = (name: string) => weightOf(weights, name);
  const bias = (name: string) => weights.get(`${name}.bias`) ?? null;
  /** x · wᵀ, plus the bias if the model has one, plus its adapter's update: (B,T,in) → (B,T,out) */
  const project = (x: Tensor, name: string) => {
    const y = linear(x, weight(name), bias(name), { batchInvariant });
    const [a, b] = [weights.get(`${name}.lora_A.weight`), weights.get(`${name}.lora_B.weight`)]; // (rank,in), (out,rank)
    if (a === undefined || b === undefined) return y;
    const dropped = adapterDropout === undefined ? x : droppedInput(x, name, adapterDropout);
    const low = linear(dropped, a, null, { batchInvariant }); // (B,T,rank)
    return add(y, linear(mul(low, weights.get(LORA_SCALE) as Tensor), b, null, { batchInvariant }));
  };
  /** Each adapter drops different inputs, but the same ones when a layer is recomputed. */
  const streams = new Map<string, number>();
  const droppedInput = (
    x: Tensor,
    name: string,
    { rate, seed, step }: NonNullable<ForwardOptions["adapterDropout"]>,
  ) => {
    const stream = streams.get(name) ?? streams.size;
    streams.set(name, stream);
    const isKept = sub(1, less(random(x.shape, seed, step, stream), rate));
    return mul(x, div(isKept, sub(1, rate)));
  };
  const norm = (x: Tensor, name: string) => {
    const shift = bias(name);
    return shift ? layerNorm(x, weight(name), shift, normEpsilon) : rmsNorm(x, weight(name), normEpsilon);
  };
  const inHeads = (x: Tensor, count: number) => reshape(x, [...x.shape.slice(0, 2), count, D]);
  /** (B,T,C) → q (B,T,H,D), k and v (B,T,G,D), before their norms and rotation */
  const queriesKeysValues = (x: Tensor, at: string): readonly Tensor[] => {
    if (config.family === "gpt2") return split(inHeads(project(x, `${at}.attn.c_attn`), 3 * H), [H, H, H], 2);
    const part = (name: string, count: number) => inHeads(project(x, `${at}.self_attn.${name}`), count);
    return [part("q_proj", H), part("k_proj", G), part("v_proj", G)];
  };
  /** x (B,T,heads,D), of which the qwen3 family normalizes each head. */
  const normHeads = (x: Tensor, name: string) => (config.family === "qwen3" ? norm(x, name) : x);
  /** (B,T,C) → what `activate` combines, (B,T,F) each */
  const up = (x: Tensor, at: string): readonly Tensor[] =>
    (config.family === "gpt2" ? ["c_fc"] : ["gate_proj", "up_proj"]).map((name) => project(x, `${at}.mlp.${name}`));
  const activate = ([first, second]: readonly Tensor[]): Tensor =>
    config.family === "gpt2" ? gelu(first) : mul(silu(first), second);
  return { project, norm, queriesKeysValues, normHeads, up, activate };
}

/** Returns how positions enter the model: a position table added to the embedding, or rotations of queries and keys. */
function positionsOf(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  { cache, position, places, tree }: ForwardOptions,
) {
  const same = (x: Tensor) => x;
  // Rotations continue past the trained positions. A table does not: its missing rows would be zeros. Dynamic scaling
  // would use other angles there.
  const isLimited = config.family === "gpt2" || config.ropeScaling?.type === "dynamic";
  if (isLimited && !cache && !tree && ids.shape[1] > config.sequence) {
    throw new QuernError(
      `the model has ${config.sequence} positions, but the text has ${ids.shape[1]} tokens; use a shorter text`,
    );
  }
  if (config.family === "gpt2") {
    const at = tree?.depths ?? places ?? positions(ids.shape, position); // (B,T)
    const rows = embedding(weightOf(weights, "transformer.wpe"), at); // (B,T,C)
    return { embed: (x: Tensor) => add(x, rows), rotate: same };
  }
  if (tree) {
    const [B, T] = ids.shape;
    const { cos, sin } = rotaryTables(config, Math.min(T, config.sequence));
    // Tables with a row per token: as one text of B·T tokens, each gets its own row.
    const [ownCos, ownSin] = [cos, sin].map((table) => embedding(table, reshape(tree.depths, [B * T]))); // (B·T,D/2)
    const flat = (x: Tensor) => reshape(x, [1, B * T, ...x.shape.slice(2)]);
    return { embed: same, rotate: (x: Tensor) => reshape(rope(flat(x), ownCos, ownSin), x.shape) };
  }
  const { cos, sin } = rotaryTables(config, cache ? cache.capacity : ids.shape[1]);
  return { embed: same, rotate: (x: Tensor) => rope(x, cos, sin, position) };
}

/** Options for whole texts, without a cache. */
type TextOptions = Pick<ForwardOptions, "lengths" | "segments" | "places" | "tree" | "recompute" | "adapterDropout">;

/** ids and targets (B,T) i32 → −log p(target) of every token (B·T), in nats; 0 for targets of −100. */
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
 * As `tokenLosses`, over some tokens of the vocabulary: candidates (S) i32 are their ids, corrections (S,2) two parts of what is
 * added to their logits, places (B,T) i32 the candidate that is the target, or −100.
 */
export function sampledTokenLosses(
  config: ModelConfig,
  weights: ModelVariables,
  ids: Tensor,
  { candidates, corrections, places }: Readonly<Record<"candidates" | "corrections" | "places", Tensor>>,
  options: TextOptions = {},
): Tensor {
  const { hidden } = forward(config, weights, ids, options);
  const rows = ids.shape[0] * ids.shape[1];
  // The corrections are two more columns of the head, for which the hidden state is 1.
  const x = concatenate([reshape(hidden, [rows, config.width]), broadcast(literal(1), [rows, 2])], 1);
  const head = concatenate([embedding(headOf(config, weights), candidates), corrections], 1);
  return linearCrossEntropy(x, head, reshape(places, [rows]));
}

/**
 * ids and targets (B,T) i32 → log p(target), entropy and greedy choice of every token (B·T), as defined by
 * `linearTokenStatistics`.
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

/** hidden (N,C) → logits (N,V), each row with the same bits in any batch. For a few rows only; training never stores all logits. */
export function logits(config: ModelConfig, weights: ModelVariables, hidden: Tensor): Tensor {
  return linear(hidden, headOf(config, weights), null, { batchInvariant: true });
}

/** Returns the head (V,C). */
export function headOf(config: ModelConfig, weights: ModelVariables): Tensor {
  const { embedding, head } = namesOf(config);
  return weightOf(weights, config.tiedHead ? embedding : head);
}

function weightOf(weights: ModelVariables, name: string): Tensor {
  const tensor = weights.get(`${name}.weight`);
  if (tensor === undefined) throw new Error(`the model has no parameter ${name}.weight`);
  return tensor;
}
