/** @file The folder of a cleaning that goes on where it was: tasks, manifest and funnel, changed, and the lock of another. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clean, readFunnel, renderReport } from "../../../src/data/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, several } from "../mutations.js";
import { Random } from "../random.js";
import { documentRecord } from "../seeds.js";
import type { Target } from "../target.js";

const LOCK: Json = { pid: 999_999_999, started: "1", host: "elsewhere", token: "a" };

export async function open(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "quern-fuzz-clean-"));
  const random = new Random("clean");
  const lines = Array.from({ length: 20 }, () => `${JSON.stringify(documentRecord(random))}\n`).join("");
  writeFileSync(join(folder, "documents.jsonl"), lines);
  const previous = process.cwd();
  process.chdir(folder);
  await clean({ inputs: ["documents.jsonl"], out: "out", recipe: "as-is", workers: 1, force: true });
  process.chdir(previous);
  const files: Record<string, Buffer> = { "documents.jsonl": Buffer.from(lines) };
  for (const entry of await readdir(join(folder, "out"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = readFileSync(path);
  }
  await rm(folder, { recursive: true });
  const names = Object.keys(files).filter((name) => name.endsWith(".json"));
  return {
    make(random) {
      const made: Record<string, string | Buffer> = { ...files };
      for (let i = random.few(); i > 0; i--) {
        const name = random.pick(names);
        const json = JSON.parse((files[name] as Buffer).toString("utf8")) as Json;
        made[name] = jsonText(
          several(json, random, (value) => mutateJson(value, random)),
          random,
        );
      }
      if (random.chance(0.3))
        made["out/documents/00000.jsonl"] = mutateBytes(files["out/documents/00000.jsonl"] as Buffer, random);
      // Without its last file a run is not finished.
      if (random.chance(0.4)) delete made["out/funnel.json"];
      if (random.chance(0.1)) made["out/.lock"] = jsonText(mutateJson(LOCK, random), random);
      return made;
    },
    async read(folder, reached) {
      reached();
      const out = join(folder, "out");
      const previous = process.cwd();
      process.chdir(folder);
      try {
        if (existsSync(join(out, "funnel.json"))) {
          await readFunnel(out).then(
            (funnel) => renderReport(funnel, []),
            (error: Error) => {
              if (error.name !== "QuernError") throw error;
            },
          );
        }
        await clean({ inputs: ["documents.jsonl"], out: "out", recipe: "as-is", workers: 1, force: true });
      } finally {
        process.chdir(previous);
      }
    },
    command: () => [
      "data",
      "clean",
      "documents.jsonl",
      "--recipe",
      "as-is",
      "--workers",
      "1",
      "--out",
      "out",
      "--force",
    ],
  };
}
