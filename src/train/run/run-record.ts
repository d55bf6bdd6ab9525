/** @file The record of a run, `run.json`, and the lines of `metrics.jsonl`; both are validated when read. */
import { z } from "zod";
import type { ReadReport } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { FusionSavings } from "../report/fusion.js";

/** Content of `run.json`; values that are not known yet are absent. */
export interface RunRecord extends Partial<ReadReport> {
  readonly version?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly plan?: Readonly<Record<string, unknown>>;
  readonly machine?: Readonly<Record<string, unknown>> | string;
  readonly seed?: number;
  readonly git?: string;
  readonly created?: string;
  /** Sizes of the dataset by name: `documents`, `training_tokens`, `largest_file` … */
  readonly data?: Readonly<Record<string, number | string>>;
  readonly result?: RunResult;
  /** Examples of post-training as the model sees them. */
  readonly preview?: readonly PreviewRecord[];
}

export interface PreviewRecord {
  readonly example: number;
  /** `text`, or `chosen` and `rejected`. */
  readonly part: string;
  readonly tokens: readonly { readonly text: string; readonly learned: boolean }[];
}

/** Bits per byte of the model and of the baselines, on the same held-out bytes. */
export interface HeldOutResult {
  readonly bits_per_byte?: number;
  readonly nats_per_token?: number;
  readonly gzip_bits_per_byte?: number;
  readonly xz_bits_per_byte?: number;
  readonly brotli_bits_per_byte?: number;
  /** An interpolated 5-gram model over the same tokens. */
  readonly ngram_bits_per_byte?: number;
  readonly heldout_bytes?: number;
}

export interface SourceResult extends HeldOutResult {
  readonly source: string;
}

export interface RunResult extends HeldOutResult {
  /** Results by source, if the text comes from several. */
  readonly sources?: readonly SourceResult[];
  /** Training tokens of the n-gram model. */
  readonly ngram_training_tokens?: number;
  /** What fusing the program's operations saved. */
  readonly fusion?: FusionSavings;
  readonly samples?: readonly { readonly prompt: string; readonly before?: string; readonly after?: string }[];
  /** Of a reward model: how far its probabilities are from its accuracy on held-out pairs, and both by probability. */
  readonly calibration_error?: number;
  readonly reliability?: readonly ReliabilityRecord[];
  /** What the steps of a run with rollouts spent their time on. */
  readonly time_shares?: Readonly<Record<string, number>>;
}

/** Held-out pairs for which a reward model gives its choice a probability from `from` to `to`. */
export interface ReliabilityRecord {
  readonly from: number;
  readonly to: number;
  readonly pairs: number;
  readonly confidence?: number;
  readonly accuracy?: number;
}

/** A line of `metrics.jsonl`: a training step, a validation, or samples. */
export interface MetricsLine {
  readonly step: number;
  readonly loss?: number;
  readonly learning_rate?: number;
  readonly gradient_norm?: number;
  /** The same, as post-training names it. */
  readonly grad_norm?: number;
  /** Tokens trained on so far. */
  readonly tokens?: number;
  readonly tokens_per_second?: number;
  /** Share of the machine's measured peak, 0 to 1. */
  readonly peak_share?: number;
  /** Seconds since the run began. */
  readonly seconds?: number;
  /** With several ranks: share of the step in exchange with other ranks, waiting included, 0 to 1. */
  readonly communication_share?: number;
  /** With several ranks: the node, and the rank on it, that computed 1.5 times as long as the others. */
  readonly slow_node?: string;
  readonly validation_loss?: number;
  /** e to the validation loss. */
  readonly perplexity?: number;
  /** A sample from the model at this step. */
  readonly samples?: readonly { readonly prompt: string; readonly text: string }[];
  /** Completions of the policy at this step with their rewards. */
  readonly rollouts?: readonly { readonly prompt: string; readonly text: string; readonly reward: number }[];
  readonly bits_per_byte?: number;
}

// A run folder may come from an untrusted source, and its numbers go into HTML: they must be numbers. JSON has no NaN, so
// values that were not finite are null.
const number = z
  .number()
  .nullish()
  .transform((value) => value ?? undefined);
const text = z.string();
const totals = z.looseObject({ launches: z.number(), flops: z.number(), bytes: z.number() });
const heldOutResult = {
  bits_per_byte: number,
  nats_per_token: number,
  gzip_bits_per_byte: number,
  xz_bits_per_byte: number,
  brotli_bits_per_byte: number,
  ngram_bits_per_byte: number,
  heldout_bytes: number,
};
const fields = z.record(z.string(), z.unknown());

const previewSchema = z.object({
  example: z.number(),
  part: text,
  tokens: z.array(z.object({ text, learned: z.boolean() })),
});

const recordSchema = z.looseObject({
  preview: z.array(previewSchema).optional(),
  version: text.optional(),
  config: fields.optional(),
  plan: fields.optional(),
  machine: z.union([fields, text]).optional(),
  seed: number,
  git: text.optional(),
  created: text.optional(),
  read: z.record(z.string(), z.number()).optional(),
  skipped: z.record(z.string(), z.number()).optional(),
  data: z.record(z.string(), z.union([z.number(), text])).optional(),
  result: z
    .looseObject({
      ...heldOutResult,
      sources: z.array(z.looseObject({ ...heldOutResult, source: text })).optional(),
      ngram_training_tokens: number,
      fusion: z
        .looseObject({
          fused: totals,
          unfused: totals,
          arena_bytes: z.number(),
          unfused_arena_bytes: z.number(),
          kernels: z.array(z.looseObject({ what: text, launches: z.number(), bytes: z.number() })),
        })
        .optional(),
      samples: z.array(z.looseObject({ prompt: text, before: text.optional(), after: text.optional() })).optional(),
      calibration_error: number,
      reliability: z
        .array(
          z.looseObject({ from: z.number(), to: z.number(), pairs: z.number(), confidence: number, accuracy: number }),
        )
        .optional(),
      time_shares: z.record(z.string(), z.number()).optional(),
    })
    .optional(),
});

const lineSchema = z.looseObject({
  step: z.number(),
  ...Object.fromEntries(
    (["loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "peak_share", "seconds"] as const).map(
      (key) => [key, number],
    ),
  ),
  ...{ validation_loss: number, perplexity: number, bits_per_byte: number },
  samples: z.array(z.looseObject({ prompt: text, text })).optional(),
  rollouts: z.array(z.looseObject({ prompt: text, text, reward: z.number() })).optional(),
});

/** Validates a record. @throws QuernError that names `where` and the first invalid field */
export function checkRecord(json: unknown, where: string): RunRecord {
  return checked(recordSchema, json, where) as RunRecord;
}

/** Validates a line of the metrics. @throws QuernError as `checkRecord` does */
export function checkLine(json: unknown, where: string): MetricsLine {
  return checked(lineSchema, json, where) as unknown as MetricsLine;
}

function checked(schema: z.ZodType, json: unknown, where: string): unknown {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  const field = path.length === 0 ? "" : `${quoted(path.join("."))}: `;
  throw new QuernError(`${where} was not written by a run: ${field}${message}`);
}
