import { deduplicateOptions } from "../data/deduplicate/deduplicate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Remove duplicates: documents with the same address or text, near-duplicates by MinHash, or repeated lines and paragraphs. Reads the input twice.",
  options: deduplicateOptions,
  positional: ["inputs"],
  examples: [
    "quern data deduplicate clean/documents --out unique --by near",
    "quern data deduplicate clean/documents --out lines --by line --keep none",
  ],
  async run(options, { signal, onProgress, print }) {
    const { bandProbability, deduplicate } = await import("../data/index.js");
    if (options.by === "near") {
      const { bands, rows } = options;
      const points = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
      const curve = points.map((s) => `${s}: ${(100 * bandProbability(s, bands, rows)).toFixed(1)} %`).join(", ");
      print(`${bands} bands of ${rows}: documents of similarity … are found with probability: ${curve}`);
    }
    const result = await deduplicate({ ...options, signal, onProgress });
    const { documents, kept, clusters, pieces, bytes, bytesKept } = result;
    const what = pieces > 0 ? `${pieces} ${options.by}s cut, ${clusters} of them different` : `${clusters} clusters`;
    print(`${documents} documents, ${kept} kept, ${documents - kept} removed; ${what}`);
    print(`${(bytes / 1e6).toFixed(1)} MB of text, ${(bytesKept / 1e6).toFixed(1)} kept, in ${options.out}/documents`);
    for (const [reason, count] of Object.entries(result.skipped)) print(`${count} not read: ${reason}`);
    return result;
  },
});
