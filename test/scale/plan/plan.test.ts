import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPolicy } from "../../../src/align/policy.js";
import { explain } from "../../../src/backends/index.js";
import {
  countParameters,
  defineModel,
  type ModelConfig,
  projectionNames,
  toHuggingFaceConfig,
  tokenLosses,
  trainingFlopsPerToken,
} from "../../../src/model/index.js";
import {
  decodingCost,
  HARDWARE,
  hardwareOf,
  planTraining,
  publishedRows,
  trainingMemory,
} from "../../../src/scale/index.js";
import { loraParameters } from "../../../src/scale/plan/memory.js";
import { sum } from "../../../src/tensor/index.js";
import {
  ADAMW_DEFAULTS,
  countedTargets,
  languageModelTrainer,
  type Trainer,
  traceTrainer,
} from "../../../src/train/index.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-plan-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ONE = { dtype: "fp32", recompute: false, dataParallel: 1, zero: 0, tensorParallel: 1, lora: null } as const;

/** Published configurations. */
const llama405b = defineModel({
  ...{ layers: 126, width: 16384, heads: 128, keyValueHeads: 8, hidden: 53248, vocabSize: 128_256 },
  ...{ sequence: 8192, tiedHead: false },
});

describe("the planner", () => {
  it("gives the lecture's estimate of Llama 3 405B", async () => {
    const plan = await planTraining({
      ...{ params: 405e9, tokens: 15.6e12, hardware: "h100", gpus: 16000, tflops: 400, price: 2, pue: 1, grid: 0.24 },
    });
    expect(plan.flops).toBeCloseTo(6 * 405e9 * 15.6e12, -15);
    expect(plan.flops_exact).toBeNull();
    expect(plan.gpu_hours / 26e6).toBeCloseTo(1, 1);
    expect(Math.abs(plan.days - 70)).toBeLessThan(2);
    expect(plan.dollars).toBeCloseTo(2 * plan.gpu_hours, 3);
    expect(Math.abs((plan.dollars as number) / 52e6 - 1)).toBeLessThan(0.02);
    expect(Math.abs(plan.co2_tonnes / 4400 - 1)).toBeLessThan(0.01);
    expect(plan.memory_bytes).toBeGreaterThan(16 * 405e9);
    expect(plan.fits).toBe(false);
  });

  it("takes its MFU from the hardware's bf16 peak, and numbers with suffixes", async () => {
    const plan = await planTraining({ params: "1B", tokens: "20B", hardware: "A100", mfu: 0.5 });
    expect(plan.gpu_hours).toBeCloseTo((6e9 * 20e9) / (0.5 * 312e12) / 3600, 6);
    expect(plan.days).toBeCloseTo(plan.gpu_hours / 24, 9);
    expect(plan.tokens_per_second).toBeCloseTo(20e9 / (plan.gpu_hours * 3600), 3);
    expect(plan.energy_mwh).toBeCloseTo((plan.gpu_hours * 400 * 1.1) / 1e6, 9);
    expect(plan.dollars_range).toEqual([plan.gpu_hours * 0.8, plan.gpu_hours * 3]);
  });

  it("adds the exact FLOPs of a model's config, which needs no weights", async () => {
    writeFileSync(join(root, "config.json"), JSON.stringify(toHuggingFaceConfig(llama405b, [2] as never)));
    const plan = await planTraining({ model: root, tokens: 1e12, hardware: "h100", sequence: 8192, gpus: 8 });
    expect(plan.params).toBe(countParameters(llama405b));
    expect(plan.params / 405.85e9).toBeCloseTo(1, 3);
    expect(plan.flops).toBe(6 * plan.params * 1e12);
    expect(plan.flops_exact).toBe(trainingFlopsPerToken(llama405b, 8192) * 1e12);
    expect(plan.gpu_hours).toBeCloseTo((plan.flops_exact as number) / (0.4 * 989.4e12) / 3600, 0);
    // 2 · 126 layers · 8 heads · 128 · 2 bytes.
    expect(plan.kv_cache_bytes_per_token).toBe(516_096);
    expect(plan.shape_assumed).toBe(false);
  });

  it("is near every published figure", async () => {
    for (const { name, plan, published } of await publishedRows()) {
      for (const [key, value] of Object.entries(published)) {
        const ours = plan[key as "flops"];
        expect(Math.abs(Math.log(ours / value)), `${name}: ${key}`).toBeLessThan(0.2);
      }
    }
  });

  it("names unknown hardware and wrong calls", async () => {
    await expect(planTraining({ params: 1e9, tokens: 1e9, hardware: "h1000" })).rejects.toThrow(
      /unknown hardware "h1000"; did you mean h100\? Known: h100, .*--peak/,
    );
    await expect(planTraining({ tokens: 1e9 })).rejects.toThrow("give either --model DIR or --params N");
    await expect(planTraining({ params: "many", tokens: 1e9 })).rejects.toThrow(/params must be a number above 0/);
    await expect(planTraining({ params: 1e9, tokens: 1e9, gpus: 3, tensorParallel: 2 })).rejects.toThrow(/multiple/);
    const other = { params: 1e9, tokens: 1e9, hardware: "mine", peak: 100 };
    await expect(planTraining(other)).rejects.toThrow("--peak needs --memory");
    const plan = await planTraining({ ...other, memory: 48, watts: 200, price: 1 });
    expect(plan.gpu_hours).toBeCloseTo(6e18 / 40e12 / 3600, 6);
  });
});

describe("hardware", () => {
  it("has a source, a date and plausible figures in every row", () => {
    for (const { name, peak, memory, bandwidth, watts, price, source, date } of HARDWARE) {
      expect(hardwareOf(name.toUpperCase().replace("-", " ")).name).toBe(name);
      expect(source.length, name).toBeGreaterThan(8);
      expect(date).toMatch(/^20\d\d-\d\d(-\d\d)?$/);
      expect(Object.keys(peak).length).toBeGreaterThan(0);
      expect(memory).toBeGreaterThan(1e9);
      expect(bandwidth).toBeGreaterThan(1e10);
      expect(watts).toBeGreaterThan(5);
      if (price === null) continue;
      expect(price.high).toBeGreaterThan(price.low);
      expect(price.source.length, name).toBeGreaterThan(8);
      expect(price.date).toMatch(/^20\d\d-\d\d$/);
    }
    for (const name of [
      "h100",
      "h200",
      "a100",
      "a100-40",
      "v100",
      "l4",
      "4090",
      "tpu v3",
      "tpu-v4",
      "tpu v5e",
      "TPUv5p",
      "m-series",
      "mi300x",
      "A10",
      "trillium",
      "cpu",
    ])
      expect(() => hardwareOf(name)).not.toThrow();
  });
});

describe("memory", () => {
  const shapes: Readonly<Record<string, ModelConfig>> = {
    gpt2: defineModel({ family: "gpt2", layers: 6, width: 192, heads: 6, vocabSize: 2048, sequence: 256 }),
    llama: defineModel({ layers: 8, width: 256, heads: 8, vocabSize: 4096, sequence: 256 }),
    qwen3: defineModel({
      ...{ family: "qwen3", layers: 6, width: 256, heads: 8, keyValueHeads: 2, vocabSize: 4096, sequence: 256 },
    }),
  };
  it.each(Object.entries(shapes))("of %s equals the compiled plan within 2 %%", (_, config) => {
    for (const recompute of [false, true]) {
      const shape = { batch: 8, sequence: 256, recompute };
      const traced = traceTrainer(languageModelTrainer(config, shape), { optimizer: ADAMW_DEFAULTS, accumulate: 1 });
      const planned = explain(traced.entries).arenaBytes;
      const { total } = trainingMemory(config, { ...ONE, ...shape });
      expect(Math.abs(total / planned - 1), String(recompute)).toBeLessThan(0.02);
    }
  });

  it.each(Object.entries(shapes))("of %s divided by ZeRO 2 equals the compiled plan within 2 %%", (_, config) => {
    for (const recompute of [false, true]) {
      const shape = { batch: 8, sequence: 256, recompute };
      const options = { optimizer: ADAMW_DEFAULTS, accumulate: 1, delivers: "transient gradients" } as const;
      const { update: _, ...entries } = traceTrainer(languageModelTrainer(config, shape), options).entries;
      // The optimizer's program has this rank's half of the gradients and of two moments.
      const planned = explain(entries).arenaBytes + (12 * countParameters(config)) / 2;
      const { total } = trainingMemory(config, { ...ONE, ...shape, dataParallel: 2, zero: 2 });
      expect(Math.abs(total / planned - 1), `${recompute}: ${total / planned}`).toBeLessThan(0.02);
    }
  });

  it.each(Object.entries(shapes))("of LoRA on %s equals the compiled plan within 2 %%", (_, config) => {
    for (const recompute of [false, true]) {
      const shape = { batch: 8, sequence: 256, recompute };
      const lora = { rank: 16, alpha: 16, targets: projectionNames(config), dropout: 0, rankStabilized: false };
      const { weights, trainable } = createPolicy(config, lora);
      const rows = { shape: [shape.batch, shape.sequence], dtype: "i32" } as const;
      const trainer: Trainer = {
        batch: { ids: rows, targets: rows },
        trainable,
        objective: ({ ids, targets }) => {
          const losses = tokenLosses(config, weights, ids, targets, { recompute });
          return { losses: { token: { sum: sum(losses), count: sum(countedTargets(targets)) } } };
        },
      };
      const planned = explain(traceTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1 }).entries).arenaBytes;
      const { total } = trainingMemory(config, { ...ONE, ...shape, lora: 16 });
      expect(Math.abs(total / planned - 1), String(recompute)).toBeLessThan(0.02);
    }
  });

  it("is divided by ZeRO and tensor parallelism, and counts LoRA's adapters alone", () => {
    const config = shapes.llama;
    const N = countParameters(config);
    const of = (more: object) => trainingMemory(config, { ...ONE, batch: 1, sequence: 256, ...more });
    const half = { dtype: "bf16", dataParallel: 8 };
    expect(of({})).toMatchObject({ weights: 4 * N, gradients: 4 * N, optimizer: 8 * N });
    expect(of(half)).toMatchObject({ weights: 2 * N, gradients: 2 * N, optimizer: 12 * N });
    expect(of({ ...half, zero: 1 })).toMatchObject({ weights: 2 * N, gradients: 2 * N, optimizer: 1.5 * N });
    expect(of({ ...half, zero: 2 })).toMatchObject({ weights: 2 * N, gradients: N / 4, optimizer: 1.5 * N });
    expect(of({ ...half, zero: 3 })).toMatchObject({ weights: N / 4, gradients: N / 4, optimizer: 1.5 * N });
    expect(of({ ...half, tensorParallel: 2 }).total).toBeCloseTo(of(half).total / 2, 3);
    expect(of({ recompute: true }).activations).toBeLessThan(0.5 * of({}).activations);
    const { layers: L, width: C, heads: H, keyValueHeads: G, headWidth: D, hidden: F } = shapes.qwen3;
    const each = C + H * D + 2 * (C + G * D) + (H * D + C) + 3 * (C + F);
    expect(loraParameters(shapes.qwen3, 4)).toBe(4 * L * each);
    expect(of({ lora: 4 })).toMatchObject({ optimizer: 8 * loraParameters(config, 4) });
  });
});

describe("serving", () => {
  it("is bound by bandwidth for one sequence, and by compute for many", () => {
    const hardware = hardwareOf("h100");
    const config = defineModel({
      layers: 32,
      width: 4096,
      heads: 32,
      keyValueHeads: 8,
      hidden: 14336,
      vocabSize: 128_256,
      sequence: 8192,
    });
    const setup = {
      params: 8e9,
      config,
      hardware,
      flops: 989.4e12,
      devices: 1,
      weightBytes: 2,
      cacheBytes: 2,
      context: 1,
      price: 3,
    };
    const single = decodingCost(setup, 1);
    expect(single.bound).toBe("bandwidth");
    expect(single.tokens_per_second).toBeCloseTo(3350e9 / (16e9 + 131_072), 3);
    expect(single.dollars_per_million_tokens).toBeCloseTo((3e6 / 3600) * (16.000131072 / 3350), 6);
    const many = decodingCost(setup, 4096);
    expect(many.bound).toBe("compute");
    expect(many.tokens_per_second / (989.4e12 / 16e9)).toBeCloseTo(1, 3);
  });
});
