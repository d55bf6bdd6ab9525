/** Scheduling of a decoding program, tested with a fake one whose logits are a hash of the slot's text. */
import { describe, expect, it } from "vitest";
import type { GenerateRequest } from "../../src/infer/completion.js";
import type { DecodingProgram } from "../../src/infer/decoding-program.js";
import { createSlots } from "../../src/infer/slots.js";

const V = 50;
const UNKNOWN = -1;

/** Simulated cache slots: unwritten positions contain no token. */
function hashProgram(slots: number, sequence: number) {
  const texts = Array.from({ length: slots }, () => new Array<number>(sequence + 32).fill(UNKNOWN));
  const work = { chunks: 0, copies: 0, widths: [] as number[] };
  const program: DecodingProgram = {
    slots,
    sequence,
    plan: {} as DecodingProgram["plan"],
    async prefill(slot, tokens, position) {
      expect(position % 32).toBe(0);
      work.chunks += 1;
      for (let i = 0; i < 32; i++) texts[slot][position + i] = tokens[i] ?? UNKNOWN;
    },
    async copy(copies) {
      work.copies += copies.length;
      for (const { from, to, length } of copies) texts[to].splice(0, length, ...texts[from].slice(0, length));
    },
    async decode(steps) {
      await new Promise((resolve) => setImmediate(resolve)); // lets other tasks run
      work.widths.push(steps.length);
      expect(new Set(steps.map(({ slot }) => slot)).size).toBe(steps.length);
      const logits = new Float32Array(steps.length * V);
      for (const [i, { slot, token, position }] of steps.entries()) {
        texts[slot][position] = token;
        const text = texts[slot].slice(0, position + 1);
        expect(text).not.toContain(UNKNOWN);
        let hash = 0;
        for (const id of text) hash = (Math.imul(hash, 31) + id + 1) >>> 0;
        for (let id = 0; id < V; id++) logits[i * V + id] = (Math.imul(hash + id, 0x9e3779b1) >>> 0) / 2 ** 29;
      }
      const logSumExp = Float32Array.from(steps, (_, i) => {
        const row = logits.subarray(i * V, (i + 1) * V);
        return Math.log(row.reduce((total, x) => total + Math.exp(x), 0));
      });
      return { logits, logSumExp };
    },
    dispose() {},
  };
  return { program, work };
}

function scheduler(slots: number, sequence = 200) {
  const { program, work } = hashProgram(slots, sequence);
  const shapeFor = () => ({ slots, sequence });
  return { ...createSlots({ sequence, shapeFor, open: async () => program }), work };
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
    expect(work.chunks).toBe(3); // 96 of 99 tokens; three more are decoded one by one, in one slot
    expect(work.copies).toBe(7);
    expect(work.widths).toEqual([1, 1, 1, 8, 8, 8, 8, 8, 8]);
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
      const { logits, logSumExp } = await program.decode(steps);
      return { logits, logSumExp: logSumExp.fill(Number.NaN) };
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
});
