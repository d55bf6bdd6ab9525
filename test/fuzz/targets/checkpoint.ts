/** @file A checkpoint that a run resumes from: checkpoint.json, and the optimizer's state, with checksums that fit. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineModel, listCheckpoints, parametersOf } from "../../../src/model/index.js";
import { trainTokenizer } from "../../../src/tokenizer/index.js";
import { modelFormat, restoreCheckpoint, saveCheckpoint } from "../../../src/train/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, several } from "../mutations.js";
import type { Target } from "../target.js";

const RECORD = "checkpoint.json";

export async function open(): Promise<Target> {
  const config = defineModel({ family: "llama", layers: 1, width: 8, heads: 1, vocabSize: 260, sequence: 16 });
  const values = new Map(
    parametersOf(config).map(
      (each) => [each.name, new Float32Array(each.shape.reduce((a, b) => a * b, 1)).fill(0.1)] as const,
    ),
  );
  const state = [{ name: "moment", shape: [4], read: async () => new Float32Array(4), write: () => {} }];
  const program = { read: async (name: string) => values.get(name) ?? new Float32Array(4), write: () => {} } as never;
  const tokenizer = await trainTokenizer(["some text"], { vocabSize: 260 });
  const format = modelFormat(program, config, tokenizer);
  const folder = await mkdtemp(join(tmpdir(), "quern-fuzz-checkpoint-"));
  const path = await saveCheckpoint(folder, { format, state }, { step: 7, seconds: 1, run: "r", validationLoss: null });
  const files: Record<string, Buffer> = {};
  for (const name of await readdir(path)) files[name] = readFileSync(join(path, name));
  await rm(folder, { recursive: true });
  return {
    make(random) {
      const made: Record<string, string | Buffer> = { ...files };
      const changed = random.chance(0.4)
        ? undefined
        : random.pick(Object.keys(files).filter((name) => name !== RECORD));
      if (changed !== undefined) {
        const bytes = files[changed] as Buffer;
        const isTensors = changed.endsWith(".safetensors");
        made[changed] = several(bytes, random, (each) =>
          mutateBytes(each, random, isTensors ? 8 : 1, Math.min(each.length, 800)),
        );
      }
      let record = JSON.parse((files[RECORD] as Buffer).toString("utf8")) as { [key: string]: Json };
      const sha256 = record.sha256 as { [key: string]: Json };
      for (const name of Object.keys(sha256))
        sha256[name] = createHash("sha256")
          .update(made[name] as Buffer)
          .digest("hex");
      if (changed === undefined)
        record = several<Json>(record, random, (value) => mutateJson(value, random)) as typeof record;
      made[RECORD] = changed === undefined ? jsonText(record, random) : JSON.stringify(record);
      return Object.fromEntries(Object.entries(made).map(([name, data]) => [`checkpoints/7/${name}`, data]));
    },
    async read(folder, reached) {
      if ((await listCheckpoints(folder)).length === 1) reached();
      await restoreCheckpoint(folder, "r", { format, state });
    },
  };
}
