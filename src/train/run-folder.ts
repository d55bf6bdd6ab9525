/**
 * @file A run on disk:
 *
 *     run.json            what was asked for, what was planned, where and when, and at the end the result
 *     metrics.jsonl       a line a step, and a line a validation
 *     tokenizer/          tokenizer.json, tokenizer_config.json
 *     tokens/             token shards, training and held out
 *     checkpoints/<step>/ a Hugging Face model folder and training_state.safetensors
 */
import { appendFile, mkdir, readdir, readFile, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Program } from "../backends/index.js";
import { writeFileAtomic, writeFolderAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import {
  countParameters,
  type ModelConfig,
  openModel,
  openSafetensors,
  parametersOf,
  writeModel,
  writeSafetensors,
} from "../model/index.js";
import { saveTokenizer, type Tokenizer } from "../tokenizer/index.js";
import { momentNames } from "./adamw.js";
import type { MetricsLine, RunRecord } from "./report.js";

export const runPaths = (folder: string) => ({
  record: join(folder, "run.json"),
  metrics: join(folder, "metrics.jsonl"),
  tokenizer: join(folder, "tokenizer"),
  tokens: join(folder, "tokens"),
  checkpoints: join(folder, "checkpoints"),
});

/** `run.json` of a run, or null where there is none. */
export async function readRunRecord(folder: string): Promise<RunRecord | null> {
  const path = runPaths(folder).record;
  try {
    return JSON.parse(await readFile(path, "utf8")) as RunRecord;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    if (error instanceof SyntaxError) throw new QuernError(`${path} is not JSON: ${error.message}`);
    throw fileError(error, "read", path);
  }
}

export async function writeRunRecord(folder: string, record: RunRecord): Promise<void> {
  await writeFileAtomic(runPaths(folder).record, `${JSON.stringify(record, null, 2)}\n`);
}

export async function appendMetrics(folder: string, line: MetricsLine): Promise<void> {
  const path = runPaths(folder).metrics;
  try {
    await appendFile(path, `${JSON.stringify(line)}\n`);
  } catch (error) {
    throw fileError(error, "write", path);
  }
}

/**
 * Cuts the metrics back to what was known at a step, so that a resumed run does not tell steps twice; a line that a kill
 * left half-written goes too. Gives the lines that stay.
 */
export async function rewindMetrics(folder: string, step: number): Promise<MetricsLine[]> {
  const path = runPaths(folder).metrics;
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw fileError(error, "read", path);
  });
  const lines = text.split("\n").flatMap((line): MetricsLine[] => {
    try {
      const parsed = JSON.parse(line) as MetricsLine;
      return parsed.step <= step ? [parsed] : [];
    } catch {
      return [];
    }
  });
  await writeFileAtomic(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return lines;
}

/**
 * Refuses a run whose first checkpoint would not fit the disk: better told now than after the training.
 * @throws QuernError with both sizes
 */
export async function checkSpace(folder: string, config: ModelConfig): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, "write", folder);
  });
  const { bavail, bsize } = await statfs(folder);
  const needed = countParameters(config) * 12 + 2 ** 20; // weights and two moments, and what lies beside them
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;
  if (bavail * bsize < needed) {
    throw new QuernError(
      `a checkpoint takes ${megabytes(needed)} and the disk of ${folder} has ${megabytes(bavail * bsize)} free; ` +
        "free some space, choose another folder or a smaller model",
    );
  }
}

const STATE_FILE = "training_state.safetensors";

/** Steps at which a run was saved, ascending. */
export async function listCheckpoints(folder: string): Promise<number[]> {
  const names = await readdir(runPaths(folder).checkpoints).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw fileError(error, "read", runPaths(folder).checkpoints);
  });
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

export const checkpointPath = (folder: string, step: number) => join(runPaths(folder).checkpoints, String(step));

/**
 * A model folder out of what a person names: the folder itself, or a run's newest checkpoint. Throws a `QuernError`
 * where it is neither.
 */
export async function findModelFolder(path: string): Promise<string> {
  const isThere = (file: string) =>
    stat(file).then(
      () => true,
      () => false,
    );
  if (await isThere(join(path, "config.json"))) return path;
  const step = (await listCheckpoints(path)).at(-1);
  if (step !== undefined) return checkpointPath(path, step);
  if (!(await isThere(path))) throw new QuernError(`${path}: there is no such folder`, { exitCode: 2 });
  const why = (await isThere(runPaths(path).record))
    ? "its run has saved no checkpoint yet"
    : "no config.json, no checkpoints/";
  throw new QuernError(`${path} is neither a model nor a run: ${why}`, { exitCode: 2 });
}

export interface Checkpoint {
  readonly step: number;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Seconds of training behind it. */
  readonly seconds: number;
}

/**
 * Saves the variables of a training program: a Hugging Face folder, and the optimizer's state beside the weights. Older
 * checkpoints stay as models; only the newest two keep their optimizer state, which is twice as large as the weights.
 */
export async function saveCheckpoint(folder: string, program: Program, checkpoint: Checkpoint): Promise<string> {
  const { step, config, tokenizer, seconds } = checkpoint;
  const path = checkpointPath(folder, step);
  await writeFolderAtomic(path, async (temporary) => {
    const endOfText = tokenizer.endOfText ?? null;
    await writeModel(temporary, config, (name) => program.read(name), { endOfText });
    await saveTokenizer(tokenizer, temporary);
    const moments = parametersOf(config).flatMap(({ name, shape }) =>
      momentNames(name).map((moment) => ({
        name: moment,
        shape,
        dtype: "F32" as const,
        data: () => program.read(moment),
      })),
    );
    const metadata = { step: String(step), seconds: String(seconds) };
    await writeSafetensors(join(temporary, STATE_FILE), moments, { metadata });
  });
  for (const old of (await listCheckpoints(folder)).filter((each) => each < step).slice(0, -1)) {
    await rm(join(checkpointPath(folder, old), STATE_FILE), { force: true });
  }
  return path;
}

/**
 * Puts the newest checkpoint back into a training program, bit for bit. Gives its step and seconds, or null where the
 * run has saved none.
 */
export async function restoreCheckpoint(
  folder: string,
  program: Program,
  config: ModelConfig,
): Promise<{ readonly step: number; readonly seconds: number } | null> {
  const step = (await listCheckpoints(folder)).at(-1);
  if (step === undefined) return null;
  const path = checkpointPath(folder, step);
  const model = await openModel(path);
  try {
    const state = await openSafetensors(join(path, STATE_FILE));
    try {
      for (const { name } of parametersOf(config)) {
        program.write(name, await model.readParameter(name));
        for (const moment of momentNames(name)) program.write(moment, await state.readFloats(moment));
      }
      return { step, seconds: Number(state.metadata.seconds ?? 0) };
    } finally {
      await state.close();
    }
  } finally {
    await model.close();
  }
}
