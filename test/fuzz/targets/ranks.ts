/** @file Vocabularies in other files: tiktoken's ranks, and GPT-2's vocab.json with merges.txt. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer, tokenizerToGpt2, tokenizerToRanks, trainTokenizer } from "../../../src/tokenizer/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, mutateText, several } from "../mutations.js";
import { fixtureJson } from "../seeds.js";
import type { Files, Target } from "../target.js";

const TEXT = "The 12 cats – naïve café 猫 don't stop";

export async function open(): Promise<Target> {
  const texts = (fixtureJson("tokenizer/fixtures/training.json") as { texts: string[] }[])[0].texts;
  const tokenizer = await trainTokenizer(texts.slice(0, 20), { vocabSize: 400, pattern: "gpt2", special: [] });
  const ranks = tokenizerToRanks(tokenizer).trimEnd().split("\n");
  const { vocab, merges } = tokenizerToGpt2(tokenizer);
  const pairs = merges.split("\n");
  return {
    make(random): Files {
      if (random.chance(0.5)) {
        const lines = several(ranks, random, (each) =>
          random.chance(0.5)
            ? mutateList(each, random)
            : each.map((line) => (random.chance(0.02) ? mutateText(line, random) : line)),
        );
        // A mark for the test: the first line is sound.
        const bytes = Buffer.from(`${ranks[0]}\n${lines.slice(1).join(random.pick(["\n", "\n", "\r\n"]))}`);
        return { "a.tiktoken": random.chance(0.3) ? mutateBytes(bytes, random, 10) : bytes };
      }
      const ids = JSON.parse(vocab) as Json;
      const changed = random.chance(0.6) ? several<Json>(ids, random, (value) => mutateJson(value, random)) : ids;
      let lines = pairs;
      if (random.chance(0.5)) lines = several(lines, random, (each) => mutateList(each, random));
      if (random.chance(0.4)) lines = lines.map((line) => (random.chance(0.02) ? mutateText(line, random) : line));
      return { "vocab.json": jsonText(changed, random), "merges.txt": lines.join("\n") };
    },
    async read(folder, reached) {
      let found: Awaited<ReturnType<typeof loadTokenizer>>;
      let isRanks = true;
      try {
        readFileSync(join(folder, "a.tiktoken"));
        reached();
      } catch {
        isRanks = false;
        try {
          if (typeof JSON.parse(readFileSync(join(folder, "vocab.json"), "utf8")) === "object") reached();
        } catch {}
      }
      if (isRanks)
        found = await loadTokenizer(join(folder, "a.tiktoken"), {
          pattern: "gpt2",
          special: { "<|endoftext|>": 5000 },
        });
      else found = await loadTokenizer(folder);
      found.decode(found.encode(TEXT));
      if (isRanks) tokenizerToRanks(found);
      else tokenizerToGpt2(found);
    },
    command(files) {
      // No flag says a rank file's pattern.
      if (!("vocab.json" in files)) return ["data", "--help"];
      return ["tokenizer", "show", "--tokenizer", ".", "--text", TEXT];
    },
  };
}
