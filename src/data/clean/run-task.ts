/**
 * @file One task: runs its part of the input through the recipe. The manifest is written last, so its presence means that
 * the other files are complete. The output depends only on the task and its configuration.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Document,
  documentLine,
  isPage,
  LineFile,
  type Page,
  ReadLog,
  readPart,
  writeFileAtomic,
} from "../../documents/index.js";
import { openSealed, sealed } from "../../json-file.js";
import type { Candidate, Step } from "../filters/filter.js";
import { domainOf } from "../filters/url.js";
import { addNamed, addTo, flowOf, newCounts, type StepCounts } from "../funnel/counts.js";
import type { TaskManifest, WrittenFile } from "../funnel/manifest.js";
import { Samples } from "../funnel/samples.js";
import { type Recipe, splitterOf } from "../recipes/recipe.js";
import type { Task, TaskConfig } from "../tasks.js";
import { Passage } from "../text/passage.js";
import { Chain } from "./chain.js";
import { extractText, loadExtractor } from "./extraction.js";

export const manifestPath = (out: string, task: Task) => join(out, "tasks", `${task.name}.json`);

export async function runTask(
  task: Task,
  config: TaskConfig,
  recipe: Recipe,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: (documents: number) => void } = {},
): Promise<TaskManifest> {
  const samples = new Samples();
  const steps: Step[] = [...recipe.steps];
  let notes: { readonly step: string; readonly line: object }[] = [];
  const chain = new Chain(steps, (index, document, before, result) => {
    samples.add(steps[index].name, document, before, result);
    if ("note" in result && result.note !== undefined) {
      const kept = result.keep ? { kept: true } : { kept: false, reason: result.reason };
      notes.push({ step: steps[index].name, line: { id: document.id, ...kept, ...result.note } });
    }
  });
  await chain.prepare();
  const extraction = newCounts("extract");
  const files = new OutputFiles(task, config.out);
  const { largest, textField, strict } = config;
  const log = new ReadLog({ strict });
  let read = 0;
  try {
    const records = readPart(task.part, { range: task.range, largest, textField, signal, log });
    for await (const record of records) {
      if (config.limit !== undefined && read >= config.limit) break;
      if (config.sample !== undefined && !isSampled(record.id, config.sample)) {
        log.skip("not_sampled", task.part.location);
        continue;
      }
      read += 1;
      const { document, reason } = await candidateOf(record, recipe, extraction, samples);
      if (document === undefined) {
        if (config.keepDropped) await files.dropped("extract", reason ?? "", record);
        continue;
      }
      const outcome = chain.run(document);
      if (outcome.keep) await files.kept(record, document);
      else if (config.keepDropped) await files.dropped(outcome.step, outcome.reason, record, document);
      for (const { step, line } of notes) await files.note(step, line);
      notes = [];
      if (read % 256 === 0) onProgress?.(read);
    }
    const written = await files.commit();
    const manifest: TaskManifest = {
      task: task.name,
      key: task.key,
      files: written,
      report: log.report,
      read,
      steps: [extraction, ...chain.counts],
      samples: samples.list,
    };
    await writeFileAtomic(manifestPath(config.out, task), sealed(manifest));
    onProgress?.(read);
    return manifest;
  } catch (error) {
    await files.discard();
    throw error;
  }
}

/** Returns a finished task's manifest if it belongs to this task and its files match it; otherwise undefined. */
export async function finishedTask(task: Task, out: string): Promise<TaskManifest | undefined> {
  try {
    const manifest = await writtenTask(task, out);
    for (const { path, sha256 } of manifest?.files ?? []) {
      const data = await readFile(join(out, path));
      if (createHash("sha256").update(data).digest("hex") !== sha256) return undefined;
    }
    return manifest;
  } catch {
    return undefined;
  }
}

/** Like `finishedTask`, but compares only the sizes of the files; for tasks that have just finished. */
export async function writtenTask(task: Task, out: string): Promise<TaskManifest | undefined> {
  try {
    const manifest = openSealed<TaskManifest>(await readFile(manifestPath(out, task), "utf8"));
    if (manifest?.key !== task.key) return undefined;
    for (const { path, bytes } of manifest.files) if ((await stat(join(out, path))).size !== bytes) return undefined;
    return manifest;
  } catch {
    return undefined;
  }
}

/** Chooses the same documents in every run, by a hash of their ids (FNV-1a, 32 bits). */
export function isSampled(id: string, share: number): boolean {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32 < share;
}

async function candidateOf(
  record: Document | Page,
  recipe: Recipe,
  counts: StepCounts,
  samples: Samples,
): Promise<{ readonly document?: Candidate; readonly reason?: string }> {
  const { source } = record;
  const declared = isPage(record) ? recipe.language : (record.language ?? recipe.language);
  const flows = [
    flowOf(counts.domains, domainOf(record.url)),
    flowOf(counts.sources, source),
    flowOf(counts.languages, declared ?? "und"),
  ];
  const make = (text: string): Candidate => ({
    id: record.id,
    ...(record.url === undefined ? {} : { url: record.url }),
    source,
    origin: record.origin,
    language: declared,
    ...(isPage(record) || record.fields === undefined ? {} : { fields: record.fields }),
    passage: new Passage(text, splitterOf(recipe)),
  });
  if (!isPage(record)) {
    const document = make(record.text);
    const amount = [1, document.passage.bytes, document.passage.wordCount] as const;
    for (const sum of [counts.in, counts.out, ...flows.flatMap((flow) => [flow.in, flow.out])]) addTo(sum, amount);
    return { document };
  }
  await loadExtractor();
  const { bytes } = record;
  // A page has no words before extraction; extraction adds them.
  const before = [1, bytes.length, 0] as const;
  for (const sum of [counts.in, ...flows.map((flow) => flow.in)]) addTo(sum, before);
  const extracted = extractText(bytes, record.contentType, recipe.extract?.format, record.url);
  if ("reason" in extracted) {
    addTo(counts.dropped, before);
    addNamed(counts.reasons, extracted.reason, before);
    samples.addPage("extract", record.id, record.url, extracted.shown, "", extracted.reason);
    return { reason: extracted.reason };
  }
  const document = make(extracted.text);
  const { passage } = document;
  counts.edited += 1;
  const net = passage.bytes - bytes.length;
  addTo(net < 0 ? counts.cut : counts.added, [0, Math.abs(net), 0]);
  counts.added[2] += passage.wordCount;
  const after = [1, passage.bytes, passage.wordCount] as const;
  for (const sum of [counts.out, ...flows.map((flow) => flow.out)]) addTo(sum, after);
  samples.addPage("extract", record.id, record.url, extracted.shown, extracted.text);
  return { document };
}

/** The output files of one task; each is created when its first line is written. */
class OutputFiles {
  readonly #task: Task;
  readonly #out: string;
  readonly #files = new Map<string, LineFile>();

  constructor(task: Task, out: string) {
    this.#task = task;
    this.#out = out;
  }

  async kept(record: Document | Page, candidate: Candidate): Promise<void> {
    await this.#write("documents", documentLine(documentOf(record, candidate)));
  }

  /** @param candidate undefined for a page without text */
  async dropped(step: string, reason: string, record: Document | Page, candidate?: Candidate): Promise<void> {
    const line = documentLine(documentOf(record, candidate));
    await this.#write(`dropped/${step}`, `{"reason":${JSON.stringify(reason)},${line.slice(1)}`);
  }

  async note(step: string, line: object): Promise<void> {
    await this.#write(`notes/${step}`, JSON.stringify(line));
  }

  async #write(folder: string, line: string): Promise<void> {
    const path = `${folder}/${this.#task.name}.jsonl`;
    let file = this.#files.get(path);
    if (file === undefined) {
      file = await LineFile.create(join(this.#out, path));
      this.#files.set(path, file);
    }
    await file.write(line);
  }

  /** Every task has a file of documents, even if it is empty. */
  async commit(): Promise<WrittenFile[]> {
    const path = `documents/${this.#task.name}.jsonl`;
    if (!this.#files.has(path)) {
      this.#files.set(path, await LineFile.create(join(this.#out, path)));
    }
    const paths = [...this.#files.keys()].sort();
    const written: WrittenFile[] = [];
    for (const path of paths) {
      const { bytes, lines: documents, sha256 } = await (this.#files.get(path) as LineFile).commit();
      written.push({ path, bytes, documents, sha256 });
    }
    return written;
  }

  async discard(): Promise<void> {
    for (const file of this.#files.values()) await file.discard();
  }
}

/** The document with the text, language and fields that the steps produced. */
function documentOf(record: Document | Page, candidate: Candidate | undefined): Document {
  const { id, url, source, origin } = record;
  const { language, fields, passage } = candidate ?? {};
  return { id, url, source, origin, language, fields, text: passage?.text ?? "" };
}
