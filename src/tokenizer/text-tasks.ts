/**
 * @file Tasks for the threads that encode or count: batches of strings, or blocks of a corpus. Blocks are passed on as raw bytes,
 * so that the reading thread does not parse them.
 */
import { type Block, documentsOf, isHeldOut, isPage, ReadLog, type ReadReport, type Skip } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { PADDING } from "./encode/encoder.js";
import { byteBorder } from "./encode/text-parts.js";
import type { BytesTask, SplitFilter, TextTask } from "./worker-tasks.js";

/** Bytes, or UTF-16 units for strings, of a task. */
const BATCH = 1 << 20;
/** Texts of at most this many bytes share a task. */
const SMALL = BATCH / 8;

export async function* batchesOf(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<TextTask> {
  let batch: string[] = [];
  let units = 0;
  for await (const text of texts) {
    if (typeof text !== "string") throw new QuernError("a document to encode is not a string");
    if (text === "") continue;
    batch.push(text);
    units += text.length;
    if (units >= BATCH) {
      yield { kind: "texts", texts: batch };
      batch = [];
      units = 0;
    }
  }
  if (batch.length > 0) yield { kind: "texts", texts: batch };
}

export interface BlockTasksOptions {
  /** True if a text may be cut at a `byteBorder`. */
  readonly divisible: boolean;
  readonly split?: SplitFilter;
  /** Called with the number of documents of the other split. Documents in lines are not counted here: they are not parsed yet. */
  readonly onOthers?: (documents: number) => void;
}

/** Yields the tasks of a corpus, in the order of its documents. */
export async function* tasksOf(
  blocks: AsyncIterable<Block>,
  { divisible, split, onOthers }: BlockTasksOptions,
): AsyncGenerator<TextTask> {
  let small = new SmallTexts();
  for await (const block of blocks) {
    if (block.kind === "text") {
      const { bytes } = block;
      if (!isSelected(bytes, split)) {
        onOthers?.(1);
        continue;
      }
      if (bytes.length > SMALL) {
        if (small.length > 0) yield small.task();
        small = new SmallTexts();
        yield* partsOf(bytes, divisible);
        continue;
      }
      small.add(bytes);
      if (small.length >= BATCH) {
        yield small.task();
        small = new SmallTexts();
      }
      continue;
    }
    if (small.length > 0) {
      yield small.task();
      small = new SmallTexts();
    }
    if (block.kind === "lines") yield { kind: "lines", lines: block, split };
    else {
      const texts = block.records.flatMap((record) => (isPage(record) ? [] : [record.text]));
      const selected = texts.filter((text) => isSelected(text, split));
      onOthers?.(texts.length - selected.length);
      if (selected.length > 0) yield { kind: "texts", texts: selected };
    }
  }
  if (small.length > 0) yield small.task();
}

/** Cuts a large text at byte borders if it is divisible. The tasks share its memory. */
function* partsOf(bytes: Uint8Array<SharedArrayBuffer>, divisible: boolean): Generator<BytesTask> {
  const whole = new Uint8Array(bytes.buffer);
  const last = bytes.byteOffset + bytes.length;
  for (let start = bytes.byteOffset; start < last; ) {
    const end = divisible && last - start > BATCH ? byteBorder(whole, start, start + BATCH, last) : last;
    yield { kind: "bytes", bytes: whole, start, end, ends: end === last ? [last] : [] };
    start = end;
  }
}

/** Collects small texts for one task. */
class SmallTexts {
  length = 0;
  readonly #bytes = new Uint8Array(BATCH + SMALL + PADDING);
  readonly #ends: number[] = [];

  /** Call only while `length` is below BATCH. @param text at most SMALL bytes */
  add(text: Uint8Array): void {
    this.#bytes.set(text, this.length);
    this.length += text.length;
    this.#ends.push(this.length);
  }

  task(): BytesTask {
    return { kind: "bytes", bytes: this.#bytes, start: 0, end: this.length, ends: this.#ends };
  }
}

/** Returns the texts of a task of strings or lines that belong to its split, the number of others, and a report of skipped records. */
export function textsOfTask(task: Exclude<TextTask, BytesTask>): {
  readonly texts: readonly string[];
  readonly others: number;
  readonly unread: ReadReport | undefined;
} {
  if (task.kind === "texts") return { texts: task.texts, others: 0, unread: undefined };
  const texts: string[] = [];
  let others = 0;
  let log: ReadLog | undefined;
  const skip: Skip = (...what) => {
    log ??= new ReadLog();
    log.skip(...what);
  };
  for (const { text } of documentsOf(task.lines, skip)) {
    if (isSelected(text, task.split)) texts.push(text);
    else others++;
  }
  return { texts, others, unread: log?.report };
}

/** Removes at most `most` documents from the start of a task; returns the rest, and the number and UTF-8 bytes of those removed. */
export function withoutFirst(
  task: TextTask,
  most: number,
): {
  readonly rest: TextTask | undefined;
  readonly documents: number;
  readonly bytes: number;
  readonly others: number;
  readonly unread: ReadReport | undefined;
} {
  if (task.kind === "bytes") {
    const documents = Math.min(most, task.ends.length);
    // A part of a text that continues belongs to a removed document as long as more are to be removed.
    const start = documents < most ? task.end : documents === 0 ? task.start : task.ends[documents - 1];
    const rest = { ...task, start, ends: task.ends.slice(documents) };
    return {
      rest: start < task.end ? rest : undefined,
      documents,
      bytes: start - task.start,
      others: 0,
      unread: undefined,
    };
  }
  const { texts, others, unread } = textsOfTask(task);
  const first = texts.slice(0, most);
  const bytes = first.reduce((sum, text) => sum + Buffer.byteLength(text, "utf8"), 0);
  const rest = texts.length > most ? ({ kind: "texts", texts: texts.slice(most) } as const) : undefined;
  return { rest, documents: first.length, bytes, others, unread };
}

/** The buffers of a task that can be transferred to another thread instead of copied. */
export function buffersOf(task: TextTask): ArrayBuffer[] {
  if (task.kind === "texts") return [];
  const { buffer } = task.kind === "bytes" ? task.bytes : task.lines.bytes;
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}

/** The number of texts that end in a task. */
export function textsIn(task: Exclude<TextTask, { readonly kind: "lines" }>): number {
  return (task.kind === "texts" ? task.texts : task.ends).length;
}

/** Bytes of a task, or UTF-16 units for strings. */
export function sizeOf(task: TextTask): number {
  if (task.kind === "texts") return task.texts.reduce((sum, text) => sum + text.length, 0);
  return task.kind === "bytes" ? task.end - task.start : task.lines.bytes.length;
}

function isSelected(text: string | Uint8Array, split: SplitFilter | undefined): boolean {
  if (split === undefined || split.heldoutShare <= 0) return split?.selectHeldout !== true;
  return isHeldOut(text, split.heldoutShare) === split.selectHeldout;
}
