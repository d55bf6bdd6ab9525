import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../src/model/index.js";
import {
  bestMixture,
  fitMixtureModel,
  optimiseMix,
  rankCorrelation,
  sampleMixtures,
  searchMixture,
} from "../../src/scale/index.js";
import { uniforms } from "../../src/scale/mixture-sampling.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-scale-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const natural = [0.5, 0.3, 0.2];
const uniform = () => uniforms(randomStream(1, "test"));

describe("sampled mixtures", () => {
  it("are mixtures around the natural one, wide and narrow", () => {
    const drawn = sampleMixtures(natural, 4000, { concentration: 1, uniform: uniform() });
    for (const shares of drawn) expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
    for (const [i, share] of natural.entries()) {
      const list = drawn.map((shares) => shares[i]);
      expect(list.reduce((sum, each) => sum + each, 0) / list.length).toBeCloseTo(share, 1);
      const variance = (from: number) => {
        const own = list.filter((_, at) => at % 4 === from);
        return own.reduce((sum, each) => sum + (each - share) ** 2, 0) / own.length;
      };
      // Dirichlet: a (1 - a) / (concentration + 1), with concentrations 1.5 and 12.
      expect(variance(0)).toBeCloseTo((share * (1 - share)) / 2.5, 1);
      expect(variance(3)).toBeCloseTo((share * (1 - share)) / 13, 1);
    }
  });
});

describe("the regression", () => {
  // Losses that fall with a power of the group's share, and slightly with its neighbour's share.
  const lossesOf = (shares: readonly number[]) =>
    shares.map((share, i) => 2 + i + 0.5 * (share + 0.05) ** -0.5 - 0.2 * shares[(i + 1) % shares.length]);
  const runs = sampleMixtures(natural, 40, { concentration: 1, uniform: uniform() }).map((shares) => ({
    shares,
    losses: lossesOf(shares),
  }));

  it("predicts the losses of new mixtures", () => {
    const target = [1 / 3, 1 / 3, 1 / 3];
    const model = fitMixtureModel(runs, target);
    expect(model.form).toBe("curved");
    expect(model.correlation).toBeGreaterThan(0.9);
    const shares = [0.4, 0.35, 0.25];
    for (const [i, loss] of model.predict(shares).entries())
      expect(Math.abs(loss - lossesOf(shares)[i])).toBeLessThan(0.1);
    const best = bestMixture(sampleMixtures(natural, 5000, { concentration: 1, uniform: uniform() }), model, target);
    for (const share of best) expect(Math.abs(share - 1 / 3)).toBeLessThan(0.1);
    // All for one group.
    const one = bestMixture(sampleMixtures(natural, 5000, { concentration: 1, uniform: uniform() }), model, [0, 0, 1]);
    expect(one[2]).toBeGreaterThan(0.5);
  });

  it("computes rank correlations", () => {
    expect(rankCorrelation([1, 2, 3], [10, 20, 30])).toBeCloseTo(1, 9);
    expect(rankCorrelation([1, 2, 3], [3, 2, 1])).toBeCloseTo(-1, 9);
    expect(rankCorrelation([1, 1, 1], [3, 2, 1])).toBe(0);
  });
});

describe("the search", () => {
  const words = {
    a: "river stone harvest miller flour bread".split(" "),
    b: "kernel patch compiler network library release".split(" "),
  };
  let state = 7;
  const draw = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % n;
  };
  /** Groups a and b have their own words; those of the group noise are random. */
  const text = (group: string) =>
    Array.from({ length: 60 }, (_, i) =>
      group === "noise"
        ? Array.from({ length: 6 }, () => String.fromCharCode(97 + draw(26))).join("")
        : words[group as "a" | "b"][(i + draw(2)) % 6],
    ).join(" ");
  const source = (name: string, count: number) => {
    const path = join(root, `${name}.jsonl`);
    writeFileSync(
      path,
      Array.from({ length: count }, (_, i) => `${JSON.stringify({ id: `${name}${i}`, text: text(name) })}\n`).join(""),
    );
    return { name, inputs: [path] };
  };
  const small = {
    runs: 10,
    steps: 30,
    layers: 1,
    width: 32,
    sequence: 32,
    batch: 8,
    vocabSize: 400,
    learningRate: 1e-2,
  };

  it("weights the groups that lower the target loss, and mixes by these weights", { timeout: 120_000 }, async () => {
    const recipe = {
      sources: [source("a", 200), source("b", 200), source("noise", 600)],
      epochs: 4,
      bytes: 150_000,
      optimise: { ...small, target: { a: 1, b: 1 } },
    };
    const out = join(root, "mixed");
    const { search, groups, written } = await optimiseMix({ recipe, out });
    expect(search.groups).toEqual(["a", "b", "noise"]);
    expect(search.runs.length).toBe(11);
    expect(search.natural.noise).toBeGreaterThan(0.5);
    expect(search.weights.noise).toBeLessThan(0.35);
    expect(search.loss.measured).toBeLessThan(search.loss.natural);
    expect(search.regression.correlation).toBeGreaterThan(0.5);
    expect(JSON.parse(readFileSync(join(out, "mixture.json"), "utf8")).weights).toEqual(search.weights);
    expect(written).toBeGreaterThan(100);
    for (const { name, asked } of groups) expect(asked).toBeCloseTo(search.weights[name], 6);
  });

  it("reports what is wrong", async () => {
    const call = (recipe: object) => searchMixture({ recipe: { optimise: small, ...recipe } as never });
    await expect(call({ sources: [source("a", 50)] })).rejects.toThrow(/at least two groups; there is one, a/);
    await expect(call({ sources: [source("a", 50), source("b", 2)] })).rejects.toThrow(/group b has too little text/);
    await expect(
      call({ sources: [source("a", 50), source("b", 50)], optimise: { ...small, target: { c: 1 } } }),
    ).rejects.toThrow(/optimise.target has an unknown group c/);
    await expect(
      call({ sources: [source("a", 50), source("b", 50)], optimise: { ...small, target: { a: 0 } } }),
    ).rejects.toThrow(/sum to 0/);
  });
});
