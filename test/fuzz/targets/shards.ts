/** @file Token shards: shards.json, the files of tokens and of ends, and the lineage. */
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { where } from "../../../src/data/index.js";
import { LineageWriter, openShards, saveTokenizer, trainTokenizer, writeShards } from "../../../src/tokenizer/index.js";
import { type Json, jsonText, mutateBytes, mutateJson } from "../mutations.js";
import type { Target } from "../target.js";

async function seed(): Promise<Record<string, Buffer>> {
  const folder = await mkdtemp(join(tmpdir(), "quern-fuzz-shards-"));
  const tokenizer = await trainTokenizer(["some text to train on"], { vocabSize: 260 });
  const texts = Array.from({ length: 9 }, (_, i) => `document number ${i}`);
  await writeShards(folder, {
    ...{ tokenizer, train: texts, heldout: ["held out"], fileTokens: 60, threads: 1 },
    async writeExtraFiles(temporary) {
      await saveTokenizer(tokenizer, join(temporary, "tokenizer"));
      for (const [split, count] of [
        ["train", 9],
        ["heldout", 1],
      ] as const) {
        const lineage = await LineageWriter.create(temporary, split);
        for (let i = 0; i < count; i++) await lineage.add({ id: `d${i}`, source: "web", archive: "a.warc", offset: i });
        await lineage.commit();
      }
    },
  });
  const files: Record<string, Buffer> = {};
  for (const name of await readdir(folder, { recursive: true })) {
    if (name !== "tokenizer") files[name] = readFileSync(join(folder, name));
  }
  await rm(folder, { recursive: true });
  return files;
}

export async function open(): Promise<Target> {
  const files = await seed();
  const names = Object.keys(files);
  return {
    make(random) {
      const made: Record<string, string | Buffer> = { ...files };
      let header = JSON.parse((files["shards.json"] as Buffer).toString("utf8")) as { [key: string]: Json };
      for (let i = random.few(); i > 0; i--) {
        const name = random.chance(0.4) ? "shards.json" : random.pick(names);
        if (name === "shards.json") {
          header = mutateJson(header, random) as { [key: string]: Json };
          continue;
        }
        const bytes = mutateBytes(made[name] as Buffer, random);
        // Of one length, so that the sizes fit; checksums fit as well.
        const whole = files[name] as Buffer;
        made[name] = random.chance(0.8) ? Buffer.concat([bytes, whole]).subarray(0, whole.length) : bytes;
      }
      const fix = (value: Json): void => {
        if (typeof value !== "object" || value === null) return;
        const entry = value as { [key: string]: Json };
        for (const [key, ending] of [
          ["crc32", "tokens"],
          ["endsCrc32", "ends"],
        ]) {
          const data = made[`${entry.name}.${ending}`];
          if (key in entry && data !== undefined) entry[key] = crc32(data).toString(16).padStart(8, "0");
        }
        Object.values(entry).forEach(fix);
      };
      fix(header);
      made["shards.json"] = jsonText(header, random);
      return made;
    },
    async read(folder, reached) {
      try {
        JSON.parse(readFileSync(join(folder, "shards.json"), "utf8"));
        reached();
      } catch {}
      for (const [position, split] of [
        [0, "train"],
        [100, "train"],
        [3, "heldout"],
      ] as const) {
        await where(folder, position, { split }).catch((error: Error) => {
          if (error.name !== "QuernError") throw error;
        });
      }
      const shards = openShards(folder);
      try {
        for (const split of [shards.train, shards.heldout]) {
          split.read(0, Math.min(split.tokens, 1000));
          if (split.documentEnds.length > 1e6) throw new Error("documents that are not there");
        }
        await shards.verify();
      } finally {
        shards.close();
      }
    },
    command: () => ["data", "where", ".", "5"],
  };
}
