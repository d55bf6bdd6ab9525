/** @file The published clients against a server with a tiny random model, whose calls and documents fit because they are constrained. */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateObject, generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../model/targets.js";
import { startServing, type TestServing } from "./serving.js";
import { wideModel } from "./wide-model.js";

let server: TestServing;
let folder: string;
let baseURL: string;
beforeAll(async () => {
  folder = wideModel(1024);
  server = await startServing({ model: [`tiny=${folder}`] });
  baseURL = `${server.url}/v1`;
}, SLOW_BUILD);
afterAll(async () => {
  await server.close();
  rmSync(dirname(folder), { recursive: true });
});

const UNITS = ["celsius", "kelvin"];
const parameters = {
  type: "object",
  properties: { unit: { type: "string", enum: UNITS }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["unit", "days"],
  additionalProperties: false,
} as const;
const description = "The weather of the coming days.";
const expectArguments = (given: unknown) => {
  const { unit, days } = given as { unit: string; days: number };
  expect(UNITS).toContain(unit);
  expect(Number.isInteger(days) && days >= 1 && days <= 9).toBe(true);
};
const messages = [{ role: "user" as const, content: "the other" }];

describe("openai", { timeout: SLOW_BUILD }, () => {
  const client = () => new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 });
  const base = { model: "tiny", messages, max_tokens: 16, temperature: 0 };
  const tools = [{ type: "function" as const, function: { name: "get_weather", description, parameters } }];

  it("chats, and streams the same text", async () => {
    const whole = await client().chat.completions.create(base);
    const stream = client().chat.completions.stream({ ...base, stream_options: { include_usage: true } });
    let text = "";
    stream.on("content", (delta) => {
      text += delta;
    });
    const final = await stream.finalChatCompletion();
    expect(text).toBe(whole.choices[0].message.content);
    expect(final.usage?.total_tokens).toBe(whole.usage?.total_tokens);
  });

  it("calls a tool, in a stream too, and takes its result", async () => {
    const wanted = { ...base, max_tokens: 96, tools, tool_choice: "required" as const, parallel_tool_calls: false };
    const { choices } = await client().chat.completions.create(wanted);
    const [call] = choices[0].message.tool_calls!;
    expect(call.type === "function" && call.function.name).toBe("get_weather");
    if (call.type === "function") expectArguments(JSON.parse(call.function.arguments));
    const streamed = await client().chat.completions.stream(wanted).finalMessage();
    expect(streamed.tool_calls).toMatchObject([{ function: { name: "get_weather" } }]);
    const result = { role: "tool" as const, tool_call_id: call.id, content: "mild" };
    const after = await client().chat.completions.create({
      ...base,
      messages: [...messages, choices[0].message, result],
    });
    expect(typeof after.choices[0].message.content).toBe("string");
  });

  it("fits a schema", async () => {
    const json_schema = { name: "weather", schema: parameters, strict: true };
    const response_format = { type: "json_schema" as const, json_schema };
    const { choices } = await client().chat.completions.create({ ...base, max_tokens: 96, response_format });
    expectArguments(JSON.parse(choices[0].message.content!));
  });

  it("reads log-probabilities", async () => {
    const { choices } = await client().chat.completions.create({ ...base, logprobs: true, top_logprobs: 3 });
    const { content } = choices[0].logprobs!;
    expect(content!.every(({ logprob, top_logprobs }) => logprob <= 0 && top_logprobs.length === 3)).toBe(true);
  });

  it("reads responses and their stream", async () => {
    const request = { model: "tiny", input: "the other", max_output_tokens: 16, temperature: 0 };
    const whole = await client().responses.create(request);
    expect(whole.output_text.length).toBeGreaterThan(0);
    let text = "";
    let end = "";
    for await (const event of await client().responses.create({ ...request, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      end = event.type;
    }
    expect(text).toBe(whole.output_text);
    expect(["response.completed", "response.incomplete"]).toContain(end);
    const called = await client().responses.create({
      ...{ ...request, max_output_tokens: 96, tool_choice: "required" as const, parallel_tool_calls: false },
      tools: [{ type: "function", name: "get_weather", description, parameters, strict: true }],
    });
    const [item] = called.output;
    expect(item.type).toBe("function_call");
    if (item.type === "function_call") expectArguments(JSON.parse(item.arguments));
  });

  it("throws its own errors, with the field at fault", async () => {
    const wrong = client().chat.completions.create({ ...base, temperature: 9 });
    await expect(wrong).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: "temperature" });
    await expect(client().chat.completions.create({ ...base, model: "other" })).rejects.toBeInstanceOf(
      OpenAI.NotFoundError,
    );
  });

  it("aborts a stream", async () => {
    const stream = await client().chat.completions.create({ ...base, max_tokens: 900, stream: true });
    let chunks = 0;
    for await (const _ of stream) {
      chunks += 1;
      if (chunks === 2) stream.controller.abort();
    }
    expect(chunks).toBeLessThan(900);
    const next = await client().chat.completions.create(base);
    expect(next.choices).toHaveLength(1);
  });
});

describe("ai with @ai-sdk/openai-compatible", { timeout: SLOW_BUILD }, () => {
  const model = () => createOpenAICompatible({ name: "quern", baseURL, supportsStructuredOutputs: true })("tiny");
  const base = { prompt: "the other", maxOutputTokens: 16, temperature: 0, maxRetries: 0 };

  it("chats and streams the same text", async () => {
    const { text } = await generateText({ model: model(), ...base });
    let streamed = "";
    for await (const piece of streamText({ model: model(), ...base }).textStream) streamed += piece;
    expect(streamed).toBe(text);
    expect(text.length).toBeGreaterThan(0);
  });

  it("calls a tool and fits a schema", async () => {
    const wide = { ...base, model: model(), maxOutputTokens: 96 };
    const { toolCalls } = await generateText({
      ...wide,
      tools: { get_weather: tool({ description, inputSchema: jsonSchema(parameters) }) },
      toolChoice: "required",
    });
    expect(toolCalls[0].toolName).toBe("get_weather");
    expectArguments(toolCalls[0].input);
    const { object } = await generateObject({ ...wide, schema: jsonSchema(parameters) });
    expectArguments(object);
  });

  it("reports errors, and aborts", async () => {
    await expect(generateText({ model: model(), ...base, temperature: 9 })).rejects.toMatchObject({ statusCode: 400 });
    const controller = new AbortController();
    const running = generateText({ model: model(), ...base, maxOutputTokens: 900, abortSignal: controller.signal });
    controller.abort();
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("@langchain/openai", { timeout: SLOW_BUILD }, () => {
  const chat = (fields: object = {}) =>
    new ChatOpenAI({
      ...{ model: "tiny", apiKey: "none", temperature: 0, maxTokens: 16, maxRetries: 0 },
      ...{ configuration: { baseURL }, ...fields },
    });

  it("chats and streams the same text, with log-probabilities", async () => {
    const whole = await chat().invoke("the other");
    let text = "";
    for await (const piece of await chat().stream("the other")) text += piece.content as string;
    expect(text).toBe(whole.content);
    const { response_metadata } = await chat({ logprobs: true, topLogprobs: 2 }).invoke("the other");
    const { content } = response_metadata.logprobs as { content: { top_logprobs: unknown[] }[] };
    expect(content.length).toBeGreaterThan(0);
    for (const { top_logprobs } of content) expect(top_logprobs).toHaveLength(2);
  });

  it("calls a tool and fits a schema", async () => {
    const bound = chat({ maxTokens: 96 }).bindTools(
      [{ type: "function", function: { name: "get_weather", description, parameters } }],
      { tool_choice: "required" },
    );
    const { tool_calls } = await bound.invoke("the other");
    expect(tool_calls![0].name).toBe("get_weather");
    expectArguments(tool_calls![0].args);
    const structured = chat({ maxTokens: 96 }).withStructuredOutput(parameters, {
      method: "jsonSchema",
      name: "weather",
    });
    expectArguments(await structured.invoke("the other"));
  });

  it("reports errors, and aborts", async () => {
    await expect(chat({ temperature: 9 }).invoke("the other")).rejects.toMatchObject({ status: 400 });
    const controller = new AbortController();
    const running = chat({ maxTokens: 900 }).invoke("the other", { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toThrow(/abort/i);
  });
});
