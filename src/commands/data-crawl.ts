import { crawlOptions } from "../data/crawl/crawl-options.js";
import { QuernError } from "../errors.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Crawl web sites into WARC archives. Obeys robots.txt, noindex and noai, and sends one request at a time to each host. The " +
    "same command resumes a stopped crawl and retries refused pages.",
  options: crawlOptions,
  positional: ["urls"],
  resumes: true,
  examples: [
    "quern data crawl https://example.org/ --out crawls/example --max-pages 200",
    "quern data crawl http://localhost:8080/ --out crawls/mine --allow-private --delay 0",
  ],
  async run(options, { signal, onProgress, print }) {
    const { crawl } = await import("../data/crawl/crawl.js");
    const result = await crawl({ ...options, signal, onProgress });
    print(`${result.pages} pages, ${(result.bytes / 1e6).toFixed(1)} MB fetched, archives in ${options.out}`);
    const outcomes = Object.entries(result.outcomes).sort(([, a], [, b]) => b - a);
    for (const [outcome, count] of outcomes) print(`${String(count).padStart(8)}  ${outcome}`);
    if (result.waiting > 0)
      print(`${String(result.waiting).padStart(8)}  found but not fetched; the same command resumes`);
    if (result.damagedLines > 0)
      print(`${String(result.damagedLines).padStart(8)}  damaged lines skipped in the log of an earlier run`);
    if (result.pages === 0 && !signal.aborted) {
      const why = outcomes.map(([outcome, count]) => `${count} ${outcome}`).join(", ");
      throw new QuernError(`no page was kept${why === "" ? "" : `: ${why}`}; run the same command to try again`);
    }
    const skipped = Object.fromEntries(outcomes.filter(([outcome]) => !outcome.startsWith("kept")));
    return { ...result, read: { files: 0, documents: result.pages, rows: 0 }, skipped };
  },
});
