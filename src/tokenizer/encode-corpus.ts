/** @file Files and folders to token shards. */
import { createHash } from "node:crypto";
import { readDocuments, type SkippedFile } from "../documents/index.js";
import type { OnProgress } from "../progress.js";
import type { ShardsHeader } from "./shards.js";
import type { Tokenizer } from "./tokenizer.js";
import { writeShards } from "./write-shards.js";

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
 * copies and repeated runs agree. The files are read once for each split, since neither may be in memory.
 */
export async function encodeCorpus(
  paths: readonly string[],
  out: string,
  { heldout = 0, ...options }: EncodeCorpusOptions,
): Promise<{ readonly header: ShardsHeader; readonly skipped: readonly SkippedFile[] }> {
  const reader = readDocuments(paths, { signal: options.signal });
  let anyHeld = false;
  async function* train(): AsyncGenerator<string> {
    for await (const { text } of reader) {
      if (heldout > 0 && isHeldOut(text, heldout)) anyHeld = true;
      else yield text;
    }
  }
  async function* held(): AsyncGenerator<string> {
    if (!anyHeld) return;
    for await (const { text } of readDocuments(paths, { signal: options.signal })) {
      if (isHeldOut(text, heldout)) yield text;
    }
  }
  const header = await writeShards(out, { ...options, train: train(), heldout: held() });
  return { header, skipped: reader.skipped };
}

/** True for about that share of all texts. */
function isHeldOut(text: string, share: number): boolean {
  return createHash("sha1").update(text).digest().readUInt32LE(0) < share * 2 ** 32;
}
