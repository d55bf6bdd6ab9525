import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countParameters } from "../../../src/model/index.js";
import {
  fitScalingLaw,
  formatRuns,
  type PredictOptions,
  predictRun,
  sizeForServing,
} from "../../../src/scale/index.js";
import { planPretraining, pretrain, readLaw } from "../../../src/train/index.js";
import { sizesForFlops } from "../../../src/train/pretrain/dial.js";
import { isoFlopRuns, lossOf, normals, SIZES, trueOptimum } from "../runs-fixtures.js";

/** A law of small models, so that its optima can be trained here: at 1e10 FLOPs, 45,000 params. */
const SMALL = { A: 30, B: 60, E: 1.2, alpha: 0.35, beta: 0.35 };
const BUDGETS = [1e10, 1e11, 1e12, 1e13];

let root: string;
let law: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quern-predict-"));
  const runs = isoFlopRuns(BUDGETS, SIZES, { noise: 0.003, seed: 4, law: SMALL });
  const rows = runs.map((run, i) => ({
    ...{ params: run.params, tokens: run.tokens, flops: run.flops, loss: run.loss, bits_per_byte: 0.4 * run.loss },
    ...{ run: `r${i}`, learning_rate: 0.01, batch: 1024 },
  }));
  // Each optimum with other learning rates: the best is .5 · C^-.15.
  const tuned = BUDGETS.flatMap((flops) =>
    [0.3, 0.6, 1.5, 3].map((factor) => {
      const { params, tokens } = trueOptimum(flops, SMALL);
      const loss = lossOf(params, tokens, SMALL) + 0.02 * Math.log(factor) ** 2;
      return { params, tokens, flops, loss, learning_rate: 0.5 * flops ** -0.15 * factor, batch: 1024 };
    }),
  );
  const table = join(root, "runs.csv");
  writeFileSync(table, formatRuns([...rows, ...tuned.filter(({ loss }) => loss > 0).slice(0, 0)]));
  await fitScalingLaw({ runs: table, out: join(root, "law"), bootstrap: 200, threads: 1 });
  law = join(root, "law", "law.json");
  // The fit of learning rates is tested where fits are; here only its use.
  const read = JSON.parse(readFileSync(law, "utf8"));
  writeFileSync(law, JSON.stringify({ ...read, learning_rate: { coefficient: 0.5, exponent: -0.15 } }));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const predict = (options: Partial<PredictOptions>) => predictRun({ law, ...options });

describe("a prediction", () => {
  it("gives the best size for a budget, with an interval that contains the truth", async () => {
    const flops = 1e14;
    const { params, tokens, ...found } = await predict({ flops });
    const best = trueOptimum(flops, SMALL);
    expect(Math.abs(Math.log(params / best.params))).toBeLessThan(0.3);
    expect(6 * params * tokens).toBeCloseTo(flops, -4);
    const truth = lossOf(params, tokens, SMALL);
    const [low, high] = found.loss_interval as [number, number];
    expect(low).toBeLessThan(truth);
    expect(high).toBeGreaterThan(truth);
    expect(high - low).toBeLessThan(0.1 * truth);
    expect(found.bits_per_byte).toBeCloseTo(0.4 * found.loss, 6);
    expect(found.extrapolated).toBe(true);
    expect(found.warnings[0]).toMatch(/^extrapolated: .*flops/);
    expect(found.times_largest).toBeCloseTo(10, 1);
    expect(found.learning_rate).toBeCloseTo(0.5 * flops ** -0.15, 3);
  });

  it("takes params and tokens, hours on hardware, or params alone", async () => {
    const both = await predict({ params: 2e5, tokens: 1e6 });
    expect(both.loss / lossOf(2e5, 1e6, SMALL)).toBeCloseTo(1, 1);
    expect(both.extrapolated).toBe(false);
    const hours = await predict({ hours: 0.001, hardware: "l4", gpus: 2, mfu: 0.5 });
    expect(hours.flops / (3.6 * 2 * 0.5 * 121e12)).toBeCloseTo(1, 6);
    const alone = await predict({ params: 2e5 });
    expect(alone.tokens / trueOptimum(alone.flops, SMALL).tokens).toBeCloseTo(1, 0);
  });

  it("finds a smaller model of the same loss when tokens are to be served", async () => {
    const { serving, params, tokens, loss } = await predict({ flops: 1e13, served: 1e9 });
    const known = await readLaw(law);
    expect(serving?.params).toBeLessThan(params);
    expect(serving?.saved).toBeGreaterThan(0.1);
    const cost = ({ training_flops, serving_flops }: NonNullable<typeof serving>) => training_flops + serving_flops;
    const cheapest = cost(serving as NonNullable<typeof serving>);
    // No other size on the same loss is cheaper.
    for (const factor of [0.8, 0.9, 1.1, 1.3]) {
      const N = (serving as { params: number }).params * factor;
      const left = loss - (known.E as number) - (known.A as number) * N ** -(known.alpha as number);
      const D = left > 0 ? ((known.B as number) / left) ** (1 / (known.beta as number)) : Number.POSITIVE_INFINITY;
      expect(6 * N * D + 2 * N * 1e9).toBeGreaterThan(cheapest);
    }
    // With nothing to serve, the compute-optimal size is the cheapest.
    expect(sizeForServing(known, loss, params, tokens, 1)?.params).toBeCloseTo(params, -3);
  });

  it("is refused without a budget or with two", async () => {
    await expect(predict({})).rejects.toThrow("give a budget: --flops");
    await expect(predict({ flops: 1e12, hours: 1 })).rejects.toThrow("--flops and --hours are both budgets");
    await expect(predictRun({ law: join(root, "runs.csv"), flops: 1e12 })).rejects.toThrow(/is not JSON/);
    await expect(predictRun({ law: join(root, "law", ".quern.json"), flops: 1e12 })).rejects.toThrow(
      /is no scaling law: .*; make one with quern scale fit/,
    );
  });
});

describe("the dial", () => {
  const text = () => {
    const path = join(root, "text.txt");
    const words = ["mill", "stone", "grain", "flour", "water", "wheel", "sack", "river", "bread", "baker"];
    const random = normals(7, 9000);
    writeFileSync(path, Array.from(random, (x) => words[Math.floor(Math.abs(x) * 4) % 10]).join(" "));
    return path;
  };

  it("follows a law: size, tokens, learning rate", async () => {
    const options = { text: [text()], out: join(root, "run"), flops: 2e11, vocabSize: 512 };
    const plan = await planPretraining({ ...options, law });
    const { params } = trueOptimum(2e11, SMALL);
    expect(Math.abs(Math.log(countParameters(plan.model) / params))).toBeLessThan(0.5);
    expect(plan.schedule.learningRate).toBeCloseTo(0.5 * 2e11 ** -0.15, 3);
    expect(plan.reasons.width).toContain("law.json");
    const without = await planPretraining(options);
    expect(without.reasons.width).toContain("arXiv:2203.15556");
    // At a larger budget, the layers and the table have the params of the law.
    const known = { ...(await readLaw(law)), path: "law.json" };
    const { layers, width } = sizesForFlops(1e16, Number.POSITIVE_INFINITY, { law: known, vocabSize: 512 });
    const sized = 12 * layers.value * width.value ** 2 + 512 * width.value;
    expect(sized / (known.frontier.params.coefficient * 1e16 ** known.frontier.params.exponent)).toBeCloseTo(1, 0);
    expect(sizesForFlops(1e16, Number.POSITIVE_INFINITY).width.value).not.toBe(width.value);
  });

  it("keeps the budget where the law wants a smaller model than there is", async () => {
    const { plan, planned, params } = await predict({ flops: 3e8, vocabSize: 300 });
    if (typeof plan === "string") throw new Error("the plan was not asked for as a file");
    expect(planned.params).toBeGreaterThan(1.5 * params);
    const { steps, batch, accumulate, sequence } = plan.plan;
    // To half a step.
    expect(Math.abs((6 * planned.params * planned.tokens) / 3e8 - 1)).toBeLessThan(0.51 / (steps - 1));
    expect(planned.tokens).toBe(steps * batch * accumulate * sequence);
  });

  it("trains a plan that was made ahead, on any text", async () => {
    const plan = join(root, "plan.json");
    const found = await predict({ flops: 3e8, vocabSize: 300, out: plan });
    expect(found.plan).toBe(plan);
    const { plan: ahead } = JSON.parse(readFileSync(plan, "utf8"));
    expect(ahead.model.vocabSize).toBe(300);
    const out = join(root, "trained");
    const done = await pretrain({ text: [text()], out, plan, threads: 1 });
    expect(done.plan).toMatchObject({ steps: ahead.steps, model: ahead.model });
    expect(done.plan.dataset).not.toBe("");
    expect(done.result.bits_per_byte).toBeGreaterThan(0);
  });
});
