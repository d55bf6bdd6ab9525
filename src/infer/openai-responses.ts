/** @file What an OpenAI-compatible server answers, as far as Quern reads it. */
import { z } from "zod";

/** Lenient, since servers add their own fields and some leave out counts. */
export const usageSchema = z.looseObject({
  prompt_tokens: z.number().nullish(),
  completion_tokens: z.number().nullish(),
});
const tokenLogProbability = z.looseObject({ token: z.string().default(""), logprob: z.number() });
const chatLogProbabilities = z.looseObject({
  content: z.array(tokenLogProbability.extend({ top_logprobs: z.array(tokenLogProbability).nullish() })).nullish(),
});
const functionCall = z.looseObject({ arguments: z.string() });
const contentSchema = z
  .union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))])
  .nullish()
  .transform((content) => (Array.isArray(content) ? content.map(({ text = "" }) => text).join("") : (content ?? "")));
export const chatSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        message: z.looseObject({
          content: contentSchema,
          function_call: functionCall.nullish(),
          tool_calls: z.array(z.looseObject({ function: functionCall.nullish() })).nullish(),
        }),
        finish_reason: z.string().nullish(),
        logprobs: chatLogProbabilities.nullish(),
      }),
    )
    .min(1),
  usage: usageSchema.nullish(),
});
export const chunkSchema = z.looseObject({
  choices: z.array(
    z.looseObject({
      delta: z.looseObject({ content: contentSchema }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: usageSchema.nullish(),
});
export const modelsSchema = z.looseObject({
  data: z.array(z.looseObject({ id: z.string() })),
  usage: z.undefined().optional(),
});
export const completionSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        text: z.string(),
        finish_reason: z.string().nullish(),
        logprobs: z
          .looseObject({
            tokens: z.array(z.string()).nullish(),
            token_logprobs: z.array(z.number().nullable()).nullish(),
            text_offset: z.array(z.number()).nullish(),
            top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
  usage: usageSchema.nullish(),
});
