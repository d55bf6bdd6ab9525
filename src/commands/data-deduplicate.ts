import { deduplicateOptions } from "../data/deduplicate/deduplicate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Remove duplicates: documents with the same address or text, near-duplicates by MinHash, or repeated lines, paragraphs, sentences and spans. Reads the input twice; in between it needs room on the disk, about as much as the text for spans and a quarter of it for the rest.",
  options: deduplicateOptions,
  positional: ["inputs"],
  examples: [
    "quern data deduplicate clean/documents --out unique --by near",
    "quern data deduplicate clean/documents --out lines --by line --keep none",
    "quern data deduplicate unique/documents --out spans --by substring --length 100 --mark",
  ],
  async run(options, { signal, onProgress, print }) {
    const { bandProbability, deduplicate } = await import("../data/deduplicate/deduplicate.js");
    if (options.by === "near") {
      const { bands, rows } = options;
      const points = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
      const curve = points.map((s) => `${s}: ${(100 * bandProbability(s, bands, rows)).toFixed(1)} %`).join(", ");
      print(`${bands} bands of ${rows}: documents of similarity … are found with probability: ${curve}`);
    }
    const result = await deduplicate({ ...options, signal, onProgress });
    const { documents, kept, clusters, pieces, bytes, bytesKept } = result;
    const cut = options.mark ? "marked" : "cut";
    const what =
      options.by === "url" || options.by === "document" || options.by === "near"
        ? `${clusters} clusters`
        : options.by === "substring"
          ? `${pieces} spans ${cut}`
          : `${pieces} ${options.by}s cut; ${clusters} different ones repeat`;
    print(`${documents} documents, ${kept} kept, ${documents - kept} removed; ${what}`);
    print(`${(bytes / 1e6).toFixed(1)} MB of text, ${(bytesKept / 1e6).toFixed(1)} kept, in ${options.out}/documents`);
    for (const [reason, count] of Object.entries(result.skipped)) print(`${count} not read: ${reason}`);
    return result;
  },
});
