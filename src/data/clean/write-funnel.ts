/** @file Finishes a cleaning run: combines the manifests of all tasks into `manifest.json`, `funnel.json` and `report.html`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type ReadReport, writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { openSealed, readJsonFile } from "../../json-file.js";
import { quoted } from "../../printable.js";
import { type Funnel, makeFunnel } from "../funnel/funnel.js";
import type { TaskManifest } from "../funnel/manifest.js";
import { renderReport } from "../funnel/report.js";
import type { Recipe } from "../recipes/recipe.js";
import type { Task } from "../tasks.js";
import { manifestPath } from "./run-task.js";

export interface FunnelContext {
  readonly out: string;
  /** The recipe's name in the report. */
  readonly recipe: string;
  readonly inputs: readonly string[];
  /** What was skipped when the inputs were listed. */
  readonly unread: ReadReport;
}

/** Writes `manifest.json`, `report.html` and, last, `funnel.json`. Throws when a task is unfinished or a sum is wrong. */
export async function writeFunnel(
  tasks: readonly Task[],
  { steps }: Recipe,
  { out, recipe, inputs, unread }: FunnelContext,
): Promise<Funnel> {
  const manifests: TaskManifest[] = [];
  for (const task of tasks) manifests.push(await readManifest(out, task));
  const funnel = makeFunnel(manifests, { recipe, inputs, steps, unread });
  if (funnel.faults.length > 0) throw new Error(`the funnel does not add up: ${funnel.faults.join("; ")}`);
  await writeFileAtomic(join(out, "manifest.json"), manifestText(tasks, manifests, funnel.reading));
  const samples = manifests.flatMap((manifest) => manifest.samples);
  const settings = Object.fromEntries(steps.map((step) => [step.name, step.settings]));
  await writeFileAtomic(join(out, "report.html"), renderReport(funnel, samples, settings));
  await writeFileAtomic(join(out, "funnel.json"), `${JSON.stringify(funnel, null, 1)}\n`);
  return funnel;
}

async function readManifest(out: string, task: Task): Promise<TaskManifest> {
  const path = manifestPath(out, task);
  let manifest: TaskManifest | undefined;
  try {
    manifest = openSealed(await readFile(path, "utf8"));
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (manifest?.key === task.key) return manifest;
  throw new QuernError(`${path} belongs to another run; is another process writing to ${out}?`);
}

function manifestText(tasks: readonly Task[], manifests: readonly TaskManifest[], reading: ReadReport): string {
  const list = tasks.map(({ name, key, part, range }, index) => ({
    task: name,
    ...(part.files === undefined ? { input: part.location } : { inputs: part.files.map(({ location }) => location) }),
    ...(range === undefined ? {} : { range }),
    key,
    files: manifests[index].files,
  }));
  return `${JSON.stringify({ version: 1, ...reading, tasks: list }, null, 1)}\n`;
}

const count = z.number();
const names = z.record(z.string(), count);
const amounts = z.looseObject({ documents: count, bytes: count, words: count });
const flow = z.looseObject({ in: count, out: count, dropped: count, cut: count, added: count });
const flows = z.record(z.string(), z.looseObject({ in: amounts, out: amounts }));

/** Schema of the parts of a funnel that the report shows. The folder is untrusted, and its numbers are inserted into a page. */
const funnelSchema = z.looseObject({
  recipe: z.string(),
  inputs: z.array(z.string()),
  tasks: count,
  read: count,
  skipped: names,
  reading: z.looseObject({
    read: z.looseObject({ files: count, documents: count, rows: count }),
    skipped: names,
    skippedAt: z.record(z.string(), z.array(z.string())),
  }),
  steps: z.array(
    z.looseObject({
      step: z.string(),
      documents: z.looseObject({ in: count, kept: count, dropped: count, edited: count }),
      ...{ bytes: flow, words: flow, edits: names, languages: flows, domains: flows, sources: flows },
      reasons: z.record(z.string(), amounts),
    }),
  ),
  output: amounts,
  idle: z.array(z.string()),
  faults: z.array(z.string()),
});

/** Reads the funnel of a finished run. @throws QuernError when there is none */
export async function readFunnel(out: string): Promise<Funnel> {
  const path = join(out, "funnel.json");
  const parsed = funnelSchema.safeParse(await readJsonFile(path));
  if (parsed.success) return parsed.data as unknown as Funnel;
  const [{ path: key, message }] = parsed.error.issues;
  throw new QuernError(`${path} is not the funnel of a cleaning run: ${quoted(key.join("."))}: ${message}`);
}
