/** @file Texts to token shards. */
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
  /** Documents to train on, a string each. */
  readonly train: Texts;
  /** Documents that are kept for evaluation. */
  readonly heldout?: Texts;
  /** A file ends with the document that takes it past so many tokens; 32 Mi by default. */
  readonly fileTokens?: number;
  /** Threads that encode; by default as many as the machine runs at once. The files are the same. */
  readonly threads?: number;
  /**
   * Names these documents in this order, this tokenizer and this cut. With it, work that is interrupted or killed keeps the
   * files that are whole, in the folder, and a call with the same name resumes behind them.
   */
  readonly resumeKey?: string;
  /** Called before the folder takes its name, to put more files into it. */
  readonly beside?: (folder: string) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reading of files that the documents come from (a `DocumentReader`): then progress can tell the time left. */
  readonly reading?: ReadBytes;
}

/** What token shards are on disk. */
export const shardFiles: OutputLayout = {
  writes: (path) => /^(shards\.json|(train|heldout)-\d{5,}\.(tokens|ends)|\.partial-[0-9a-f]{24}\/.+)$/.test(path),
};

/** Tokens of a file: what is lost at most when work is killed, some seconds of it. */
export const FILE_TOKENS = 32 << 20;

type Found = (documents: number, others: number, unread: ReadReport | undefined) => void;

/** The same with tasks for texts, of documents that files hold. */
export interface WriteTasksOptions extends Omit<WriteShardsOptions, "train" | "heldout"> {
  readonly train: AsyncIterable<EncodeTask>;
  readonly heldout: AsyncIterable<EncodeTask>;
  /** Called with how many documents a task had, how many others it left out, and what was no text. */
  readonly found?: Found;
  /** What was read and skipped, once all is: it is written beside the header. */
  readonly report?: () => ReadReport;
  /** Called when there is nothing to train on; may throw a better error than is thrown then. */
  readonly nothing?: () => void;
  /** Called before the first task is asked for, with the folder in which the shards grow. */
  readonly begin?: (folder: string) => void;
}

/**
 * Encodes documents into token shards in a folder, which holds no `shards.json` until they are whole. Special tokens in
 * the texts are ordinary text; each document ends with `<|endoftext|>`, and empty ones are left out.
 * @param options.force replace the shards of an earlier call
 * @throws QuernError if the tokenizer has no end-of-text token, there is no text, or the folder cannot be written
 * or holds anything else
 */
export async function writeShards(
  folder: string,
  { force, ...options }: WriteShardsOptions & { readonly force?: boolean },
): Promise<ShardsHeader> {
  const claim = { verb: "tokenizer encode", out: folder, inputs: [], layout: shardFiles, force };
  return withOutput(claim, () => writeShardsInto(folder, options));
}

/** `writeShards` into a folder that the caller has claimed. */
export async function writeShardsInto(folder: string, options: WriteShardsOptions): Promise<ShardsHeader> {
  const { train, heldout = [] } = options;
  return writeTasks(folder, { ...options, train: batchesOf(train), heldout: batchesOf(heldout) });
}

/** `writeShards` of documents in the form of tasks. */
export async function writeTasks(folder: string, options: WriteTasksOptions): Promise<ShardsHeader> {
  const { tokenizer } = options;
  const endOfText = tokenizer.endOfText;
  if (endOfText === undefined) {
    throw new QuernError(`the tokenizer has no token ${END_OF_TEXT}, with which documents end; train one that has it`);
  }
  const dtype = tokenizer.vocabSize <= 1 << 16 ? "u16" : "u32";
  const {
    resumeKey,
    signal,
    onProgress,
    reading,
    found,
    fileTokens = FILE_TOKENS,
    threads = availableParallelism(),
  } = options;
  const encoder = new DocumentEncoder(tokenizer, endOfText, threads, reading);
  const common = { signal, onProgress, found, fileTokens, dtype } as const;
  const fill = async (temporary: string, there: ShardsProgress): Promise<ShardsHeader> => {
    options.begin?.(temporary);
    const train = await writeSplit(temporary, "train", options.train, encoder, there, { ...common, reading });
    if (train.tokens === 0) options.nothing?.();
    if (train.tokens === 0) throw new QuernError("there is no text to train on: every document is empty or held out");
    const heldout = await writeSplit(temporary, "heldout", options.heldout, encoder, there, common);
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
    await options.beside?.(temporary);
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
  there: ShardsProgress,
  { signal, onProgress, reading, found, fileTokens, dtype }: SplitOptions,
): Promise<ShardsSplitHeader> {
  const files = there[name];
  const total = { tokens: 0, documents: 0, bytes: 0 };
  for (const file of files) {
    total.tokens += file.tokens;
    total.documents += file.documents;
  }
  const task = `encode ${name === "train" ? "training" : "held-out"} text`;
  let file: ShardFile | undefined;
  let number = files.length;
  /** The last whole file reaches the disk while the next is filled. */
  let finishing: Promise<void> = Promise.resolve();
  const finish = (whole: ShardFile): void => {
    finishing = whole.commit().then((written) => {
      files.push(written);
      return there.save();
    });
    // Told by whoever waits for it.
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
  /** The documents behind those that lie in whole files already. */
  async function* rest(): AsyncGenerator<EncodeTask> {
    let known = total.documents;
    for await (const task of tasks) {
      if (known === 0) {
        yield task;
        continue;
      }
      const { rest, documents, bytes, others, unread } = withoutFirst(task, known);
      known -= documents;
      total.bytes += bytes;
      found?.(documents, others, unread);
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
      found?.(ends.length, others, unread);
      // A file takes documents until one carries it past its size, and of one that goes on what there is.
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
  readonly found?: Found;
  readonly fileTokens: number;
  readonly dtype: "u16" | "u32";
}

/** A file of tokens and its index while they are written. */
class ShardFile {
  tokens = 0;
  readonly #name: string;
  readonly #dtype: "u16" | "u32";
  readonly #file: AtomicFile;
  readonly #endsPath: string;
  #checksum = 0;
  /** The last write. It goes on while the next tokens are encoded. */
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

  /** Appends whole documents; `ends` are counted from `from` tokens before the first. */
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
    // Told by whoever waits for it.
    this.#writing.catch(() => {});
  }

  /** Resolves when nothing that was given to `write` is read any more. */
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
    // The machine's own order: u32 as it lies, u16 by one narrowing copy.
    const own = dtype === "u16" ? new Uint16Array(values.subarray(0, count)) : values;
    return new Uint8Array(own.buffer, own.byteOffset, count * own.BYTES_PER_ELEMENT);
  }
  const width = dtype === "u16" ? 2 : 4;
  const bytes = new Uint8Array(count * width);
  for (let i = 0; i < count; i++) for (let k = 0; k < width; k++) bytes[i * width + k] = values[i] >>> (8 * k);
  return bytes;
}
