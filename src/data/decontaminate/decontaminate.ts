/**
 * @file Removes evaluation examples from training text by word n-grams (Brown et al. 2020, appendix C; with a
 * threshold, Chowdhery et al. 2022). Reports which examples were found where. Runs as a cleaning run with a single
 * step.
 */
import { realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { z } from "zod";
import {
  createAtomicFile,
  findInputs,
  makeFolder,
  type OutputLayout,
  type ReadReport,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { ExecutorInput } from "../../executors/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { cleanInto, cleanLayout } from "../clean/clean.js";
import { linesOfFile } from "../lines.js";
import { type Benchmark, BenchmarkGrams, type FoundExample } from "./benchmarks.js";
import { decontaminateOptions } from "./decontaminate-options.js";

export interface DecontaminateOptions extends z.input<typeof decontaminateOptions> {
  /** Where tasks run, with the cluster's settings. Default: threads of this process. */
  readonly executor?: ExecutorInput;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface FoundBenchmark extends Benchmark {
  /** Examples found in at least one document. */
  readonly found: number;
  /** Documents with at least one example of this set. */
  readonly documents: number;
}

export interface DecontaminateResult extends ReadReport {
  readonly documents: number;
  readonly kept: number;
  /** Documents kept after cutting the overlap. */
  readonly cut: number;
  readonly bytes: number;
  readonly bytesKept: number;
  readonly benchmarks: readonly FoundBenchmark[];
}

/** A line of the step's notes. */
interface Note {
  readonly id: string;
  readonly kept: boolean;
  readonly reason?: string;
  readonly examples: readonly FoundExample[];
  readonly spans: number;
  readonly overlap: string;
}

/** An example that was found: a line of contamination.jsonl. */
interface Found {
  readonly benchmark: string;
  readonly example: string;
  documents: number;
  /** The largest share of its n-grams found in one document. */
  share: number;
  /** The id of that document. */
  document: string;
  /** The first passage that both share. */
  overlap: string;
}

/**
 * Decontaminates documents and writes to `out`:
 *
 * - `documents/`: the remaining documents in input order
 * - `removed.jsonl`: each document that was removed or cut, with the examples found in it
 * - `contamination.jsonl`: each evaluation example that was found
 *
 * @throws QuernError for unreadable inputs or evaluation sets, an evaluation set that is also an input, or a folder that
 * cannot be written
 */
export async function decontaminate(options: DecontaminateOptions): Promise<DecontaminateResult> {
  const { out, inputs, against, force } = checkOptions(decontaminateOptions, settingsOf(options));
  const claim = {
    verb: "data decontaminate",
    out,
    inputs: [...inputs, ...against],
    layout: decontaminateLayout,
    force,
  };
  return withOutput({ ...claim, replace: "reuse" }, () => decontaminateInto(options));
}

/** The files that `decontaminate` writes: those of cleaning, and lists of what was found. */
export const decontaminateLayout: OutputLayout = {
  writes: (path) =>
    cleanLayout.writes(path) || /^((recipe|decontaminate)\.json|(removed|contamination)\.jsonl)$/.test(path),
  folders: cleanLayout.folders,
};

const settingsOf = ({ signal: _, onProgress: __, executor: ___, ...rest }: DecontaminateOptions) => rest;

/** Runs `decontaminate` in an output folder that the caller has already claimed. */
export async function decontaminateInto(options: DecontaminateOptions): Promise<DecontaminateResult> {
  const { signal, onProgress, executor } = options;
  const o = checkOptions(decontaminateOptions, settingsOf(options));
  await refuseItself(o.inputs, o.against, signal);
  const grams = new BenchmarkGrams(o.ngram);
  for (const file of o.against) await grams.add(file, signal);
  await makeFolder(o.out);
  const { ngram, threshold, remove } = o;
  const step = { decontaminate: { against: o.against.map((file) => resolve(file)), ngram, threshold, remove } };
  const recipe = join(o.out, "recipe.json");
  await writeFileAtomic(recipe, `${JSON.stringify({ name: "decontaminate", steps: [step] }, null, 1)}\n`);
  const { funnel } = await cleanInto({
    inputs: o.inputs,
    out: o.out,
    recipe,
    ...executor,
    workers: o.workers,
    textField: o.textField,
    strict: o.strict,
    signal,
    onProgress,
  });
  const { documents, bytes } = funnel.steps[1];
  const found = await report(o.out, signal);
  const result = {
    documents: documents.in,
    kept: documents.kept,
    cut: documents.edited,
    bytes: bytes.in,
    bytesKept: bytes.out,
    benchmarks: grams.benchmarks.map((benchmark) => ({
      ...benchmark,
      found: found.examples.get(benchmark.name) ?? 0,
      documents: found.documents.get(benchmark.name) ?? 0,
    })),
    ...funnel.reading,
  };
  const { force: _, ...recorded } = o;
  await writeFileAtomic(
    join(o.out, "decontaminate.json"),
    `${JSON.stringify({ options: recorded, ...result }, null, 2)}\n`,
  );
  if (documents.in > 1 && documents.kept === 0) {
    throw new QuernError(
      `all ${documents.in} documents overlap with ${o.against.join(", ")}, so no document is left; is that file the ` +
        `training text itself? ${join(o.out, "contamination.jsonl")} and removed.jsonl list what was found`,
    );
  }
  return result;
}

/** Rejects an evaluation set that is also an input, since it would remove everything. */
async function refuseItself(
  inputs: readonly string[],
  against: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const real = (path: string) => realpath(path).catch(() => resolve(path));
  const parts = await findInputs(inputs, { pages: true, signal });
  const read = new Set(await Promise.all(parts.map(({ location }) => real(location))));
  for (const file of against) {
    if (read.has(await real(file)))
      throw new QuernError(`${file} is both an input and an evaluation set; remove it from one of them`, {
        exitCode: 2,
      });
  }
}

/** Writes removed.jsonl and contamination.jsonl from the notes of a run; returns the counts per benchmark. */
async function report(out: string, signal: AbortSignal | undefined) {
  const examples = new Map<string, Found>();
  const documents = new Map<string, number>();
  const removed = await createAtomicFile(join(out, "removed.jsonl"));
  try {
    for await (const line of linesOfFile(join(out, "notes", "decontaminate"), signal)) {
      const note = JSON.parse(line) as Note;
      await removed.write(
        `${JSON.stringify({ id: note.id, reason: note.reason ?? "cut", examples: note.examples, overlap: note.overlap })}\n`,
      );
      for (const benchmark of new Set(note.examples.map((each) => each.benchmark)))
        documents.set(benchmark, (documents.get(benchmark) ?? 0) + 1);
      for (const { benchmark, example, share } of note.examples) {
        const key = JSON.stringify([benchmark, example]);
        const known = examples.get(key);
        if (known === undefined)
          examples.set(key, { benchmark, example, documents: 1, share, document: note.id, overlap: note.overlap });
        else {
          known.documents += 1;
          if (share > known.share) Object.assign(known, { share, document: note.id, overlap: note.overlap });
        }
      }
    }
    await removed.commit();
  } catch (error) {
    await removed.discard();
    throw error;
  }
  const lines = [...examples.values()].sort((a, b) => b.share - a.share || b.documents - a.documents);
  await writeFileAtomic(join(out, "contamination.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const counts = new Map<string, number>();
  for (const { benchmark } of examples.values()) counts.set(benchmark, (counts.get(benchmark) ?? 0) + 1);
  return { examples: counts, documents };
}
