import { afterEach, describe, expect, it, vi } from "vitest";
import type { Program } from "../../src/backends/index.js";
import { defineModel } from "../../src/model/index.js";
import { oneRank } from "../../src/train/distributed/ranks.js";
import {
  batchesOf,
  createLoader,
  endOf,
  type MetricsLine,
  type PretrainPlan,
  type RunPlan,
  type TrainingProgram,
  train,
} from "../../src/train/index.js";
import { chooseSizes, makePlan } from "../../src/train/pretrain/plan.js";

const model = defineModel({ layers: 1, width: 8, heads: 1, vocabSize: 50, sequence: 4 });

function planOf(steps: number, saveEvery?: number): PretrainPlan {
  const given = { out: "", force: false, resume: false, batch: 2, accumulate: 2, learningRate: 0.1, sequence: 4 };
  const o = { ...given, saveEvery };
  const measured = {
    steps,
    threads: 1,
    target: "none",
    precision: "fp32" as const,
    training_tokens: 100,
    heldout_tokens: 20,
    dataset: "",
  };
  const expected = { minutes: 1, memory_bytes: 0, disk_bytes: 0 };
  return makePlan(o, chooseSizes(o, 1e9, 1000, { base: model }), { ...measured, expected }, "as given");
}

/** The loop's clock in milliseconds. Only the programs advance it, so the speed of this machine does not matter. */
let clock = 0;
function stopClock(): void {
  vi.spyOn(performance, "now").mockImplementation(() => clock);
}
afterEach(() => vi.restoreAllMocks());

/** A program that computes nothing, advances the clock by `milliseconds` per run, and records entries and learning rates. */
function idleProgram(
  milliseconds: number,
  lossAt: (run: number) => number,
  entries: string[],
  rates: number[],
  countAt: (run: number) => number = () => 8,
): TrainingProgram {
  let runs = 0;
  const program = {
    run: async (entry: string, values: Record<string, number>) => {
      entries.push(entry);
      if (entry === "update") rates.push(values.learning_rate);
      if (entry.endsWith("Gradient")) runs += 1;
      clock += milliseconds;
      await Promise.resolve();
    },
    read: async (name: string) => {
      if (name === "counts") return Float32Array.of(countAt(runs));
      return Float32Array.of(name === "statistics" ? 8 * lossAt(runs) : 1);
    },
  } as unknown as Program;
  const optimizer = planOf(1).optimizer;
  return {
    program,
    optimizer,
    accumulate: 2,
    trainable: [],
    inputs: [],
    terms: [{ name: "token", weight: 1 }],
    metrics: [],
    maxima: [],
    ...{ ranks: oneRank, sharded: null, bytes: 0, dispose: () => {} },
  };
}

function setting(plan: RunPlan, training: TrainingProgram) {
  const lines: MetricsLine[] = [];
  const saved: number[] = [];
  const plans: RunPlan[] = [];
  const tokens = Uint32Array.from({ length: 100 }, (_, i) => i % 50);
  const source = { tokens: 100, read: (offset: number, length: number) => tokens.subarray(offset, offset + length) };
  return {
    ...{ lines, saved, plans },
    options: {
      training,
      source: batchesOf(createLoader(source, { batch: 2, sequence: 4, seed: 0 }), 2),
      plan,
      done: { step: 0, seconds: 0 },
      peak: { flops: 1e9, flopsPerToken: 1000 },
      blindLoss: Math.log(50),
      hooks: {
        record: async (line: MetricsLine) => void lines.push(line),
        save: async (step: number) => {
          saved.push(step);
          return `checkpoints/${step}`;
        },
        evaluate: async () => ({ loss: 1, line: { validation_loss: 1 } }),
        replan: async (changed: RunPlan) => void plans.push(changed),
      },
    },
  };
}

describe("makePlan", () => {
  // 16 tokens per step, from a text of 100
  it("warns about more than four epochs, and refuses a million", () => {
    expect(planOf(25).warnings).toEqual([]);
    expect(planOf(25).reasons.epochs).toBeUndefined();
    const { warnings, reasons } = planOf(5625);
    expect(warnings).toEqual([
      expect.stringMatching(/^the run would train for 900 epochs: up to 4 teach .*2305\.16264/),
    ]);
    expect(reasons.epochs).toBe(warnings[0]);
    expect(() => planOf(7e6)).toThrow(/train for 1,120,000 epochs; give more text/);
  });

  it("limits model and step to the size of the text, however large the budget", () => {
    const o = { out: "", force: false, resume: false };
    const [some, much] = [1e18, 1e24].map((flops) => chooseSizes({ ...o, flops }, flops, 1e6));
    expect(much.model).toEqual(some.model);
    expect(much.reasons.width).toMatch(/1\.0e24 would need more text than 16 epochs of this one/);
    expect(much.batch * much.accumulate * much.sequence).toBeLessThanOrEqual((1e6 / 4 / 16) * Math.SQRT2);
    expect(chooseSizes({ ...o, flops: 1e18 }, 1e18, 1e12).model.width).toBeGreaterThan(4 * some.model.width);
  });
});

describe("train", () => {
  it("averages the batches of a step, follows the schedule, and resumes at a given step", async () => {
    const entries: string[] = [];
    const rates: number[] = [];
    const { options, lines, saved } = setting(
      planOf(8, 7),
      idleProgram(0, (run) => run, entries, rates),
    );
    const { loss } = await train({ ...options, done: { step: 6, seconds: 50 } });
    const step = ["counts", "counts", "firstGradient", "nextGradient", "update"];
    expect(entries).toEqual([...step, ...step]);
    expect(lines.map((line) => [line.step, line.loss, line.tokens])).toEqual([
      [7, 1.5, 7 * 16],
      [8, 3.5, 8 * 16],
    ]);
    expect(lines[0].seconds).toBeGreaterThan(50);
    expect(lines[0].peak_share).toBeGreaterThan(0);
    expect(loss).toBe(3.5);
    expect(saved).toEqual([7, 8]);
    const whole: number[] = [];
    await train(
      setting(
        planOf(8),
        idleProgram(0, () => 1, [], whole),
      ).options,
    );
    expect(rates).toEqual(whole.slice(6));
  });

  it("keeps its plan if it is fast enough; otherwise cuts it, and the learning rate decays to the new end", async () => {
    stopClock();
    const kept = setting(
      planOf(40),
      idleProgram(1, () => 1, [], []),
    );
    const { plan: same } = await train({ ...kept.options, deadline: { aim: clock + 60_000, limit: clock + 80_000 } });
    expect(same).toEqual(planOf(40));
    expect(kept.plans).toEqual([]);

    const rates: number[] = [];
    const { options, saved, plans } = setting(
      planOf(10_000),
      idleProgram(1, () => 1, [], rates),
    );
    const start = clock;
    const { plan } = await train({ ...options, deadline: { aim: start + 800, limit: start + 1000 } });
    expect(clock - start).toBeLessThan(1100);
    expect(plan.steps).toBe(10_000); // the plan itself stays; cuts are listed separately
    expect(plans.at(-1)).toEqual(plan);
    expect(plan.cuts.length).toBeGreaterThan(0);
    expect(endOf(plan)).toBeLessThan(1000);
    expect(saved).toEqual([endOf(plan)]);
    expect(rates.at(-1)).toBeLessThan(0.1 * Math.max(...rates));

    // Repeating the plan with its cuts gives the same rates, whatever the speed.
    const again: number[] = [];
    const repeated = setting(
      plan,
      idleProgram(0, () => 1, [], again),
    );
    await train(repeated.options);
    expect(again).toEqual(rates);
  });

  it.each([
    ["the loss is NaN", (run: number) => (run > 5 ? Number.NaN : 1), /diverged at step 3: the loss is NaN;/],
    ["the loss explodes and stays high", (run: number) => (run > 5 ? 90 : 1), /diverged at step 12: .* exploded to 90/],
  ])("stops when %s, naming the step and the last good checkpoint", async (_, lossAt, message) => {
    const { options, saved } = setting(planOf(30), idleProgram(0, lossAt, [], []));
    await expect(train(options)).rejects.toThrow(message);
    expect(saved).toEqual([]);
    await expect(train(setting(planOf(30), idleProgram(0, lossAt, [], [])).options)).rejects.toThrow(
      /no checkpoint was saved before.*below 0\.1/,
    );
    const saving = setting(planOf(30, 2), idleProgram(0, lossAt, [], []));
    await expect(train(saving.options)).rejects.toThrow(/last good checkpoint is checkpoints\/(2|10);.*below 0\.1/);
  });

  it("tolerates a single batch with a high loss", async () => {
    const spike = (run: number) => (run === 7 || run === 8 ? 90 : 1);
    const { options, saved } = setting(planOf(30), idleProgram(0, spike, [], []));
    await train(options);
    expect(saved).toEqual([30]);
  });

  it("skips and reports a step without counted targets, and refuses a run of only such steps", async () => {
    const entries: string[] = [];
    // Each step counts its two batches, then runs both.
    const training = idleProgram(
      0,
      () => 1,
      entries,
      [],
      (run) => (run === 4 && entries.filter((entry) => entry === "update").length === 2 && entries.length < 13 ? 0 : 8),
    );
    const { options, lines } = setting(planOf(5), training);
    await train(options);
    expect(entries.filter((entry) => entry === "update")).toHaveLength(4);
    expect(lines.map((line) => line.loss)).toEqual([1, 1, undefined, 1, 1]);
    expect(lines[2]).toMatchObject({ step: 3, skipped: "the step has no counted targets" });
    const none = setting(
      planOf(3),
      idleProgram(
        0,
        () => 1,
        [],
        [],
        () => 0,
      ),
    );
    await expect(train(none.options)).rejects.toThrow(/^every target of this run is masked, so nothing was trained/);
    expect(none.saved).toEqual([]);
  });

  it("finishes and saves the current step when the signal aborts", async () => {
    const abort = new AbortController();
    const { options, saved } = setting(
      planOf(8),
      idleProgram(0, () => 1, [], []),
    );
    const onProgress = ({ done }: { done: number }) => {
      if (done === 3) abort.abort();
    };
    await expect(train({ ...options, signal: abort.signal, onProgress })).rejects.toMatchObject({
      name: "AbortError",
      saved: "checkpoints/3",
      message: "interrupted at step 3 of 8; saved checkpoints/3; continue with --resume",
    });
    expect(saved).toEqual([3]);
  });
});
