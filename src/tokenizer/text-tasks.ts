/**
 * @file What threads are given to encode or to count: strings in batches, or a corpus in blocks whose bytes are handed over
 * as they were read, so that the thread that reads does nothing else.
 */
import { type Block, documentsOf, isHeldOut, isPage, ReadLog, type ReadReport, type Skip } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { PADDING } from "./encode/encoder.js";
import { byteBorder } from "./encode/text-parts.js";
import type { PackedTask, Share, TextTask } from "./worker-tasks.js";

/** Bytes, or UTF-16 units, of a task. */
const BATCH = 1 << 20;
/** Bytes of a text that is not worth a task of its own. */
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
  /** True if a text may be given in stretches between borders. */
  readonly divisible: boolean;
  readonly share?: Share;
  /** Called with how many documents are left out here; those in lines are sorted when they are parsed. */
  readonly leftOut?: (documents: number) => void;
}

/** The tasks of a corpus, in the order of its documents. */
export async function* tasksOf(
  blocks: AsyncIterable<Block>,
  { divisible, share, leftOut }: BlockTasksOptions,
): AsyncGenerator<TextTask> {
  let packed = new Packed();
  for await (const block of blocks) {
    if (block.kind === "text") {
      const { bytes } = block;
      if (!isWanted(bytes, share)) {
        leftOut?.(1);
        continue;
      }
      if (bytes.length > SMALL) {
        if (packed.length > 0) yield packed.task();
        packed = new Packed();
        yield* stretchesOf(bytes, divisible);
        continue;
      }
      packed.add(bytes);
      if (packed.length >= BATCH) {
        yield packed.task();
        packed = new Packed();
      }
      continue;
    }
    if (packed.length > 0) {
      yield packed.task();
      packed = new Packed();
    }
    if (block.kind === "lines") yield { kind: "lines", lines: block, share };
    else {
      const texts = block.records.flatMap((record) => (isPage(record) ? [] : [record.text]));
      const mine = texts.filter((text) => isWanted(text, share));
      leftOut?.(texts.length - mine.length);
      if (mine.length > 0) yield { kind: "texts", texts: mine };
    }
  }
  if (packed.length > 0) yield packed.task();
}

/** A text in stretches between borders, if it may be cut; nothing is copied, so they are good as long as it is. */
function* stretchesOf(bytes: Uint8Array<SharedArrayBuffer>, divisible: boolean): Generator<PackedTask> {
  const whole = new Uint8Array(bytes.buffer);
  const last = bytes.byteOffset + bytes.length;
  for (let start = bytes.byteOffset; start < last; ) {
    const end = divisible && last - start > BATCH ? byteBorder(whole, start, start + BATCH, last) : last;
    yield { kind: "packed", bytes: whole, start, end, ends: end === last ? [last] : [] };
    start = end;
  }
}

/** Small texts while they are gathered for one task. */
class Packed {
  length = 0;
  readonly #bytes = new Uint8Array(BATCH + SMALL + PADDING);
  readonly #ends: number[] = [];

  /** @param text of SMALL bytes at most, while there are fewer than BATCH */
  add(text: Uint8Array): void {
    this.#bytes.set(text, this.length);
    this.length += text.length;
    this.#ends.push(this.length);
  }

  task(): PackedTask {
    return { kind: "packed", bytes: this.#bytes, start: 0, end: this.length, ends: this.#ends };
  }
}

/** The texts of a task that comes as strings or lines: those of its share, how many are not, and what was no text. */
export function textsOfTask(task: Exclude<TextTask, PackedTask>): {
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
    if (isWanted(text, task.share)) texts.push(text);
    else others++;
  }
  return { texts, others, unread: log?.report };
}

/** A task without its first documents, and the UTF-8 bytes of those. */
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
  if (task.kind === "packed") {
    const documents = Math.min(most, task.ends.length);
    // Of a text that goes on, this is a stretch like those before it.
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

/** What of a task can be handed over instead of copied. */
export function buffersOf(task: TextTask): ArrayBuffer[] {
  if (task.kind === "texts") return [];
  const { buffer } = task.kind === "packed" ? task.bytes : task.lines.bytes;
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}

/** Texts that end in a task of texts. */
export function textsIn(task: Exclude<TextTask, { readonly kind: "lines" }>): number {
  return (task.kind === "texts" ? task.texts : task.ends).length;
}

/** Bytes of a task, or for strings their units. */
export function sizeOf(task: TextTask): number {
  if (task.kind === "texts") return task.texts.reduce((sum, text) => sum + text.length, 0);
  return task.kind === "packed" ? task.end - task.start : task.lines.bytes.length;
}

function isWanted(text: string | Uint8Array, share: Share | undefined): boolean {
  if (share === undefined || share.heldout <= 0) return share?.held !== true;
  return isHeldOut(text, share.heldout) === share.held;
}
