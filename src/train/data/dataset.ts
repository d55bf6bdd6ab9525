/**
 * @file The dataset of a run: text with a tokenizer (trained on it, given, or the base model's), or existing token shards.
 * Also opens the base model of continued training.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import {
  cutDocument,
  type DocumentReader,
  type GivenDocument,
  type OpenText,
  planHeldOut,
  planSeparate,
  type ReadReport,
  readDocuments,
  textHash,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkFits } from "../../infer/index.js";
import { openModel, type StoredModel } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import {
  loadTokenizer,
  openShards,
  openTokenizer,
  saveTokenizer,
  type Tokenizer,
  type TokenShards,
  type TokenSplit,
  tokenizerHash,
  trainTokenizer,
  writeDocumentShards,
} from "../../tokenizer/index.js";
import type { CheckedPretrainOptions } from "../pretrain/pretrain-options.js";
import { runPaths } from "../run/run-folder.js";

interface Calls {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Dataset {
  readonly tokenizer: Tokenizer;
  readonly train: TokenSplit;
  readonly heldout: TokenSplit;
  readonly dtype: TokenShards["header"]["dtype"];
  /** SHA-256 of the shards' header. */
  readonly hash: string;
  close(): void;
}

/** A base model for continued training, and its tokenizer. */
export interface Base {
  readonly model: StoredModel;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens the model of `--from` with its tokenizer; `tokenizerPath` may supply one if the folder has none.
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
        `${tokenizerPath} is not the tokenizer of ${from}, so its ids mean other tokens; remove --tokenizer`,
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

/** A text split into training and held-out documents. The training text is streamed and may be read several times. */
export interface TextSplit {
  readonly trainingBytes: number;
  readonly heldOutBytes: number;
  /** Kept in memory, since its size is bounded. */
  readonly heldOut: readonly GivenDocument[];
  /** Reads the training text from its beginning. */
  training(): AsyncIterable<GivenDocument>;
  /** Counts of documents read and skipped; null for documents passed directly. */
  readonly report: ReadReport | null;
}

type TextOptions = Pick<CheckedPretrainOptions, "text" | "textField" | "strict">;

/**
 * Splits the given documents, or those in files and folders, into training and held-out text.
 * @param heldOut held-out documents, if they are fixed
 * @throws QuernError for damaged input with `strict`, too little text, or text that changes between readings
 */
export async function splitText(
  documents: readonly GivenDocument[] | undefined,
  heldOut: readonly GivenDocument[] | undefined,
  options: TextOptions,
  calls: Calls,
): Promise<TextSplit> {
  const text =
    documents === undefined ? textOfFiles(options, calls) : { open: openGiven(documents), report: () => null };
  const { open } = text;
  const plan = heldOut === undefined ? await planHeldOut(open) : await planSeparate(open, heldOut);
  async function* training(): AsyncGenerator<GivenDocument> {
    let number = 0;
    for await (const piece of open(plan.longest)) if (plan.isTraining(number++)) yield piece;
    if (number !== plan.pieces) throw new QuernError("the text changed while it was read; run it again");
  }
  const { trainingBytes, heldOutBytes } = plan;
  return { trainingBytes, heldOutBytes, heldOut: plan.heldOut, training, report: text.report() };
}

const openGiven = (documents: readonly GivenDocument[]): OpenText =>
  async function* (longest) {
    for (const document of documents) yield* cutDocument(document, longest);
  };

/** Opens the documents of files and folders. The first reading counts skipped ones, or throws with `strict`. */
function textOfFiles(
  { text: paths, textField, strict }: TextOptions,
  { signal, onProgress }: Calls,
): { readonly open: OpenText; readonly report: () => ReadReport } {
  if (paths === undefined) {
    throw new QuernError("no training text; name files or folders with --text, or token shards with --data", {
      exitCode: 2,
    });
  }
  let first: DocumentReader | undefined;
  async function* open(longest: number): AsyncGenerator<GivenDocument> {
    const isFirst = first === undefined;
    const reader = readDocuments(paths as readonly string[], { textField, strict: strict && isFirst, longest, signal });
    first ??= reader;
    let reported = 0;
    for await (const document of reader) {
      yield document;
      if (!isFirst || reader.documents < reported + 1000) continue;
      reported = reader.documents;
      onProgress?.({ task: "read text", done: reported, unit: "document" });
    }
    const { documents } = reader;
    if (isFirst) onProgress?.({ task: "read text", done: documents, total: documents, unit: "document" });
  }
  return { open, report: () => (first as DocumentReader).report };
}

/** Most bytes of text to train a tokenizer on, approximately; longer texts are sampled. */
const TOKENIZER_BYTES = 2 ** 27;

/**
 * Returns the given tokenizer, or trains one on the text. From a text over 128 MiB it samples documents by their hashes, so
 * that the same documents in any order give the same tokenizer.
 */
export async function tokenizerFor(
  split: TextSplit,
  vocabSize: number,
  given: Tokenizer | undefined,
  { signal, onProgress }: Calls,
): Promise<Tokenizer> {
  if (given !== undefined) return given;
  const share = TOKENIZER_BYTES / split.trainingBytes;
  async function* texts(): AsyncGenerator<string> {
    for await (const { text } of split.training()) {
      // Uses other bits of the hash than the choice of held-out documents does.
      if (share >= 1 || textHash(text)[1] < share * 2 ** 32) yield text;
    }
  }
  return trainTokenizer(texts(), { vocabSize, signal, onProgress });
}

/** Writes the tokenizer and the token shards of a run, and opens them. */
export async function encodeText(out: string, split: TextSplit, tokenizer: Tokenizer, calls: Calls): Promise<Dataset> {
  const paths = runPaths(out);
  await saveTokenizer(tokenizer, paths.tokenizer);
  await writeDocumentShards(paths.tokens, { tokenizer, train: split.training(), heldout: split.heldOut, ...calls });
  return openDataset(paths.tokens, tokenizer);
}

/** Opens token shards. @throws QuernError if another tokenizer made them, or they have no tokens to hold out */
export function openDataset(folder: string, tokenizer: Tokenizer): Dataset {
  const shards = openShards(folder);
  const { header } = shards;
  if (header.tokenizer !== tokenizerHash(tokenizer)) {
    shards.close();
    throw new QuernError(`the tokens in ${folder} were made by a different tokenizer than the given one`, {
      exitCode: 2,
    });
  }
  try {
    const { train, heldout } = withHeldOut(shards, folder);
    const hash = createHash("sha256").update(JSON.stringify(header)).digest("hex");
    return { tokenizer, train, heldout, dtype: header.dtype, hash, close: () => shards.close() };
  } catch (error) {
    shards.close();
    throw error;
  }
}

/** Returns the tokenizer of token shards: the named one, or the matching one in or next to their folder. */
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
  throw new QuernError(`${folder} contains tokens but not their tokenizer; name it with --tokenizer`, { exitCode: 2 });
}

/** Share of the tokens at the end that is held out of shards without a held-out split. */
const HELD_OUT_SHARE = 0.05;

/** Returns the splits of shards. Without a held-out split, holds out the last documents, or the end of the last one. */
function withHeldOut(shards: TokenShards, folder: string): Pick<Dataset, "train" | "heldout"> {
  const { train, heldout } = shards;
  if (heldout.tokens > 0) return { train, heldout };
  const ends = train.documentEnds;
  const wanted = Math.floor(train.tokens * (1 - HELD_OUT_SHARE));
  const end = ends.find((each) => each >= wanted);
  const cut = end === undefined || end === train.tokens ? wanted : end;
  if (cut < 1 || cut >= train.tokens) {
    throw new QuernError(`${folder} has no held-out split and too few tokens to make one`, { exitCode: 2 });
  }
  return { train: partOf(train, 0, cut), heldout: partOf(train, cut, train.tokens) };
}

/** Returns tokens [from, to) of a split, as a split. */
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
    endsBetween: (first, last) => documentEnds.filter((end) => end > first && end <= last),
    read: (offset, length, into) => {
      if (offset + length > tokens)
        throw new RangeError(`token ${offset + length} is past the end of ${tokens} tokens`);
      return split.read(from + offset, length, into);
    },
  };
}

/** Estimates the tokens of a text before there is a tokenizer. */
export const guessTokens = (bytes: number) => Math.round(bytes / 4);
