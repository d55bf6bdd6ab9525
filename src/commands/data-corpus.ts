import { corpusOptions } from "../data/corpus/corpus-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Turn documents into token shards by a recipe: clean, deduplicate, filter by quality, decontaminate, mix, encode. Writes a " +
    "folder for each stage, shards/, manifest.json and report.html. If it is interrupted, the same command resumes after the " +
    "last finished stage.",
  options: corpusOptions,
  positional: ["inputs"],
  resumes: true,
  examples: ["quern data corpus crawls/ books.jsonl --recipe corpus.ts --out corpus/"],
  async run(
    { recipe: path, inputs, out: folder, force, workers, textField, strict, ...executor },
    { signal, onProgress, print, log, named },
  ) {
    const { readLines } = await import("../documents/index.js");
    const { checkExecutor } = await import("../executors/index.js");
    const { loadCorpus, makeCorpus } = await import("../data/index.js");
    checkExecutor(executor, named);
    const recipe = await loadCorpus(path);
    const { steps, quality, contamination, mix, shards, out, report, read, skipped, skippedAt } = await makeCorpus({
      textField,
      strict,
      inputs,
      out: folder,
      force,
      workers,
      executor,
      recipe,
      signal,
      onProgress,
      onNotice: log,
    });
    for (const line of readLines({ read, skipped, skippedAt })) print(line);
    const wide = Math.max(...steps.map(({ step }) => step.length), 4);
    print(`${"step".padEnd(wide)}  documents in      kept    MB out`);
    for (const { step, documents, bytes } of steps) {
      print(
        `${step.padEnd(wide)}${String(documents.in).padStart(14)}${String(documents.kept).padStart(10)}${(bytes.out / 1e6).toFixed(1).padStart(10)}`,
      );
    }
    if (quality?.least != null)
      print(`quality of at least ${quality.least.toFixed(3)}: ${quality.kept} of ${quality.documents} documents kept`);
    for (const { name, found, examples, documents } of contamination ?? [])
      print(`${name}: ${found} of ${examples} examples found, in ${documents} documents`);
    const parts = mix.groups.map(
      ({ name, share, epochs }) => `${name} ${(100 * share).toFixed(1)} % (${epochs.toFixed(2)} ×)`,
    );
    print(`mix: ${parts.slice(0, 12).join(", ")}${parts.length > 12 ? ` and ${parts.length - 12} more` : ""}`);
    if (shards !== null)
      print(
        `${shards.train.tokens} training tokens in ${shards.train.documents} documents, ${shards.heldout.tokens} held out in ${shards.heldout.documents}`,
      );
    print(`${shards === null ? `mix in ${out}/mix` : `shards in ${out}/shards`}, report in ${report}`);
    return {
      out,
      report,
      read,
      skipped,
      skippedAt,
      steps,
      quality: quality && { least: quality.least, kept: quality.kept },
      contamination,
      mix,
      train: shards && summary(shards.train),
      heldout: shards && summary(shards.heldout),
    };
  },
});

const summary = ({ tokens, documents, bytes }: { tokens: number; documents: number; bytes: number }) => ({
  tokens,
  documents,
  bytes,
});
