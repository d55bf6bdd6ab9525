/** The client for OpenAI-compatible servers, against a server that simulates the failures of real ones. */
import { createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { OpenAIClient, type OpenAIClientOptions, ServerError } from "../../src/infer/index.js";
import { type Answer, chatAnswer, json, startServer, type TestServer } from "./faulty-server.js";

const open: { close?(): Promise<void>; dispose?(): Promise<void> }[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of open.splice(0)) await (each.dispose?.() ?? each.close?.());
});

const KEY = "sk-secret-0123456789";
async function connect(answer: Answer, options: Partial<OpenAIClientOptions> = {}) {
  const server: TestServer = await startServer(answer);
  const client = new OpenAIClient({ baseUrl: server.baseUrl, apiKey: KEY, firstDelaySeconds: 0.001, ...options });
  open.push(client, server);
  return { server, client };
}
const request = { model: "m", messages: [{ role: "user", content: "Hello" }] };
const stream = (...events: string[]) => events.map((event) => `data: ${event}\n\n`).join("");
const piece = (content: string | null, finish: string | null = null) =>
  JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });

describe("requests", () => {
  it("sends the key and the parameters, and reads the answer, finish reason and usage", async () => {
    const { server, client } = await connect((_, response) => json(response, chatAnswer("Hi!", "length")));
    const choices = await client.chat({ ...request, temperature: 0 });
    expect(choices).toEqual([{ text: "Hi!", finishReason: "length", logProbabilities: null }]);
    expect(server.received[0]).toMatchObject({
      url: "/v1/chat/completions",
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
      body: { ...request, temperature: 0 },
    });
    await client.chat(request);
    expect(client.usage).toEqual({ requests: 2, promptTokens: 10, completionTokens: 4 });
  });

  it("takes the key from OPENAI_API_KEY, or a user and password from the address", async () => {
    vi.stubEnv("OPENAI_API_KEY", "sk-environment");
    const { server } = await connect((_, response) => json(response, chatAnswer("")));
    const fromEnvironment = new OpenAIClient({ baseUrl: `${server.baseUrl}/` });
    const address = server.baseUrl.replace("//", "//anna:s%40crate@");
    const fromAddress = new OpenAIClient({ baseUrl: address, apiKey: "" });
    open.push(fromEnvironment, fromAddress);
    await fromEnvironment.chat(request);
    await fromAddress.chat(request);
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer sk-environment",
      `Basic ${Buffer.from("anna:s@crate").toString("base64")}`,
    ]);
    expect(fromAddress.baseUrl).toBe(server.baseUrl);
    expect(() => new OpenAIClient({ baseUrl: "localhost:8000" })).toThrow(/must begin with http:\/\/ or https:\/\//);
  });

  it("reads content in parts, null content and log-probabilities", async () => {
    const contents = [
      [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
      null,
    ];
    const { client } = await connect((_, response, i) =>
      json(response, {
        choices: [
          { message: { content: contents[i] }, logprobs: { content: [{ token: "x", logprob: -0.5, bytes: null }] } },
        ],
      }),
    );
    expect(await client.chat(request)).toEqual([{ text: "ab", finishReason: null, logProbabilities: [-0.5] }]);
    expect((await client.chat(request))[0].text).toBe("");
  });

  it("respects the concurrency limit", async () => {
    let running = 0;
    let most = 0;
    const { client } = await connect(
      async (_, response) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        json(response, chatAnswer("x"));
      },
      { concurrency: 3 },
    );
    await Promise.all(Array.from({ length: 12 }, () => client.chat(request)));
    expect(most).toBe(3);
  });

  it("spaces requests by the rate limit", async () => {
    const times: number[] = [];
    const { client } = await connect(
      (_, response) => {
        times.push(performance.now());
        json(response, chatAnswer("x"));
      },
      { requestsPerMinute: 200 },
    );
    await Promise.all(Array.from({ length: 4 }, () => client.chat(request)));
    // 3 · 300 ms, less the delay of the first, which may be long on a loaded machine.
    expect(times[3] - times[0]).toBeGreaterThan(200);
  });
});

describe("faults", () => {
  const failures: readonly (readonly [string, Answer])[] = [
    ["429", (_, response) => json(response, { error: { message: "slow down" } }, 429, { "retry-after": "0" })],
    ["a date to retry after", (_, response) => json(response, {}, 429, { "retry-after": new Date().toUTCString() })],
    ["500", (_, response) => void response.writeHead(500).end("<html>oops</html>")],
    ["503 without a body", (_, response) => void response.writeHead(503).end()],
    ["a dropped connection", (_, response) => void response.socket?.destroy()],
    [
      "half an answer",
      (_, response) => {
        response.writeHead(200, { "content-length": "1000" }).write('{"choices": [');
        setTimeout(() => response.socket?.destroy(), 5);
      },
    ],
    ["malformed JSON", (_, response) => void response.end('{"choices": [{')],
    ["no JSON", (_, response) => void response.end("<html>busy</html>")],
    ["an answer without choices", (_, response) => json(response, { choices: [] })],
    ["an error with status 200", (_, response) => json(response, { error: { message: "overloaded" } })],
  ];

  it.each(failures)("retries after %s", async (_name, fail) => {
    const { server, client } = await connect((received, response, i) =>
      i < 2 ? fail(received, response, i) : json(response, chatAnswer("fine")),
    );
    expect((await client.chat(request))[0].text).toBe("fine");
    expect(server.received.length).toBe(3);
  });

  it.each(failures)("reports a one-line error after repeated %s", async (_name, fail) => {
    const { server, client } = await connect(fail, { retries: 2 });
    const error = await client.chat(request).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(ServerError);
    expect((error as Error).message).toContain(`${server.baseUrl}/chat/completions: `);
    expect((error as Error).message).not.toContain("\n");
    expect(server.received.length).toBe(3);
  });

  it.each([
    [400, { error: { message: "max_tokens is too large" } }, /status 400: max_tokens is too large$/],
    [
      401,
      { error: { message: `Incorrect API key: ${KEY}` } },
      /status 401: Incorrect API key: \*\*\*; check the API key/,
    ],
    [404, { detail: "Not Found" }, /status 404: Not Found; check the address \(it usually ends in \/v1\)/],
    [422, { detail: [{ msg: "Field required", loc: ["body"] }] }, /status 422: Field required/],
    [429, { error: { message: "no money left", code: "insufficient_quota" } }, /status 429: no money left/],
  ])("does not retry status %i", async (status, body, message) => {
    const { server, client } = await connect((_, response) => json(response, body, status));
    const error = (await client.chat(request).catch((each: unknown) => each)) as ServerError;
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain(KEY);
    expect(error.status).toBe(status);
    expect(server.received.length).toBe(1);
  });

  it("delays all requests by Retry-After", async () => {
    const times: number[] = [];
    const { client } = await connect((_, response, i) => {
      times.push(performance.now());
      if (i === 0) json(response, {}, 429, { "retry-after-ms": "200" });
      else json(response, chatAnswer("x"));
    });
    await Promise.all([
      client.chat(request),
      new Promise((resolve) => setTimeout(resolve, 50)).then(() => client.chat(request)),
    ]);
    // The second request was made while the first was waiting.
    expect(times[1] - times[0]).toBeGreaterThan(190);
    expect(times[2] - times[0]).toBeGreaterThan(190);
  });

  it("fails if Retry-After is hours", async () => {
    const { client } = await connect((_, response) => json(response, {}, 429, { "retry-after": "7200" }));
    await expect(client.chat(request)).rejects.toThrow(/status 429; the server asks to wait 7200 seconds/);
  });

  it("times out a slow response", async () => {
    const { server, client } = await connect(() => {}, { timeoutSeconds: 1, retries: 1 });
    await expect(client.chat(request)).rejects.toThrow(/no response within 1 seconds?/);
    expect(server.received.length).toBe(2);
  });

  it("reports that no server is listening", async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
    });
    const client = new OpenAIClient({ baseUrl: `http://me:pass1234@127.0.0.1:${port}/v1`, firstDelaySeconds: 0.001 });
    const error = (await client.chat(request).catch((each: unknown) => each)) as Error;
    expect(error.message).toMatch(/ECONNREFUSED.*; check the address and that the server is running$/);
    expect(error.message).not.toContain("pass1234");
  });

  it("aborts at once during a request, a wait and in the queue", async () => {
    const silent = await connect(() => {}, { concurrency: 1 });
    const busy = await connect((_, response) => json(response, {}, 429, { "retry-after": "60" }));
    const abort = new AbortController();
    const reason = new Error("enough");
    const calls = [silent.client, silent.client, busy.client].map((client) => client.chat(request, abort));
    setTimeout(() => abort.abort(reason), 50);
    for (const call of calls) await expect(call).rejects.toBe(reason);
  });
});

describe("streams", () => {
  const collect = async (generator: AsyncGenerator<string, string | null>) => {
    const pieces: string[] = [];
    for (;;) {
      const { value, done } = await generator.next();
      if (done) return { pieces, finish: value };
      pieces.push(value as string);
    }
  };

  it("yields pieces as they arrive, however the network splits them", async () => {
    const body = Buffer.from(
      `: keep alive\r\n\r\n${stream(piece(null), piece("Grü"), piece("ß"), piece("e", "stop"), "[DONE]").replaceAll("\n", "\r\n")}`,
    );
    const { server, client } = await connect(async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let at = 0; at < body.length; at += 7) {
        response.write(body.subarray(at, at + 7));
        if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    expect(await collect(client.streamChat(request))).toEqual({ pieces: ["Grü", "ß", "e"], finish: "stop" });
    expect(server.received[0].body.stream).toBe(true);
  });

  it("retries after a fault, but not after the first piece", async () => {
    const { server, client } = await connect((_, response, i) => {
      if (i === 0) return void json(response, {}, 503);
      if (i === 1) return void response.socket?.destroy();
      response.write(stream(piece("one")));
      setTimeout(() => response.socket?.destroy(), 20);
    });
    const generator = client.streamChat(request);
    expect((await generator.next()).value).toBe("one");
    await expect(generator.next()).rejects.toThrow(/the connection was lost/);
    expect(server.received.length).toBe(3);
  });

  it("reports errors in the stream and malformed pieces", async () => {
    const { client } = await connect(
      (_, response, i) =>
        void response.end(
          stream(piece("a"), i === 0 ? JSON.stringify({ error: { message: "out of memory" } }) : "{oops"),
        ),
    );
    await expect(collect(client.streamChat(request))).rejects.toThrow(/out of memory/);
    await expect(collect(client.streamChat(request))).rejects.toThrow(/is not JSON/);
  });

  it("closes the connection when the reader returns or aborts, and serves the next request", async () => {
    let closed = 0;
    const { client } = await connect(
      (_, response, i) => {
        if (i > 1) return void json(response, chatAnswer("next"));
        response.write(stream(piece("a")));
        response.on("close", () => {
          closed += 1;
        });
      },
      { concurrency: 1, timeoutSeconds: 20 },
    );
    for await (const text of client.streamChat(request)) {
      expect(text).toBe("a");
      break;
    }
    const abort = new AbortController();
    const generator = client.streamChat(request, abort);
    await generator.next();
    const next = generator.next();
    abort.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    expect((await client.chat(request))[0].text).toBe("next");
    await vi.waitFor(() => expect(closed).toBe(2));
  });
});

describe("completions", () => {
  it("reads echoed log-probabilities, and computes missing offsets", async () => {
    const logprobs = {
      tokens: ["A", "😀b", "c"],
      token_logprobs: [null, -1, -2],
      top_logprobs: [null, { x: -0.1 }, { c: -2 }],
    };
    const { server, client } = await connect((_, response) =>
      json(response, { choices: [{ text: "A😀bc", logprobs, finish_reason: "length" }], usage: null }),
    );
    const [choice] = await client.complete({ model: "m", prompt: [1, 2], max_tokens: 1, echo: true, logprobs: 1 });
    expect(choice.echo).toEqual({ ...logprobs, text_offset: [0, 1, 3] });
    expect(server.received[0]).toMatchObject({ url: "/v1/completions", body: { prompt: [1, 2], echo: true } });
  });
});
