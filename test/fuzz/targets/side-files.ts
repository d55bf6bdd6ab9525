/** @file Small files that lie beside others: evaluation sets, word lists, a classifier's card, sources of held-out text, labelled lines. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readWordList, wordPattern } from "../../../src/data/filters/word-list.js";
import { BenchmarkGrams, trainClassifier } from "../../../src/data/index.js";
import { readCard } from "../../../src/data/quality/score.js";
import { readHeldOutSources } from "../../../src/tokenizer/shards/held-out-sources.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, mutateText, several } from "../mutations.js";
import { sentences } from "../seeds.js";
import type { Target } from "../target.js";

const CARD: Json = {
  label: "good",
  preparation: "plain",
  calibration: { slope: 1.5, offset: -0.1 },
  kind: "quality",
};
const EXAMPLE: Json = {
  id: "gsm8k-1",
  question: "How many sacks of grain does the mill by the river grind in one long day of work?",
  choices: ["twelve sacks of grain and one more", "thirteen sacks of grain", { text: "none of them" }],
  answer: 1,
};

export function open(): Target {
  return {
    make(random) {
      const examples = Array.from({ length: 1 + random.below(5) }, () => EXAMPLE);
      const set = examples
        .map((value) =>
          jsonText(
            several(value, random, (each) => mutateJson(each, random)),
            random,
          ),
        )
        .join("\n");
      const words = mutateList(["river", "# note", "two words", "(a|b)+$", "水車", ""], random);
      const list = words.map((line) => (random.chance(0.3) ? mutateText(line, random) : line)).join("\n");
      const lines = Array.from(
        { length: 8 },
        (_, i) => `__label__${i % 2} ${sentences(random).replaceAll("\n", " ")}`,
      ).join("\n");
      const labelled: Buffer = Buffer.from(`${lines}\n`);
      return {
        "set.jsonl": set,
        "words.txt": list.slice(0, 200_000),
        "model.json": jsonText(mutateJson(CARD, random), random),
        "heldout-sources.json": jsonText(mutateJson([{ source: "web", documents: 3 }], random), random),
        "lines.txt": several(labelled, random, (bytes) => mutateBytes(bytes, random)),
      };
    },
    async read(folder, reached) {
      const at = (name: string) => join(folder, name);
      const text = readFileSync(at("set.jsonl"), "utf8");
      if (text.startsWith("{")) reached();
      const pattern = async () => {
        wordPattern(await readWordList({ file: at("words.txt") }))?.exec("the river and two words");
      };
      for (const work of [
        () => new BenchmarkGrams(8).add(at("set.jsonl")),
        pattern,
        () => readCard(at("model.bin")),
        () => readHeldOutSources(folder),
        () => trainClassifier(at("lines.txt"), { dim: 4, epoch: 1, wordNgrams: 2, bucket: 100, loss: "hs" }),
      ]) {
        await (work() as Promise<unknown>).catch((error: Error) => {
          if (error.name !== "QuernError") throw error;
        });
      }
    },
    command: () => ["data", "decontaminate", "lines.txt", "--against", "set.jsonl", "--out", "out", "--workers", "1"],
  };
}
