import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { covarianceOf, designOf, fitBradleyTerry } from "../../../src/eval/arena/bradley-terry.js";
import { aggregate } from "../../../src/eval/arena/comparisons.js";
import { POINTS, rankVotes } from "../../../src/eval/arena/rank.js";
import { type FixtureVote, votesOf } from "./votes-of.js";

type Rows = Readonly<Record<string, readonly [rating: number, lower: number, upper: number]>>;
// test/oracle/arena_rankings.py
const oracle = JSON.parse(readFileSync(new URL("../../oracle/fixtures/arena.json", import.meta.url), "utf8")) as {
  votes: FixtureVote[];
  bradley_terry: Rows;
  anchor_fir_90: Rows;
  style: { differences: number[][]; ratings: Rows; points: [number, number, number][] };
  extreme: { votes: FixtureVote[]; ratings: Rows };
  elo: Record<"default" | "k16_home" | "margin" | "reversion", Record<string, number>>;
};
const votes = votesOf(oracle.votes);

const expectRows = (models: readonly { model: string; rating: number; lower: number; upper: number }[], rows: Rows) => {
  expect(models.map(({ model }) => model).sort()).toEqual(Object.keys(rows).sort());
  for (const { model, rating, lower, upper } of models) {
    [rating, lower, upper].forEach((value, i) => void expect(value, model).toBeCloseTo(rows[model][i], 6));
  }
};

describe("Bradley–Terry", () => {
  it("equals maximum likelihood with sandwich errors in float64", async () => {
    const ranking = await rankVotes(votes);
    expectRows(ranking.models, oracle.bradley_terry);
    expect(ranking).toMatchObject({ method: "bt", intervals: "sandwich", votes: 420, warnings: [] });
    for (const { rank, upper, votes: own, model } of ranking.models) {
      expect(rank).toBe(1 + ranking.models.filter(({ lower }) => lower > upper).length);
      expect(own).toBe(oracle.votes.filter(([a, b]) => a === model || b === model).length);
    }
    const ratings = ranking.models.map(({ rating }) => rating);
    expect(ratings).toEqual([...ratings].sort((a, b) => b - a));
  });

  it("rates another anchor 1000, at another confidence", async () => {
    const ranking = await rankVotes(votes, { anchor: "fir", confidence: 0.9 });
    expectRows(ranking.models, oracle.anchor_fir_90);
    await expect(rankVotes(votes, { anchor: "pine" })).rejects.toThrow("no vote is about the model pine");
  });

  it("controls for style", async () => {
    const { models, style } = await rankVotes(votesOf(oracle.votes, oracle.style.differences), { style: true });
    expectRows(models, oracle.style.ratings);
    oracle.style.points.forEach(([points, lower, upper], f) => {
      expect(style?.[f].points).toBeCloseTo(points, 6);
      expect(style?.[f].lower).toBeCloseTo(lower, 6);
      expect(style?.[f].upper).toBeCloseTo(upper, 6);
    });
    expect(style?.map(({ feature }) => feature)).toEqual(["length", "headers", "lists", "bold"]);
  });

  it("gives finite ratings to models that won or lost every vote, and names them", async () => {
    const ranking = await rankVotes(votesOf(oracle.extreme.votes));
    expectRows(ranking.models, oracle.extreme.ratings);
    expect(ranking.intervals).toBe("model");
    expect(ranking.warnings).toHaveLength(1);
    expect(ranking.warnings[0]).toMatch(/sun won every vote.*Firth/);
    expect(ranking.warnings[0]).toMatch(/fog lost every vote/);
    const again = await rankVotes(votesOf(oracle.extreme.votes), { bootstrap: 40 });
    expect(again.models.every(({ lower, upper }) => Number.isFinite(lower) && Number.isFinite(upper))).toBe(true);
  });

  it("refuses groups that never met, naming them", async () => {
    const rows: FixtureVote[] = [
      ["a", "b", "tie", 0, 1],
      ["c", "d", "model_a", 1, 1],
      ["d", "c", "model_a", 2, 1],
    ];
    await expect(rankVotes(votesOf(rows))).rejects.toThrow("no vote connects the models {a, b} and {c, d}");
  });

  it("reproduces the published ranking of four statistics journals", async () => {
    // Citations between journals, 1987–1989 (Stigler 1994, table 3 there; Agresti, Categorical Data Analysis, 2nd edition,
    // section 10.6): [winner, loser, times the loser cited the winner].
    const citations: [string, string, number][] = [
      ["Biometrika", "Comm. Statist.", 730],
      ["Comm. Statist.", "Biometrika", 33],
      ["Biometrika", "JASA", 498],
      ["JASA", "Biometrika", 320],
      ["Biometrika", "JRSS-B", 221],
      ["JRSS-B", "Biometrika", 284],
      ["Comm. Statist.", "JASA", 68],
      ["JASA", "Comm. Statist.", 813],
      ["Comm. Statist.", "JRSS-B", 17],
      ["JRSS-B", "Comm. Statist.", 276],
      ["JASA", "JRSS-B", 142],
      ["JRSS-B", "JASA", 325],
    ];
    const rows = citations.flatMap(([a, b, times]) =>
      Array.from({ length: times }, (): FixtureVote => [a, b, "model_a", 0, 1]),
    );
    const journals = votesOf(rows);
    const { models } = await rankVotes(journals);
    // Estimates and standard errors relative to Biometrika, as R's BradleyTerry2 prints them (Turner and Firth, 2012).
    const published = { "JRSS-B": 0.26895, Biometrika: 0, JASA: -0.47957, "Comm. Statist.": -2.94907 };
    expect(models.map(({ model }) => model)).toEqual(Object.keys(published));
    for (const { model, rating } of models) {
      expect((rating - 1000) / POINTS).toBeCloseTo(published[model as keyof typeof published], 5);
    }
    expect(models.map(({ rank }) => rank)).toEqual([1, 2, 3, 4]);
    // Agresti's estimates, with JRSS-B at 0: −.269, −.749, −3.218.
    const top = models[0].rating;
    expect(models.slice(1).map(({ rating }) => ((rating - top) / POINTS).toFixed(3))).toEqual([
      "-0.269",
      "-0.749",
      "-3.218",
    ]);
    const design = designOf(aggregate(journals), 0);
    const covariance = covarianceOf(design, fitBradleyTerry(design), { robust: false });
    const errors = Array.from({ length: 3 }, (_, p) => Math.sqrt(covariance[p * 3 + p]).toFixed(5));
    expect(errors).toEqual(["0.10255", "0.06059", "0.07083"]);
  });

  it("says how many more votes would separate two neighbours", async () => {
    const rows = Array.from({ length: 100 }, (_, n): FixtureVote => ["a", "b", n < 55 ? "model_a" : "model_b", n, 1]);
    const { neighbours } = await rankVotes(votesOf(rows));
    const needed = neighbours?.[0].more_votes ?? 0;
    expect(neighbours?.[0]).toMatchObject({ above: "a", below: "b" });
    expect(neighbours?.[0].lower).toBeLessThan(0);
    // By hand: 1.96² / ln(.55 / .45)² / (.55 · .45) = 386 votes in all.
    expect(needed).toBe(286);
    const grown = (total: number) =>
      rankVotes(
        votesOf(
          Array.from(
            { length: total },
            (_, n) => ["a", "b", n * 20 < 11 * total ? "model_a" : "model_b", n, 1] as const,
          ),
        ),
      );
    expect((await grown(400)).neighbours?.[0]).toMatchObject({ more_votes: 0 });
    expect((await grown(380)).neighbours?.[0].lower).toBeLessThan(0);
    const even = rows.map(([a, b, , time], n): FixtureVote => [a, b, n < 50 ? "model_a" : "model_b", time, 1]);
    expect((await rankVotes(votesOf(even))).neighbours?.[0].more_votes).toBeNull();
  });

  it("gives each pair's results", async () => {
    const { pairs } = await rankVotes(votes);
    for (const { model_a, model_b, wins_a, wins_b, ties } of pairs) {
      const won = (a: string, b: string) =>
        oracle.votes.filter(
          ([x, y, winner]) =>
            (x === a && y === b && winner === "model_a") || (x === b && y === a && winner === "model_b"),
        ).length;
      expect([wins_a, wins_b]).toEqual([won(model_a, model_b), won(model_b, model_a)]);
      const met = oracle.votes.filter(([x, y]) => [x, y].sort().join() === [model_a, model_b].sort().join()).length;
      expect(wins_a + wins_b + ties).toBe(met);
    }
    expect(pairs).toHaveLength(15);
  });
});

describe("Elo", () => {
  const cases = {
    default: {},
    k16_home: { k: 16, homeAdvantage: 35 },
    margin: { k: 10, usesMargin: true },
    reversion: { k: 20, reversion: 0.25, season: 20 },
  };
  it.each(Object.keys(cases) as (keyof typeof cases)[])("equals a loop in Python: %s", async (name) => {
    const { models, intervals } = await rankVotes(votes, { method: "elo", bootstrap: 10, elo: cases[name] });
    expect(intervals).toBe("bootstrap");
    for (const { model, rating, lower, upper } of models) {
      expect(rating, model).toBeCloseTo(oracle.elo[name][model], 8);
      expect(lower).toBeLessThan(upper);
    }
  });

  it("orders votes by time only if each has one", async () => {
    const byFile = await rankVotes(votes, { method: "elo", order: "file" });
    const untimed = { ...votes, time: undefined };
    expect(await rankVotes(untimed, { method: "elo" })).toEqual(byFile);
    expect(byFile.models).not.toEqual((await rankVotes(votes, { method: "elo" })).models);
    await expect(rankVotes(untimed, { method: "elo", order: "time" })).rejects.toThrow("some votes have no tstamp");
    await expect(rankVotes(untimed, { method: "elo", elo: { reversion: 0.1 } })).rejects.toThrow("no seasons");
  });
});
