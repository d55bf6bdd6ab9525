/** @file Files of options (`--config`), and files of a chat's or a text's lines that verbs take. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanOptions } from "../../../src/data/clean/clean-options.js";
import { deduplicateOptions, trainClassifierOptions } from "../../../src/data/index.js";
import { checkOptions } from "../../../src/options.js";
import { pretrainOptions } from "../../../src/train/index.js";
import { type Json, jsonText, mutateJson, several } from "../mutations.js";
import type { Target } from "../target.js";

const OPTIONS: readonly Json[] = [
  {
    inputs: ["documents.jsonl"],
    out: "out",
    recipe: "as-is",
    workers: 1,
    limit: 5,
    sample: 0.5,
    textField: "text",
    strict: false,
  },
  {
    text: ["documents.jsonl"],
    out: "run",
    steps: 3,
    layers: 1,
    width: 32,
    vocabSize: 300,
    sequence: 16,
    batch: 2,
    dryRun: true,
  },
  { inputs: ["documents.jsonl"], out: "out", by: "near", workers: 1 },
  { text: "lines.txt", out: "model.bin", dim: 8, epoch: 1, loss: "softmax", wordNgrams: 2, bucket: 1000, threads: 1 },
];
const SCHEMAS = [cleanOptions, pretrainOptions, deduplicateOptions, trainClassifierOptions] as const;

export function open(): Target {
  return {
    make(random) {
      const json = random.pick(OPTIONS);
      const lines = '{"text":"one two three"}\n{"text":"four five six"}\n';
      return {
        "options.json": jsonText(
          several(json, random, (value) => mutateJson(value, random)),
          random,
        ),
        "documents.jsonl": lines,
      };
    },
    async read(folder, reached) {
      let value: unknown;
      try {
        value = JSON.parse(readFileSync(join(folder, "options.json"), "utf8"));
      } catch {
        return;
      }
      reached();
      for (const schema of SCHEMAS) {
        try {
          checkOptions(schema, value, (key) => key);
        } catch (error) {
          if ((error as Error).name !== "QuernError") throw error;
        }
      }
    },
    command: () => ["data", "deduplicate", "--config", "options.json"],
  };
}
