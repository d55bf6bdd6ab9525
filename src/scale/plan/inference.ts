/**
 * @file What serving costs: each decoding step reads all weights and the keys and values of every sequence (bandwidth), and
 * computes 2 FLOPs per weight and sequence (compute); the slower of the two sets the pace (Pope et al., arXiv:2211.05102, section 2).
 */
import type { ModelConfig } from "../../model/index.js";
import type { Hardware } from "./hardware.js";
import { keyValueBytes } from "./memory.js";

export interface InferenceSetup {
  readonly params: number;
  readonly config: ModelConfig;
  readonly hardware: Hardware;
  /** FLOP/s of one device that products reach at best. */
  readonly flops: number;
  readonly devices: number;
  /** Bytes per weight, and per key or value. */
  readonly weightBytes: number;
  readonly cacheBytes: number;
  /** Tokens of context of each sequence. */
  readonly context: number;
  /** Dollars per device and hour; null where it is not rented. */
  readonly price: number | null;
}

export interface InferenceCost {
  /** Sequences decoded at once. */
  readonly batch: number;
  /** Tokens per second over all sequences. */
  readonly tokens_per_second: number;
  readonly tokens_per_second_each: number;
  readonly dollars_per_million_tokens: number | null;
  readonly bound: "bandwidth" | "compute";
}

/** Returns the cost of generating tokens with `batch` sequences at once. */
export function decodingCost(o: InferenceSetup, batch: number): InferenceCost {
  const { params, config, hardware, flops, devices, weightBytes, cacheBytes, context, price } = o;
  const bytes = params * weightBytes + batch * context * keyValueBytes(config, cacheBytes);
  const attention = 4 * config.layers * config.heads * config.headWidth * context;
  const byBandwidth = bytes / (hardware.bandwidth * devices);
  const byCompute = (batch * (2 * params + attention)) / (flops * devices);
  const seconds = Math.max(byBandwidth, byCompute);
  const rate = batch / seconds;
  return {
    batch,
    tokens_per_second: rate,
    tokens_per_second_each: 1 / seconds,
    dollars_per_million_tokens: price === null ? null : (price * devices * 1e6) / 3600 / rate,
    bound: byCompute > byBandwidth ? "compute" : "bandwidth",
  };
}

/** The most sequences whose weights, keys and values fit into the devices; 0 if the weights alone do not. */
export function mostSequences({
  params,
  config,
  hardware,
  devices,
  weightBytes,
  cacheBytes,
  context,
}: InferenceSetup): number {
  const left = hardware.memory * devices * 0.95 - params * weightBytes;
  return Math.max(0, Math.floor(left / (context * keyValueBytes(config, cacheBytes))));
}

/** Dollars per million tokens of prompt: compute-bound, 2 FLOPs per weight and token. */
export const promptCost = ({ params, flops, price }: InferenceSetup, mfu: number): number | null =>
  price === null ? null : (price * 1e6 * 2 * params) / (flops * mfu) / 3600;
