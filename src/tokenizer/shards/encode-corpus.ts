/** @file Files and folders to token shards. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { isRemote, listFiles, type ReadReport, readDocuments, withOutput } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { tasksOf } from "../text-tasks.js";
import type { Tokenizer } from "../tokenizer.js";
import type { EncodeTask, Share } from "../worker-tasks.js";
import type { ShardsHeader } from "./shards.js";
import { FILE_TOKENS, shardFiles, writeTasks } from "./write-shards.js";

export interface EncodeCorpusOptions {
  readonly tokenizer: Tokenizer;
  /** Share of the documents that is held out, chosen by a hash of their text; 0 by default. */
  readonly heldout?: number;
  readonly fileTokens?: number;
  readonly threads?: number;
  /** Whether the finished shards of an earlier call are replaced. */
  readonly force?: boolean;
  /** Under which key or in which column the text is; "text" by default. */
  readonly textField?: string;
  /** Damage is an error. */
  readonly strict?: boolean;
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
  options: EncodeCorpusOptions,
): Promise<EncodedCorpus> {
  const claim = { verb: "tokenizer encode", out, inputs: paths, layout: shardFiles, force: options.force };
  return withOutput(claim, () => encodeInto(paths, out, options));
}

export interface EncodedCorpus {
  readonly header: ShardsHeader;
  readonly report: ReadReport;
}

async function encodeInto(
  paths: readonly string[],
  out: string,
  { heldout = 0, fileTokens = FILE_TOKENS, textField = "text", strict, ...options }: EncodeCorpusOptions,
): Promise<EncodedCorpus> {
  const { tokenizer, signal } = options;
  const files = (await listFiles(paths)).map(({ location, size, modified }) => [
    isRemote(location) ? location : resolve(location),
    ...[size, modified],
  ]);
  const work = JSON.stringify([tokenizer.parts.json, heldout, fileTokens, textField, files]);
  const { tokens, merges } = tokenizer.parts.model;
  const resumeKey = createHash("sha256").update(work).update(tokens.bytes).update(tokens.lengths);
  if (!merges.lazy) resumeKey.update(merges.entries);

  const reader = readDocuments(paths, { textField, strict, signal });
  const { divisible } = tokenizer;
  let anyHeld = false;
  let isAgain = false;
  const found = (documents: number, others: number, unread?: ReadReport): void => {
    // What is held out is read again, and was counted the first time.
    if (isAgain) return;
    reader.found(documents + others);
    if (unread !== undefined) reader.merge(unread);
    if (others > 0) anyHeld = true;
  };
  const leftOut = (documents: number): void => found(0, documents);
  const train = tasksOf(reader.blocks(), { divisible, share: shareOf(heldout, false), leftOut });
  async function* held(): AsyncGenerator<EncodeTask> {
    if (anyHeld) {
      isAgain = true;
      const again = readDocuments(paths, { textField, signal }).blocks();
      yield* tasksOf(again, { divisible, share: shareOf(heldout, true) });
    }
  }
  const written = {
    ...options,
    fileTokens,
    resumeKey: resumeKey.digest("hex"),
    reading: reader,
    train,
    heldout: held(),
    found,
    nothing: () => reader.end(),
    report: () => reader.report,
  };
  return { header: await writeTasks(out, written), report: reader.report };
}

const shareOf = (heldout: number, held: boolean): Share | undefined => (heldout > 0 ? { heldout, held } : undefined);
