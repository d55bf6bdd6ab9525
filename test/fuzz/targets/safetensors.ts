/** @file Safetensors files: the header changed and written again with its length, the data short or long. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors } from "../../../src/model/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, several } from "../mutations.js";
import type { Target } from "../target.js";

const HEADER: Json = {
  __metadata__: { format: "pt", step: "7" },
  "a.weight": { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: "BF16", shape: [4], data_offsets: [24, 32] },
  c: { dtype: "F8_E4M3", shape: [2, 2], data_offsets: [32, 36] },
  d: { dtype: "I32", shape: [], data_offsets: [36, 40] },
  e: { dtype: "F16", shape: [0, 5], data_offsets: [40, 40] },
  f: { dtype: "F64", shape: [1], data_offsets: [40, 48] },
  g: { dtype: "F4", shape: [4], data_offsets: [48, 50] },
  h: { dtype: "NEW_1", shape: [3], data_offsets: [50, 54] },
};

export function open(): Target {
  return {
    make(random) {
      const json = Buffer.from(
        jsonText(
          several(HEADER, random, (value) => mutateJson(value, random)),
          random,
        ),
      );
      const length = Buffer.alloc(8);
      const told = random.chance(0.92)
        ? json.length
        : random.pick([0, 1, 2 ** 31, 1e8, json.length - 1, json.length + 9]);
      length.writeBigUInt64LE(BigInt(told));
      const data = Buffer.alloc(random.pick([54, 54, 54, 53, 100, 0]), 0x3c);
      const file = Buffer.concat([length, json, data]);
      return { "model.safetensors": random.chance(0.15) ? mutateBytes(file, random, 8) : file };
    },
    async read(folder, reached) {
      const path = join(folder, "model.safetensors");
      const bytes = readFileSync(path);
      try {
        JSON.parse(bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE(0))));
        reached();
      } catch {}
      const file = await openSafetensors(path);
      try {
        for (const name of file.tensors.keys()) {
          await file.readBytes(name);
          await file.readFloats(name).catch((error: Error) => {
            if (error.name !== "QuernError") throw error;
          });
        }
      } finally {
        await file.close();
      }
    },
  };
}
