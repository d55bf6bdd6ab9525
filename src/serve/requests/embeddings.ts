/** @file The body of `/v1/embeddings`. */
import { z } from "zod";
import { metadata } from "./check.js";

export const MOST_INPUTS = 2048;
const id = z.int().min(0);
const part = z.union([z.string(), id]);

export const embeddingRequest = z.strictObject({
  model: z.string().nullish(),
  input: z.union([z.string(), z.array(part).min(1), z.array(z.union([z.string(), z.array(part).min(1)])).min(1)], {
    error: "must be text, a list of texts, a list of token ids, or a list of such lists",
  }),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: metadata(z.string()),
});

export type EmbeddingRequest = z.output<typeof embeddingRequest>;

/** A text, or a list of ids and texts that is one input. */
export type EmbeddingInput = string | readonly (string | number)[];

/** Returns the inputs; a list with a number in it is one. */
export function inputsOf({ input }: EmbeddingRequest): readonly EmbeddingInput[] {
  if (typeof input === "string") return [input];
  return input.some((each) => typeof each === "number") ? [input as (string | number)[]] : (input as EmbeddingInput[]);
}
