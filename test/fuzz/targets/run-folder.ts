/** @file A run's folder: run.json and metrics.jsonl, of which a report is made, and which a run resumes or repeats. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeReport } from "../../../src/train/index.js";
import { plannedBefore, readPlanFile } from "../../../src/train/pretrain/plan-file.js";
import { readRunRecord, rewindMetrics } from "../../../src/train/run/run-folder.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, several } from "../mutations.js";
import type { Target } from "../target.js";

const RECORD: Json = {
  ...{ version: "0.1.0", created: "2026-11-23T20:00:00.000Z", seed: 1, git: "abc1234" },
  config: {
    text: ["text.txt"],
    layers: 1,
    width: 32,
    vocabSize: 300,
    sequence: 16,
    batch: 2,
    steps: 3,
    learningRate: 0.003,
    threads: 1,
  },
  plan: {
    model: { family: "llama", layers: 1, width: 32, heads: 1, vocabSize: 300, sequence: 16 },
    ...{
      batch: 2,
      sequence: 16,
      accumulate: 1,
      steps: 3,
      cuts: [],
      recompute: false,
      packed: true,
      seed: 0,
      threads: 1,
    },
    schedule: { kind: "cosine", learningRate: 0.003, warmupSteps: 1, decaySteps: 2, finalShare: 0.1 },
    optimizer: { kind: "adamw", weightDecay: 0.1 },
    ...{ precision: "fp32", dataset: "abc", parameters: 3_300_000, reasons: { width: "a reason", steps: "as given" } },
  },
  machine: { cpu: "Some <CPU>", threads: 2 },
  read: { files: 1, documents: 2, rows: 0 },
  skipped: { not_json: 1 },
  result: {
    ...{ bits_per_byte: 1.987, gzip_bits_per_byte: 2.65, ngram_training_tokens: 5_000_001, heldout_bytes: 1_234_567 },
    sources: [{ source: "<novel>", heldout_bytes: 1000, bits_per_byte: 2.345 }],
    fusion: {
      fused: { launches: 90, flops: 4e9, bytes: 1.5e9 },
      unfused: { launches: 360, flops: 4e9, bytes: 3e9 },
      ...{ arena_bytes: 3e8, unfused_arena_bytes: 4e8 },
      kernels: [{ what: "matmul", launches: 4, bytes: 5e8 }],
    },
    samples: [{ prompt: "My fellow", before: "\u0001<b>", after: " citizens" }],
  },
};
const METRICS: Json[] = [
  ...Array.from({ length: 20 }, (_, i) => ({
    step: i + 1,
    loss: 3 + 1 / (i + 1),
    learning_rate: 0.001,
    gradient_norm: 1,
    tokens: 32 * i,
    tokens_per_second: 900,
    peak_share: 0.4,
    seconds: i,
  })),
  {
    step: 20,
    validation_loss: 3.1,
    perplexity: 22,
    bits_per_byte: 2,
    samples: [{ prompt: "My", text: " <i>words</i>" }],
  },
];

export function open(): Target {
  return {
    make(random) {
      const record = random.chance(0.7) ? several<Json>(RECORD, random, (value) => mutateJson(value, random)) : RECORD;
      let lines = random.chance(0.5) ? mutateList(METRICS, random) : METRICS;
      lines = lines.map((line) => (random.chance(0.1) ? mutateJson(line, random) : line));
      const metrics = Buffer.from(lines.map((line) => `${jsonText(line, random)}\n`).join(""));
      return {
        "run.json": jsonText(record, random),
        "metrics.jsonl": random.chance(0.2) ? mutateBytes(metrics, random) : metrics,
        "text.txt": "some text to learn from\n".repeat(50),
      };
    },
    async read(folder, reached) {
      const path = join(folder, "run.json");
      try {
        JSON.parse(readFileSync(path, "utf8"));
        reached();
      } catch {}
      for (const work of [
        () => writeReport(folder),
        () => readPlanFile(path, {} as never),
        async () => plannedBefore((await readRunRecord(folder)) ?? {}, path, { steps: 3 } as never),
        () => rewindMetrics(folder, 5),
      ]) {
        await (work() as Promise<unknown>).catch((error: Error) => {
          if (error.name !== "QuernError") throw error;
        });
      }
    },
    command: () => ["pretrain", "--plan", "run.json", "--text", "text.txt", "--out", "out", "--dry-run"],
  };
}
