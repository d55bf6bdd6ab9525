import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ChatEvent } from "../../../src/serve/protocol/chat-event.js";
import { gatherAnswers } from "../../../src/serve/protocol/chat-event.js";
import { checkBody, RequestError } from "../../../src/serve/protocol/request-error.js";

const part = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({ type: z.literal("number"), number: z.number() }),
]);
const schema = z.strictObject({
  content: z.union([z.string(), z.array(part)]).optional(),
  choice: z
    .union([z.enum(["none", "auto"]), z.strictObject({ type: z.literal("function"), name: z.string() })])
    .optional(),
  temperature: z.number().min(0).max(2).nullish(),
});

function refused(body: unknown): RequestError {
  try {
    checkBody(schema, body);
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  throw new Error("the body was accepted");
}

describe("checkBody", () => {
  it("names the field at fault, inside the alternative that fits best", () => {
    for (const [body, message, param] of [
      [{ content: 1 }, "content must be text or a list, not 1", "content"],
      [{ content: [{ type: "image" }] }, 'content[0].type must be one of text, number, not "image"', "content[0].type"],
      [{ content: [{}] }, "content[0].type is missing; it is one of text, number", "content[0].type"],
      [{ content: [{ type: "text", text: 3 }] }, "content[0].text must be text, not 3", "content[0].text"],
      [{ choice: "any" }, 'choice must be none or auto or an object, not "any"', "choice"],
      [{ choice: { type: "function" } }, "choice.name is missing", "choice.name"],
      [{ temperature: 3 }, "temperature must be at most 2, not 3", "temperature"],
      [[], "the body must be a JSON object", null],
    ] as const) {
      expect(refused(body)).toMatchObject({ message, param, status: 400, type: "invalid_request_error" });
    }
  });

  it("refuses an unknown field at any depth and names the nearest", () => {
    expect(refused({ temprature: 1 })).toMatchObject({
      message: "unknown field temprature; did you mean temperature?",
      param: "temprature",
      code: "unknown_parameter",
    });
    const body = { content: [{ type: "text", text: "", cache_control: 1 }] };
    expect(refused(body)).toMatchObject({ param: "content[0].cache_control", code: "unknown_parameter" });
  });
});

describe("gatherAnswers", () => {
  it("joins the pieces of each answer", async () => {
    const events: ChatEvent[] = [
      { type: "started", promptTokens: 5, cachedTokens: 2 },
      { type: "text", index: 1, text: "b", tokens: [] },
      { type: "text", index: 0, text: "Hel", tokens: [{ token: "Hel", bytes: [72], logprob: -1, top: [] }] },
      { type: "text", index: 0, text: "lo", tokens: [] },
      { type: "call", index: 1, call: 0, id: "c1", name: "f" },
      { type: "arguments", index: 1, call: 0, text: '{"a":' },
      { type: "finished", index: 0, reason: "stop", stopString: "\n" },
      { type: "arguments", index: 1, call: 0, text: "1}" },
      { type: "finished", index: 1, reason: "tool_calls", stopString: null },
      { type: "usage", usage: { promptTokens: 5, cachedTokens: 2, completionTokens: 9 } },
    ];
    const { answers, usage } = await gatherAnswers(events);
    expect(answers).toEqual([
      {
        text: "Hello",
        tokens: [{ token: "Hel", bytes: [72], logprob: -1, top: [] }],
        toolCalls: [],
        finishReason: "stop",
        stopString: "\n",
      },
      {
        text: "b",
        tokens: [],
        toolCalls: [{ id: "c1", name: "f", arguments: '{"a":1}' }],
        finishReason: "tool_calls",
        stopString: null,
      },
    ]);
    expect(usage.completionTokens).toBe(9);
    await expect(gatherAnswers(events.slice(0, -1))).rejects.toThrow("ended early");
  });
});
