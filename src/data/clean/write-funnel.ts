/** @file What closes a run of cleaning: the manifests of all its tasks become manifest, funnel and report. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ReadReport, writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { type Funnel, makeFunnel } from "../funnel/funnel.js";
import { renderReport } from "../funnel/report.js";
import type { Recipe } from "./recipe.js";
import { manifestPath, type TaskManifest } from "./run-task.js";
import type { Task } from "./tasks.js";

export interface FunnelContext {
  readonly out: string;
  /** How the recipe is called in the report. */
  readonly recipe: string;
  readonly inputs: readonly string[];
  /** What was left out when the inputs were looked through. */
  readonly unread: ReadReport;
}

/** Writes `manifest.json`, `report.html` and, last, `funnel.json`. Throws when a task is not finished or a sum is wrong. */
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
  await writeFileAtomic(join(out, "report.html"), renderReport(funnel, samples));
  await writeFileAtomic(join(out, "funnel.json"), `${JSON.stringify(funnel, null, 1)}\n`);
  return funnel;
}

async function readManifest(out: string, task: Task): Promise<TaskManifest> {
  const path = manifestPath(out, task);
  let manifest: TaskManifest;
  try {
    manifest = JSON.parse(await readFile(path, "utf8")) as TaskManifest;
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (manifest.key === task.key) return manifest;
  throw new QuernError(`${path} is of another run than this one; does another process write to ${out}?`);
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

/** Reads the funnel of a finished run. Throws a `QuernError` when there is none. */
export async function readFunnel(out: string): Promise<Funnel> {
  try {
    return JSON.parse(await readFile(join(out, "funnel.json"), "utf8")) as Funnel;
  } catch (error) {
    throw fileError(error, "read", join(out, "funnel.json"));
  }
}
