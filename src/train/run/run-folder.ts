/**
 * @file The folder of a run:
 *
 *     run.json            options, plan, machine and date; the result once the run has ended
 *     metrics.jsonl       one line per step and one per validation
 *     tokenizer/          tokenizer.json, tokenizer_config.json
 *     tokens/             token shards, training and held out
 *     checkpoints/<step>/ a Hugging Face model folder, and the state that a resumed run needs (checkpoints.ts)
 */
import { appendFile, mkdir, readFile, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { parseJson, readJsonFile } from "../../json-file.js";
import { checkpointsFolder } from "../../model/index.js";
import { checkRecord, type MetricsLine, type RunRecord } from "./run-record.js";

export const runPaths = (folder: string) => ({
  record: join(folder, "run.json"),
  metrics: join(folder, "metrics.jsonl"),
  tokenizer: join(folder, "tokenizer"),
  tokens: join(folder, "tokens"),
  checkpoints: checkpointsFolder(folder),
});

/** Reads the `run.json` of a run; null if there is none. */
export async function readRunRecord(folder: string): Promise<RunRecord | null> {
  const path = runPaths(folder).record;
  try {
    await stat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw fileError(error, "read", path);
  }
  return checkRecord(await readJsonFile(path), path);
}

export async function writeRunRecord(folder: string, record: RunRecord): Promise<void> {
  await writeFileAtomic(runPaths(folder).record, `${JSON.stringify(record, null, 2)}\n`);
}

export async function appendMetrics(folder: string, ...lines: readonly MetricsLine[]): Promise<void> {
  const path = runPaths(folder).metrics;
  try {
    await appendFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  } catch (error) {
    throw fileError(error, "write", path);
  }
}

/** Appends lines of metrics a second's worth at a time: in short steps, writing each line takes a fifth of the time. */
export function bufferedMetrics(folder: string) {
  let lines: MetricsLine[] = [];
  let last = performance.now();
  const flush = async () => {
    const written = lines;
    [lines, last] = [[], performance.now()];
    if (written.length > 0) await appendMetrics(folder, ...written);
  };
  return {
    async record(line: MetricsLine): Promise<void> {
      lines.push(line);
      if (performance.now() - last > 1000) await flush();
    },
    /** Writes what is left; before a checkpoint, whose run continues after these lines. */
    flush,
  };
}

/**
 * Removes the metrics after a step, so that a resumed run does not record steps twice, and any line that a killed process
 * left incomplete. Returns the remaining lines.
 */
export async function rewindMetrics(folder: string, step: number): Promise<MetricsLine[]> {
  const path = runPaths(folder).metrics;
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw fileError(error, "read", path);
  });
  const lines = text.split("\n").flatMap((line): MetricsLine[] => {
    try {
      const parsed = parseJson(line, path) as MetricsLine;
      return parsed.step <= step ? [parsed] : [];
    } catch {
      return [];
    }
  });
  await writeFileAtomic(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return lines;
}

/**
 * Refuses a run whose files do not fit on the disk, before it trains.
 * @param needed bytes
 * @throws QuernError that names the needed and the free size
 */
export async function checkSpace(folder: string, needed: number): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, "write", folder);
  });
  const { bavail, bsize } = await statfs(folder);
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;
  if (bavail * bsize < needed) {
    throw new QuernError(
      `the run needs ${megabytes(needed)}, but the disk of ${folder} has only ${megabytes(bavail * bsize)} free; free ` +
        "some space, choose another folder or a smaller model, or keep fewer checkpoints (--keep)",
    );
  }
}
