/** /v1/chat/completions: answers, streams, log-probabilities, usage, and what it refuses. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, renderChat } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing, TINY } from "./serving.js";

const PATH = "/v1/chat/completions";
const messages = [
  { role: "system", content: "on" },
  { role: "user", content: "the other" },
];
const base = { model: "tiny", messages, max_tokens: 24, seed: 3 };
/** The ids that end a turn or are no text. */
const ban = { 0: -100, 1: -100, 2: -100 };

let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

const contentOf = async (body: object) => (await server.ok(PATH, body)).choices[0].message.content as string;
const ofChoice = (chunks: readonly Answer[], index: number): Answer[] =>
  chunks.flatMap(({ choices }) => choices.filter((choice: Answer) => choice.index === index));
const join_ = (chunks: readonly Answer[], index = 0) =>
  ofChoice(chunks, index)
    .map(({ delta }) => delta.content ?? "")
    .join("");

describe("chat completions", { timeout: SLOW_BUILD }, () => {
  it("answers a conversation through the model's template", async () => {
    const answer = await server.ok(PATH, base);
    expect(answer).toMatchObject({ object: "chat.completion", model: "tiny" });
    expect(answer.choices[0].message).toMatchObject({ role: "assistant", refusal: null });
    const tokenizer = await loadTokenizer(TINY);
    const text = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
    expect(answer.usage.prompt_tokens).toBe(tokenizer.encode(text, { special: "allow" }).length);
    expect(await contentOf(base)).toBe(answer.choices[0].message.content);
    const developer = [{ ...messages[0], role: "developer" }, messages[1]];
    expect(await contentOf({ ...base, messages: developer })).toBe(answer.choices[0].message.content);
    const parts = [messages[0], { role: "user", content: [{ type: "text", text: "the other" }] }];
    expect(await contentOf({ ...base, messages: parts })).toBe(answer.choices[0].message.content);
  });

  it("streams the same answer, the role first and a reason last", async () => {
    for (const seed of [3, 4, 5]) {
      const whole = await server.ok(PATH, { ...base, seed });
      const stream_options = { include_usage: true, include_obfuscation: true };
      const { chunks, isDone } = await server.stream(PATH, { ...base, seed, stream_options });
      expect(isDone).toBe(true);
      expect(chunks[0].choices[0].delta).toEqual({ role: "assistant", content: null, refusal: null });
      expect(chunks.slice(1).every(({ choices }) => choices.every(({ delta }: Answer) => !("role" in delta)))).toBe(
        true,
      );
      expect(join_(chunks)).toBe(whole.choices[0].message.content);
      expect(chunks.at(-2).choices).toMatchObject([{ delta: {}, finish_reason: whole.choices[0].finish_reason }]);
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: whole.usage.total_tokens } });
      expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
      expect(new Set(chunks.map(({ obfuscation }) => obfuscation)).size).toBeGreaterThan(1);
    }
    const { chunks } = await server.stream(PATH, base);
    expect(chunks.every(({ choices, usage }) => choices.length === 1 && usage === undefined)).toBe(true);
  });

  it("answers n times, each as with its own seed, with one prefill", async () => {
    const { choices, usage } = await server.ok(PATH, { ...base, n: 3 });
    for (const [i, { index, message }] of choices.entries()) {
      expect(index).toBe(i);
      expect(message.content).toBe(await contentOf({ ...base, seed: base.seed + i }));
    }
    expect(usage.prompt_tokens).toBe((await server.ok(PATH, base)).usage.prompt_tokens);
    const { chunks } = await server.stream(PATH, { ...base, n: 3 });
    for (const { index, message, finish_reason } of choices) {
      expect(join_(chunks, index)).toBe(message.content);
      expect(ofChoice(chunks, index).at(-1).finish_reason).toBe(finish_reason);
    }
  });

  it("reports log-probabilities of the tokens of its text, in streams too", async () => {
    const fields = { ...base, logit_bias: ban, logprobs: true, top_logprobs: 5 };
    const { choices } = await server.ok(PATH, fields);
    const { content } = choices[0].logprobs;
    const bytes = content.flatMap((token: Answer) => token.bytes);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(choices[0].message.content);
    for (const { logprob, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs).toHaveLength(5);
      const sorted = [...top_logprobs].sort((a: Answer, b: Answer) => b.logprob - a.logprob);
      expect(top_logprobs).toEqual(sorted);
    }
    const { chunks } = await server.stream(PATH, fields);
    const streamed = ofChoice(chunks, 0).flatMap(({ logprobs }) => logprobs?.content ?? []);
    expect(streamed).toEqual(content);
    for (const choice of ofChoice(chunks, 0).slice(1, -1)) expect(choice.logprobs.content.length).toBeGreaterThan(0);
    const plain = await server.ok(PATH, { ...base, logprobs: true });
    expect(plain.choices[0].logprobs.content[0].top_logprobs).toEqual([]);
    expect((await server.ok(PATH, base)).choices[0].logprobs).toBeNull();
  });

  it("reports cached tokens of a repeated prompt", async () => {
    const long = [{ role: "user", content: "on the other ".repeat(4) }];
    const first = await server.ok(PATH, { ...base, messages: long, temperature: 0 });
    const again = await server.ok(PATH, { ...base, messages: long, temperature: 0 });
    expect(again.usage.prompt_tokens_details.cached_tokens).toBeGreaterThanOrEqual(again.usage.prompt_tokens - 1);
    expect(again.choices).toEqual(first.choices);
  });

  it("continues a last message of the assistant on request", async () => {
    const open = [...messages, { role: "assistant", content: "on the" }];
    const continued = await server.ok(PATH, { ...base, messages: open, continue_final_message: true });
    const tokenizer = await loadTokenizer(TINY);
    const text = await renderChat(tokenizer, open, { continueFinalMessage: true });
    expect(continued.usage.prompt_tokens).toBe(tokenizer.encode(text, { special: "allow" }).length);
  });

  it("refuses a conversation that is too long, before a stream begins", async () => {
    const long = [{ role: "user", content: "on".repeat(400) }];
    for (const stream of [false, true]) {
      const error = await server.refused(PATH, { ...base, messages: long, stream });
      expect(error.message).toMatch(/the prompt has \d{3} tokens, but the model's context is 96/);
      expect(error).toMatchObject({ param: "messages", code: "context_length_exceeded" });
    }
  });

  it.each<[object, string, RegExp]>([
    [{ messages: undefined }, "messages", /messages is missing/],
    [{ messages: null }, "messages", /messages must be a list/],
    [{ messages: "text" }, "messages", /messages must be a list/],
    [{ messages: [] }, "messages", /messages must not be empty/],
    [{ messages: [123] }, "messages", /must be an object/],
    [{ messages: [{}] }, "messages[0].role", /role/],
    [{ messages: [{ role: 123, content: "" }] }, "messages[0].role", /role/],
    [{ messages: [{ role: "miller", content: "" }] }, "messages[0].role", /role/],
    [{ messages: [{ role: "system", content: 123 }] }, "messages[0].content", /content must be text/],
    [{ messages: [{ role: "user" }] }, "messages[0].content", /content/],
    [{ messages: [messages[1], {}] }, "messages[1].role", /role/],
    [{ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "a" } }] }] }, "", /text/],
    [{ messages: [{ role: "user", content: "a", colour: 1 }] }, "messages[0].colour", /unknown field/],
    [{ messages: [{ role: "assistant" }] }, "messages[0].content", /neither content nor tool_calls/],
    [
      { messages: [messages[1], { role: "assistant", content: "a" }, { role: "assistant", content: "b" }] },
      "messages",
      /two/,
    ],
    [{ messages: [{ role: "tool", content: "a" }] }, "messages[0].tool_call_id", /missing/],
    [{ max_tokens: 0 }, "max_tokens", /at least 1/],
    [{ max_completion_tokens: 5 }, "max_tokens", /different/],
    [{ top_logprobs: 3 }, "top_logprobs", /only allowed when logprobs is true/],
    [{ logprobs: true, top_logprobs: 21 }, "top_logprobs", /at most 20/],
    [{ logprobs: 3 }, "logprobs", /true or false/],
    [{ response_format: { type: "sound" } }, "response_format.type", /type/],
    [{ response_format: { type: "json_object", schema: 123 } }, "response_format.schema", /unknown field/],
    [{ response_format: { type: "json_schema", json_schema: { schema: 5 } } }, "", /schema/],
    [{ tools: [{ type: "retrieval" }] }, "", /function/],
    [{ tool_choice: "required" }, "tool_choice", /only allowed with tools/],
    [{ n: 200 }, "n", /at most 128/],
    [{ modalities: ["audio"] }, "", /text/],
    [{ audio: { voice: "a", format: "wav" } }, "audio", /audio is not supported/],
    [{ functions: [] }, "functions", /functions is not supported by this server, which has tools/],
    [{ web_search_options: {} }, "web_search_options", /not supported/],
    [{ reasoning_effort: "high" }, "reasoning_effort", /none/],
    [{ continue_final_message: true }, "continue_final_message", /last message of the assistant/],
    [{ continue_final_message: true, add_generation_prompt: true }, "continue_final_message", /excludes/],
    [{ grammar: "root ::= a" }, "grammar", /unknown field grammar/],
  ])("refuses %j", async (fields, param, message) => {
    const error = await server.refused(PATH, { ...base, ...fields });
    expect(error.message).toMatch(message);
    if (param !== "") expect(error.param).toBe(param);
  });

  it("accepts null for optional fields, and metadata", async () => {
    const names = ["n", "stop", "seed", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "audio"];
    const nulls = Object.fromEntries([...names, "functions", "function_call", "stream"].map((name) => [name, null]));
    await server.ok(PATH, { ...base, ...nulls });
    await server.ok(PATH, {
      ...base,
      ...{ user: "me", metadata: { a: "b" }, store: true, service_tier: "auto", parallel_tool_calls: true },
      ...{ safety_identifier: "a", prompt_cache_key: "b", modalities: ["text"], reasoning_effort: "none" },
      response_format: { type: "text" },
    });
  });

  it("refuses to chat with a base model", async () => {
    const folder = mkdtempSync(join(tmpdir(), "quern-serve-"));
    cpSync(TINY, join(folder, "base"), { recursive: true, filter: (path) => !path.endsWith("chat_template.jinja") });
    const other = await startServing({ model: [join(folder, "base")] });
    const error = await other.refused(PATH, { messages });
    expect(error.message).toMatch(/base has no chat template: it is a base model; use \/v1\/completions/);
    await other.close();
    rmSync(folder, { recursive: true });
  });
});
