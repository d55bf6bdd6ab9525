/** @file Votes between models in JSON lines, JSON and CSV, packed or not, and their ranking. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { arenaRank } from "../../../src/eval/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, mutateText, several } from "../mutations.js";
import type { Random } from "../random.js";
import { packed } from "../seeds.js";
import type { Target } from "../target.js";

function vote(random: Random): Record<string, Json> {
  const side = () => ({
    conversation: [{ role: "assistant", content: random.pick(["# a", "- b\n**c**", "```\n", "", "long ".repeat(40)]) }],
  });
  return {
    model_a: random.pick(["x", "y", "z"]),
    model_b: random.pick(["x", "y", "w"]),
    winner: random.pick(["model_a", "model_b", "tie", "tie (bothbad)"]),
    tstamp: random.pick<Json>([1, 2.5, "2025-01-01", null, 1e300]),
    conversation_a: side().conversation,
    conversation_b: random.pick<Json>([side().conversation, JSON.stringify(side().conversation)]),
  };
}

function csvText(votes: readonly Record<string, Json>[], random: Random): string {
  const quote = (value: Json) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return random.chance(0.9) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [Object.keys(votes[0]).join(","), ...votes.map((each) => Object.values(each).map(quote).join(","))];
  const text = lines.join(random.pick(["\n", "\r\n"]));
  return random.chance(0.5) ? text : mutateText(text, random);
}

export function open(): Target {
  return {
    make(random) {
      const votes = Array.from({ length: 1 + random.below(30) }, () => vote(random));
      const kind = random.pick(["lines", "array", "csv"]);
      const changed = (random.chance(0.4) ? mutateList<Json>(votes, random) : votes).map((record) =>
        random.chance(0.3) ? several<Json>(record, random, (value) => mutateJson(value, random)) : record,
      );
      const text =
        kind === "csv"
          ? csvText(votes, random)
          : kind === "array"
            ? `[${changed.map((value) => jsonText(value, random)).join(",")}]`
            : changed.map((value) => `${jsonText(value, random)}\n`).join("");
      let bytes: Buffer = Buffer.from(text);
      if (random.chance(0.3)) bytes = mutateBytes(bytes, random, 2);
      const packing = random.pick(["", "", ".gz", ".zst"] as const);
      return { [(kind === "csv" ? "a.csv" : "a.json") + packing]: packed(bytes, packing, random) };
    },
    async read(folder, reached) {
      const files = readdirSync(folder).map((name) => join(folder, name));
      for (const options of [
        {},
        { style: true },
        { method: "elo" as const, reversion: 0, bootstrap: 2 },
        { bootstrap: 3 },
      ]) {
        const { votes } = await arenaRank({ files, ...options });
        if (votes > 0) reached();
      }
    },
    command: (files) => ["arena", "rank", ...Object.keys(files)],
  };
}
