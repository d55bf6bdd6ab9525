import { describe, expect, it } from "vitest";
import type { ChatEvent } from "../../../src/serve/protocol/chat-event.js";
import { checkBody } from "../../../src/serve/protocol/request-error.js";
import { responseWriter } from "../../../src/serve/protocol/responses-output.js";
import { responsesBody, responsesChatRequest } from "../../../src/serve/protocol/responses-request.js";
import { problemsOf } from "../openai-document.js";

const requestOf = (body: object) => responsesChatRequest(checkBody(responsesBody, body));
const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather.",
  parameters: { type: "object", properties: { city: { type: "string" } } },
};
const refused = (body: object) => {
  try {
    requestOf(body);
  } catch (error) {
    return error;
  }
  throw new Error("the body was accepted");
};

describe("the body of /v1/responses", () => {
  it("becomes a conversation", () => {
    const { messages, sampling, format, tools, toolChoice } = requestOf({
      model: "m",
      instructions: "Be brief.",
      input: [
        { role: "user", content: "Paris?" },
        {
          type: "message",
          role: "assistant",
          content: [{ type: "output_text", text: "Let me see.", annotations: [] }],
        },
        {
          type: "function_call",
          call_id: "c1",
          name: "get_weather",
          arguments: '{"city":"Paris"}',
          id: "fc_1",
          status: "completed",
        },
        { type: "function_call_output", call_id: "c1", output: "12 degrees" },
        {
          role: "user",
          content: [
            { type: "input_text", text: "And" },
            { type: "input_text", text: "now?" },
          ],
        },
      ],
      tools: [weather],
      tool_choice: "required",
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 20,
      text: { format: { type: "json_schema", name: "n", schema: { type: "object" }, strict: true } },
    });
    expect(messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Paris?" },
      {
        role: "assistant",
        content: "Let me see.",
        toolCalls: [{ id: "c1", name: "get_weather", arguments: '{"city":"Paris"}' }],
      },
      { role: "tool", content: "12 degrees", toolCallId: "c1" },
      { role: "user", content: "And\nnow?" },
    ]);
    expect(sampling).toMatchObject({ temperature: 0.5, topP: 0.9, maxTokens: 20, seed: undefined });
    expect(format).toEqual({ type: "json_schema", name: "n", schema: { type: "object" }, strict: true });
    expect(tools[0]).toMatchObject({ name: "get_weather", parameters: weather.parameters });
    expect(toolChoice).toEqual({ mode: "required", names: ["get_weather"] });
    expect(requestOf({ input: "Hi" }).messages).toEqual([{ role: "user", content: "Hi" }]);
    const choice = { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "get_weather" }] };
    expect(requestOf({ input: "Hi", tools: [weather], tool_choice: choice }).toolChoice.mode).toBe("auto");
  });

  it("names the field that it refuses", () => {
    for (const [fields, param] of [
      [{ previous_response_id: "resp_1" }, "previous_response_id"],
      [{ tools: [{ type: "web_search" }] }, "tools[0].type"],
      [{ background: true }, "background"],
      [{ truncation: "auto" }, "truncation"],
      [{ input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }, "input[0].content[0].type"],
      [{ input: [{ type: "reasoning", summary: [] }] }, "input[0].type"],
      [{ input: [] }, "input"],
      [{ tool_choice: "required" }, "tool_choice"],
      [{ tools: [weather], tool_choice: { type: "function", name: "other" } }, "tool_choice"],
      [{ max_tokens: 5 }, "max_tokens"],
      [{ text: { format: { type: "grammar" } } }, "text.format.type"],
    ] as const) {
      expect(refused({ input: "Hi", ...fields })).toMatchObject({ name: "RequestError", status: 400, param });
    }
  });
});

const token = { token: "Hi", bytes: [72, 105], logprob: -0.5, top: [{ token: "Hi", bytes: [72, 105], logprob: -0.5 }] };
const usage: ChatEvent = { type: "usage", usage: { promptTokens: 9, cachedTokens: 4, completionTokens: 6 } };
const started: ChatEvent = { type: "started", promptTokens: 9, cachedTokens: 4 };

function written(body: object, events: readonly ChatEvent[]) {
  const writer = responseWriter(checkBody(responsesBody, body), { model: "m", created: 1_700_000_000 });
  const stream = events.flatMap((event) => writer.write(event));
  for (const event of stream) expect(problemsOf("ResponseStreamEvent", event)).toEqual([]);
  expect(problemsOf("Response", writer.response)).toEqual([]);
  expect(stream.map(({ sequence_number }) => sequence_number)).toEqual(stream.map((_, index) => index));
  // biome-ignore lint/suspicious/noExplicitAny: checked against the document
  return { stream: stream as readonly any[], types: stream.map(({ type }) => type), response: writer.response as any };
}

describe("the stream of /v1/responses", () => {
  it("writes a text and then calls, and the same response at the end", () => {
    const { stream, types, response } = written({ input: "Hi", tools: [weather], metadata: { a: "b" } }, [
      started,
      { type: "text", index: 0, text: "Hi", tokens: [token] },
      { type: "text", index: 0, text: " there", tokens: [] },
      { type: "call", index: 0, call: 0, id: "call_1", name: "get_weather" },
      { type: "arguments", index: 0, call: 0, text: '{"city":' },
      { type: "arguments", index: 0, call: 0, text: '"Paris"}' },
      { type: "call", index: 0, call: 1, id: "call_2", name: "get_weather" },
      { type: "arguments", index: 0, call: 1, text: "{}" },
      { type: "finished", index: 0, reason: "tool_calls", stopString: null },
      usage,
    ]);
    expect(types).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.output_item.added",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.done",
      "response.output_item.done",
      "response.output_item.added",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(stream.at(-1).response).toEqual(response);
    expect(stream[0].response).toMatchObject({ status: "in_progress", output: [] });
    expect(stream[0].response).not.toHaveProperty("usage");
    expect(response).toMatchObject({
      ...{ status: "completed", model: "m", metadata: { a: "b" }, incomplete_details: null },
      output: [
        { type: "message", status: "completed", content: [{ text: "Hi there", logprobs: [{ token: "Hi" }] }] },
        { type: "function_call", call_id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' },
        { type: "function_call", call_id: "call_2", arguments: "{}", status: "completed" },
      ],
      usage: { input_tokens: 9, input_tokens_details: { cached_tokens: 4 }, output_tokens: 6, total_tokens: 15 },
    });
    const added = stream.filter(({ type }) => type === "response.output_item.added");
    expect(added.map(({ output_index, item }) => [output_index, item.status])).toEqual(
      [0, 1, 2].map((index) => [index, "in_progress"]),
    );
    const deltas = stream.filter(({ type }) => type === "response.output_text.delta");
    expect(new Set(deltas.map(({ item_id }) => item_id))).toEqual(new Set([response.output[0].id]));
  });

  it("ends incomplete at the token limit, and an empty answer is a message", () => {
    const { types, response } = written({ input: "Hi" }, [
      started,
      { type: "text", index: 0, text: "cut", tokens: [] },
      { type: "finished", index: 0, reason: "length", stopString: null },
      usage,
    ]);
    expect(types.at(-1)).toBe("response.incomplete");
    expect(response).toMatchObject({
      ...{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
      output: [{ status: "incomplete" }],
    });
    const empty = written({ input: "Hi" }, [
      started,
      { type: "finished", index: 0, reason: "stop", stopString: null },
      usage,
    ]);
    expect(empty.response.output).toMatchObject([{ type: "message", content: [{ text: "" }] }]);
  });
});
