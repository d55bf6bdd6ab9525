import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/model/index.js";
import { chooseToken } from "../../src/train/sampling.js";

const logits = Float32Array.of(1, 3, 3, -2, 0.5);

describe("chooseToken", () => {
  it("takes the likeliest at temperature 0, the first of equals", () => {
    for (const uniform of [0.01, 0.99]) expect(chooseToken(logits, { temperature: 0, topK: 0 }, uniform)).toBe(1);
  });

  it.each([
    { temperature: 1, topK: 0 },
    { temperature: 0.5, topK: 0 },
    { temperature: 2, topK: 3 },
  ])("draws as often as the distribution says: %j", ({ temperature, topK }) => {
    const kept = [0, 1, 2, 3, 4].sort((a, b) => logits[b] - logits[a] || a - b).slice(0, topK || 5);
    const total = kept.reduce((sum, id) => sum + Math.exp(logits[id] / temperature), 0);
    const random = randomStream(3, "test");
    const counts = new Float64Array(5);
    const draws = 40_000;
    for (let i = 0; i < draws; i++) counts[chooseToken(logits, { temperature, topK }, random.uniform(i))] += 1;
    for (let id = 0; id < 5; id++) {
      const share = kept.includes(id) ? Math.exp(logits[id] / temperature) / total : 0;
      expect(Math.abs(counts[id] / draws - share)).toBeLessThan(0.01);
    }
  });

  it("reaches the ends of the range", () => {
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1e-12)).toBe(1);
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1 - 1e-12)).toBe(2);
  });
});
