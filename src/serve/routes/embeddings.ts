/** @file `POST /v1/embeddings`: the mean of a model's final hidden states over the tokens of a text, scaled to length 1. */
import { encodePrompt } from "../../infer/index.js";
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import { ApiError } from "../errors.js";
import type { LoadedModel } from "../models.js";
import { type EmbeddingInput, embeddingRequest, inputsOf, MOST_INPUTS } from "../requests/embeddings.js";

export async function embeddings(c: RouteContext, serving: Serving): Promise<Response> {
  const request = await bodyOf(c, serving, embeddingRequest);
  const inputs = inputsOf(request);
  if (inputs.length > MOST_INPUTS) {
    throw refusal("input", `input has ${inputs.length} texts, but may have at most ${MOST_INPUTS}`);
  }
  return withModel(c, serving, request.model, async ({ model, signal }, respond) => {
    const { width } = model.config;
    if (request.dimensions != null && request.dimensions !== width) {
      throw refusal("dimensions", `dimensions must be ${width}, the width of ${model.id}, not ${request.dimensions}`);
    }
    const texts = await Promise.all(
      inputs.map((input, i) => idsOf(model, input, inputs.length > 1 ? `input[${i}]` : "input")),
    );
    const tokens = texts.reduce((sum, ids) => sum + ids.length, 0);
    serving.activity.countPrompt(model.id, { promptTokens: tokens, cachedTokens: 0 });
    const found = await Promise.all(texts.map(async (ids) => scaled(await model.embedder.embed(ids, { signal }))));
    const isText = request.encoding_format === "base64";
    return respond.json({
      object: "list",
      data: found.map((embedding, index) => {
        return { object: "embedding", index, embedding: isText ? base64(embedding) : Array.from(embedding) };
      }),
      model: model.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  });
}

const refusal = (param: string, message: string) => new ApiError(400, message, { param, code: "invalid_value" });

/** @throws ApiError for ids that the model does not have, and for an input that is longer than its context */
async function idsOf({ tokenizer, beginning, config, context }: LoadedModel, input: EmbeddingInput, param: string) {
  const encoded = async (text: string) => Array.from((await encodePrompt(tokenizer, beginning, { prompt: text })).ids);
  const parts = typeof input === "string" ? [] : input;
  const wrong = parts.find((part) => typeof part === "number" && part >= config.vocabSize);
  if (wrong !== undefined) {
    throw refusal(param, `${param} has the token id ${wrong}, but the model's ids are 0 to ${config.vocabSize - 1}`);
  }
  const ids =
    typeof input === "string"
      ? await encoded(input)
      : parts.flatMap((part) => (typeof part === "number" ? [part] : Array.from(tokenizer.encode(part))));
  if (ids.length <= context) return ids;
  const message = `${param} is too large: it has ${ids.length} tokens, but the model's context is ${context}; shorten it`;
  throw new ApiError(400, message, { param, code: "context_length_exceeded" });
}

/** Scales a vector to length 1, so that the product of two is their cosine. */
function scaled(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, each) => sum + each * each, 0));
  return length === 0 ? vector : vector.map((each) => each / length);
}

/** The bytes of its float32 values, little-endian. */
function base64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, 4 * i);
  return bytes.toString("base64");
}
