/** @file `POST /v1/responses`: OpenAI's newer interface, for text and functions. */
import { chatEvents, prepareChat } from "../chat-answer.js";
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import { apiErrorOf } from "../errors.js";
import { responseWriter } from "../protocol/responses-output.js";
import { responsesBody, responsesChatRequest } from "../protocol/responses-request.js";
import { obfuscation } from "./usage.js";

export async function responses(c: RouteContext, serving: Serving): Promise<Response> {
  const body = await bodyOf(c, serving, responsesBody);
  return withModel(c, serving, body.model, async (work, respond) => {
    const request = responsesChatRequest(body);
    const prepared = await prepareChat(work.model, request, "input");
    const writer = responseWriter(body, { model: work.model.id, created: Math.floor(Date.now() / 1000) });
    const events = chatEvents(work, serving, prepared);
    if (!request.stream) {
      for await (const event of events) writer.write(event);
      return respond.json(writer.response);
    }
    const padded = body.stream_options?.include_obfuscation === true;
    let sequence = 0;
    return respond.events(
      async (stream) => {
        for await (const event of events) {
          for (const each of writer.write(event)) {
            sequence = each.sequence_number + 1;
            const isDelta = padded && each.type.endsWith(".delta");
            stream.send({ ...each, ...(isDelta && obfuscation()) }, each.type);
          }
        }
      },
      (error) => {
        const { code, message, param } = apiErrorOf(error, serving.onFailure);
        return { type: "error", code, message, param, sequence_number: sequence };
      },
    );
  });
}
