/** Scheduling of a decoding program, tested with a fake one whose logits are a hash of the slot's text. */
import { describe, expect, it } from "vitest";
import type { GenerateRequest, PromptLogprob } from "../../src/infer/completion.js";
import type { DecodingProgram, Scores } from "../../src/infer/decoding-program.js";
import { createSlots, type SlotsOptions } from "../../src/infer/slots.js";
import type { CompiledConstraint } from "../../src/infer/token-constraint.js";

const V = 50;
const UNKNOWN = -1;

/** The scores after each text: a hash of its tokens. */
function scoresAfter(texts: readonly (readonly number[])[]): Scores {
  const logits = new Float32Array(texts.length * V);
  for (const [i, text] of texts.entries()) {
    expect(text).not.toContain(UNKNOWN);
    let hash = 0;
    for (const id of text) hash = (Math.imul(hash, 31) + id + 1) >>> 0;
    for (let id = 0; id < V; id++) logits[i * V + id] = (Math.imul(hash + id, 0x9e3779b1) >>> 0) / 2 ** 29;
  }
  const logSumExp = Float32Array.from(texts, (_, i) => {
    const row = logits.subarray(i * V, (i + 1) * V);
    return Math.log(row.reduce((total, x) => total + Math.exp(x), 0));
  });
  return { logits, logSumExp, masses: new Float32Array(0) };
}

/** Simulated cache slots: unwritten positions contain no token. */
function hashProgram(slots: number, sequence: number) {
  const texts = Array.from({ length: slots }, () => new Array<number>(sequence + 32).fill(UNKNOWN));
  const work = { prefills: 0, chunks: 0, copies: 0, widths: [] as number[] };
  const program: DecodingProgram = {
    slots,
    sequence,
    plan: {} as DecodingProgram["plan"],
    async prefill(slot, tokens, position) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(position % 32).toBe(0);
      expect(tokens.length).toBeLessThanOrEqual(128);
      const rows = 32 * Math.ceil(tokens.length / 32);
      work.prefills += 1;
      work.chunks += rows / 32;
      for (let i = 0; i < rows; i++) texts[slot][position + i] = tokens[i] ?? UNKNOWN;
    },
    async prefillScored(slot, tokens, position) {
      await program.prefill(slot, tokens, position);
      return scoresAfter(tokens.map((_, i) => texts[slot].slice(0, position + i + 1)));
    },
    async copy(copies) {
      work.copies += copies.length;
      for (const { from, to, length } of copies) texts[to].splice(0, length, ...texts[from].slice(0, length));
    },
    async decode(steps) {
      await new Promise((resolve) => setImmediate(resolve)); // lets other tasks run
      work.widths.push(steps.length);
      expect(new Set(steps.map(({ slot }) => slot)).size).toBe(steps.length);
      for (const { slot, token, position } of steps) texts[slot][position] = token;
      return scoresAfter(steps.map(({ slot, position }) => texts[slot].slice(0, position + 1)));
    },
    dispose() {},
  };
  return { program, work };
}

function scheduler(slots: number, sequence = 200, more: Partial<SlotsOptions> = {}) {
  const { program, work } = hashProgram(slots, sequence);
  const shapeFor = () => ({ slots, sequence });
  return { ...createSlots({ sequence, shapeFor, open: async () => program, ...more }), work };
}

const request = (prompt: readonly number[], more: Partial<GenerateRequest> = {}): GenerateRequest => {
  return { prompt, tokens: 6, seed: 0, temperature: 1, topK: 0, endOfText: [], ...more };
};
const count = (length: number, first = 0) => Array.from({ length }, (_, i) => (first + i) % V);
const ids = ({ tokens }: { readonly tokens: readonly { readonly id: number }[] }) => tokens.map(({ id }) => id);

describe("slots", () => {
  it("return each completion of each request in order, as if decoded alone", async () => {
    const many = scheduler(4);
    const requests = [1, 3, 33, 41, 64, 65, 150, 199, 250].map((length, i) =>
      request(count(length, i), { n: 1 + (i % 3), seed: 10 * i, tokens: 3 + 7 * i }),
    );
    const found = await Promise.all(requests.map((each) => many.generate(each, {})));
    for (const [i, each] of requests.entries()) {
      for (let k = 0; k < (each.n ?? 1); k++) {
        const [alone] = await scheduler(1).generate({ ...each, n: 1, seed: each.seed + k }, {});
        expect(found[i][k]).toEqual(alone);
      }
    }
  });

  it("let texts join and leave between steps", async () => {
    const { generate, work } = scheduler(3);
    const others: Promise<unknown>[] = [];
    let drawn = 0;
    const onToken = () => {
      drawn += 1;
      if (drawn === 5) others.push(...[2, 3, 4].map((id) => generate(request([id], { tokens: 4 }), {})));
      return false;
    };
    await generate(request([1], { tokens: 20 }), { onToken });
    await Promise.all(others);
    // The third request waits for a slot.
    expect(work.widths).toEqual([...Array(5).fill(1), ...Array(4).fill(3), ...Array(4).fill(2), ...Array(7).fill(1)]);
  });

  it("prefill the prompt of n samples once", async () => {
    const { generate, work } = scheduler(8);
    const completions = await generate(request(count(100), { n: 8 }), {});
    expect(work.chunks).toBe(4); // 99 tokens, in one slot
    expect(work.copies).toBe(7);
    expect(work.widths).toEqual([1, 8, 8, 8, 8, 8, 7]);
    expect(new Set(completions.map((each) => ids(each).join())).size).toBe(8);
  });

  it("reuse whole chunks of a shared prefix, from running and finished texts", async () => {
    const { generate, work } = scheduler(2);
    const alike = (last: number) => [...count(70), last, ...count(20, last)];
    const first = await Promise.all([generate(request(alike(1)), {}), generate(request(alike(2)), {})]);
    expect(work).toMatchObject({ chunks: 2 + 2, copies: 1 });
    const third = await generate(request(alike(3)), {});
    expect(work).toMatchObject({ chunks: 2 + 2 + 1, copies: 1 });
    const again = await Promise.all(
      [scheduler(1), scheduler(1), scheduler(1)].map(({ generate }, i) => generate(request(alike(i + 1)), {})),
    );
    expect([...first, third]).toEqual(again);
  });

  it("end with stop at the end of the text, with the end token separate", async () => {
    const { generate } = scheduler(1);
    const [whole] = await generate(request([1], { tokens: 10 }), {});
    const end = ids(whole)[4];
    const [ended] = await generate(request([1], { tokens: 10, endOfText: [end] }), {});
    const at = ids(whole).indexOf(end);
    expect(ended).toEqual({ tokens: whole.tokens.slice(0, at), end: whole.tokens[at], finishReason: "stop" });
    expect(whole).toMatchObject({ end: null, finishReason: "length" });
  });

  it("end when onToken returns true", async () => {
    const { generate } = scheduler(2);
    const onToken = (_: unknown, index: number) => index === 1;
    const [a, b] = await generate(request([1], { n: 2 }), { onToken });
    expect(a).toMatchObject({ finishReason: "length" });
    expect(b).toMatchObject({ finishReason: "stop", end: null });
    expect(b.tokens).toHaveLength(1);
  });

  it("are freed when a request is aborted, while other requests continue", async () => {
    const { generate, work } = scheduler(2);
    const abort = new AbortController();
    let drawn = 0;
    const onToken = () => {
      drawn += 1;
      if (drawn === 3) abort.abort(new Error("enough"));
      return false;
    };
    const aborted = generate(request([1], { n: 5, tokens: 100 }), { signal: abort.signal, onToken });
    const other = generate(request([2], { tokens: 8 }), {});
    await expect(aborted).rejects.toThrow("enough");
    expect(await other).toEqual(await scheduler(1).generate(request([2], { tokens: 8 }), {}));
    expect(work.widths.length).toBeLessThan(15);
    await expect(generate(request([1]), { signal: abort.signal })).rejects.toThrow("enough");
  });

  it("reject one request if its callback throws, all if the program throws", async () => {
    const { program } = hashProgram(2, 100);
    let fails = false;
    const decode: DecodingProgram["decode"] = (steps) =>
      fails ? Promise.reject(new Error("no machine")) : program.decode(steps);
    const shapeFor = () => ({ slots: 2, sequence: 100 });
    const { generate } = createSlots({ sequence: 100, shapeFor, open: async () => ({ ...program, decode }) });
    const onToken = () => {
      throw new Error("no caller");
    };
    const [mine, other] = [generate(request([1]), { onToken }), generate(request([2]), {})];
    await expect(mine).rejects.toThrow("no caller");
    expect(await other).toHaveLength(1);
    fails = true;
    const both = [generate(request([1]), {}), generate(request([2], { n: 3 }), {})];
    for (const each of both) await expect(each).rejects.toThrow("no machine");
    fails = false;
    expect(await generate(request([2]), {})).toEqual(await other);
  });

  it("reject NaN logits", async () => {
    const { program } = hashProgram(1, 100);
    const decode: DecodingProgram["decode"] = async (steps) => {
      const scores = await program.decode(steps);
      return { ...scores, logSumExp: scores.logSumExp.fill(Number.NaN) };
    };
    const shapeFor = () => ({ slots: 1, sequence: 100 });
    const { generate } = createSlots({ sequence: 100, shapeFor, open: async () => ({ ...program, decode }) });
    await expect(generate(request([1]), {})).rejects.toThrow("the model's logits are NaN or infinite");
  });

  it("return the logits after a prompt, without sampling if no tokens are requested", async () => {
    const { generate, work } = scheduler(1);
    let given = { logits: new Float32Array(0), logSumExp: 0 };
    const onLogits = (logits: Float32Array, logSumExp: number) => {
      given = { logits: logits.slice(), logSumExp };
    };
    const [nothing] = await generate(request(count(80), { tokens: 0 }), { onLogits });
    expect(nothing).toEqual({ tokens: [], end: null, finishReason: "length" });
    const [{ tokens }] = await generate(request(count(80), { temperature: 0, tokens: 1 }), {});
    const best = given.logits.indexOf(Math.max(...given.logits));
    expect(given.logits).toHaveLength(V);
    expect(tokens[0].id).toBe(best);
    expect(tokens[0].logprob).toBeCloseTo(given.logits[best] - given.logSumExp, 5);
    expect(work.chunks).toBe(3); // the second request found the prompt in the slot
  });

  it("reject running and later requests once closed", async () => {
    const { generate, close } = scheduler(1);
    const running = generate(request([1], { tokens: 1000 }), {});
    await new Promise((resolve) => setTimeout(resolve));
    close();
    await expect(running).rejects.toThrow("disposed of");
    await expect(generate(request([1]), {})).rejects.toThrow("disposed of");
  });

  it("go to the request that occupies the fewest", async () => {
    const { generate } = scheduler(4);
    const order: number[] = [];
    const ask = (id: number, n: number, tokens: number) =>
      generate(request([id], { n, tokens }), { onToken: (_, index) => void (index === 0 && order.push(id)) });
    const large = ask(1, 64, 3);
    await new Promise((resolve) => setTimeout(resolve, 1));
    const small = [2, 3, 4].map((id) => ask(id, 1, 3));
    let isLargeDone = false;
    void large.then(() => {
      isLargeDone = true;
    });
    await Promise.all(small);
    expect(isLargeDone).toBe(false);
    await large;
    expect(order.slice(-9).sort()).toEqual([2, 2, 2, 3, 3, 3, 4, 4, 4]);
  });

  it("count the requests of a group as one", async () => {
    const { generate } = scheduler(4);
    const group = {};
    let done = 0;
    const large = Array.from({ length: 200 }, (_, i) =>
      generate(request([1], { seed: i, tokens: 3 }), { group }).then(() => {
        done += 1;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([2, 3, 4].map((id) => generate(request([id], { tokens: 3 }), {})));
    expect(done).toBeLessThan(30);
    await Promise.all(large);
  });

  it("share themselves among large requests", async () => {
    const { generate } = scheduler(4);
    const left: number[] = [];
    const requests = [0, 1].map((id) =>
      generate(request([id], { n: 20, tokens: 2 }), { onToken: () => void left.push(id) }),
    );
    await Promise.all(requests);
    const half = left.slice(0, 40);
    expect(Math.abs(half.filter((id) => id === 0).length - 20)).toBeLessThanOrEqual(4);
  });

  it("are freed at most a chunk after an abort in a prompt", async () => {
    const { generate, work } = scheduler(1, 2000);
    const abort = new AbortController();
    const aborted = generate(request(count(1500)), { signal: abort.signal });
    while (work.prefills < 3) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error("gone"));
    const before = work.prefills;
    await expect(aborted).rejects.toThrow("gone");
    await generate(request([7]), {});
    expect(work.prefills).toBeLessThanOrEqual(before + 1);
  });

  it("take long chunks only while no text waits for its next token", async () => {
    const alone = scheduler(2, 2000);
    await alone.generate(request(count(1025)), {});
    expect(alone.work).toMatchObject({ prefills: 8, chunks: 32 });
    const beside = scheduler(2, 2000);
    await Promise.all([beside.generate(request([1], { tokens: 100 }), {}), beside.generate(request(count(1025)), {})]);
    expect(beside.work).toMatchObject({ prefills: 32, chunks: 32 });
  });

  it("decode other texts between the chunks of a long prompt", async () => {
    const { generate, work } = scheduler(2, 2000);
    let chunks = 0;
    const onToken = () => {
      expect(work.chunks - chunks).toBeLessThanOrEqual(1);
      chunks = work.chunks;
      return false;
    };
    const short = generate(request([1], { tokens: 20 }), { onToken });
    await Promise.all([short, generate(request(count(1000)), {})]);
    expect(chunks).toBeGreaterThan(15);
  });

  it("reuse a repeated prompt except its last token, and report it", async () => {
    const { generate, work } = scheduler(2, 2000);
    const starts: unknown[] = [];
    const onStart = (start: unknown) => void starts.push(start);
    const first = await generate(request(count(1000)), { onStart });
    await generate(request(count(40, 9)), {}); // in the other slot
    const again = await generate(request(count(1000)), { onStart });
    expect(again).toEqual(first);
    await generate(request(count(990), { n: 3 }), { onStart }); // a beginning of it
    await generate(request([...count(1000), ...ids(first[0]), 1, 2]), { onStart });
    const promptTokens = 1000;
    expect(starts).toEqual([
      { promptTokens, cachedTokens: 0 },
      { promptTokens, cachedTokens: 999 },
      { promptTokens: 990, cachedTokens: 989 },
      { promptTokens: 1008, cachedTokens: 992 - 32 }, // the third request took 989 tokens in one slot
    ]);
    expect(work.chunks).toBe(32 + 2 + 2);
  });

  it("keep a long cached text when a new one shares only its beginning", async () => {
    const { generate, work } = scheduler(2, 500);
    await generate(request(count(400)), {});
    await generate(request([...count(32), 7, 7, 7]), {});
    expect(work.copies).toBe(1);
    const before = work.chunks;
    await generate(request(count(400)), {});
    expect(work.chunks).toBe(before);
  });

  it("prefill answers while nothing else runs, for the next turn", async () => {
    const { generate, work } = scheduler(1, 500, { keepAnswers: true });
    const [answer] = await generate(request(count(50), { tokens: 60 }), {});
    for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(work.chunks).toBe(2 + 3); // 109 tokens are in the cache; those from 32 on are prefilled again
    const next = request([...count(50), ...ids(answer), 3, 4]);
    const cached: number[] = [];
    const found = await generate(next, { onStart: ({ cachedTokens }) => void cached.push(cachedTokens) });
    expect(cached).toEqual([96]);
    expect(found).toEqual(await scheduler(1, 500).generate(next, {}));
  });

  it("refuse a prompt that is too long, or end at the end of the context, if so asked", async () => {
    const { generate } = scheduler(1, 100);
    const error = generate(request(count(101), { tooLong: "error" }), {});
    await expect(error).rejects.toThrow("the prompt has 101 tokens, but the model's context length is 100 tokens");
    await expect(error).rejects.toMatchObject({ promptTokens: 101, contextTokens: 100 });
    const limits = { tooLong: "error", contextShift: false, tokens: 50 } as const;
    const [shifted] = await generate(request(count(90), { tokens: 50 }), {});
    const [ended] = await generate(request(count(90), limits), {});
    expect(ended).toEqual({ tokens: shifted.tokens.slice(0, 11), end: null, finishReason: "length" });
    expect((await generate(request(count(100), limits), {}))[0].tokens).toHaveLength(1);
  });

  it("report the prompt's log-probabilities, whatever is cached", async () => {
    const { generate } = scheduler(2);
    const prompt = count(70, 3);
    await generate(request(prompt), {});
    let found: readonly PromptLogprob[] = [];
    const [completion] = await generate(request(prompt, { promptLogprobs: true, topLogprobs: 2, n: 2 }), {
      onPromptLogprobs(tokens) {
        expect(found).toEqual([]);
        found = tokens;
      },
      onToken: () => void expect(found).toHaveLength(70),
    });
    expect(found.map(({ id }) => id)).toEqual(prompt);
    expect(found[0]).toEqual({ id: 3, logprob: null });
    for (const i of [1, 32, 33, 69]) {
      const { logits, logSumExp } = scoresAfter([prompt.slice(0, i)]);
      const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
      expect(found[i].logprob).toBeCloseTo(logits[prompt[i]] - logSumExp[0], 6);
      expect(found[i].top?.map(({ id }) => id)).toEqual(order.slice(0, 2));
    }
    expect(completion.tokens[0].top).toHaveLength(2);
    expect(completion.tokens[0].top?.[0].logprob).toBeGreaterThanOrEqual(completion.tokens[0].logprob);
  });

  it("count only generated tokens for the frequency and presence penalties", async () => {
    const { generate } = scheduler(1);
    const more = { tokens: 50, presencePenalty: 100, temperature: 0 };
    const [{ tokens }] = await generate(request(count(50), more), {});
    expect(new Set(tokens.map(({ id }) => id)).size).toBe(50);
  });
});

describe("a constraint", () => {
  /** Brackets: token 1 opens, 2 closes, 3 is text inside; 0 ends the text at depth 0 after at least one pair. */
  const bracketsUntil = (end: number): CompiledConstraint => ({
    open() {
      let depth = 0;
      let isEmpty = true;
      return {
        mask: () => Uint32Array.of(depth > 0 ? 0b1110 : isEmpty ? 0b0010 : end, 0),
        accept(id) {
          expect(depth > 0 ? [1, 2, 3] : isEmpty ? [1] : []).toContain(id);
          isEmpty = false;
          if (id === 1) depth += 1;
          if (id === 2) depth -= 1;
        },
        get isComplete() {
          return depth === 0 && !isEmpty;
        },
        shortestCompletion: () => (isEmpty ? [1, 2] : Array(depth).fill(2)),
      };
    },
  });
  const brackets = bracketsUntil(0b0001);
  const more = { constraint: brackets, endOfText: [0], n: 20, topK: 0 };

  it("holds in every completion, which is complete within the token limit", async () => {
    const { generate } = scheduler(4);
    for (const tokens of [2, 3, 7, 30]) {
      for (const each of await generate(request([5], { ...more, tokens }), {})) {
        let depth = 0;
        for (const [i, id] of ids(each).entries()) {
          expect([1, 2, 3]).toContain(id);
          depth += id === 1 ? 1 : id === 2 ? -1 : 0;
          if (i < each.tokens.length - 1) expect(depth).toBeGreaterThan(0);
        }
        expect(depth).toBe(0);
        expect(each.finishReason).toBe("stop"); // only the end may follow
        expect(each.tokens.length).toBeLessThanOrEqual(tokens);
        if (each.tokens.length < tokens) expect(each.end?.id).toBe(0);
      }
    }
  });

  it("ends a text when nothing may follow and the model has no end-of-text token", async () => {
    const { generate } = scheduler(1);
    const [each] = await generate(
      request([5], { ...more, constraint: bracketsUntil(0), n: 1, endOfText: [], tokens: 60 }),
      {},
    );
    expect(each).toMatchObject({ end: null, finishReason: "stop" });
    expect(ids(each).at(-1)).toBe(2);
  });

  it("is cut only if not even the shortest completion fits", async () => {
    const [each] = await scheduler(1).generate(request([5], { ...more, n: 1, tokens: 1 }), {});
    expect(each).toMatchObject({ tokens: [{ id: 1, samplingLogprob: 0 }], end: null, finishReason: "length" });
  });

  it("that allows no token fails its request only", async () => {
    const { generate } = scheduler(2);
    const nothing: CompiledConstraint = {
      open: () => ({ mask: () => new Uint32Array(2), accept() {}, isComplete: false, shortestCompletion: () => [] }),
    };
    const other = generate(request([2]), {});
    await expect(generate(request([1], { constraint: nothing }), {})).rejects.toThrow("allows no token");
    expect(await other).toHaveLength(1);
  });
});
