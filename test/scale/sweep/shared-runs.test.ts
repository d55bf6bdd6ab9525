import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sweepRuns } from "../../../src/scale/index.js";
import { pretrain } from "../../../src/train/index.js";

let base: string;
let text: string;
const small = { sizes: 1, vocabSize: 300, heldOut: 512, sequence: 32, workers: 1 } as const;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "quern-shared-"));
  text = join(base, "text.jsonl");
  const line = (i: number) =>
    JSON.stringify(
      i % 3 === 0
        ? { source: "mills", text: `The miller number ${i} ground ${(i * 7919) % 1013} sacks of corn by the river.` }
        : {
            source: "sums",
            text: `${i} and ${(i * 31) % 97} make ${i + ((i * 31) % 97)}; ${i} is less than ${i + 1}.`,
          },
    );
  writeFileSync(text, Array.from({ length: 1500 }, (_, i) => line(i)).join("\n"));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe("runs that share their beginning", () => {
  it("have the bits of runs of their own", async () => {
    const out = join(base, "wsd");
    const vary = ["tokens=10000,20000"];
    const { runs, finished, flops } = await sweepRuns({ ...small, text: [text], schedule: "wsd", vary, out });
    expect(finished).toBe(2);
    const [short, long] = runs;
    expect(Number(long.tokens) / Number(short.tokens)).toBeCloseTo(2, 1);
    expect(flops).toBeLessThan(0.9 * (Number(short.flops) + Number(long.flops)));
    const folder = join(out, String(long.run));
    const { plan } = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    const { config } = JSON.parse(readFileSync(join(out, "sweep.json"), "utf8"));
    const first = readFileSync(join(folder, "metrics.jsonl"), "utf8").split("\n")[0];
    expect(JSON.parse(first).step).toBe(0.8 * Number(short.steps) + 1);
    const { layers, width } = plan.model;
    const alone = join(base, "alone");
    const { learningRate, warmupSteps } = plan.schedule;
    const { loss, heldOutLoss } = await pretrain({
      ...{ data: join(out, "tokens"), out: alone, layers, width, sequence: 32, batch: plan.batch, learningRate },
      ...{ steps: plan.steps, warmup: warmupSteps, accumulate: plan.accumulate, schedule: "wsd", threads: 1 },
      brief: { heldOutTokens: config.heldOut },
    });
    expect(loss).not.toBeNull();
    expect(heldOutLoss).toBe(long.loss);
    const weights = (run: string) => readFileSync(join(run, "checkpoints", String(plan.steps), "model.safetensors"));
    expect(weights(folder)).toEqual(weights(alone));
    // Only what another run continues from is kept beside the last checkpoint.
    expect(readdirSync(join(folder, "checkpoints"))).toHaveLength(1);
    expect(readdirSync(join(out, String(short.run), "checkpoints"))).toHaveLength(2);
  });

  it("are refused where the plans differ", async () => {
    const run = join(base, "wsd", "runs", readdirSync(join(base, "wsd", "runs"))[0]);
    const { plan } = JSON.parse(readFileSync(join(run, "run.json"), "utf8"));
    const { layers, width } = plan.model;
    const other = {
      ...{ data: join(base, "wsd", "tokens"), layers, width, sequence: 32, batch: plan.batch, steps: plan.steps },
      ...{ learningRate: 2 * plan.schedule.learningRate, schedule: "wsd" as const, threads: 1 },
    };
    const brief = { heldOutTokens: 512, after: { run, step: 0.8 * plan.steps } };
    await expect(pretrain({ ...other, out: join(base, "other"), brief })).rejects.toThrow(
      "is not the beginning of this run; give both the same plan up to there",
    );
  });
});

describe("mixtures", () => {
  it("train on other shares of the sources, and are measured on the same held-out text by source", async () => {
    const out = join(base, "mixtures");
    const vary = ["mix=natural,mills:9+sums:1"];
    const { runs } = await sweepRuns({ ...small, text: [text], flops: [3e9], vary, out });
    expect(runs.map(({ mixture }) => mixture)).toEqual(["natural", "mills:9+sums:1"]);
    const [natural, mills] = runs;
    expect(Number(mills["loss mills"])).toBeLessThan(Number(natural["loss mills"]));
    expect(Number(mills["loss sums"])).toBeGreaterThan(Number(natural["loss sums"]));
    expect(Number(mills["bits_per_byte mills"])).toBeGreaterThan(0);
    expect(Number(mills.unique_tokens)).toBeLessThan(Number(natural.unique_tokens));
    const unknown = sweepRuns({ ...small, text: [text], flops: [3e9], vary: ["mix=oats:1"], out: join(base, "oats") });
    await expect(unknown).rejects.toThrow(/the text has no source "oats"; its sources are (mills, sums|sums, mills)/);
  });
});
