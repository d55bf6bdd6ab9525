import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/model/index.js";
import { ngramLosses } from "../../../src/train/report/ngram.js";

const V = 6;

/** The same model by counting in maps, written directly from the formulas. */
function plainLosses(training: readonly number[], heldOut: readonly number[]): number[] {
  const key = (ids: readonly number[]) => ids.join(",");
  const counts = Array.from({ length: 6 }, (_, order) => {
    const found = new Map<string, { ids: number[]; count: number; lefts: Set<number> }>();
    for (let i = 0; order > 0 && i + order <= training.length; i++) {
      const ids = training.slice(i, i + order);
      const entry = found.get(key(ids)) ?? { ids, count: 0, lefts: new Set<number>() };
      entry.count += 1;
      if (i > 0) entry.lefts.add(training[i - 1]);
      found.set(key(ids), entry);
    }
    return new Map(
      [...found].map(([k, { ids, count, lefts }]) => [k, { ids, count: order === 5 ? count : lefts.size }]),
    );
  });
  const discounts = counts.map((found) => {
    const n = [0, 1, 2, 3, 4].map((times) => [...found.values()].filter(({ count }) => count === times).length);
    const y = n[1] / Math.max(1, n[1] + 2 * n[2]);
    return [1, 2, 3].map((times) => {
      const value = times - (times + 1) * y * (n[times + 1] / Math.max(1, n[times]));
      return n[times] > 0 && value > 0 && value < times ? value : 0.5;
    });
  });
  const probability = (context: readonly number[], token: number): number => {
    const shorter = context.length === 0 ? 1 / V : probability(context.slice(1), token);
    const order = context.length + 1;
    const same = [...counts[order].values()].filter(({ ids }) => key(ids.slice(0, -1)) === key(context));
    const total = same.reduce((sum, { count }) => sum + count, 0);
    if (total === 0) return shorter;
    const discount = (count: number) => (count === 0 ? 0 : discounts[order][Math.min(count, 3) - 1]);
    const left = same.reduce((sum, { count }) => sum + discount(count), 0);
    const own = counts[order].get(key([...context, token]))?.count ?? 0;
    return Math.max(0, own - discount(own)) / total + (left / total) * shorter;
  };
  return heldOut.slice(1).map((token, i) => -Math.log(probability(heldOut.slice(Math.max(0, i - 3), i + 1), token)));
}

describe("ngramLosses", () => {
  const random = randomStream(7, "text");
  const draw = (length: number, from: number) =>
    Array.from({ length }, (_, i) => Math.floor(random.uniform(from + i) ** 2 * (V - 1)));

  it.each([
    [40, 20],
    [400, 60],
    [1, 5],
    [4, 9],
  ])("is interpolated modified Kneser-Ney: %i training and %i held-out tokens", (trained, heldOutTokens) => {
    const [training, heldOut] = [draw(trained, 0), draw(heldOutTokens, 1000)];
    const expected = plainLosses(training, heldOut);
    const losses = ngramLosses(training, heldOut, V);
    expect(losses).toHaveLength(heldOutTokens - 1);
    for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(expected[i], 10);
  });

  it("is a distribution: the probabilities of all next tokens sum to 1", () => {
    const training = draw(300, 0);
    for (const context of [[0, 1, 0, 2], [4, 4, 4, 4], [1]]) {
      const sum = Array.from({ length: V }, (_, id) => Math.exp(-ngramLosses(training, [...context, id], V).at(-1)!));
      expect(sum.reduce((a, b) => a + b)).toBeCloseTo(1, 10);
    }
  });

  it("predicts a text that repeats itself", () => {
    const cycle = Array.from({ length: 600 }, (_, i) => i % 5);
    const losses = ngramLosses(cycle, cycle.slice(0, 100), V);
    expect(losses[50]).toBeLessThan(0.05);
  });
});
