/** @file `GET /v1/models` and `/v1/models/ID`. */
import type { RouteContext, Serving } from "../context.js";
import { ApiError } from "../errors.js";
import type { ModelInfo } from "../models.js";

/** OpenAI's fields, and what a client needs to know beyond them. */
const modelObject = ({ id, created, context, parent, hasChatTemplate }: ModelInfo) => ({
  id,
  object: "model" as const,
  created,
  owned_by: "quern",
  context_length: context,
  chat: hasChatTemplate,
  ...(parent !== undefined && { parent }),
});

export function listModels(c: RouteContext, { models }: Serving): Response {
  return c.json({ object: "list", data: models.list.map(modelObject) });
}

export function describeModel(c: RouteContext, { models }: Serving): Response {
  const id = c.req.param("id") ?? "";
  const found = models.list.find((model) => model.id === id);
  if (found === undefined) {
    throw new ApiError(404, `the model ${JSON.stringify(id)} does not exist`, {
      param: "model",
      code: "model_not_found",
    });
  }
  return c.json(modelObject(found));
}
