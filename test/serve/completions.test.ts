/** /v1/completions: text, streams, stop strings, seeds, echo, best_of, usage, and what it refuses. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing, TINY } from "./serving.js";

const PATH = "/v1/completions";
/** A prompt that the tiny model continues for long. */
const base = { model: "tiny", prompt: "the other", max_tokens: 24, seed: 3 };

let server: TestServing;
beforeAll(async () => {
  server = await startServing();
}, SLOW_BUILD);
afterAll(() => server.close());

const textOf = async (body: object) => (await server.ok(PATH, body)).choices[0].text as string;
const join = (chunks: readonly Answer[], index = 0) =>
  chunks
    .flatMap(({ choices }) => choices.filter((choice: Answer) => choice.index === index))
    .map(({ text }) => text)
    .join("");

describe("completions", { timeout: SLOW_BUILD }, () => {
  it("continues a text, the same for the same seed", async () => {
    const answer = await server.ok(PATH, base);
    expect(answer).toMatchObject({ object: "text_completion", model: "tiny" });
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    const tokenizer = await loadTokenizer(TINY);
    expect(prompt_tokens).toBe(tokenizer.encode(base.prompt, { addSpecial: true }).length);
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
    expect(answer.choices[0].finish_reason).toMatch(/stop|length/);
    expect(await textOf(base)).toBe(answer.choices[0].text);
    expect(await textOf({ ...base, seed: 4 })).not.toBe(answer.choices[0].text);
    expect(await textOf({ ...base, seed: -5 })).toBe(await textOf({ ...base, seed: -5 }));
  });

  it("takes the only model if none is named, and 16 tokens", async () => {
    const { usage } = await server.ok(PATH, { prompt: "the", seed: 8, logit_bias: { 2: -100, 0: -100, 1: -100 } });
    expect(usage.completion_tokens).toBeLessThanOrEqual(16);
  });

  it("streams the same text in whole characters, with usage at the end", async () => {
    for (const seed of [3, 4, 5, 6]) {
      const whole = await server.ok(PATH, { ...base, seed });
      const { chunks, isDone } = await server.stream(PATH, {
        ...base,
        seed,
        stream_options: { include_usage: true },
      });
      expect(isDone).toBe(true);
      expect(join(chunks)).toBe(whole.choices[0].text);
      const last = chunks.at(-1);
      expect(last.choices).toEqual([]);
      expect(last.usage).toMatchObject({ ...whole.usage, prompt_tokens_details: expect.anything() });
      expect(chunks.slice(0, -1).every(({ usage }) => usage === undefined)).toBe(true);
      expect(chunks.at(-2).choices[0].finish_reason).toBe(whole.choices[0].finish_reason);
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    }
  });

  it("ends before a stop string and never sends a piece of it", async () => {
    const whole = await textOf({ ...base, max_tokens: 40 });
    const characters = [...whole];
    const stop = characters.slice(8, 11).join("");
    const before = whole.slice(0, whole.indexOf(stop));
    const { choices } = await server.ok(PATH, { ...base, max_tokens: 40, stop: [stop, "never"], logprobs: 1 });
    expect(choices[0]).toMatchObject({ text: before, finish_reason: "stop" });
    const { text_offset } = choices[0].logprobs;
    expect(text_offset.every((at: number) => at < [...before].length)).toBe(true);
    const { chunks } = await server.stream(PATH, { ...base, max_tokens: 40, stop });
    let sent = "";
    for (const { choices } of chunks) {
      sent += choices[0].text;
      expect(before.startsWith(sent)).toBe(true);
    }
    expect(sent).toBe(before);
  });

  it("generates n completions, each as with its own seed", async () => {
    const { choices, usage } = await server.ok(PATH, { ...base, n: 3 });
    expect(choices.map(({ index }: Answer) => index)).toEqual([0, 1, 2]);
    for (const [i, { text }] of choices.entries()) expect(text).toBe(await textOf({ ...base, seed: base.seed + i }));
    expect(usage.prompt_tokens).toBe((await server.ok(PATH, base)).usage.prompt_tokens);
    const { chunks } = await server.stream(PATH, { ...base, n: 3 });
    for (const { index, text } of choices) expect(join(chunks, index)).toBe(text);
  });

  it("keeps the likeliest of best_of, and counts the tokens of all", async () => {
    const all = await server.ok(PATH, { ...base, n: 4, logprobs: 0 });
    const mean = ({ logprobs: { token_logprobs: each } }: Answer) =>
      each.reduce((sum: number, one: number) => sum + one, 0) / Math.max(1, each.length);
    const best = [...all.choices].sort((a: Answer, b: Answer) => mean(b) - mean(a)).slice(0, 2);
    const { choices, usage } = await server.ok(PATH, { ...base, n: 2, best_of: 4 });
    expect(choices.map(({ text }: Answer) => text)).toEqual(best.map(({ text }: Answer) => text));
    expect(usage.completion_tokens).toBe(all.usage.completion_tokens);
  });

  it("takes several prompts, as texts or ids", async () => {
    const texts = ["the other", "on", "hello"];
    const { choices } = await server.ok(PATH, { ...base, prompt: texts, n: 2 });
    expect(choices.map(({ index }: Answer) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const [i, prompt] of texts.entries()) expect(choices[2 * i].text).toBe(await textOf({ ...base, prompt }));
    const tokenizer = await loadTokenizer(TINY);
    const ids = texts.map((text) => Array.from(tokenizer.encode(text, { addSpecial: true })));
    const same = await server.ok(PATH, { ...base, prompt: ids, n: 2 });
    expect(same.choices).toEqual(choices);
    expect(await textOf({ ...base, prompt: ids[0] })).toBe(choices[0].text);
  });

  it("is greedy at temperature 0 and at top_p 0, and biased by logit_bias", async () => {
    const greedy = await textOf({ ...base, temperature: 0 });
    expect(await textOf({ ...base, temperature: 0, seed: 77 })).toBe(greedy);
    expect(await textOf({ ...base, top_p: 0 })).toBe(greedy);
    expect(await textOf({ ...base, top_k: 1 })).toBe(greedy);
    expect(await textOf({ ...base, min_p: 1 })).toBe(greedy);
    const forced = await server.ok(PATH, { ...base, max_tokens: 5, logit_bias: { 70: 100 }, temperature: 0 });
    const tokenizer = await loadTokenizer(TINY);
    expect(forced.choices[0].text).toBe(tokenizer.decode([70, 70, 70, 70, 70]));
  });

  it("gives each request the same text alone and beside seven others", async () => {
    const requests = Array.from({ length: 8 }, (_, i) => ({
      ...base,
      prompt: `the other ${"on ".repeat(i)}`,
      seed: i,
    }));
    requests[0] = { ...requests[0], temperature: 0 } as (typeof requests)[0];
    const together = await Promise.all(requests.map(textOf));
    for (const [i, request] of requests.entries()) expect(await textOf(request)).toBe(together[i]);
  });

  it("ends at the context's end with length, and refuses a prompt beyond it with both numbers", async () => {
    const ids = Array.from({ length: 90 }, (_, i) => 60 + (i % 50));
    const ban = { 0: -100, 1: -100, 2: -100 };
    const { choices, usage } = await server.ok(PATH, { ...base, prompt: ids, max_tokens: 500, logit_bias: ban });
    expect(choices[0].finish_reason).toBe("length");
    expect(usage.total_tokens).toBe(96);
    const refused = await server.refused(PATH, { ...base, prompt: [...ids, ...ids] });
    expect(refused.message).toMatch(/180 tokens.*96/);
    expect(refused).toMatchObject({ code: "context_length_exceeded", param: "prompt" });
    const streamed = await server.refused(PATH, { ...base, prompt: [...ids, ...ids], stream: true });
    expect(streamed).toEqual(refused);
  });

  it.each<[object, string, RegExp]>([
    [{ max_token: 5 }, "max_token", /unknown field max_token; did you mean max_tokens\?/],
    [{ prompt: undefined }, "prompt", /prompt/],
    [{ prompt: 5 }, "prompt", /prompt must be text, a list of texts/],
    [{ prompt: [] }, "prompt", /prompt must be text, a list of texts/],
    [{ prompt: ["a", 5] }, "prompt", /prompt must be text, not 5/],
    [{ prompt: [99_999] }, "prompt", /token id 99999/],
    [{ model: 5 }, "model", /model must be text, not 5/],
    [{ temperature: 2.5 }, "temperature", /temperature must be at most 2, not 2.5/],
    [{ temperature: "0" }, "temperature", /temperature must be a number/],
    [{ top_p: -1 }, "top_p", /top_p must be at least 0/],
    [{ top_k: 1.5 }, "top_k", /top_k must be a whole number/],
    [{ min_p: 2 }, "min_p", /min_p must be at most 1/],
    [{ repetition_penalty: 0 }, "repetition_penalty", /repetition_penalty must be more than 0/],
    [{ frequency_penalty: 3 }, "frequency_penalty", /frequency_penalty must be at most 2/],
    [{ presence_penalty: -3 }, "presence_penalty", /presence_penalty must be at least -2/],
    [{ logit_bias: { a: 1 } }, "logit_bias.a", /logit_bias.a is no token/],
    [{ logit_bias: { 5: 101 } }, "logit_bias.5", /logit_bias.5 must be at most 100/],
    [{ seed: 1.5 }, "seed", /seed must be a whole number/],
    [{ stop: ["a", "b", "c", "d", "e"] }, "stop", /stop must be text or a list of at most 4/],
    [{ stop: "" }, "stop", /stop must not be empty/],
    [{ n: 0 }, "n", /n must be at least 1/],
    [{ n: 129 }, "n", /n must be at most 128/],
    [{ n: 3, best_of: 2 }, "best_of", /best_of is 2, but must be at least n, which is 3/],
    [{ best_of: 2, stream: true }, "best_of", /best_of cannot be streamed/],
    [{ logprobs: 21 }, "logprobs", /logprobs must be at most 20/],
    [{ max_tokens: -1 }, "max_tokens", /max_tokens must be at least 0/],
    [{ stream: "yes" }, "stream", /stream must be true or false/],
    [{ stream_options: { include_usage: true } }, "stream_options", /only allowed when stream is true/],
    [{ stream: true, stream_options: { usage: true } }, "stream_options.usage", /unknown field stream_options.usage/],
    [{ suffix: "end" }, "suffix", /suffix is not supported by this server/],
  ])("refuses %j", async (fields, param, message) => {
    const error = await server.refused(PATH, { ...base, ...fields });
    expect(error.message).toMatch(message);
    expect(error.param).toBe(param);
    expect(error.type).toBe("invalid_request_error");
  });

  it("accepts null for every optional field, and metadata", async () => {
    const names = [
      "n",
      "best_of",
      "stop",
      "seed",
      "suffix",
      "logprobs",
      "echo",
      "stream",
      "stream_options",
      "logit_bias",
    ];
    const nulls = Object.fromEntries([...names, "top_p", "temperature", "user"].map((name) => [name, null]));
    await server.ok(PATH, { ...base, ...nulls });
    await server.ok(PATH, { ...base, user: "me", metadata: { a: "b" }, store: false });
  });

  it("answers 404 for an unknown model, naming those it has", async () => {
    const error = await server.refused(PATH, { ...base, model: "huge" }, 404);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(error.message).toMatch(/"huge" does not exist.*tiny/);
  });
});

describe("an echoed prompt", { timeout: SLOW_BUILD }, () => {
  it("comes before the completion, with the log-probabilities of its tokens", async () => {
    const fields = { ...base, echo: true, logprobs: 2, max_tokens: 6 };
    const plain = await textOf({ ...base, max_tokens: 6 });
    const { choices, usage } = await server.ok(PATH, fields);
    expect(choices[0].text).toBe(base.prompt + plain);
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs;
    const tokenizer = await loadTokenizer(TINY);
    const ids = Array.from(tokenizer.encode(base.prompt));
    expect(tokens.slice(0, ids.length).join("")).toBe(base.prompt);
    expect(tokens).toHaveLength(ids.length + usage.completion_tokens);
    expect(text_offset[0]).toBe(0);
    expect(token_logprobs.every((logprob: number) => logprob <= 0)).toBe(true);
    for (const [i, top] of top_logprobs.entries()) {
      expect(Object.keys(top).length).toBeGreaterThanOrEqual(2);
      expect(Math.max(...(Object.values(top) as number[]))).toBeGreaterThanOrEqual(token_logprobs[i]);
    }
    // Each of the prompt's log-probabilities is that of the token after a shorter prompt.
    const whole = Array.from(tokenizer.encode(base.prompt, { addSpecial: true }));
    const shorter = { ...base, prompt: whole.slice(0, -1), max_tokens: 1, temperature: 0, logprobs: 20 };
    const next = (await server.ok(PATH, shorter)).choices[0].logprobs.top_logprobs[0];
    const last = tokens[ids.length - 1];
    if (last in next) expect(token_logprobs[ids.length - 1]).toBeCloseTo(next[last], 4);
  });

  it("is scored alone with max_tokens 0, and streamed first", async () => {
    const { choices, usage } = await server.ok(PATH, { ...base, echo: true, logprobs: 0, max_tokens: 0 });
    expect([choices[0].text, choices[0].finish_reason, usage.completion_tokens]).toEqual([base.prompt, "length", 0]);
    const fields = { ...base, echo: true, logprobs: 2, n: 2, max_tokens: 6 };
    const whole = await server.ok(PATH, fields);
    const { chunks } = await server.stream(PATH, fields);
    for (const { index, text, logprobs } of whole.choices) {
      expect(join(chunks, index)).toBe(text);
      const own = chunks.flatMap(({ choices }) => choices.filter((choice: Answer) => choice.index === index));
      expect(own[0].text).toBe(base.prompt);
      const all = own.flatMap(({ logprobs: { tokens } }: Answer) => tokens);
      expect(all).toEqual(logprobs.tokens);
      expect(own.flatMap(({ logprobs: { text_offset } }: Answer) => text_offset)).toEqual(logprobs.text_offset);
    }
    expect((await server.ok(PATH, { ...base, echo: true, max_tokens: 3 })).choices[0].logprobs).toBeNull();
  });
});
