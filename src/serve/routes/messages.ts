/** @file `POST /v1/messages`: Anthropic's interface, for text and tools. `app.ts` writes its errors in Anthropic's form. */
import { chatEvents, prepareChat } from "../chat-answer.js";
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import { apiErrorOf } from "../errors.js";
import { messageError, messageWriter } from "../protocol/messages-output.js";
import { messagesBody, messagesChatRequest } from "../protocol/messages-request.js";

export async function messages(c: RouteContext, serving: Serving): Promise<Response> {
  const body = await bodyOf(c, serving, messagesBody);
  return withModel(c, serving, body.model, async (work, respond) => {
    const request = messagesChatRequest(body);
    const prepared = await prepareChat(work.model, request, "messages");
    const writer = messageWriter(work.model.id);
    const events = chatEvents(work, serving, prepared);
    if (!request.stream) {
      for await (const event of events) writer.write(event);
      return respond.json(writer.message);
    }
    return respond.events(
      async (stream) => {
        for await (const event of events) {
          for (const each of writer.write(event)) stream.send(each, each.type);
        }
      },
      (error) => messageError(apiErrorOf(error, serving.onFailure)),
    );
  });
}
