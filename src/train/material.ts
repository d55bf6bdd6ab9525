/**
 * @file What a run learns from: text, with a tokenizer trained on it, given, or a model's own; or token shards that are
 * there already. And the model that it begins with, where it is not a new one.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { type GivenDocument, type ReadReport, readDocuments, type splitHeldOut } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { checkFits } from "../infer/index.js";
import { openModel, type StoredModel } from "../model/index.js";
import type { OnProgress } from "../progress.js";
import {
  LineageWriter,
  loadTokenizer,
  openShards,
  openTokenizer,
  saveTokenizer,
  type Tokenizer,
  type TokenShards,
  type TokenSplit,
  tokenizerHash,
  trainTokenizer,
  writeShardsInto,
} from "../tokenizer/index.js";
import { writeHeldOutSources } from "./data/held-out-sources.js";
import type { CheckedPretrainOptions } from "./pretrain/pretrain-options.js";
import { runPaths } from "./run/run-folder.js";

interface Calls {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Material {
  readonly tokenizer: Tokenizer;
  readonly train: TokenSplit;
  readonly heldout: TokenSplit;
  readonly dtype: TokenShards["header"]["dtype"];
  /** SHA-256 of the shards' header. */
  readonly dataset: string;
  close(): void;
}

/** A model that is trained further, and its tokenizer. */
export interface Base {
  readonly model: StoredModel;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens the model of `--from` with its own tokenizer; another may be named where the folder holds none.
 * @throws QuernError for a tokenizer that does not fit the model
 */
export async function openBase(from: string, tokenizerPath: string | undefined, { signal }: Calls): Promise<Base> {
  const model = await openModel(from, { signal });
  const folder = model.path;
  try {
    const own = await loadTokenizer(folder).catch((error: unknown) => {
      if (tokenizerPath === undefined) throw error;
      return null;
    });
    const named = tokenizerPath === undefined ? null : await openTokenizer(tokenizerPath, { signal });
    if (own !== null && named !== null && tokenizerHash(own) !== tokenizerHash(named)) {
      throw new QuernError(
        `${tokenizerPath} is not the tokenizer of ${from}, so its tokens mean something else; leave --tokenizer away`,
        { exitCode: 2 },
      );
    }
    const tokenizer = (own ?? named) as Tokenizer;
    checkFits(tokenizer, model.config, tokenizerPath ?? folder);
    return { model, tokenizer };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Reads all documents of files and folders, and tells what was skipped. */
export async function gather(
  documents: readonly GivenDocument[] | undefined,
  { text: paths, textField, strict }: Pick<CheckedPretrainOptions, "text" | "textField" | "strict">,
  { signal, onProgress }: Calls,
): Promise<{ readonly documents: readonly GivenDocument[]; readonly report: ReadReport | null }> {
  if (documents !== undefined) return { documents, report: null };
  if (paths === undefined) {
    throw new QuernError("no text to learn from; name files or folders with --text, or token shards with --data", {
      exitCode: 2,
    });
  }
  const reader = readDocuments(paths, { textField, strict, signal });
  const found: GivenDocument[] = [];
  for await (const document of reader) {
    found.push(document);
    if (found.length % 1000 === 0) onProgress?.({ task: "read text", done: found.length, unit: "document" });
  }
  onProgress?.({ task: "read text", done: found.length, total: found.length, unit: "document" });
  return { documents: found, report: reader.report };
}

export type Split = ReturnType<typeof splitHeldOut>;

/**
 * The tokenizer for a text: the one that is given, or one that is trained on it. Null where it is only to be planned.
 */
export async function tokenizerFor(
  split: Split,
  vocabSize: number,
  given: Tokenizer | undefined,
  { signal, onProgress }: Calls,
): Promise<Tokenizer> {
  if (given !== undefined) return given;
  return trainTokenizer(
    split.training.map(({ text }) => text),
    { vocabSize, signal, onProgress },
  );
}

/** Writes the run's own tokenizer and token shards, and opens them. */
export async function encodeText(out: string, split: Split, tokenizer: Tokenizer, calls: Calls): Promise<Material> {
  const paths = runPaths(out);
  await saveTokenizer(tokenizer, paths.tokenizer);
  const textsOf = (documents: readonly GivenDocument[]) => documents.map(({ text }) => text);
  await writeShardsInto(paths.tokens, {
    ...{ tokenizer, train: textsOf(split.training), heldout: textsOf(split.heldOut), ...calls },
    async beside(folder) {
      await writeLineage(folder, "train", split.training);
      await writeLineage(folder, "heldout", split.heldOut);
    },
  });
  await writeHeldOutSources(paths.tokens, split.heldOut);
  return openMaterial(paths.tokens, tokenizer);
}

/** Where each document comes from, for `quern data where`; of one that does not say, its source. */
async function writeLineage(
  folder: string,
  split: "train" | "heldout",
  documents: readonly GivenDocument[],
): Promise<void> {
  const lineage = await LineageWriter.create(folder, split);
  try {
    for (const { id = "", url, source = "", origin = { archive: source } } of documents)
      await lineage.add({ id, url, source, archive: origin.archive, offset: origin.offset, time: origin.time });
    await lineage.commit();
  } finally {
    await lineage.discard();
  }
}

/** Opens token shards for a tokenizer that must be theirs. */
export function openMaterial(folder: string, tokenizer: Tokenizer): Material {
  const shards = openShards(folder);
  const { header } = shards;
  if (header.tokenizer !== tokenizerHash(tokenizer)) {
    shards.close();
    throw new QuernError(`the tokens in ${folder} were made by another tokenizer than the one given`, { exitCode: 2 });
  }
  try {
    const { train, heldout } = withHeldOut(shards, folder);
    const dataset = createHash("sha256").update(JSON.stringify(header)).digest("hex");
    return { tokenizer, train, heldout, dtype: header.dtype, dataset, close: () => shards.close() };
  } catch (error) {
    shards.close();
    throw error;
  }
}

/** The tokenizer of token shards: the one that is named, or one that lies in or beside their folder. */
export async function tokenizerOfShards(
  folder: string,
  named: Tokenizer | string | undefined,
  { signal }: Calls,
): Promise<Tokenizer> {
  const shards = openShards(folder);
  shards.close();
  if (typeof named === "string") return openTokenizer(named, { signal });
  if (named !== undefined) return named;
  for (const place of [folder, join(folder, "tokenizer"), dirname(folder), join(dirname(folder), "tokenizer")]) {
    const found = await loadTokenizer(place).catch(() => null);
    if (found !== null && tokenizerHash(found) === shards.header.tokenizer) return found;
  }
  throw new QuernError(`${folder} holds tokens but not their tokenizer; name it with --tokenizer`, { exitCode: 2 });
}

/** Of shards without held-out text, the share at their end that is not trained on. */
const HELD_OUT_SHARE = 0.05;

/** The splits of shards; where they have no held-out text, their last documents, or of few documents the end of the last. */
function withHeldOut(shards: TokenShards, folder: string): Pick<Material, "train" | "heldout"> {
  const { train, heldout } = shards;
  if (heldout.tokens > 0) return { train, heldout };
  const ends = train.documentEnds;
  const wanted = Math.floor(train.tokens * (1 - HELD_OUT_SHARE));
  const end = ends.find((each) => each >= wanted);
  const cut = end === undefined || end === train.tokens ? wanted : end;
  if (cut < 1 || cut >= train.tokens) {
    throw new QuernError(`${folder} has no held-out text and too few tokens to set some apart`, { exitCode: 2 });
  }
  return { train: partOf(train, 0, cut), heldout: partOf(train, cut, train.tokens) };
}

/** Tokens [from, to) of a split, as a split. */
function partOf(split: TokenSplit, from: number, to: number): TokenSplit {
  const tokens = to - from;
  const inside = split.documentEnds.filter((end) => end > from && end < to);
  const documentEnds = new Float64Array(inside.length + 1).fill(tokens);
  inside.forEach((end, i) => {
    documentEnds[i] = end - from;
  });
  return {
    tokens,
    documents: documentEnds.length,
    bytes: Math.round((split.bytes * tokens) / split.tokens),
    documentEnds,
    read: (offset, length, into) => {
      if (offset + length > tokens) throw new RangeError(`tokens up to ${offset + length} are not among ${tokens}`);
      return split.read(from + offset, length, into);
    },
  };
}

/** Tokens that a text will have, roughly, before there is a tokenizer. */
export const guessTokens = (bytes: number) => Math.round(bytes / 4);
