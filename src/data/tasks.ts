/**
 * @file The list of tasks that a run is divided into: every one is a part of the input and the run's configuration, a pure
 * function of both. The list depends on nothing but the input, never on who runs it, so that any number of workers, here
 * or elsewhere, writes the same bytes.
 */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import {
  type ByteRange,
  findInputs,
  type InputFile,
  type InputPart,
  isRemote,
  ReadLog,
  type ReadReport,
  refuseOverlap,
} from "../documents/index.js";

export interface Task {
  /** Its place in the list, which names its files: `00042`. */
  readonly name: string;
  readonly part: InputPart;
  /** For a stretch of a plain JSONL file. */
  readonly range?: ByteRange;
  /** Bytes of input, as they lie there; 0 where that is not known. */
  readonly bytes: number;
  /** Hash of the input's identity and the run's configuration: a finished task with the same key need not run again. */
  readonly key: string;
}

/** What a task needs beside its input; plain data, to be sent to wherever it runs. */
export interface TaskConfig {
  /** The recipe's file or name; undefined for the default. */
  readonly recipe?: string;
  /** Hash of the recipe, from `recipeIdentity`. */
  readonly identity: string;
  readonly out: string;
  readonly keepDropped: boolean;
  readonly sample?: number;
  readonly limit?: number;
  /** Bytes that one document, line or page may have. */
  readonly largest: number;
  readonly textField?: string;
  readonly strict?: boolean;
}

/**
 * Plain JSONL files are cut into stretches, so that the run has about so many tasks: then workers end at nearly the same
 * time. Each has so many bytes at least, which pay for a task's own files, and at most, which a lost machine must do again.
 */
const TASKS = 32;
const LEAST_BYTES = 2 << 20;
const MOST_BYTES = 64 << 20;
const PLAIN_LINES = /\.(?:jsonl|ndjson)$/i;
/** Files that are one document each. */
const SINGLE = /\.(?:x?html?|txt|text|md|markdown)(?:\.gz|\.zst)?$/i;

/** The tasks of a run, in order, and what was left out in folders. Throws a `QuernError` for an input that is not there. */
export async function planTasks(
  inputs: readonly string[],
  config: TaskConfig,
  { stretch: given, signal }: { readonly stretch?: number; readonly signal?: AbortSignal } = {},
): Promise<{ readonly tasks: readonly Task[]; readonly unread: ReadReport }> {
  const { textField, strict } = config;
  const log = new ReadLog({ strict });
  await refuseOverlap(config.out, inputs);
  const parts = await findInputs(inputs, { pages: true, skip: log.skip, textField, signal });
  const { out: _, ...configuration } = config;
  const shared = JSON.stringify(configuration);
  const files: (Stats | undefined)[] = [];
  for (const { location } of parts)
    files.push(isRemote(location) ? undefined : await stat(location).catch(() => undefined));
  const total = files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
  const stretch = given ?? Math.min(MOST_BYTES, Math.max(LEAST_BYTES, Math.ceil(total / TASKS)));
  const tasks: Task[] = [];
  for (let index = 0; index < parts.length; ) {
    const count = togetherAt(index, parts, files, stretch);
    const part = count === 1 ? parts[index] : { ...parts[index], files: parts.slice(index, index + count) };
    const group = files.slice(index, index + count);
    const state = group.map((file) => (file === undefined ? "" : `${file.size} ${file.mtimeMs}`)).join();
    const bytes = group.reduce((sum, file) => sum + (file?.size ?? 0), 0);
    index += count;
    const ranges: (ByteRange | undefined)[] = [];
    if (group[0] !== undefined && PLAIN_LINES.test(part.location) && bytes > stretch) {
      for (let start = 0; start < bytes; start += stretch)
        ranges.push({ start, end: Math.min(start + stretch, bytes) });
    } else ranges.push(undefined);
    for (const range of ranges) {
      const name = String(tasks.length).padStart(5, "0");
      const key = createHash("sha256")
        .update(JSON.stringify([name, part, range, state, shared]))
        .digest("hex");
      tasks.push({ name, part, ...(range && { range }), bytes: range ? range.end - range.start : bytes, key });
    }
  }
  return { tasks, unread: log.report };
}

/** How many files from this one on are one task: a folder of ten thousand pages is not ten thousand files again. */
function togetherAt(
  first: number,
  parts: readonly InputFile[],
  files: readonly (Stats | undefined)[],
  stretch: number,
): number {
  const { source } = parts[first];
  let bytes = 0;
  let end = first;
  for (; end < parts.length; end++) {
    const file = files[end];
    if (file === undefined || parts[end].source !== source) break;
    bytes += file.size;
    if (!SINGLE.test(parts[end].location) || bytes > stretch) break;
  }
  return Math.max(1, end - first);
}
