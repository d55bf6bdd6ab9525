/**
 * @file Divides a run into tasks. A task is a pure function of one part of the input and the run's configuration. The list of
 * tasks depends only on the input, so any number of workers, on any machine, writes the same bytes.
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
  /** Number in the list, such as `00042`; names the task's files. */
  readonly name: string;
  readonly part: InputPart;
  /** The byte range of an uncompressed JSONL file that the task covers; undefined: all of it. */
  readonly range?: ByteRange;
  /** Bytes of input, before decompression; 0 if unknown. */
  readonly bytes: number;
  /** Hash of the input's identity and the run's configuration. A finished task with the same key does not run again. */
  readonly key: string;
}

/** The configuration of a task; plain data, so that it can be sent to other threads and machines. */
export interface TaskConfig {
  /** The recipe's file or name; undefined: the default. */
  readonly recipe?: string;
  /** Hash of the recipe, from `recipeIdentity`. */
  readonly identity: string;
  readonly out: string;
  readonly keepDropped: boolean;
  readonly sample?: number;
  readonly limit?: number;
  /** Maximum bytes of a document, line or page. */
  readonly largest: number;
  readonly textField?: string;
  readonly strict?: boolean;
}

/**
 * Uncompressed JSONL files are split so that a run has about this many tasks and workers end at nearly the same time. The
 * minimum size amortises the cost of a task's files; the maximum limits the work to repeat after losing a machine.
 */
const TASKS = 32;
const MIN_BYTES = 2 << 20;
const MAX_BYTES = 64 << 20;
const PLAIN_LINES = /\.(?:jsonl|ndjson)$/i;
/** Files with one document each. */
const SINGLE = /\.(?:x?html?|txt|text|md|markdown)(?:\.gz|\.zst)?$/i;

/**
 * Plans the tasks of a run, in order; also reports the files skipped in folders.
 *
 * @param options `stretch`: bytes per part of a split file
 * @throws QuernError for an input that does not exist
 */
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
  const stretch = given ?? Math.min(MAX_BYTES, Math.max(MIN_BYTES, Math.ceil(total / TASKS)));
  const tasks: Task[] = [];
  for (let index = 0; index < parts.length; ) {
    const count = groupSize(index, parts, files, stretch);
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

/** Returns how many files, from this one on, form one task: ten thousand small pages should not be ten thousand tasks. */
function groupSize(
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
