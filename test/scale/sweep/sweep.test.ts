import { existsSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRuns, sweepRuns } from "../../../src/scale/index.js";
import { chainsOf, gridOf, ownFlops } from "../../../src/scale/sweep/grid.js";
import { shapesAround } from "../../../src/scale/sweep/shapes.js";
import { budgetsUpTo, packedSeconds } from "../../../src/scale/sweep/speed.js";
import { parseVaried } from "../../../src/scale/sweep/variations.js";

describe("the grid of a sweep", () => {
  const grid = (more: Partial<Parameters<typeof gridOf>[0]>) =>
    gridOf({ flops: [1e12], sizes: 3, varied: {}, vocabSize: 512, textBytes: 1e7, seed: 0, ...more });

  it("spends each budget on every size, whatever the size", () => {
    const runs = grid({ flops: [3e11, 3e12] });
    expect(runs).toHaveLength(6);
    expect(new Set(runs.map(({ params }) => params)).size).toBeGreaterThan(3);
    for (const run of runs) {
      const budget = run.name.startsWith("c3e11") ? 3e11 : 3e12;
      expect(Math.abs(run.flops / budget - 1)).toBeLessThan(0.05);
      expect(run.tokens).toBe(run.steps * run.batch * run.accumulate * run.sequence);
    }
  });

  it("gives different sizes around the wanted one, smallest first", () => {
    for (const weights of [1e3, 1e5, 1e7, 1e9]) {
      const shapes = shapesAround(weights, 5);
      expect(shapes).toHaveLength(5);
      for (let i = 1; i < 5; i++) expect(shapes[i].weights).toBeGreaterThan(shapes[i - 1].weights);
      if (weights >= 1e5) {
        expect(Math.abs(Math.log(shapes[2].weights / weights))).toBeLessThan(0.35);
        expect(shapes[4].weights / shapes[0].weights).toBeGreaterThan(8);
      }
    }
  });

  it("varies rates, batches and tokens", () => {
    const rates = grid({ sizes: 1, varied: parseVaried(["lr=1e-3,2e-3", "batch=2,4"]) });
    expect(rates.map(({ learningRate, batch }) => [batch, learningRate])).toEqual([
      [2, 1e-3],
      [2, 2e-3],
      [4, 1e-3],
      [4, 2e-3],
    ]);
    const tokens = grid({ flops: [], sizes: 2, varied: parseVaried(["tokens=100000,400000"]) });
    expect(tokens).toHaveLength(4);
    expect(new Set(tokens.map(({ params }) => params)).size).toBe(2);
    for (const run of tokens)
      expect(Math.abs(run.tokens / (run.name.startsWith("d1e5") ? 1e5 : 4e5) - 1)).toBeLessThan(0.02);
  });

  it("follows the dial with the learning rate", () => {
    const [small, large] = grid({ flops: [1e11, 1e18], sizes: 1 });
    expect(large.learningRate).toBeLessThan(small.learningRate);
  });

  it("shares sizes between budgets, so that few programs are compiled", () => {
    const runs = grid({ flops: [3e11, 6e11, 1.2e12, 2.4e12], sizes: 5 });
    expect(runs).toHaveLength(20);
    expect(new Set(runs.map(({ layers, width, batch }) => [layers, width, batch].join())).size).toBeLessThan(13);
  });

  it("lets the token counts of a size share one WSD run", () => {
    const varied = parseVaried(["tokens=400000,100000,200000"]);
    const runs = grid({ flops: [], sizes: 2, varied, schedule: "wsd" });
    const chains = chainsOf(runs);
    expect(chains.map((chain) => chain.length)).toEqual([3, 3]);
    for (const [first, second, third] of chains) {
      expect([first.after, second.after?.run, third.after?.run]).toEqual([undefined, first.name, second.name]);
      // Each continues where the decay of the one before begins.
      expect(second.after?.step).toBe(0.8 * first.steps);
      expect(new Set([first, second, third].map(({ learningRate, batch }) => `${learningRate} ${batch}`)).size).toBe(1);
      const [own, alone] = [ownFlops, ({ flops }: typeof first) => flops].map(
        (of) => of(first) + of(second) + of(third),
      );
      expect(own / alone).toBeCloseTo((1 + (2 - 0.8) + (4 - 1.6)) / 7, 1);
    }
  });

  it("varies mixtures of sources", () => {
    const varied = parseVaried(["mix=natural,books:3+web:1"]);
    expect(varied.mix?.map(({ shares }) => shares)).toEqual([null, { books: 0.75, web: 0.25 }]);
    expect(grid({ sizes: 1, varied }).map(({ mixture }) => mixture)).toEqual([0, 1]);
    expect(() => parseVaried(["mix=books"])).toThrow('--vary mix: books is neither "natural" nor SOURCE:WEIGHT');
    expect(() => parseVaried(["mix=books:0"])).toThrow("with weights above 0");
    expect(() => parseVaried(["mix=a:1+a:2"])).toThrow("names a twice");
  });

  it("refuses variations that it does not know", () => {
    expect(() => parseVaried(["width=3"])).toThrow(
      "is not NAME=VALUE,VALUE with a name among lr, batch, seed, tokens, mix",
    );
    expect(() => parseVaried(["lr="])).toThrow("is not NAME=VALUE,VALUE");
    expect(() => parseVaried(["lr=1e-3,-1"])).toThrow("--vary lr: -1 is not a rate above 0");
    expect(() => parseVaried(["batch=1.5"])).toThrow("1.5 is not an integer above 0");
    expect(() => parseVaried(["lr=1", "lr=2"])).toThrow("given twice");
  });

  it("plans time with the longest runs first", () => {
    expect(packedSeconds([1, 2, 3], 2)).toBe(3);
    expect(packedSeconds([5, 1], 1)).toBe(6);
    expect(budgetsUpTo(1e12, { budgets: 3, range: 100 })).toEqual([1e10, 1e11, 1e12]);
  });
});

describe("a sweep", () => {
  let base: string;
  let text: string;
  const small = { flops: [6e8, 1.2e9], sizes: 2, vocabSize: 300, heldOut: 512, sequence: 32, workers: 1 };
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), "quern-sweep-"));
    text = join(base, "text.txt");
    const sentence = (i: number) => `The miller number ${i} ground ${(i * 7919) % 1013} sacks of corn by the river.`;
    writeFileSync(text, Array.from({ length: 1500 }, (_, i) => sentence(i)).join("\n\n"));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  it("trains every run on the same tokens, lists them, and resumes to the same bits", async () => {
    const out = join(base, "sweep");
    const notes: string[] = [];
    const first = await sweepRuns({
      ...{ ...small, text: [text], out },
      onProgress: ({ task, note }) => task === "sweep" && notes.push(note ?? ""),
    });
    expect(first.finished).toBe(4);
    expect(first.left_out).toEqual([]);
    expect(notes.at(-1)).toBe("4 of 4 runs");
    const table = readFileSync(join(out, "runs.csv"), "utf8");
    const { runs, excluded } = await readRuns(out);
    expect(excluded).toEqual([]);
    expect(runs).toHaveLength(4);
    for (const run of runs) {
      expect(run.loss).toBeLessThan(Math.log(300) + 0.1);
      expect(run.bitsPerByte).toBeGreaterThan(0);
      expect(existsSync(join(out, run.run, "run.json"))).toBe(true);
      expect(existsSync(join(out, run.run, "tokens"))).toBe(false);
    }
    await expect(sweepRuns({ ...small, text: [text], out })).rejects.toThrow("give --force");
    await expect(sweepRuns({ ...small, flops: [1e10], out, resume: true })).rejects.toThrow("keeps its plan: flops");

    // As if it had been killed in one run, before another.
    const [one, two] = runs.map(({ run }) => run.slice("runs/".length));
    for (const name of [one, two]) unlinkSync(join(out, "outcomes", `${name}.json`));
    rmSync(join(out, "runs", two), { recursive: true });
    const again = await sweepRuns({ out, resume: true, workers: 1 });
    expect(again.finished).toBe(4);
    const withoutSeconds = (csv: string) => csv.replace(/,[^,\n]*$/gm, "");
    expect(withoutSeconds(readFileSync(join(out, "runs.csv"), "utf8"))).toBe(withoutSeconds(table));
  });

  it("names a run that diverges, and goes on with the others", async () => {
    const out = join(base, "rates");
    const notices: string[] = [];
    const flops = [6e9];
    const rates = { ...small, flops, sizes: 1, vary: ["lr=0.003,9"], text: [text], out };
    const { finished, left_out } = await sweepRuns({ ...rates, onNotice: (line) => notices.push(line) });
    expect(finished).toBe(1);
    expect(left_out).toHaveLength(1);
    expect(left_out[0].run).toContain("lr9");
    expect(left_out[0].status).toBe("diverged");
    expect(notices.join()).toContain("diverged");
    const { runs, excluded } = await readRuns(out);
    expect(runs).toHaveLength(1);
    expect(excluded[0].reason).toContain("diverged");
  });

  it("plans without writing", async () => {
    const out = join(base, "planned");
    const plan = await sweepRuns({ ...small, text: [text], out, dryRun: true });
    expect(plan.runs).toHaveLength(4);
    expect(plan.hours).toBeGreaterThan(0);
    expect(plan.disk_bytes).toBeGreaterThan(1e5);
    expect(Math.abs(plan.flops / 3.6e9 - 1)).toBeLessThan(0.2);
    expect(existsSync(out)).toBe(false);
  });

  it("refuses contradicting calls", async () => {
    const out = join(base, "wrong");
    const sweep = (more: object) => sweepRuns({ out, ...more });
    await expect(sweep({ data: "x", flops: [1e9], vary: ["mix=a:1"] })).rejects.toThrow(
      "give --text instead of --data",
    );
    await expect(sweep({ text: [text] })).rejects.toThrow("no budget");
    await expect(sweep({ text: [text], flops: [1e9], minutes: 1 })).rejects.toThrow("--flops and --minutes");
    await expect(sweep({ text: [text], data: "x", flops: [1e9] })).rejects.toThrow("only one");
    await expect(sweep({ resume: true })).rejects.toThrow("no sweep to resume");
    await expect(sweep({ text: [text], flops: [1e9], partition: "p" })).rejects.toThrow("has no effect");
    expect(existsSync(out)).toBe(false);
  });
});
