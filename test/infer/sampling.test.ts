import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createSampler, largestLogits, type SamplingOptions } from "../../src/infer/sampling.js";
import { randomStream } from "../../src/model/index.js";

const logits = Float32Array.of(1, 3, 3, -2, 0.5);
const sampler = createSampler();
const chooseToken = (...given: Parameters<typeof sampler.draw>) => sampler.draw(...given).id;
const { candidates } = sampler;

interface Oracle {
  readonly transformers: string;
  readonly cases: readonly {
    readonly options: Partial<SamplingOptions> & { readonly temperature: number };
    readonly logits: readonly number[];
    readonly seen: readonly number[];
    readonly probabilities: Readonly<Record<string, number>>;
  }[];
}
const oracle = JSON.parse(readFileSync(new URL("../oracle/fixtures/sampling.json", import.meta.url), "utf8")) as Oracle;

describe("candidates", () => {
  it.each(oracle.cases.map((each) => [JSON.stringify(each.options), each] as const))(
    "equal those of transformers' logits processors: %s",
    (_, { options, logits: given, seen, probabilities }) => {
      const left = candidates(Float32Array.from(given), { topK: 0, ...options }, seen);
      expect([...left.ids]).toEqual(Object.keys(probabilities).map(Number));
      for (const [i, id] of left.ids.entries()) expect(left.probabilities[i]).toBeCloseTo(probabilities[id], 6);
    },
  );

  it("finds the k likeliest of many tokens, as sorting does", () => {
    const random = randomStream(1, "many");
    const many = Float32Array.from({ length: 5000 }, (_, i) => Math.round(random.uniform(i) * 800));
    const sorted = many.slice().sort().reverse();
    for (const topK of [1, 2, 50, 2500, 4999]) {
      const expected = many.reduce((count, value) => count + (value >= sorted[topK - 1] ? 1 : 0), 0);
      expect(candidates(many, { temperature: 1e3, topK }).ids).toHaveLength(expected);
    }
  });
});

it("returns the largest logits, ties by id", () => {
  expect(largestLogits(logits, 3)).toEqual([1, 2, 0]);
  expect(largestLogits(logits, 9)).toEqual([1, 2, 0, 4, 3]);
});

it("cuts top-p where sorting by probability does, dropping the last ids of ties", () => {
  const random = randomStream(2, "nucleus");
  const many = Float32Array.from({ length: 3000 }, (_, i) => Math.round(random.uniform(i) * 40) / 4);
  const order = Array.from(many.keys()).sort((a, b) => many[b] - many[a] || a - b);
  const total = many.reduce((sum, logit) => sum + Math.exp(logit), 0);
  for (const topP of [0.001, 0.3, 0.9, 0.999]) {
    let length = 0;
    for (let mass = 0; mass < topP; length++) mass += Math.exp(many[order[length]]) / total;
    const kept = order.slice(0, length).sort((a, b) => a - b);
    expect([...candidates(many, { temperature: 1, topK: 0, topP }).ids], `${topP}`).toEqual(kept);
  }
});

it("computes probabilities to twelve digits, however small", () => {
  const range = Float32Array.from({ length: 800 }, (_, i) => -i);
  const { probabilities } = candidates(range, { temperature: 1, topK: 0 });
  for (const [i, probability] of probabilities.entries()) {
    const expected = Math.exp(-i) * (1 - Math.exp(-1));
    expect(Math.abs(probability - expected)).toBeLessThanOrEqual(1e-12 * expected + Number.MIN_VALUE);
  }
});

describe("draw", () => {
  it("takes the likeliest token at temperature 0, the first of ties", () => {
    for (const uniform of [0.01, 0.99]) expect(chooseToken(logits, { temperature: 0, topK: 0 }, uniform)).toBe(1);
  });

  it("penalises repeated tokens, also at temperature 0", () => {
    const options = { temperature: 0, topK: 0, repetitionPenalty: 2 };
    expect(chooseToken(logits, options, 0.5, [1])).toBe(2);
    expect(chooseToken(logits, options, 0.5, [1, 2])).toBe(1); // 1.5 is still the largest
    expect(chooseToken(Float32Array.of(-1, -1.5), options, 0.5, [0])).toBe(1);
  });

  it.each([
    { temperature: 1, topK: 0 },
    { temperature: 0.5, topK: 0 },
    { temperature: 2, topK: 3 },
  ])("draws each token with its probability: %j", ({ temperature, topK }) => {
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

  it("draws the same tokens when it knows the logits' sum", () => {
    const random = randomStream(4, "sum");
    const many = Float32Array.from({ length: 3000 }, (_, i) => 12 * random.uniform(i) - 6);
    const logSumExp = Math.log(many.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const options = { temperature: 1, topK: 0 };
    for (let i = 0; i < 2000; i++) {
      const uniform = random.uniform(5000 + i);
      const [quick, full] = [
        sampler.draw(many, options, uniform, [], Math.fround(logSumExp)),
        sampler.draw(many, options, uniform),
      ];
      expect(quick.id).toBe(full.id);
      expect(quick.logprob).toBeCloseTo(full.logprob, 5);
    }
    // A sum that is too large: no token reaches the end of the range.
    expect(sampler.draw(many, options, 1 - 1e-9, [], logSumExp + 1e-6)).toEqual(sampler.draw(many, options, 1 - 1e-9));
    // Only all tokens at temperature 1 have that sum.
    const greedyish = { temperature: 0.5, topK: 2 };
    expect(sampler.draw(logits, greedyish, 0.9, [], 3.8)).toEqual(sampler.draw(logits, greedyish, 0.9));
  });

  it("reaches the ends of the range", () => {
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1e-12)).toBe(1);
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1 - 1e-12)).toBe(2);
  });
});
