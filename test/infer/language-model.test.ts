/** Language models: log-likelihoods against lm-evaluation-harness with transformers; servers against a stub. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LanguageModel, openModel, ServerModel } from "../../src/infer/index.js";
import { loadTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { type Answer, chatAnswer, json, startServer } from "./faulty-server.js";

const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/${name}`, import.meta.url));
const TINY = fixture("tiny-chat");

interface Oracle {
  readonly requests: readonly {
    readonly context: string;
    readonly continuation: string;
    readonly ids: readonly [context: number[], continuation: number[]];
    readonly logLikelihood: number;
    readonly isGreedy: boolean;
    readonly tokens: number;
  }[];
  readonly rolling: readonly { readonly text: string; readonly tokens: number; readonly logLikelihood: number }[];
}
const { requests, rolling } = JSON.parse(readFileSync(fixture("log-likelihoods.json"), "utf8")) as Oracle;

/** The largest difference per request between float64 and fp32. */
const CLOSE = 3.4e-4;

describe("a checkpoint", { timeout: SLOW_BUILD }, () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await openModel(TINY);
  }, SLOW_BUILD);
  afterAll(() => model.dispose());

  it("returns lm-evaluation-harness's log-likelihoods, in request order", async () => {
    const warnings: string[] = [];
    let done = 0;
    const results = await model.logLikelihood(requests, {
      onWarning: (warning) => warnings.push(warning),
      onProgress: (progress) => {
        done = progress.done;
        expect(progress.total).toBe(requests.length);
      },
    });
    for (const [i, { logLikelihood, isGreedy, tokens }] of requests.entries()) {
      expect(Math.abs(results[i].logLikelihood - logLikelihood), JSON.stringify(requests[i])).toBeLessThan(CLOSE);
      expect(results[i]).toMatchObject({ isGreedy, tokens });
    }
    expect(warnings).toEqual([
      expect.stringMatching(/^request 10 has \d+ tokens, but the model's limit is 96: the first/),
    ]);
    expect(done).toBe(requests.length);
    // A subset in a different order.
    const some = [requests[7], requests[2]];
    for (const [i, { logLikelihood }] of (await model.logLikelihood(some)).entries()) {
      expect(Math.abs(logLikelihood - some[i].logLikelihood)).toBeLessThan(CLOSE);
    }
    expect(await model.logLikelihood([])).toEqual([]);
    expect(await model.logLikelihood([{ context: "the", continuation: "" }])).toEqual([
      { logLikelihood: 0, isGreedy: true, tokens: 0 },
    ]);
  });

  it("scores whole texts in rolling windows as lm-evaluation-harness does", async () => {
    const results = await model.rollingLogLikelihood(rolling.map(({ text }) => text));
    for (const [i, { logLikelihood, tokens }] of rolling.entries()) {
      // Rounding errors of about a hundred tokens add up.
      expect(Math.abs(results[i].logLikelihood - logLikelihood)).toBeLessThan(CLOSE * Math.max(1, tokens / 60));
      expect(results[i].tokens).toBe(tokens);
    }
  });

  it("refuses a continuation longer than its context, and stops when aborted", async () => {
    const long = { context: "x", continuation: "on".repeat(97) };
    await expect(model.logLikelihood([requests[0], long])).rejects.toThrow(
      /the continuation of request 1 has 97 tokens, but the model's limit is 96; shorten it/,
    );
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(model.logLikelihood(requests, { signal })).rejects.toThrow("enough");
    await expect(model.generate(["the"], { signal })).rejects.toThrow("enough");
  });

  it("generates the same alone and batched, with tokens, log-probabilities and finish reason", async () => {
    const prompts = ["the", { messages: [{ role: "user", content: "in the" }] }, "Once upon a time"];
    const pieces: string[][] = [
      ["", ""],
      ["", ""],
      ["", ""],
    ];
    const options = { tokens: 6, n: 2, seed: 3 };
    const results = await model.generate(prompts, {
      ...options,
      onText: (piece, prompt, completion) => {
        pieces[prompt][completion] += piece;
      },
    });
    expect(results.map(({ prompt }) => prompt)).toEqual(prompts);
    expect(results.map(({ completions }) => completions.map(({ text }) => text))).toEqual(pieces);
    const [alone] = await model.generate([prompts[1]], { ...options, n: 1, seed: 4 });
    const beside = results[1].completions[1];
    expect(alone.completions[0].text).toBe(beside.text);
    for (const [i, { id, logprob }] of alone.completions[0].tokens.entries()) {
      expect(beside.tokens[i].id).toBe(id);
      expect(beside.tokens[i].logprob).toBeCloseTo(logprob, 4);
    }
    for (const { text, tokens, finishReason } of results.flatMap(({ completions }) => completions)) {
      expect(typeof text).toBe("string");
      expect(finishReason).toBe(tokens.length === 6 ? "length" : "stop");
      for (const { logprob } of tokens) expect(logprob).toBeLessThan(0);
    }
    // A greedy completion has the summed log-likelihood of its tokens, and is reported as greedy.
    const [{ completions }] = await model.generate(["Once upon a time"], { tokens: 3, temperature: 0 });
    const continuation = completions[0].text;
    const [scored] = await model.logLikelihood([{ context: "Once upon a time", continuation }]);
    expect(scored.isGreedy).toBe(true);
    const sum = completions[0].tokens.reduce((total, { logprob }) => total + logprob, 0);
    expect(scored.logLikelihood).toBeCloseTo(sum, 3);
  });

  it("ends an answer at the chat template's end-of-turn token", async () => {
    const { endOfTurn } = await import("../../src/infer/index.js");
    const tokenizer = await loadTokenizer(TINY);
    expect(await endOfTurn(tokenizer)).toEqual([tokenizer.special.get("<|im_end|>")]);
  });

  it("works as in the example of openModel's docstring", async () => {
    await using opened = await openModel(TINY);
    const [{ completions }] = await opened.generate(["The sea"], { tokens: 20, seed: 1 });
    expect(completions[0].tokens.length).toBeGreaterThan(0);
    const [yes, no] = await opened.logLikelihood([
      { context: "Is water wet?", continuation: " Yes" },
      { context: "Is water wet?", continuation: " No" },
    ]);
    expect(yes.logLikelihood).not.toBe(no.logLikelihood);
  });
});

describe("a server", () => {
  const serve = async (answer: Answer, options: Partial<ConstructorParameters<typeof ServerModel>[0]> = {}) => {
    const server = await startServer(answer);
    const model = new ServerModel({ model: "m", baseUrl: server.baseUrl, firstDelaySeconds: 0.001, ...options });
    return { server, model, [Symbol.asyncDispose]: () => model.dispose().then(() => server.close()) };
  };
  /**
   * Echoes each word as a token of log-probability −(length), then adds one token. Words without an x are reported as the
   * likeliest.
   */
  const echoWords: Answer = ({ body }, response) => {
    const words = String(body.prompt).match(/ ?[^ ]+/g) ?? [];
    const tokens = [...words, "!"];
    let at = 0;
    const offsets = tokens.map((token) => {
      const offset = at;
      at += [...token].length;
      return offset;
    });
    const logprobs = tokens.map((token, i) => (i === 0 ? null : -token.length));
    json(response, {
      choices: [
        {
          text: tokens.join(""),
          finish_reason: "length",
          logprobs: {
            tokens,
            token_logprobs: logprobs,
            text_offset: offsets,
            top_logprobs: tokens.map((token, i) =>
              i === 0 ? null : { best: token.includes("x") ? -0.1 : -token.length },
            ),
          },
        },
      ],
    });
  };

  it("scores continuations from echoed log-probabilities, by ids if it has a tokenizer", async () => {
    await using served = await serve(echoWords);
    const scored = await served.model.logLikelihood([
      { context: "😀 one two", continuation: " three" },
      { context: "one two", continuation: " four x" },
      { context: "", continuation: "one two" },
      { context: "one tw", continuation: "o three" },
    ]);
    expect(scored).toEqual([
      { logLikelihood: -6, isGreedy: true, tokens: 1 },
      { logLikelihood: -7, isGreedy: false, tokens: 2 },
      { logLikelihood: -4, isGreedy: true, tokens: 1 },
      { logLikelihood: -10, isGreedy: true, tokens: 2 },
    ]);
    expect(await served.model.rollingLogLikelihood(["one two three", ""])).toEqual([
      { logLikelihood: -10, isGreedy: true, tokens: 2 },
      { logLikelihood: 0, tokens: 0 },
    ]);

    const echoIds: Answer = ({ body }, response) => {
      const ids = body.prompt as number[];
      const tokens = [...ids, 0].map((id) => `t${id}`);
      const token_logprobs = tokens.map((_, i) => (i === 0 ? null : -1 / 1024));
      json(response, { choices: [{ text: "", logprobs: { tokens, token_logprobs } }] });
    };
    await using byIds = await serve(echoIds, { tokenizer: await loadTokenizer(TINY), sequence: 97 });
    const results = await byIds.model.logLikelihood(requests);
    for (const [i, { tokens, ids }] of requests.entries()) {
      expect(results[i]).toEqual({ logLikelihood: -tokens / 1024, isGreedy: true, tokens });
      expect(byIds.server.received.map(({ body }) => body.prompt)).toContainEqual(ids.flat().slice(-97));
    }
    const rolled = await byIds.model.rollingLogLikelihood(rolling.map(({ text }) => text));
    expect(rolled.map(({ tokens }) => tokens)).toEqual(rolling.map(({ tokens }) => tokens));
  });

  it("rejects if the server does not echo prompts", async () => {
    await using served = await serve((_, response) =>
      json(response, { choices: [{ text: " yes", logprobs: { content: [] } }] }),
    );
    await expect(served.model.logLikelihood([requests[0]])).rejects.toThrow(/does not echo prompts/);
  });

  it("generates texts and conversations in order, sending only options that are set", async () => {
    await using served = await serve(({ url, body }, response) => {
      if (url.endsWith("/chat/completions")) {
        const [{ content }] = body.messages as { content: string }[];
        const finish = { choices: [{ delta: {}, finish_reason: "length" }] };
        if (body.stream) {
          const delta = { choices: [{ delta: { content: `to ${content}` } }] };
          response.end(`data: ${JSON.stringify(delta)}\n\ndata: ${JSON.stringify(finish)}\n\ndata: [DONE]\n\n`);
        } else json(response, chatAnswer(`to ${content}`));
      } else
        setTimeout(
          () => json(response, { choices: [{ text: `${body.prompt}+${body.seed}`, finish_reason: "stop" }] }),
          10,
        );
    });
    const prompts = ["a", { messages: [{ role: "user", content: "b" }] }];
    const results = await served.model.generate(prompts, { n: 2, seed: 5, tokens: 9, stop: ["."] });
    expect(results.map(({ completions }) => completions.map(({ text }) => text))).toEqual([
      ["a+5", "a+6"],
      ["to b", "to b"],
    ]);
    const sent = served.server.received.find(({ url }) => url === "/v1/completions");
    expect(sent?.body).toEqual({ model: "m", max_tokens: 9, stop: ["."], seed: expect.any(Number), prompt: "a" });
    const pieces: string[] = [];
    const [streamed] = await served.model.generate([prompts[1]], { onText: (piece) => pieces.push(piece) });
    expect(pieces).toEqual(["to b"]);
    expect(streamed.completions[0]).toMatchObject({ text: "to b", finishReason: "length" });
  });
});
