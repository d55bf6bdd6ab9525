/** @file Encodes files and folders into token shards. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { isRemote, listFiles, type ReadReport, readDocuments, withOutput } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { tasksOf } from "../text-tasks.js";
import type { Tokenizer } from "../tokenizer.js";
import type { EncodeTask, SplitFilter } from "../worker-tasks.js";
import type { ShardsHeader } from "./shards.js";
import { FILE_TOKENS, shardFiles, writeTasks } from "./write-shards.js";

export interface EncodeCorpusOptions {
  readonly tokenizer: Tokenizer;
  /** Share of the documents to hold out, chosen by a hash of their text; default 0. */
  readonly heldout?: number;
  readonly fileTokens?: number;
  readonly threads?: number;
  /** Replaces the finished shards of an earlier call. */
  readonly force?: boolean;
  /** The key or column of the text; default "text". */
  readonly textField?: string;
  /** Treats damaged files and records as errors instead of skipping them. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/**
 * Encodes the documents of files and folders into token shards. A document's text alone decides whether it is held out, so copies
 * and repeated runs agree. The files are read once per split, because a split may not fit into memory. After an interruption the
 * same call resumes after the last complete shard file, unless an input file has changed.
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
    // The second reading, for the held-out split, was counted the first time.
    if (isAgain) return;
    reader.found(documents + others);
    if (unread !== undefined) reader.merge(unread);
    if (others > 0) anyHeld = true;
  };
  const onOthers = (documents: number): void => found(0, documents);
  const train = tasksOf(reader.blocks(), { divisible, split: splitFilter(heldout, false), onOthers });
  async function* held(): AsyncGenerator<EncodeTask> {
    if (anyHeld) {
      isAgain = true;
      const again = readDocuments(paths, { textField, signal }).blocks();
      yield* tasksOf(again, { divisible, split: splitFilter(heldout, true) });
    }
  }
  const written = {
    ...options,
    fileTokens,
    resumeKey: resumeKey.digest("hex"),
    reading: reader,
    train,
    heldout: held(),
    onTask: found,
    onEmpty: () => reader.end(),
    report: () => reader.report,
  };
  return { header: await writeTasks(out, written), report: reader.report };
}

const splitFilter = (heldoutShare: number, selectHeldout: boolean): SplitFilter | undefined =>
  heldoutShare > 0 ? { heldoutShare, selectHeldout } : undefined;
