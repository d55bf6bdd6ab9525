/** @file Documents in files: JSON lines, JSON, plain text, packed or not, by the two readers of documents. */
import { readPages } from "../../../src/data/index.js";
import { type ReadReport, readDocuments } from "../../../src/documents/index.js";
import { type Json, jsonText, mutateBytes, mutateJson, mutateList, several } from "../mutations.js";
import type { Random } from "../random.js";
import { documentRecord, packed } from "../seeds.js";
import type { Target } from "../target.js";

const ROW_REASONS = /^(not_json|not_an_object|empty|no_text|not_utf8|nul_byte|too_deep|line_too_long)$/;

function text(kind: string, random: Random): string {
  const records = Array.from({ length: 1 + random.below(12) }, () => documentRecord(random));
  const changed = random.chance(0.5) ? records : mutateList(records, random);
  const all = changed.map((record) =>
    random.chance(0.3) ? several<Json>(record, random, (value) => mutateJson(value, random)) : record,
  );
  if (kind === "array")
    return `[${all.map((value) => jsonText(value, random)).join(random.pick([",", ",\n", "\n", ",,"]))}]`;
  if (kind === "value") return JSON.stringify(all[0] ?? null, null, 2);
  return all.map((value) => jsonText(value, random) + random.pick(["\n", "\n", "\n", "\r\n", "\n\n", ""])).join("");
}

export function open(): Target {
  return {
    make(random) {
      const kind = random.pick(["lines", "lines", "array", "value"]);
      let bytes: Buffer = Buffer.from(text(kind, random));
      if (random.chance(0.4)) bytes = mutateBytes(bytes, random, 2);
      const packing = random.pick(["", ".gz", ".zst"] as const);
      const name =
        kind === "lines" ? random.pick(["a.jsonl", "a.ndjson", "a.json"]) : random.pick(["a.json", "a.jsonl"]);
      return { [name + packing]: packed(bytes, packing, random) };
    },
    async read(folder, reached) {
      const check = ({ read, skipped }: ReadReport) => {
        if (read.documents > 0 || Object.keys(skipped).some((reason) => ROW_REASONS.test(reason))) reached();
      };
      const readers = [readDocuments([folder]), readPages([folder])];
      for (const reader of readers) {
        try {
          for await (const each of reader) void each;
        } finally {
          check(reader.report);
        }
      }
    },
    command: (files) => ["data", "clean", ...Object.keys(files), "--recipe", "as-is", "--workers", "1", "--out", "out"],
  };
}
