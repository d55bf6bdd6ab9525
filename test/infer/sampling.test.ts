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
      const left = candidates(Float32Array.from(given), { topK: 0, ...options }, { seen });
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
    expect(chooseToken(logits, options, 0.5, { seen: [1] })).toBe(2);
    expect(chooseToken(logits, options, 0.5, { seen: [1, 2] })).toBe(1); // 1.5 is still the largest
    expect(chooseToken(Float32Array.of(-1, -1.5), options, 0.5, { seen: [0] })).toBe(1);
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

  it("draws the same tokens when it knows the masses of blocks", () => {
    const random = randomStream(4, "sum");
    const many = Float32Array.from({ length: 3000 }, (_, i) => 12 * random.uniform(i) - 6);
    many.fill(Number.NEGATIVE_INFINITY, 60, 120); // a block without mass, and one whose first tokens have none
    many.fill(Number.NEGATIVE_INFINITY, 2980); // the end as well
    const weights = many.map((logit) => Math.exp(logit));
    const logSumExp = Math.log(weights.reduce((sum, weight) => sum + weight, 0));
    const masses = Float32Array.from({ length: 75 }, (_, block) =>
      weights.subarray(40 * block, 40 * (block + 1)).reduce((sum, weight) => sum + weight, 0),
    );
    const totals = { logSumExp, masses };
    const options = { temperature: 1, topK: 0 };
    for (let i = 0; i < 2000; i++) {
      const uniform = random.uniform(5000 + i);
      const [quick, full] = [sampler.draw(many, options, uniform, { totals }), sampler.draw(many, options, uniform)];
      expect(quick.id).toBe(full.id);
      expect(quick.logprob).toBeCloseTo(full.logprob, 5);
    }
    for (const end of [1e-12, 1 - 2 ** -53]) {
      expect(sampler.draw(many, options, end, { totals }).id).toBe(sampler.draw(many, options, end).id);
    }
    // A factor of all masses changes nothing. Masses whose sum rounds too high still give a token with a probability.
    const doubled = { logSumExp, masses: masses.map((mass) => 2 * mass) };
    expect(sampler.draw(many, options, 0.3, { totals: doubled }).id).toBe(sampler.draw(many, options, 0.3).id);
    const tooHigh = { logSumExp, masses: masses.map((mass) => mass * (1 + 1e-4)) };
    expect(many[sampler.draw(many, options, 1 - 2 ** -53, { totals: tooHigh }).id]).toBeGreaterThan(
      Number.NEGATIVE_INFINITY,
    );
    // Only all tokens at temperature 1 have those masses.
    for (const other of [
      { temperature: 0.5, topK: 2 },
      { ...options, logitBias: new Map([[5, 20]]) },
      { ...options, repetitionPenalty: 2 },
    ]) {
      expect(sampler.draw(many, other, 0.9, { seen: [5], totals })).toEqual(
        sampler.draw(many, other, 0.9, { seen: [5] }),
      );
    }
  });

  it("finds the first of the likeliest tokens when it knows the masses of blocks", () => {
    const random = randomStream(5, "sum");
    for (let round = 0; round < 200; round++) {
      const many = Float32Array.from({ length: 400 }, (_, i) => 12 * random.uniform(400 * round + i) - 6);
      const top = many.reduce((a, b) => Math.max(a, b));
      const first = many.indexOf(top);
      many[Math.min(399, first + (round % 3) * 53)] = top; // sometimes a tie in a later block
      const masses = Float32Array.from({ length: 10 }, (_, block) =>
        many.subarray(40 * block, 40 * (block + 1)).reduce((sum, logit) => sum + Math.fround(Math.exp(logit - top)), 0),
      );
      const totals = { logSumExp: 0, masses };
      expect(sampler.draw(many, { temperature: 0, topK: 0 }, 0.5, { totals })).toEqual({ id: first, logprob: 0 });
      const logitBias = new Map([[7, 20]]); // masses are those without it
      expect(sampler.draw(many, { temperature: 0, topK: 0, logitBias }, 0.5, { totals }).id).toBe(7);
    }
  });

  it("reaches the ends of the range", () => {
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1e-12)).toBe(1);
    expect(chooseToken(logits, { temperature: 1, topK: 2 }, 1 - 1e-12)).toBe(2);
  });
});

describe("OpenAI's penalties and biases", () => {
  const softmax = (scores: readonly number[]) => {
    const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
    return scores.map((score) => Math.exp(score) / total);
  };

  it("subtract frequency × count + presence from each token of the generated text", () => {
    const options = { temperature: 1, topK: 0, frequencyPenalty: 0.5, presencePenalty: 0.25 };
    const counts = new Map([
      [1, 3],
      [4, 1],
      [99, 1], // not in the vocabulary
    ]);
    const expected = softmax([1, 3 - 1.75, 3, -2, 0.5 - 0.75]);
    const { probabilities } = candidates(logits, options, { counts });
    for (const [id, probability] of probabilities.entries()) expect(probability).toBeCloseTo(expected[id], 6);
  });

  it("add biases, and negative penalties encourage repetition", () => {
    const biased = { temperature: 0, topK: 0, logitBias: new Map([[3, 100]]) };
    expect(chooseToken(logits, biased, 0.5)).toBe(3);
    expect(chooseToken(logits, { ...biased, logitBias: new Map([[1, -100]]) }, 0.5)).toBe(2);
    const repeating = { temperature: 0, topK: 0, presencePenalty: -2.5 };
    expect(chooseToken(logits, repeating, 0.5, { counts: new Map([[0, 1]]) })).toBe(0);
  });

  it("leave the penalised logits of one draw out of the next", () => {
    const options = { temperature: 0, topK: 0, frequencyPenalty: 2 };
    chooseToken(logits, options, 0.5, { counts: new Map([[1, 5]]) });
    expect(chooseToken(logits, options, 0.5, { counts: new Map() })).toBe(1);
    expect([...logits]).toEqual([1, 3, 3, -2, 0.5]);
  });
});

describe("a mask", () => {
  const allow = (size: number, ids: readonly number[]) => {
    const mask = new Uint32Array(Math.ceil(size / 32));
    for (const id of ids) mask[id >> 5] |= 1 << (id & 31);
    return mask;
  };
  const random = randomStream(5, "mask");
  const many = Float32Array.from({ length: 1001 }, (_, i) => 8 * random.uniform(i));
  const some = [0, 31, 32, 63, 64, 500, 501, 999, 1000];

  it.each([
    { temperature: 0.7, topK: 0 },
    { temperature: 1, topK: 4 },
    { temperature: 1, topK: 2000 },
    { temperature: 1, topK: 0, topP: 0.8 },
    { temperature: 1, topK: 40, minP: 0.1, topP: 0.9 },
  ])("gives the distribution of the allowed tokens alone: %j", (options) => {
    const alone = candidates(
      Float32Array.from(some, (id) => many[id]),
      options,
    );
    const masked = candidates(many, options, { mask: allow(1001, some) });
    expect([...masked.ids]).toEqual(Array.from(alone.ids, (i) => some[i]));
    for (const [i, probability] of masked.probabilities.entries())
      expect(probability).toBeCloseTo(alone.probabilities[i], 12);
  });

  it("also limits greedy draws, draws of known sum, and penalised tokens", () => {
    const mask = allow(1001, some);
    const best = some.reduce((a, b) => (many[b] > many[a] ? b : a));
    expect(chooseToken(many, { temperature: 0, topK: 0 }, 0.5, { mask })).toBe(best);
    for (let i = 0; i < 200; i++) {
      const context = { mask, totals: { logSumExp: 9, masses: new Float32Array(91).fill(1) }, seen: [1, 2, 3] };
      expect(some).toContain(
        chooseToken(many, { temperature: 1, topK: 0, repetitionPenalty: 0.5 }, random.uniform(2000 + i), context),
      );
    }
  });

  it("that allows nothing is an internal error", () => {
    const mask = allow(1001, []);
    for (const temperature of [0, 1])
      expect(() => chooseToken(many, { temperature, topK: 0 }, 0.5, { mask })).toThrow("allows no token");
  });
});

it("finds the largest logits of a large vocabulary, as sorting does", () => {
  const random = randomStream(6, "largest");
  const many = Float32Array.from({ length: 5003 }, (_, i) => Math.round(random.uniform(i) * 300));
  const order = Array.from(many.keys()).sort((a, b) => many[b] - many[a] || a - b);
  for (const k of [0, 1, 20, 300, 6000]) expect(largestLogits(many, k)).toEqual(order.slice(0, k));
});
