import { deduplicateExecutor, deduplicateFlags, deduplicateOptions } from "../data/deduplicate/deduplicate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Remove duplicates: documents with the same URL or text, near-duplicates by MinHash, or repeated lines, paragraphs, " +
    "sentences and spans. Reads the input twice. Needs temporary disk space: about the size of the text for spans, otherwise a " +
    "quarter of it.",
  options: deduplicateFlags,
  positional: ["inputs"],
  resumes: true,
  examples: [
    "quern data deduplicate clean/documents --out unique --by near",
    "quern data deduplicate clean/documents --out lines --by line --keep none",
    "quern data deduplicate unique/documents --out spans --by substring --length 100 --mark",
    "quern data deduplicate clean/documents --out unique --by near --executor slurm --partition cpu --memory 2G",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    // Each schema drops the other's keys.
    const [own, executor] = [deduplicateOptions.parse(options), deduplicateExecutor.parse(options)];
    const { inputs, out, by, mark, bands, rows } = own;
    const { nothingRead, readLines } = await import("../documents/index.js");
    const { bandProbability, deduplicate } = await import("../data/deduplicate/deduplicate.js");
    const { checkExecutor } = await import("../executors/index.js");
    checkExecutor(executor, named);
    if (by === "near") {
      const points = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
      const curve = points.map((s) => `${s}: ${(100 * bandProbability(s, bands, rows)).toFixed(1)} %`).join(", ");
      print(`${bands} bands of ${rows}: probability of finding a near-duplicate by similarity: ${curve}`);
    }
    const result = await deduplicate({
      ...own,
      executor,
      signal,
      onProgress,
      onNotice: log,
    });
    const { documents, kept, clusters, pieces, bytes, bytesKept } = result;
    const cut = mark ? "marked" : "cut";
    const what =
      by === "url" || by === "document" || by === "near"
        ? `${clusters} clusters`
        : by === "substring"
          ? `${pieces} spans ${cut}`
          : `${pieces} ${by}s cut, copies of ${clusters} distinct ${by}s`;
    print(`${documents} documents, ${kept} kept, ${documents - kept} removed; ${what}`);
    print(`${(bytes / 1e6).toFixed(1)} MB of text, ${(bytesKept / 1e6).toFixed(1)} kept, in ${out}/documents`);
    for (const line of readLines(result)) print(line);
    if (documents === 0) throw nothingRead(inputs, result);
    return result;
  },
});
