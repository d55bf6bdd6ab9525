/** @file Texts to token shards. */
import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import { type AtomicFile, createAtomicFile, writeFileAtomic, writeFolderAtomic } from "../documents/atomic.js";
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import { IdBuffer } from "./encoder.js";
import { SHARDS_FILE, type ShardsHeader, type ShardsSplitHeader } from "./shards.js";
import { END_OF_TEXT } from "./special-names.js";
import type { Tokenizer } from "./tokenizer.js";
import { tokenizerToJson } from "./tokenizer-json.js";

type Texts = Iterable<string> | AsyncIterable<string>;

export interface WriteShardsOptions {
  readonly tokenizer: Tokenizer;
  /** Documents to train on, a string each. */
  readonly train: Texts;
  /** Documents that are kept for evaluation. */
  readonly heldout?: Texts;
  /** A file ends with the document that takes it past so many tokens; 64 Mi by default. */
  readonly fileTokens?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

const FILE_TOKENS = 64 << 20;
/** Tokens are written in pieces of about so many. */
const PIECE = 1 << 20;

/**
 * Encodes documents into token shards in a folder, which appears when it is whole and replaces one that was there. Special
 * tokens in the texts are ordinary text; each document ends with `<|endoftext|>`, and empty ones are left out.
 * @throws QuernError if the tokenizer has no end-of-text token, there is no text, or the folder cannot be written
 */
export async function writeShards(folder: string, options: WriteShardsOptions): Promise<ShardsHeader> {
  const { tokenizer } = options;
  const endOfText = tokenizer.endOfText;
  if (endOfText === undefined) {
    throw new QuernError(`the tokenizer has no token ${END_OF_TEXT}, with which documents end; train one that has it`);
  }
  const dtype = tokenizer.vocabSize <= 1 << 16 ? "u16" : "u32";
  return writeFolderAtomic(folder, async (temporary) => {
    const train = await writeSplit(temporary, "train", options.train, endOfText, dtype, options);
    if (train.tokens === 0) throw new QuernError("there is no text to encode: every document is empty");
    const heldout = await writeSplit(temporary, "heldout", options.heldout ?? [], endOfText, dtype, options);
    const header: ShardsHeader = {
      format: "quern token shards",
      version: 1,
      dtype,
      vocabSize: tokenizer.vocabSize,
      endOfText,
      tokenizer: tokenizerHash(tokenizer),
      train,
      heldout,
    };
    await writeFileAtomic(join(temporary, SHARDS_FILE), `${JSON.stringify(header, null, 2)}\n`);
    return header;
  });
}

/** SHA-256 of tokenizer.json as Quern writes it: the same for equal tokenizers, whatever file they came from. */
export function tokenizerHash(tokenizer: Tokenizer): string {
  return createHash("sha256").update(tokenizerToJson(tokenizer)).digest("hex");
}

async function writeSplit(
  folder: string,
  name: "train" | "heldout",
  texts: Texts,
  endOfText: number,
  dtype: "u16" | "u32",
  { tokenizer, signal, onProgress, fileTokens = FILE_TOKENS }: WriteShardsOptions,
): Promise<ShardsSplitHeader> {
  const files: ShardsSplitHeader["files"] = [];
  const total = { tokens: 0, documents: 0, bytes: 0 };
  const out = new IdBuffer();
  let file: ShardFile | undefined;
  let lastReport = 0;
  const finish = async (): Promise<void> => {
    if (file === undefined) return;
    await file.write(out);
    files.push(await file.commit());
    file = undefined;
  };
  try {
    for await (const text of texts) {
      signal?.throwIfAborted();
      if (text === "") continue;
      if (typeof text !== "string") throw new QuernError("a document to encode is not a string");
      file ??= await ShardFile.create(folder, `${name}-${String(files.length).padStart(5, "0")}`, dtype);
      tokenizer.encodeTo(text, out);
      out.reserve(1);
      out.ids[out.length++] = endOfText;
      const tokens = file.endDocument(out.length);
      total.documents++;
      total.bytes += utf8Length(text);
      if (out.length >= PIECE) await file.write(out);
      if (tokens >= fileTokens) {
        total.tokens += tokens;
        await finish();
      }
      if (performance.now() - lastReport > 100) {
        lastReport = performance.now();
        onProgress?.({
          task: `encode ${name === "train" ? "training" : "held-out"} text`,
          done: total.bytes,
          unit: "byte",
        });
      }
    }
    if (file !== undefined) total.tokens += file.tokens;
    await finish();
    onProgress?.({
      task: `encode ${name === "train" ? "training" : "held-out"} text`,
      ...{ done: total.bytes, total: total.bytes, unit: "byte", note: `${total.tokens} tokens` },
    });
    return { ...total, files };
  } catch (error) {
    await file?.discard();
    throw error;
  }
}

/** A file of tokens and its index while they are written. */
class ShardFile {
  /** Tokens of the documents that have ended. */
  tokens = 0;
  readonly #name: string;
  readonly #dtype: "u16" | "u32";
  readonly #tokensFile: AtomicFile;
  readonly #endsPath: string;
  readonly #hash: Hash = createHash("sha256");
  #ends = new Uint32Array(64);
  #documents = 0;
  #written = 0;

  private constructor(name: string, dtype: "u16" | "u32", tokensFile: AtomicFile, endsPath: string) {
    this.#name = name;
    this.#dtype = dtype;
    this.#tokensFile = tokensFile;
    this.#endsPath = endsPath;
  }

  static async create(folder: string, name: string, dtype: "u16" | "u32"): Promise<ShardFile> {
    const file = await createAtomicFile(join(folder, `${name}.tokens`));
    return new ShardFile(name, dtype, file, join(folder, `${name}.ends`));
  }

  /** Marks the end of a document, with so many tokens not yet written; returns the tokens of the file so far. */
  endDocument(pending: number): number {
    this.tokens = this.#written + pending;
    if (this.#documents === this.#ends.length) {
      const grown = new Uint32Array(this.#documents * 2);
      grown.set(this.#ends);
      this.#ends = grown;
    }
    this.#ends[this.#documents++] = this.tokens;
    return this.tokens;
  }

  /** Writes and empties the buffer. */
  async write(out: IdBuffer): Promise<void> {
    const bytes = littleEndian(out.ids, out.length, this.#dtype);
    this.#written += out.length;
    out.length = 0;
    this.#hash.update(bytes);
    await this.#tokensFile.write(bytes);
  }

  async commit(): Promise<ShardsSplitHeader["files"][number]> {
    const ends = littleEndian(this.#ends, this.#documents, "u32");
    await this.#tokensFile.commit();
    await writeFileAtomic(this.#endsPath, ends);
    return {
      name: this.#name,
      tokens: this.#written,
      documents: this.#documents,
      sha256: this.#hash.digest("hex"),
      endsSha256: createHash("sha256").update(ends).digest("hex"),
    };
  }

  discard(): Promise<void> {
    return this.#tokensFile.discard();
  }
}

function littleEndian(values: Uint32Array, count: number, dtype: "u16" | "u32"): Uint8Array {
  if (dtype === "u16") {
    const bytes = new Uint8Array(count * 2);
    for (let i = 0; i < count; i++) {
      bytes[i * 2] = values[i];
      bytes[i * 2 + 1] = values[i] >> 8;
    }
    return bytes;
  }
  const bytes = new Uint8Array(count * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) view.setUint32(i * 4, values[i], true);
  return bytes;
}

function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
