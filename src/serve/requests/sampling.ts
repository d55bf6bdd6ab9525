/** @file The fields that every generating request has: sampling, limits and streaming. */
import { randomInt } from "node:crypto";
import { z } from "zod";
import type { SamplingOptions } from "../../infer/index.js";
import { ApiError } from "../errors.js";
import { metadata } from "./check.js";

/** Most completions of one prompt, as in OpenAI's document. */
const MOST_CHOICES = 128;
const MOST_STOPS = 4;
export const MOST_TOP_LOGPROBS = 20;

const stopText = z.string().min(1);

export const streamFields = {
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
};

/** Accepted and without effect: they name the caller or say how OpenAI bills, stores and caches. */
export const metadataFields = {
  user: metadata(z.string()),
  metadata: metadata(z.record(z.string(), z.string())),
  store: metadata(z.boolean()),
  service_tier: metadata(z.enum(["auto", "default"])),
  safety_identifier: metadata(z.string()),
  prompt_cache_key: metadata(z.string()),
  prompt_cache_retention: metadata(z.enum(["in_memory", "in-memory", "24h"])),
};

export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  seed: z
    .number()
    .refine((seed) => Number.isInteger(seed) && Math.abs(seed) <= 2 ** 63, "must be a whole number of 64 bits")
    .nullish(),
  stop: z
    .union([stopText, z.array(stopText).max(MOST_STOPS)], {
      error: `must be text or a list of at most ${MOST_STOPS} texts, none of them empty`,
    })
    .nullish(),
  n: z.int().min(1).max(MOST_CHOICES).nullish(),
};

/** Fields that OpenAI does not have. They make a text continue exactly, since a text may have more than one tokenization. */
export const tokenFields = {
  /** Ids that the answer begins with; the model continues after them. */
  continue_token_ids: z.array(z.int().min(0)).nullish(),
  /** Adds the id to every token of `logprobs`, and whether it ends the answer. */
  return_token_ids: z.boolean().nullish(),
};

/** @throws ApiError for an id that the model does not have */
export function checkTokenIds(ids: readonly number[], vocabSize: number, param: string): void {
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return;
  const message = `${param} has the token id ${wrong}, but the model's ids are 0 to ${vocabSize - 1}`;
  throw new ApiError(400, message, { param, code: "invalid_value" });
}

type SamplingFields = z.output<z.ZodObject<typeof samplingFields>>;

/** How a request samples. OpenAI's defaults hold: temperature 1, all tokens. */
export interface Sampling extends SamplingOptions {
  readonly seed: number;
  readonly stop: readonly string[];
}

/**
 * @param vocabSize the model's
 * @throws ApiError for a logit bias of a token that the model does not have
 */
export function samplingOf(fields: SamplingFields, vocabSize: number): Sampling {
  const { stop } = fields;
  return {
    temperature: fields.temperature ?? 1,
    topK: Math.max(0, fields.top_k ?? 0),
    topP: Math.max(fields.top_p ?? 1, 1e-9), // 0 keeps the likeliest token
    minP: fields.min_p ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? 1,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    logitBias: biasOf(fields.logit_bias ?? {}, vocabSize),
    seed: seedOf(fields.seed),
    stop: stop === undefined || stop === null ? [] : typeof stop === "string" ? [stop] : stop,
  };
}

function biasOf(given: Readonly<Record<string, number>>, vocabSize: number): ReadonlyMap<number, number> | undefined {
  const entries = Object.entries(given);
  if (entries.length === 0) return undefined;
  return new Map(
    entries.map(([key, bias]) => {
      const id = /^\d{1,9}$/.test(key) ? Number(key) : -1;
      if (id < 0 || id >= vocabSize) {
        const param = `logit_bias.${key}`;
        const message = `${param} is no token of this model, whose ids are 0 to ${vocabSize - 1}`;
        throw new ApiError(400, message, { param, code: "invalid_value" });
      }
      return [id, bias];
    }),
  );
}

/** Seeds of the decoder are whole numbers from 0; completion i of a request uses seed + i. */
const SEEDS = 2 ** 52;

function seedOf(seed: number | null | undefined): number {
  if (seed === undefined || seed === null) return drawSeed();
  return ((seed % SEEDS) + SEEDS) % SEEDS;
}

export const drawSeed = () => randomInt(2 ** 31);

/** @throws ApiError for stream options without a stream */
export function checkStream({ stream, stream_options }: z.output<z.ZodObject<typeof streamFields>>): void {
  if (stream === true || stream_options === undefined || stream_options === null) return;
  throw new ApiError(400, "stream_options is only allowed when stream is true", {
    param: "stream_options",
    code: "invalid_value",
  });
}
