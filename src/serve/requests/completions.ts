/** @file The body of `/v1/completions`. */
import { z } from "zod";
import { ApiError } from "../errors.js";
import { unsupported } from "./check.js";
import {
  checkStream,
  MOST_TOP_LOGPROBS,
  metadataFields,
  samplingFields,
  streamFields,
  tokenFields,
} from "./sampling.js";

const ids = z.array(z.int().min(0)).min(1);

export const completionRequest = z.strictObject({
  model: z.string().nullish(),
  prompt: z.union([z.string(), z.array(z.string()).min(1), ids, z.array(ids).min(1)], {
    error: "must be text, a list of texts, a list of token ids, or a list of such lists",
  }),
  ...samplingFields,
  ...streamFields,
  ...metadataFields,
  ...tokenFields,
  max_tokens: z.int().min(0).nullish(),
  best_of: z.int().min(1).max(20).nullish(),
  echo: z.boolean().nullish(),
  logprobs: z.int().min(0).max(MOST_TOP_LOGPROBS).nullish(),
  suffix: unsupported(),
});

export type CompletionRequest = z.output<typeof completionRequest>;

/** @throws ApiError for fields that exclude each other */
export function checkCompletion(request: CompletionRequest): void {
  checkStream(request);
  const { n, best_of: best, stream } = request;
  const refuse = (param: string, message: string) => new ApiError(400, message, { param, code: "invalid_value" });
  if (request.return_token_ids === true && request.logprobs == null) {
    throw refuse("return_token_ids", "return_token_ids is only allowed with logprobs");
  }
  for (const field of ["return_token_ids", "continue_token_ids"] as const) {
    if (request.echo === true && request[field]) throw refuse(field, `${field} excludes echo`);
  }
  if (best === undefined || best === null) return;
  if (best < (n ?? 1)) throw refuse("best_of", `best_of is ${best}, but must be at least n, which is ${n ?? 1}`);
  if (stream === true && best > (n ?? 1)) throw refuse("best_of", "best_of cannot be streamed if it is more than n");
}

/** Returns the prompts, each a text or ids. */
export function promptsOf({ prompt }: CompletionRequest): readonly (string | readonly number[])[] {
  if (typeof prompt === "string") return [prompt];
  return typeof prompt[0] === "number" ? [prompt as number[]] : (prompt as (string | number[])[]);
}
