import { describe, expect, it } from "vitest";
import type { ChatEvent } from "../../../src/serve/protocol/chat-event.js";
import { messageError, messageWriter } from "../../../src/serve/protocol/messages-output.js";
import { messagesBody, messagesChatRequest } from "../../../src/serve/protocol/messages-request.js";
import { checkBody } from "../../../src/serve/protocol/request-error.js";

const requestOf = (body: object) => messagesChatRequest(checkBody(messagesBody, body));
const base = { model: "m", max_tokens: 16, messages: [{ role: "user", content: "Hi" }] };
const weather = { name: "get_weather", description: "The weather.", input_schema: { type: "object", properties: {} } };
const refused = (fields: object) => {
  try {
    requestOf({ ...base, ...fields });
  } catch (error) {
    return error;
  }
  throw new Error("the body was accepted");
};

describe("the body of /v1/messages", () => {
  it("becomes a conversation", () => {
    const request = requestOf({
      ...base,
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
      messages: [
        { role: "user", content: "Paris?" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "Let me see." },
            { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Paris" } },
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "toolu_1",
              content: [{ type: "text", text: "no such city" }],
              is_error: true,
            },
            { type: "text", text: "And now?" },
          ],
        },
      ],
      stop_sequences: ["END"],
      temperature: 0.3,
      top_k: 5,
      tools: [weather],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
    });
    expect(request.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Paris?" },
      {
        role: "assistant",
        content: "Let me see.",
        toolCalls: [{ id: "toolu_1", name: "get_weather", arguments: '{"city":"Paris"}' }],
      },
      { role: "tool", content: "Error: no such city", toolCallId: "toolu_1" },
      { role: "user", content: "And now?" },
    ]);
    expect(request).toMatchObject({
      parallelToolCalls: false,
      toolChoice: { mode: "required", names: ["get_weather"] },
      continuesLastMessage: false,
      sampling: { temperature: 0.3, topK: 5, stop: ["END"], maxTokens: 16 },
    });
    const prefilled = [...base.messages, { role: "assistant", content: "The" }];
    expect(requestOf({ ...base, messages: prefilled }).continuesLastMessage).toBe(true);
    expect(requestOf({ ...base, tools: [weather] }).toolChoice.mode).toBe("auto");
    expect(requestOf({ ...base, tools: [weather], tool_choice: { type: "none" } }).toolChoice.mode).toBe("none");
  });

  it("names the field that it refuses", () => {
    for (const [fields, param] of [
      [{ max_tokens: undefined }, "max_tokens"],
      [{ messages: [] }, "messages"],
      [{ messages: [{ role: "system", content: "x" }] }, "messages[0].role"],
      [{ messages: [{ role: "user", content: [{ type: "image", source: {} }] }] }, "messages[0].content[0].type"],
      [{ thinking: { type: "enabled", budget_tokens: 1024 } }, "thinking.type"],
      [{ temperature: 1.5 }, "temperature"],
      [{ tools: [weather], tool_choice: { type: "tool", name: "other" } }, "tool_choice.name"],
      [{ tool_choice: { type: "any" } }, "tool_choice"],
      [{ frequency_penalty: 1 }, "frequency_penalty"],
    ] as const) {
      expect(refused(fields)).toMatchObject({ name: "RequestError", status: 400, param });
    }
  });
});

const started: ChatEvent = { type: "started", promptTokens: 9, cachedTokens: 4 };
const usage: ChatEvent = { type: "usage", usage: { promptTokens: 9, cachedTokens: 4, completionTokens: 6 } };

describe("the stream of /v1/messages", () => {
  it("writes blocks of text and of tool use", () => {
    const writer = messageWriter("m");
    const events: ChatEvent[] = [
      started,
      { type: "text", index: 0, text: "Let", tokens: [] },
      { type: "text", index: 0, text: " me see.", tokens: [] },
      { type: "call", index: 0, call: 0, id: "call_1", name: "get_weather" },
      { type: "arguments", index: 0, call: 0, text: '{"city":' },
      { type: "arguments", index: 0, call: 0, text: '"Paris"}' },
      { type: "finished", index: 0, reason: "tool_calls", stopString: null },
      usage,
    ];
    const stream = events.flatMap((event) => writer.write(event));
    expect(stream.map(({ type, index }) => (index === undefined ? type : `${type} ${index}`))).toEqual([
      "message_start",
      "ping",
      "content_block_start 0",
      "content_block_delta 0",
      "content_block_delta 0",
      "content_block_stop 0",
      "content_block_start 1",
      "content_block_delta 1",
      "content_block_delta 1",
      "content_block_stop 1",
      "message_delta",
      "message_stop",
    ]);
    expect(stream[0]).toMatchObject({ message: { content: [], stop_reason: null, usage: { input_tokens: 5 } } });
    expect(stream[6].content_block).toEqual({ type: "tool_use", id: "call_1", name: "get_weather", input: {} });
    expect(stream[7].delta).toEqual({ type: "input_json_delta", partial_json: '{"city":' });
    expect(stream[10]).toEqual({
      type: "message_delta",
      delta: { stop_reason: "tool_use", stop_sequence: null },
      usage: { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 4, output_tokens: 6 },
    });
    expect(writer.message).toMatchObject({
      ...{ type: "message", role: "assistant", model: "m", stop_reason: "tool_use", stop_sequence: null },
      content: [
        { type: "text", text: "Let me see." },
        { type: "tool_use", id: "call_1", name: "get_weather", input: { city: "Paris" } },
      ],
      usage: { input_tokens: 5, cache_read_input_tokens: 4, output_tokens: 6 },
    });
  });

  it("says why it stopped", () => {
    for (const [reason, stopString, stop_reason] of [
      ["stop", null, "end_turn"],
      ["length", null, "max_tokens"],
      ["stop", "END", "stop_sequence"],
    ] as const) {
      const writer = messageWriter("m");
      for (const event of [started, { type: "finished", index: 0, reason, stopString }, usage] as ChatEvent[]) {
        writer.write(event);
      }
      expect(writer.message).toMatchObject({ stop_reason, stop_sequence: stopString, content: [] });
    }
  });

  it("has errors in Anthropic's form", () => {
    const typeOf = (status: number) => messageError({ status, message: "m" }).error.type;
    expect(messageError({ status: 404, message: "no model" })).toEqual({
      type: "error",
      error: { type: "not_found_error", message: "no model" },
    });
    expect([400, 401, 405, 413, 429, 500, 503].map(typeOf)).toEqual([
      ...["invalid_request_error", "authentication_error", "invalid_request_error", "request_too_large"],
      ...["rate_limit_error", "api_error", "overloaded_error"],
    ]);
  });
});
