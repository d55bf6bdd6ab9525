/** @file Writes texts as token shards. */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import {
  type AtomicFile,
  createAtomicFile,
  type OutputLayout,
  type ReadBytes,
  type ReadReport,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { END_OF_TEXT } from "../encode/added-tokens.js";
import { batchesOf, withoutFirst } from "../text-tasks.js";
import type { Tokenizer } from "../tokenizer.js";
import { tokenizerHash } from "../tokenizer-hash.js";
import type { EncodeTask } from "../worker-tasks.js";
import { DocumentEncoder } from "./document-encoder.js";
import { type ShardsProgress, writeFolderResumably } from "./journal.js";
import { checksumText, SHARDS_FILE, type ShardsHeader, type ShardsSplitHeader } from "./shards.js";

type Texts = Iterable<string> | AsyncIterable<string>;

export interface WriteShardsOptions {
  readonly tokenizer: Tokenizer;
  /** Documents to train on, one string per document. */
  readonly train: Texts;
  /** Documents held out for evaluation. */
  readonly heldout?: Texts;
  /** A file ends after the document with which it reaches this many tokens; default 32 Mi. */
  readonly fileTokens?: number;
  /** Threads that encode; default all hardware threads. The files do not depend on it. */
  readonly threads?: number;
  /**
   * Identifies these documents in this order, this tokenizer and `fileTokens`. With it, interrupted or killed work keeps its
   * complete files in the folder, and a call with the same key resumes after them.
   */
  readonly resumeKey?: string;
  /** Called with the folder before its files are moved into place, to write more files into it. */
  readonly writeExtraFiles?: (folder: string) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reader of the documents' files (a `DocumentReader`), if any; with it, progress includes the time left. */
  readonly reading?: ReadBytes;
}

/** The files of token shards. */
export const shardFiles: OutputLayout = {
  writes: (path) => /^(shards\.json|(train|heldout)-\d{5,}\.(tokens|ends)|\.partial-[0-9a-f]{24}\/.+)$/.test(path),
};

/** Tokens per file. A kill loses at most one unfinished file, which is some seconds of work. */
export const FILE_TOKENS = 32 << 20;

type OnTask = (documents: number, others: number, unread: ReadReport | undefined) => void;

/** `WriteShardsOptions` with tasks instead of texts. */
export interface WriteTasksOptions extends Omit<WriteShardsOptions, "train" | "heldout"> {
  readonly train: AsyncIterable<EncodeTask>;
  readonly heldout: AsyncIterable<EncodeTask>;
  /** Called after each task with its number of documents, the number in the other split, and a report of skipped records. */
  readonly onTask?: OnTask;
  /** Called at the end; its counts of read and skipped records are added to the header's file. */
  readonly report?: () => ReadReport;
  /** Called when there is nothing to train on; may throw a more specific error than the default one. */
  readonly onEmpty?: () => void;
  /** Called before the first task is requested, with the hidden folder in which the shards are written. */
  readonly onFolder?: (folder: string) => void;
}

/**
 * Encodes documents into token shards. The folder contains no `shards.json` until they are complete. Special tokens in the texts
 * are encoded as ordinary text. Each document ends with `<|endoftext|>`; empty documents are skipped.
 * @param options.force replaces the shards of an earlier call
 * @throws QuernError if the tokenizer has no end-of-text token, there is no text, or the folder cannot be written
 * or contains other files
 */
export async function writeShards(
  folder: string,
  { force, ...options }: WriteShardsOptions & { readonly force?: boolean },
): Promise<ShardsHeader> {
  const claim = { verb: "tokenizer encode", out: folder, inputs: [], layout: shardFiles, force };
  return withOutput(claim, () => writeShardsInto(folder, options));
}

/** Does the work of `writeShards` in a folder that the caller has claimed. */
export async function writeShardsInto(folder: string, options: WriteShardsOptions): Promise<ShardsHeader> {
  const { train, heldout = [] } = options;
  return writeTasks(folder, { ...options, train: batchesOf(train), heldout: batchesOf(heldout) });
}

/** Writes shards from tasks, into a folder that the caller has claimed. */
export async function writeTasks(folder: string, options: WriteTasksOptions): Promise<ShardsHeader> {
  const { tokenizer } = options;
  const endOfText = tokenizer.endOfText;
  if (endOfText === undefined) {
    throw new QuernError(`the tokenizer has no ${END_OF_TEXT} token to end documents with; train one that has it`);
  }
  const dtype = tokenizer.vocabSize <= 1 << 16 ? "u16" : "u32";
  const {
    resumeKey,
    signal,
    onProgress,
    reading,
    onTask,
    fileTokens = FILE_TOKENS,
    threads = availableParallelism(),
  } = options;
  const encoder = new DocumentEncoder(tokenizer, endOfText, threads, reading);
  const common = { signal, onProgress, onTask, fileTokens, dtype } as const;
  const fill = async (temporary: string, progress: ShardsProgress): Promise<ShardsHeader> => {
    options.onFolder?.(temporary);
    const train = await writeSplit(temporary, "train", options.train, encoder, progress, { ...common, reading });
    if (train.tokens === 0) options.onEmpty?.();
    if (train.tokens === 0) throw new QuernError("there is no text to train on: every document is empty or held out");
    const heldout = await writeSplit(temporary, "heldout", options.heldout, encoder, progress, common);
    const header: ShardsHeader = {
      format: "quern token shards",
      version: 2,
      dtype,
      vocabSize: tokenizer.vocabSize,
      endOfText,
      tokenizer: tokenizerHash(tokenizer),
      train,
      heldout,
    };
    await options.writeExtraFiles?.(temporary);
    const { read, skipped } = options.report?.() ?? {};
    await writeFileAtomic(join(temporary, SHARDS_FILE), `${JSON.stringify({ ...header, read, skipped }, null, 2)}\n`);
    return header;
  };
  const key = resumeKey ?? randomBytes(12).toString("hex");
  const written = writeFolderResumably(folder, { key, keep: resumeKey !== undefined, last: SHARDS_FILE, signal }, fill);
  return written.finally(() => encoder.close());
}

async function writeSplit(
  folder: string,
  name: "train" | "heldout",
  tasks: AsyncIterable<EncodeTask>,
  encoder: DocumentEncoder,
  progress: ShardsProgress,
  { signal, onProgress, reading, onTask, fileTokens, dtype }: SplitOptions,
): Promise<ShardsSplitHeader> {
  const files = progress[name];
  const total = { tokens: 0, documents: 0, bytes: 0 };
  for (const file of files) {
    total.tokens += file.tokens;
    total.documents += file.documents;
  }
  const task = `encode ${name === "train" ? "training" : "held-out"} text`;
  let file: ShardFile | undefined;
  let number = files.length;
  /** Commits the last complete file while the next one is being filled. */
  let finishing: Promise<void> = Promise.resolve();
  const finish = (complete: ShardFile): void => {
    finishing = complete.commit().then((written) => {
      files.push(written);
      return progress.save();
    });
    // Its awaiter reports the error; this avoids an unhandled rejection.
    finishing.catch(() => {});
  };
  let lastReport = 0;
  const report = (): void => {
    if (performance.now() - lastReport < 100) return;
    lastReport = performance.now();
    const note = `${total.tokens} tokens`;
    if (reading === undefined) onProgress?.({ task, done: total.bytes, unit: "byte", note });
    else onProgress?.({ task, done: reading.bytesRead, total: reading.bytesTotal, unit: "byte", note });
  };
  /** Skips the documents that complete files already contain. */
  async function* rest(): AsyncGenerator<EncodeTask> {
    let toSkip = total.documents;
    for await (const task of tasks) {
      if (toSkip === 0) {
        yield task;
        continue;
      }
      const { rest, documents, bytes, others, unread } = withoutFirst(task, toSkip);
      toSkip -= documents;
      total.bytes += bytes;
      onTask?.(documents, others, unread);
      signal?.throwIfAborted();
      report();
      if (rest !== undefined) yield rest;
    }
  }
  try {
    for await (const { ids, ends, bytes, others, unread } of encoder.encode(total.documents === 0 ? tasks : rest())) {
      signal?.throwIfAborted();
      total.bytes += bytes;
      total.documents += ends.length;
      total.tokens += ids.length;
      onTask?.(ends.length, others, unread);
      // Fill the file up to the document with which it reaches its size. A document that continues is written as far as it is here.
      for (let first = 0, from = 0; from < ids.length; ) {
        file ??= await ShardFile.create(folder, `${name}-${String(number++).padStart(5, "0")}`, dtype);
        let last = first;
        while (last < ends.length && file.tokens + ends[last] - from < fileTokens) last++;
        const full = last < ends.length;
        const to = full ? ends[last] : ids.length;
        if (full) last++;
        await file.write(ids.subarray(from, to), ends.subarray(first, last), from);
        first = last;
        from = to;
        if (full) {
          await finishing;
          finish(file);
          file = undefined;
        }
      }
      if (file === undefined) encoder.release(ids);
      else file.written.then(() => encoder.release(ids));
      report();
    }
    await finishing;
    if (file !== undefined) finish(file);
    await finishing;
    onProgress?.({ task, done: total.bytes, total: total.bytes, unit: "byte", note: `${total.tokens} tokens` });
    return { ...total, files };
  } catch (error) {
    await Promise.allSettled([finishing, file?.discard()]);
    throw error;
  }
}

interface SplitOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly reading?: ReadBytes;
  readonly onTask?: OnTask;
  readonly fileTokens: number;
  readonly dtype: "u16" | "u32";
}

/** Writes one file of tokens and its index. */
class ShardFile {
  tokens = 0;
  readonly #name: string;
  readonly #dtype: "u16" | "u32";
  readonly #file: AtomicFile;
  readonly #endsPath: string;
  #checksum = 0;
  /** The last write, which runs while the next tokens are encoded. */
  #writing: Promise<void> = Promise.resolve();
  #ends = new Uint32Array(64);
  #documents = 0;

  private constructor(name: string, dtype: "u16" | "u32", file: AtomicFile, endsPath: string) {
    this.#name = name;
    this.#dtype = dtype;
    this.#file = file;
    this.#endsPath = endsPath;
  }

  static async create(folder: string, name: string, dtype: "u16" | "u32"): Promise<ShardFile> {
    const file = await createAtomicFile(join(folder, `${name}.tokens`));
    return new ShardFile(name, dtype, file, join(folder, `${name}.ends`));
  }

  /** Appends ids and the document ends among them. `ends` are token indices that count `ids[0]` as `from`. */
  async write(ids: Uint32Array, ends: Uint32Array, from: number): Promise<void> {
    if (this.#documents + ends.length > this.#ends.length) {
      const grown = new Uint32Array(Math.max(this.#ends.length * 2, this.#documents + ends.length));
      grown.set(this.#ends);
      this.#ends = grown;
    }
    for (const end of ends) this.#ends[this.#documents++] = this.tokens + end - from;
    this.tokens += ids.length;
    const bytes = littleEndian(ids, ids.length, this.#dtype);
    this.#checksum = crc32(bytes, this.#checksum);
    await this.#writing;
    this.#writing = this.#file.write(bytes);
    // Its awaiter reports the error; this avoids an unhandled rejection.
    this.#writing.catch(() => {});
  }

  /** Resolves when the buffers passed to `write` may be reused. */
  get written(): Promise<void> {
    return this.#writing.catch(() => {});
  }

  async commit(): Promise<ShardsSplitHeader["files"][number]> {
    const ends = littleEndian(this.#ends, this.#documents, "u32");
    await this.#writing;
    await this.#file.commit();
    await writeFileAtomic(this.#endsPath, ends);
    return {
      name: this.#name,
      tokens: this.tokens,
      documents: this.#documents,
      crc32: checksumText(this.#checksum),
      endsCrc32: checksumText(crc32(ends)),
    };
  }

  async discard(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#file.discard();
  }
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function littleEndian(values: Uint32Array, count: number, dtype: "u16" | "u32"): Uint8Array {
  if (LITTLE_ENDIAN) {
    // Native byte order: u32 without a copy, u16 with one narrowing copy.
    const own = dtype === "u16" ? new Uint16Array(values.subarray(0, count)) : values;
    return new Uint8Array(own.buffer, own.byteOffset, count * own.BYTES_PER_ELEMENT);
  }
  const width = dtype === "u16" ? 2 : 4;
  const bytes = new Uint8Array(count * width);
  for (let i = 0; i < count; i++) for (let k = 0; k < width; k++) bytes[i * width + k] = values[i] >>> (8 * k);
  return bytes;
}
