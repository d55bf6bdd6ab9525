import { describe, expect, it } from "vitest";
import type { Program } from "../../src/backends/index.js";
import { evaluate } from "../../src/train/index.js";

/** A program whose loss encodes the target, as id / 100. Records targets and their positions in the window. */
function countingProgram(seen: number[], contexts: number[], sequence: number): Program {
  let losses = new Float32Array(0);
  return {
    run: async (_entry: string, values: { ids: Int32Array; targets: Int32Array }) => {
      losses = Float32Array.from(values.targets, (target, i) => {
        if (target === -100) return 0;
        expect(values.ids[i]).toBe(target - 1);
        seen.push(target);
        contexts.push(i % sequence);
        return target / 100;
      });
    },
    read: () => losses,
  } as unknown as Program;
}

describe("evaluate", () => {
  const text = (tokens: number) => ({
    ids: Uint32Array.from({ length: tokens }, (_, i) => i),
    bytesOf: Uint8Array.from({ length: tokens }, (_, i) => (i % 3) + 1),
  });

  it.each([
    [101, 0],
    [101, 4],
    [101, 7],
    [9, 4],
    [2, 0],
    [98, 100],
  ])("predicts each of %i tokens except the first once, with a context of %i", async (tokens, context) => {
    const seen: number[] = [];
    const contexts: number[] = [];
    const program = countingProgram(seen, contexts, 8);
    const result = await evaluate(program, text(tokens), { batch: 3, sequence: 8 }, { context });
    expect(seen).toEqual(Array.from({ length: tokens - 1 }, (_, i) => i + 1));
    // After the first window, each token has at least `context` tokens before it.
    expect(contexts.every((each, i) => i < 8 || each >= Math.min(context, 7))).toBe(true);
    const nats = seen.reduce((a, b) => a + Math.fround(b / 100), 0);
    const bytes = seen.reduce((a, id) => a + (id % 3) + 1, 0);
    expect(result.tokens).toBe(tokens - 1);
    expect(result.bytes).toBe(bytes);
    expect([...result.losses]).toEqual(seen.map((id) => Math.fround(id / 100)));
    expect(result.loss).toBeCloseTo(nats / (tokens - 1), 10);
    expect(result.bitsPerByte).toBeCloseTo(nats / Math.LN2 / bytes, 10);
  });

  it("stops at the limit", async () => {
    const seen: number[] = [];
    await evaluate(countingProgram(seen, [], 8), text(500), { batch: 3, sequence: 8 }, { limit: 20 });
    expect(seen).toHaveLength(20);
  });
});
