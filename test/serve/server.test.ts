/** The server around the routes: models, tokens, health, metrics, keys, origins, limits, ends. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve } from "../../src/serve/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { problemsOf } from "./openai-document.js";
import { type Answer, startServing, type TestServing, TINY } from "./serving.js";

let server: TestServing;
beforeAll(async () => {
  server = await startServing({ model: [`tiny=${TINY}`, TINY], bodyLimit: 4000 });
}, SLOW_BUILD);
afterAll(() => server.close());

describe("the server", { timeout: SLOW_BUILD }, () => {
  it("lists its models and describes each", async () => {
    const { data } = await server.ok("/v1/models");
    expect(data.map(({ id }: Answer) => id)).toEqual(["tiny", "tiny-chat"]);
    const one = await server.ok("/v1/models/tiny-chat");
    expect(problemsOf("Model", one)).toEqual([]);
    expect(one).toEqual(data[1]);
    expect(await server.ok("/models")).toEqual(await server.ok("/v1/models"));
    expect((await server.refused("/v1/models/other", undefined, 404)).code).toBe("model_not_found");
  });

  it("needs a model's name if it has several", async () => {
    const error = await server.refused("/v1/completions", { prompt: "a" });
    expect(error).toMatchObject({ param: "model", code: "missing_required_parameter" });
    expect(error.message).toMatch(/tiny, tiny-chat/);
  });

  it("is healthy, and counts in Prometheus' format", async () => {
    expect(await server.ok("/health")).toEqual({ status: "ok" });
    await server.ok("/v1/completions", { model: "tiny", prompt: "the other on", max_tokens: 4, seed: 1 });
    const { body, headers } = await server.call("/metrics");
    expect(headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = (body as string).trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+)$/);
    const value = (start: string) =>
      Number(
        lines
          .find((line) => line.startsWith(`${start} `))
          ?.split(" ")
          .at(-1),
      );
    expect(value('quern_requests_total{route="/v1/completions",status="200"}')).toBe(1);
    expect(value('quern_prompt_tokens_total{model="tiny"}')).toBeGreaterThan(3);
    expect(value('quern_generated_tokens_total{model="tiny"}')).toBeGreaterThan(0);
    expect(value('quern_time_to_first_token_seconds_count{model="tiny"}')).toBe(1);
    expect(value('quern_slots{model="tiny"}')).toBe(8);
    expect(value('quern_slots_busy{model="tiny"}')).toBe(0);
    expect(value('quern_queue{model="tiny"}')).toBe(0);
    expect(value('quern_model_loaded{model="tiny"}')).toBe(1);
    expect(value('quern_model_loaded{model="tiny-chat"}')).toBe(0);
  });

  it("encodes and decodes tokens", async () => {
    const content = "the other 媽 🤗";
    const { tokens, count } = await server.ok("/tokenize", { model: "tiny", content });
    expect(count).toBe(tokens.length);
    expect(await server.ok("/detokenize", { model: "tiny", tokens })).toEqual({ content });
    const { tokens: pieces } = await server.ok("/tokenize", { model: "tiny", content, with_pieces: true });
    const bytes = pieces.map(({ piece }: Answer) => Buffer.from(piece));
    expect(Buffer.concat(bytes).toString()).toBe(content);
    expect(pieces.some(({ piece }: Answer) => Array.isArray(piece))).toBe(true);
    const special = await server.ok("/tokenize", { model: "tiny", content: "<|im_end|>" });
    expect(special.count).toBe(1);
    const plain = await server.ok("/tokenize", { model: "tiny", content: "<|im_end|>", parse_special: false });
    expect(plain.count).toBeGreaterThan(1);
    expect((await server.refused("/detokenize", { model: "tiny", tokens: [1, 9999] })).param).toBe("tokens[1]");
    expect((await server.refused("/tokenize", { model: "tiny", text: "a" })).code).toMatch(/unknown|missing/);
  });

  it("answers 404 for an unknown route and 405 for another method", async () => {
    expect((await server.refused("/v1/nothing", undefined, 404)).code).toBe("unknown_url");
    const wrong = await server.call("/v1/completions");
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    expect(problemsOf("ErrorResponse", wrong.body)).toEqual([]);
    expect((await server.call("/v1/models", {})).status).toBe(405);
  });

  it("refuses bodies that are no JSON object, and those over the limit", async () => {
    const send = (body: string | Uint8Array<ArrayBuffer>) =>
      server.call("/v1/completions", undefined, { method: "POST", body });
    for (const body of ["", "{", "[]", "null", '"text"', new Uint8Array([0x7b, 0xff, 0x7d])]) {
      const { status, body: answer } = await send(body);
      expect(status).toBe(400);
      expect(problemsOf("ErrorResponse", answer)).toEqual([]);
    }
    const large = await send(JSON.stringify({ prompt: "a".repeat(5000) }));
    expect([large.status, large.body.error.code]).toEqual([413, "body_too_large"]);
    const status = await new Promise((resolve, reject) => {
      // Without a content-length.
      const sent = httpRequest(`${server.url}/v1/completions`, { method: "POST" }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on("error", reject);
      for (let i = 0; i < 5; i++) sent.write("a".repeat(1000));
      sent.end();
    });
    expect(status).toBe(413);
  });

  it("lets pages of localhost and of given origins in, and no others", async () => {
    const other = await startServing({ cors: ["https://page.example"] });
    const preflight = (to: TestServing, origin: string) =>
      to.call("/v1/completions", undefined, { method: "OPTIONS", headers: { origin } });
    for (const origin of ["http://localhost", "http://localhost:8080", "http://127.0.0.1:3000", "http://[::1]:3000"]) {
      const { status, headers } = await preflight(server, origin);
      expect([status, headers.get("access-control-allow-origin")]).toEqual([200, origin]);
    }
    for (const origin of [
      "http://evil.com",
      "http://notlocalhost",
      "http://localhost.evil.com",
      "https://page.example",
    ]) {
      const { status, headers } = await preflight(server, origin);
      expect([status, headers.get("access-control-allow-origin")]).toEqual([200, null]);
    }
    const allowed = await preflight(other, "https://page.example");
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://page.example");
    const form = { method: "POST", headers: { origin: "http://evil.com" }, body: '{"prompt":"a"}' };
    expect((await server.call("/v1/completions", undefined, form)).status).toBe(403);
    await other.close();
  });

  it("answers only to its own name on loopback", async () => {
    const status = await new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      httpRequest({ port, host: "127.0.0.1", path: "/v1/models", headers: { host: "evil.example" } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it("needs its key for everything but /health and the page", async () => {
    const locked = await startServing({ apiKey: "secret" });
    const get = (path: string, headers: Record<string, string> = {}) => locked.call(path, undefined, { headers });
    expect((await get("/health")).status).toBe(200);
    for (const path of ["/v1/models", "/metrics", "/v1/nothing"]) expect((await get(path)).status).toBe(401);
    expect((await get("/")).status).toBe(200); // the page asks for the key itself
    for (const authorization of ["Bearer wrong", "Bearer ", "secret", "Basic !"]) {
      const { status, body } = await get("/v1/models", { authorization });
      expect([status, body.error.type]).toEqual([401, "authentication_error"]);
      expect(problemsOf("ErrorResponse", body)).toEqual([]);
    }
    expect((await locked.call("/v1/completions", { prompt: "a" })).status).toBe(401);
    expect((await get("/v1/models", { authorization: "Bearer secret" })).status).toBe(200);
    expect((await get("/v1/models", { "x-api-key": "secret" })).status).toBe(200);
    const basic = `Basic ${Buffer.from("me:secret").toString("base64")}`;
    expect((await get("/v1/models", { authorization: basic })).status).toBe(200);
    await locked.close();
  });

  it("refuses to start open to the network without a key, and other wrong calls", async () => {
    const start = (options: object) => serve({ model: [TINY], port: 0, ...options });
    await expect(start({ host: "0.0.0.0" })).rejects.toThrow(/other machines can reach 0\.0\.0\.0.*apiKey/);
    await expect(start({ model: ["a=nowhere"] })).rejects.toThrow(/nowhere/);
    await expect(start({ model: [TINY, TINY] })).rejects.toThrow(/two models are named tiny-chat/);
    await expect(start({ context: 97 })).rejects.toThrow(/97.*96/);
    await expect(start({ adapter: [`a=${TINY}`] })).rejects.toThrow(/no LoRA adapter/);
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as AddressInfo;
    await expect(start({ port })).rejects.toThrow(/another program uses the port/);
    taken.close();
  });

  it("unloads an idle model and loads it again", async () => {
    const idle = await startServing({ idle: 0.05 });
    const ask = async () =>
      (await idle.ok("/v1/completions", { prompt: "the", seed: 2, max_tokens: 4 })).choices[0].text;
    const isLoaded = async () => /quern_model_loaded\{model="tiny"\} 1/.test((await idle.call("/metrics")).body);
    const text = await ask();
    await expect.poll(isLoaded, { timeout: 10_000 }).toBe(false);
    expect(await ask()).toBe(text);
    await idle.close();
  });

  it("takes a context shorter than the model's", async () => {
    const short = await startServing({ context: 40 });
    const error = await short.refused("/v1/completions", { prompt: Array(41).fill(70) });
    expect(error.message).toMatch(/41 tokens.*40/);
    await short.close();
  });

  it("stores keys and values in the type wanted", async () => {
    const half = await startServing({ kvDtype: "f16" });
    const wanted = { model: "tiny", prompt: "the other of", max_tokens: 4, temperature: 0, logprobs: 0 };
    const logprobs = async (serving: TestServing): Promise<number[]> =>
      (await serving.ok("/v1/completions", wanted)).choices[0].logprobs.token_logprobs;
    const rounded = await logprobs(half);
    const exact = await logprobs(server);
    expect(rounded).not.toEqual(exact);
    for (const [i, logprob] of rounded.entries()) expect(logprob).toBeCloseTo(exact[i], 2);
    await half.close();
    await expect(serve({ model: [TINY], port: 0, kvDtype: "q8_0" })).rejects.toThrow(/multiple of 32/);
  });

  it("names a model by its folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "quern-serve-"));
    cpSync(TINY, join(folder, "a model"), { recursive: true });
    const named = await startServing({ model: [`${folder}/a model/`] });
    expect(named.models.map(({ id }) => id)).toEqual(["a model"]);
    expect((await named.ok("/v1/models/a%20model")).id).toBe("a model");
    await named.close();
    rmSync(folder, { recursive: true });
  });
});
