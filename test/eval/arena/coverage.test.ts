import { describe, expect, it } from "vitest";
import { POINTS, rankVotes } from "../../../src/eval/arena/rank.js";
import { uniformNumbers } from "../../../src/eval/statistics/index.js";
import { simulate } from "./votes-of.js";

const THETA = [0, 0.8, -0.5, 1.4, 0.2, -1.1];

/** Share of intervals, over `runs` simulations, that contain the true rating. */
async function coverage(
  runs: number,
  votes: number,
  options: { ties?: number; bootstrap?: number; confidence: number },
) {
  const uniform = uniformNumbers(7, "coverage");
  let [covered, all] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const { models } = await rankVotes(simulate(THETA, votes, uniform, options), { ...options, seed: run });
    for (const { model, lower, upper } of models) {
      if (model === "m0") continue;
      const truth = 1000 + POINTS * THETA[Number(model.slice(1))];
      all += 1;
      if (lower <= truth && truth <= upper) covered += 1;
    }
  }
  return covered / all;
}

// The intervals of one run share an anchor, so a run counts as about two independent intervals. The limits are three standard errors.
const limit = (runs: number, confidence: number) => 3 * Math.sqrt((confidence * (1 - confidence)) / (2 * runs));

describe("intervals cover the true rating at their rate", () => {
  it.each([0.8, 0.95])("sandwich, %s", async (confidence) => {
    const share = await coverage(600, 500, { confidence });
    expect(Math.abs(share - confidence)).toBeLessThan(limit(600, confidence));
  });

  it("bootstrap", async () => {
    const share = await coverage(150, 600, { confidence: 0.9, bootstrap: 200 });
    expect(Math.abs(share - 0.9)).toBeLessThan(limit(150, 0.9) + 0.01);
  });
});

it("sandwich and bootstrap intervals agree, with ties too", async () => {
  const votes = simulate(THETA, 4000, uniformNumbers(3, "agree"), { ties: 0.3 });
  const sandwich = await rankVotes(votes);
  const bootstrap = await rankVotes(votes, { bootstrap: 2000 });
  for (const [i, { model, rating, lower, upper }] of sandwich.models.entries()) {
    const other = bootstrap.models[i];
    expect(other).toMatchObject({ model, rating });
    if (lower === upper) continue;
    expect((other.upper - other.lower) / (upper - lower)).toBeGreaterThan(0.93);
    expect((other.upper - other.lower) / (upper - lower)).toBeLessThan(1.07);
  }
  expect(await rankVotes(votes, { bootstrap: 50, seed: 5 })).toEqual(
    await rankVotes(votes, { bootstrap: 50, seed: 5 }),
  );
});
