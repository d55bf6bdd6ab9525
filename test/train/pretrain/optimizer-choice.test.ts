import { describe, expect, it } from "vitest";
import { defineModel, parametersOf } from "../../../src/model/index.js";
import { muonFlops } from "../../../src/train/optimizer/muon.js";
import { batchFor, learningRateFor, optimizerFor } from "../../../src/train/pretrain/dial.js";
import { chooseSizes, makePlan, scheduleOf } from "../../../src/train/pretrain/plan.js";

const small = defineModel({ layers: 4, width: 160, heads: 5, vocabSize: 8192, sequence: 256 });
const gpt2 = defineModel({ family: "gpt2", layers: 12, width: 768, heads: 12, vocabSize: 50257, sequence: 1024 });

describe("muonFlops", () => {
  it("counts the three products of each iteration", () => {
    // (8, 32): the Gram matrix and the last product take 2·8·32·8 each, its square 2·8·8·8.
    const wide = { kind: "projection", shape: [8, 32] } as const;
    const tall = { kind: "projection", shape: [32, 8] } as const;
    const table = { kind: "embedding", shape: [100, 8] } as const;
    expect(muonFlops([wide, tall, table] as never)).toBe(2 * 5 * (2 * 2 * 8 * 32 * 8 + 2 * 8 * 8 * 8));
  });
});

describe("the optimizer of a new run", () => {
  it("is muon where its iterations are cheap beside the step", () => {
    const { value, reason } = optimizerFor(small, 2048, 256, false);
    expect(value).toBe("muon");
    expect(reason).toMatch(/adds \d+ % of the FLOPs of a step of 2048 tokens/);
  });

  it("is adamw for large matrices with a small batch, and muon with a large one", () => {
    expect(optimizerFor(gpt2, 1024, 256, false).value).toBe("adamw");
    expect(optimizerFor(gpt2, 65536, 1024, false).value).toBe("muon");
    expect(muonFlops(parametersOf(gpt2))).toBeGreaterThan(muonFlops(parametersOf(small)));
  });

  it("is adamw for continued training", () => {
    expect(optimizerFor(small, 2048, 256, true).value).toBe("adamw");
  });

  it("reaches the plan, and an option wins", () => {
    const rest: Parameters<typeof makePlan>[2] = {
      threads: 1,
      target: "avx2",
      precision: "fp32",
      training_tokens: 1e6,
      heldout_tokens: 1e4,
      dataset: "",
      steps: 100,
      expected: { minutes: 1, memory_bytes: 1, disk_bytes: 1 },
    };
    const planOf = (optimizer?: "adamw" | "muon") => {
      const o = { out: "run", optimizer } as Parameters<typeof chooseSizes>[0];
      return makePlan(o, chooseSizes(o, 1e13, 1e7), rest, "as given");
    };
    expect(planOf().optimizer.kind).toBe("muon");
    expect(planOf("adamw").optimizer.kind).toBe("adamw");
    expect(planOf("adamw").reasons.optimizer).toBe("as given");
  });
});

it("warms up for a fifth of a short run, and for 200 steps of a long one", () => {
  expect(scheduleOf({}, 300, 1e-3).warmupSteps).toBe(60);
  expect(scheduleOf({}, 5000, 1e-3).warmupSteps).toBe(200);
  expect(scheduleOf({ warmup: 7 }, 300, 1e-3).warmupSteps).toBe(7);
});

describe("batch and rate", () => {
  const tokensFor = (flops: number, optimizer: "adamw" | "muon") => {
    const { batch, accumulate } = batchFor(flops, 256, {}, { optimizer });
    return 256 * batch.value * accumulate.value;
  };
  const rateFor = (flops: number, tokens: number, optimizer: "adamw" | "muon") =>
    learningRateFor(flops, tokens, { continued: false, optimizer }).value;

  it("follow what was measured for each optimizer", () => {
    expect([4.3e11, 1.7e12, 7e12, 4e13].map((flops) => tokensFor(flops, "muon"))).toEqual([512, 1024, 2048, 4096]);
    expect([1.1e12, 4.2e12].map((flops) => tokensFor(flops, "adamw"))).toEqual([256, 512]);
    expect(rateFor(4e13, 8192, "muon")).toBeCloseTo(0.0062, 4);
    expect(rateFor(1e12, 1024, "adamw")).toBe(0.004);
  });

  it("a smaller batch lowers the rate, and a larger one does not raise Muon's", () => {
    expect(rateFor(4e13, 1024, "muon")).toBeLessThan(rateFor(4e13, 4096, "muon"));
    expect(rateFor(4e13, 65536, "muon")).toBe(rateFor(4e13, 8192, "muon"));
  });
});
