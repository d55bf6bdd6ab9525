/** @file Model folders: config.json, generation_config.json, the index of a model in parts, and the weights' headers. */
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineModel, openModel, parametersOf, writeModel } from "../../../src/model/index.js";
import { type Json, jsonText, mutateJson, several } from "../mutations.js";
import type { Target } from "../target.js";

const SIZES = { layers: 2, width: 16, heads: 2, vocabSize: 20, sequence: 32 };
const MORE: Json = {
  rope_scaling: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 16,
  },
  quantization_config: { quant_method: "fp8", weight_block_size: [128, 128], activation_scheme: "dynamic" },
  sliding_window: null,
  eos_token_id: [1, 2],
  head_dim: 8,
  torch_dtype: "float32",
};

async function folderOf(family: "gpt2" | "llama" | "qwen3", shardBytes: number): Promise<Record<string, Buffer>> {
  const folder = await mkdtemp(join(tmpdir(), "quern-fuzz-model-"));
  const config = defineModel({ family, ...SIZES });
  const values = new Map(
    parametersOf(config).map(
      (parameter) => [parameter.name, new Float32Array(parameter.shape.reduce((a, b) => a * b, 1)).fill(0.1)] as const,
    ),
  );
  await writeModel(folder, config, (name) => values.get(name) ?? new Float32Array(0), { endOfText: 1, shardBytes });
  const files: Record<string, Buffer> = {};
  for (const name of await readdir(folder)) files[name] = readFileSync(join(folder, name));
  await rm(folder, { recursive: true });
  return files;
}

export async function open(): Promise<Target> {
  const seeds = [
    await folderOf("gpt2", 1e9),
    await folderOf("llama", 4000),
    await folderOf("qwen3", 1e9),
    await folderOf("llama", 1e9),
  ];
  return {
    make(random) {
      const files: Record<string, string | Buffer> = { ...random.pick(seeds) };
      const names = Object.keys(files);
      const changed = new Set([
        random.chance(0.7) ? "config.json" : random.pick(names),
        ...(random.chance(0.3) ? [random.pick(names)] : []),
      ]);
      for (const name of changed) {
        const bytes = files[name] as Buffer;
        const mutate = (json: Json) =>
          jsonText(
            several(json, random, (value) => mutateJson(value, random)),
            random,
          );
        if (name.endsWith(".safetensors")) {
          const end = 8 + Number(bytes.readBigUInt64LE(0));
          const header = Buffer.from(mutate(JSON.parse(bytes.toString("utf8", 8, end)) as Json));
          const length = Buffer.alloc(8);
          length.writeBigUInt64LE(BigInt(header.length));
          files[name] = Buffer.concat([length, header, bytes.subarray(end)]);
        } else {
          const json = JSON.parse(bytes.toString("utf8")) as { [key: string]: Json };
          const key = random.pick(Object.keys(MORE as object));
          if (name === "config.json" && random.chance(0.4)) json[key] = (MORE as { [key: string]: Json })[key];
          files[name] = mutate(json);
        }
      }
      return files;
    },
    async read(folder, reached) {
      try {
        if (typeof JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) === "object") reached();
      } catch {}
      const model = await openModel(folder);
      try {
        for (const { name } of parametersOf(model.config)) await model.readParameter(name);
      } finally {
        await model.close();
      }
    },
    command: () => ["generate", "--model", ".", "--prompt", "a", "--tokens", "1"],
  };
}
