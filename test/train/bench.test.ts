import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { benchmark } from "../../src/train/index.js";
import { SLOW_BUILD } from "../model/targets.js";

let folder: string;
let text: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
  text = join(folder, "text.txt");
  const words = ["the mill", "grinds", "slowly", "but", "exceedingly", "fine"];
  await writeFile(text, Array.from({ length: 3000 }, (_, i) => words[(i * i + (i >> 3)) % 6]).join(" "));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const small = { batch: 1, sequence: 32, steps: 3, threads: 2 } as const;

describe("benchmark", { timeout: SLOW_BUILD }, () => {
  it("times training on the tokens of a text, which lowers the loss", async () => {
    const result = await benchmark({ what: "train", ...small, text: [text] });
    if (!("first_loss" in result)) throw new Error("another benchmark ran");
    // An untrained model guesses uniformly among 8,192 tokens.
    expect(Math.abs(result.first_loss - Math.log(8192))).toBeLessThan(0.5);
    expect(result.last_loss).toBeLessThan(result.first_loss);
    expect(result.tokens_per_second).toBeCloseTo(32 / result.step_seconds, 6);
    expect(result.parameters).toBe(3_344_064);
    expect(result.mfu).toBeCloseTo(result.gflops / result.peak_gflops, 10);
    expect(result.plan_mb).toBeGreaterThan((16 * result.parameters) / 2 ** 20 - 1);
    expect(result.peak_rss_mb).toBeGreaterThan(30);
  });

  it("times batched decoding", async () => {
    const result = await benchmark({ ...small, what: "decode", batch: 3 });
    if (!("bandwidth_share" in result)) throw new Error("another benchmark ran");
    expect(result).toMatchObject({ batch: 3, steps: 3 });
    const bytes = 4 * result.parameters_per_token * (result.tokens_per_second / 3);
    expect(result.weights_gb_per_second).toBeCloseTo(bytes / 1e9, 6);
    expect(result.job_tokens_per_second).toBeGreaterThan(0);
  });

  it("times a prompt and several streams, with weights in blocks", async () => {
    const result = await benchmark({
      what: "inference",
      type: "q8_0",
      streams: 2,
      promptTokens: 40,
      steps: 3,
      threads: 2,
    });
    if (!("time_to_first_token_ms" in result)) throw new Error("another benchmark ran");
    expect(result).toMatchObject({ type: "q8_0", streams: 2, prompt_tokens: 40, steps: 3 });
    expect(result.prefill_tokens_per_second).toBeCloseTo(40_000 / result.time_to_first_token_ms, 6);
    expect(result.decode_tokens_per_second).toBeGreaterThan(0);
    await expect(benchmark({ what: "inference", type: "q4_k" })).rejects.toThrow(
      /q4_k need rows of whole blocks of 256 values/,
    );
    await expect(benchmark({ what: "inference", type: "stored" })).rejects.toThrow(/has no stored blocks/);
  });

  it("times the matrix products of a layer, and attention", async () => {
    for (const what of ["gemm", "attention"] as const) {
      const result = await benchmark({ what, ...small });
      if (!("kernels" in result)) throw new Error("another benchmark ran");
      expect(result.kernels.length).toBe(what === "gemm" ? 9 : 2);
      for (const { gflops, share } of result.kernels) expect(share).toBeCloseTo(gflops / result.peak_gflops, 10);
      // q, k, v, o; gate, up; down: each in three layouts.
      if (what === "gemm") expect(result.kernels.reduce((sum, { times }) => sum + times, 0)).toBe(3 * 7);
    }
  });

  it("trains nanoGPT's character model and evaluates it on the rest of the text", async () => {
    const result = await benchmark({ what: "shakespeare", steps: 8, seeds: 2, threads: 1, text: [text] });
    if (!("validation_loss" in result)) throw new Error("another benchmark ran");
    const letters = new Set("the mill grinds slowly but exceedingly fine").size;
    expect(result.validation_loss).toBeLessThan(0.9 * Math.log(letters));
    expect(result.validation_loss_of_seeds).toHaveLength(2);
    expect(result.validation_loss_of_seeds[0]).not.toBe(result.validation_loss_of_seeds[1]);
    await expect(benchmark({ what: "shakespeare", text: ["none.txt"] })).rejects.toThrow(/cannot read none.txt/);
  });
});
