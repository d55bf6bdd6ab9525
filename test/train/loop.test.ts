import { describe, expect, it } from "vitest";
import type { Program } from "../../src/backends/index.js";
import { defineModel } from "../../src/model/index.js";
import { createLoader, type MetricsLine, type RunPlan, train } from "../../src/train/index.js";
import { planRun } from "../../src/train/plan.js";

const model = defineModel({ layers: 1, width: 8, heads: 1, vocabSize: 50, sequence: 4 });

function planOf(steps: number): RunPlan {
  const measured = { steps, threads: 1, target: "none", training_tokens: 100, heldout_tokens: 20 };
  return planRun({ out: "", resume: false, batch: 2, accumulate: 2, learningRate: 0.1 }, model, measured);
}

/** A program that computes nothing, takes so many milliseconds a run, and tells what it was asked. */
function idleProgram(milliseconds: number, lossAt: (run: number) => number, asked: string[], rates: number[]): Program {
  let runs = 0;
  return {
    run: async (entry: string, values: Record<string, number>) => {
      asked.push(entry);
      if (entry === "update") rates.push(values.learning_rate);
      if (entry.endsWith("Gradient")) runs += 1;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    },
    read: (name: string) => (name === "token_losses" ? new Float32Array(8).fill(1) : Float32Array.of(lossAt(runs))),
  } as unknown as Program;
}

function setting(plan: RunPlan, program: Program) {
  const lines: MetricsLine[] = [];
  const saved: number[] = [];
  const plans: RunPlan[] = [];
  const tokens = Uint32Array.from({ length: 100 }, (_, i) => i % 50);
  const source = { tokens: 100, read: (offset: number, length: number) => tokens.subarray(offset, offset + length) };
  return {
    ...{ lines, saved, plans },
    options: {
      program,
      loader: createLoader(source, { batch: 2, sequence: 4, seed: 0 }),
      heldOut: { ids: tokens.subarray(0, 20), bytesOf: new Uint8Array(50).fill(2) },
      plan,
      done: { step: 0, seconds: 0 },
      peakFlops: 1e9,
      deadline: null as number | null,
      record: async (line: MetricsLine) => void lines.push(line),
      save: async (step: number) => void saved.push(step),
      replan: async (changed: RunPlan) => void plans.push(changed),
    },
  };
}

describe("train", () => {
  it("averages the batches of a step, follows the schedule, and goes on where it is told", async () => {
    const asked: string[] = [];
    const rates: number[] = [];
    const { options, lines, saved } = setting(
      planOf(8),
      idleProgram(0, (run) => run, asked, rates),
    );
    const { loss } = await train({ ...options, done: { step: 6, seconds: 50 }, saveEvery: 7 });
    const step = ["firstGradient", "nextGradient", "update"];
    expect(asked).toEqual([...step, ...step]);
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

  it("takes fewer steps where it turns out slower than planned, and lets the rate fall to its end all the same", async () => {
    const rates: number[] = [];
    const { options, saved, plans } = setting(
      planOf(10_000),
      idleProgram(1, () => 1, [], rates),
    );
    const start = performance.now();
    const { plan } = await train({ ...options, deadline: start + 800 });
    expect(performance.now() - start).toBeLessThan(4000);
    expect(plan.steps).toBeLessThan(1000);
    expect(plans.at(-1)).toEqual(plan);
    expect(plan.horizons[0]).toEqual({ from: 0, steps: 10_000 });
    expect(plan.horizons.at(-1)?.steps).toBe(plan.steps);
    expect(saved).toEqual([plan.steps]);
    expect(rates.at(-1)).toBeLessThan(0.1 * Math.max(...rates));
  });

  it("says that training diverged when the loss is no longer a number", async () => {
    const { options, saved } = setting(
      planOf(8),
      idleProgram(0, (run) => (run > 5 ? Number.NaN : 1), [], []),
    );
    await expect(train(options)).rejects.toThrow(/step 3.*diverged.*below 0\.1/);
    expect(saved).toEqual([]);
  });

  it("finishes and saves the step at work when the signal aborts", async () => {
    const abort = new AbortController();
    const { options, saved } = setting(
      planOf(8),
      idleProgram(0, () => 1, [], []),
    );
    const onProgress = ({ done }: { done: number }) => {
      if (done === 3) abort.abort();
    };
    await expect(train({ ...options, signal: abort.signal, onProgress })).rejects.toMatchObject({ name: "AbortError" });
    expect(saved).toEqual([3]);
  });
});
