/** @file Files and folders to token shards. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { listFiles, readDocuments, type SkippedFile } from "../documents/index.js";
import type { OnProgress } from "../progress.js";
import type { ShardsHeader } from "./shards.js";
import type { Tokenizer } from "./tokenizer.js";
import { FILE_TOKENS, writeShards } from "./write-shards.js";

export interface EncodeCorpusOptions {
  readonly tokenizer: Tokenizer;
  /** Share of the documents that is held out, chosen by a hash of their text; 0 by default. */
  readonly heldout?: number;
  readonly fileTokens?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/**
 * Encodes the documents of files and folders into token shards. A document is held out, or not, by its text alone, so that
 * copies and repeated runs agree. The files are read once for each split, since neither may be in memory. Interrupted or
 * killed, the same call goes on behind the last file that is whole, unless a file has changed since.
 */
export async function encodeCorpus(
  paths: readonly string[],
  out: string,
  { heldout = 0, fileTokens = FILE_TOKENS, ...options }: EncodeCorpusOptions,
): Promise<{ readonly header: ShardsHeader; readonly skipped: readonly SkippedFile[] }> {
  const { tokenizer, signal } = options;
  const files = (await listFiles(paths)).map(({ path, size, modified }) => [resolve(path), size, modified]);
  const work = JSON.stringify([tokenizer.parts.json, heldout, fileTokens, files]);
  const { tokens, merges } = tokenizer.parts.model;
  const resumeKey = createHash("sha256").update(work).update(tokens.bytes).update(tokens.lengths);
  if (!merges.lazy) resumeKey.update(merges.entries);

  const reader = readDocuments(paths, { signal });
  let anyHeld = false;
  async function* train(): AsyncGenerator<string> {
    for await (const { text } of reader) {
      if (heldout > 0 && isHeldOut(text, heldout)) anyHeld = true;
      else yield text;
    }
  }
  async function* held(): AsyncGenerator<string> {
    if (!anyHeld) return;
    for await (const { text } of readDocuments(paths, { signal })) {
      if (isHeldOut(text, heldout)) yield text;
    }
  }
  const written = {
    ...options,
    fileTokens,
    resumeKey: resumeKey.digest("hex"),
    reading: reader,
    train: train(),
    heldout: held(),
  };
  return { header: await writeShards(out, written), skipped: reader.skipped };
}

/** True for about that share of all texts. */
function isHeldOut(text: string, share: number): boolean {
  return createHash("sha1").update(text).digest().readUInt32LE(0) < share * 2 ** 32;
}
