/** Data of the sentiment recipe: rated sentences, pairs of raters, their ceiling, and what a frontier shows. */
import { describe, expect, it } from "vitest";
import { bestOfPoints, type FrontierPoint, frontierSentence, type Sample } from "../../recipes/frontier.js";
import { parseRatings, raterPairs, splitHalfCeiling, splitSentences } from "../../recipes/movie-ratings.js";
import type { RewardModel } from "../../src/align/index.js";

/** Sentence i has quality i mod 9 − 4; raters deviate from it by at most `noise`. */
const sentences = (count: number, noise: number) =>
  Array.from({ length: count }, (_, i) => ({
    text: `sentence ${i}`,
    ratings: Array.from({ length: 15 }, (_, r) => (i % 9) - 4 + Math.round(noise * Math.sin(7 * i + 13 * r))),
  }));

describe("rated sentences", () => {
  it("join texts with ratings by their number", () => {
    const parsed = parseRatings(
      "1\t2.5\tGood film. \n2\t-1\tBad film.\r\n",
      "2\t-1\t0\t[-1, -1]\n1\t2.5\t.5\t[3, 2]\n",
    );
    expect(parsed).toEqual([
      { text: "Good film.", ratings: [3, 2] },
      { text: "Bad film.", ratings: [-1, -1] },
    ]);
    expect(() => parseRatings("1\t0\tText", "2\t0\t0\t[1]")).toThrow("sentence 1 has no ratings");
  });

  it("are split by text", () => {
    const twice = [...sentences(500, 0), ...sentences(500, 1)];
    const { train, heldOut } = splitSentences(twice);
    expect(train.length + heldOut.length).toBe(1000);
    expect(heldOut.length).toBeGreaterThan(120);
    expect(heldOut.length).toBeLessThan(280);
    const known = new Set(train.map(({ text }) => text));
    expect(heldOut.filter(({ text }) => known.has(text))).toEqual([]);
  });
});

describe("pairs of raters", () => {
  it("have the order of one rating of each sentence, and depend on the seed alone", () => {
    const pairs = raterPairs(sentences(100, 3), 500, 1);
    expect(pairs).toHaveLength(500);
    for (const { chosen, rejected, chosenRater, rejectedRater } of pairs) {
      expect(chosen.ratings[chosenRater]).toBeGreaterThan(rejected.ratings[rejectedRater]);
      expect(chosen.text).not.toBe(rejected.text);
    }
    expect(raterPairs(sentences(100, 3), 500, 1)).toEqual(pairs);
    expect(raterPairs(sentences(100, 3), 500, 2)).not.toEqual(pairs);
    // Without two sentences that differ there is no pair.
    expect(raterPairs(sentences(1, 0), 10, 0)).toEqual([]);
  });

  it("are foretold by the other raters as far as these agree", () => {
    expect(splitHalfCeiling(raterPairs(sentences(90, 0), 500, 0), 0)).toBe(1);
    const noisy = splitHalfCeiling(raterPairs(sentences(90, 4), 2000, 0), 0);
    expect(noisy).toBeGreaterThan(0.6);
    expect(noisy).toBeLessThan(0.95);
  });
});

describe("the frontier", () => {
  const point = (method: string, kl: number, gold: number, proxy: number): FrontierPoint => ({
    ...{ method, setting: "", kl, gold, proxy, gold_low: gold - 0.05, gold_high: gold + 0.05 },
  });

  it("of best-of-n chooses by the reward model, at a known KL", async () => {
    const samples = Array.from({ length: 8 }, (_, i): Sample => {
      return { prompt: Math.floor(i / 4), text: String(i), ids: [0, 1], given: 1, logProbability: 0 };
    });
    const proxy = { score: async (texts: readonly string[]) => texts.map(Number) } as unknown as RewardModel;
    const [one, four] = await bestOfPoints(samples, { gold: (text) => -Number(text), proxy }, [1, 4]);
    expect(one).toMatchObject({ kl: 0, gold: -3.5, proxy: 3.5 });
    expect(four).toMatchObject({ setting: "n = 4", gold: -5, proxy: 5 });
    expect(four.kl).toBeCloseTo(Math.log(4) - 0.75, 10);
  });

  it("shows over-optimisation where the reward still rises and the judge's score falls", () => {
    const over = [point("PPO", 1, 0.3, 1), point("PPO", 5, 0.6, 2), point("PPO", 20, 0.2, 4), point("DPO", 3, 0.4, 2)];
    expect(frontierSentence(over)).toBe(
      "Highest judged sentiment: PPO 0.60 at 5.0 nats, DPO 0.40 at 3.0 nats; the reward model is over-optimised by PPO beyond " +
        "5.0 nats: its score rises while the judged sentiment falls.",
    );
    expect(frontierSentence(over.slice(0, 2))).toContain("no method's judged sentiment falls");
  });
});
