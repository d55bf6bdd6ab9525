/** @file Recipes as JSON: of cleaning, of a mix, of a corpus. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkDocuments, loadCorpus, loadMix, loadRecipe } from "../../../src/data/index.js";
import { type Json, jsonText, mutateJson, several } from "../mutations.js";
import { documentRecord } from "../seeds.js";
import type { Target } from "../target.js";

const STEPS: Json = [
  "normalise",
  { length: { minWords: 2, maxWords: 10_000 } },
  { language: { keep: ["en", "de"], minScore: 0.1 } },
  "gopher-repetition",
  { "gopher-quality": { minWords: 1 } },
  "c4-quality",
  { "c4-paragraphs": {} },
  { "fineweb-quality": {} },
  { url: {} },
  { "personal-data": {} },
  "refinedweb-lines",
  { "bad-words": {} },
  { "at-least": { field: "quality", least: 0.1 } },
  { adult: {} },
];
const CLEAN: Json = { name: "web", extract: { format: "text" }, language: "en", steps: STEPS };
const MIX: Json = {
  name: "mix",
  sources: [
    { name: "web", inputs: ["documents.jsonl"], weight: 3 },
    { name: "books", inputs: ["documents.jsonl"], weight: 1 },
  ],
  ...{ bytes: 1000, epochs: 2, quality: "quality", power: 1, order: "quality-last", phases: 2, seed: 1 },
};
const CORPUS: Json = {
  clean: "as-is",
  deduplicate: [{ by: "url" }, { by: "document" }],
  decontaminate: { against: ["documents.jsonl"] },
  heldout: 0.1,
  mix: { weights: { web: 3, books: 1 }, epochs: 4, order: "quality-last" },
  shards: { vocabSize: 300 },
};

export function open(): Target {
  return {
    make(random) {
      const [name, recipe] = random.pick([
        ["clean.json", CLEAN],
        ["clean.json", CLEAN],
        ["mix.json", MIX],
        ["corpus.json", CORPUS],
      ] as const);
      const lines = Array.from({ length: 6 }, () => JSON.stringify(documentRecord(random)));
      // Few steps, so that a sound one is not always beside a wrong one.
      const part =
        name === "clean.json"
          ? { ...(CLEAN as object), steps: (STEPS as Json[]).filter(() => random.chance(0.3)) }
          : recipe;
      const changed = several<Json>(part, random, (value) => mutateJson(value, random));
      return { [name]: jsonText(changed, random), "documents.jsonl": `${lines.join("\n")}\n` };
    },
    async read(folder, reached) {
      const load = async (name: string, work: (path: string) => Promise<unknown>) => {
        const path = join(folder, name);
        try {
          const value = JSON.parse(readFileSync(path, "utf8").replace(/^\ufeff/, "")) as unknown;
          if (typeof value === "object" && value !== null) reached();
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
        }
        await work(path);
      };
      await load("mix.json", loadMix);
      await load("corpus.json", loadCorpus);
      await load("clean.json", async (path) => {
        const recipe = await loadRecipe(path);
        for await (const document of checkDocuments(join(folder, "documents.jsonl"), { recipe })) void document;
      });
    },
    command(files) {
      if ("clean.json" in files) return ["data", "check", "documents.jsonl", "--recipe", "clean.json"];
      if ("mix.json" in files) return ["data", "mix", "--recipe", "mix.json", "--out", "out"];
      return ["data", "corpus", "documents.jsonl", "--recipe", "corpus.json", "--workers", "1", "--out", "out"];
    },
  };
}
