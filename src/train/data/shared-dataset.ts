/** @file Token shards that several runs share: the text is split and tokenized once, in the folders of a run. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { GivenDocument, ReadReport } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { loadTokenizer, openTokenizer } from "../../tokenizer/index.js";
import { runPaths } from "../run/run-folder.js";
import {
  encodeText,
  guessTokens,
  openDataset,
  splitText,
  type TextSplit,
  tokenizerFor,
  tokenizerOfShards,
} from "./dataset.js";

export interface SharedDatasetOptions {
  /** Files and folders of text, `documents`, or existing shards in `data`. */
  readonly text?: readonly string[];
  readonly documents?: () => Promise<readonly GivenDocument[]>;
  readonly data?: string;
  readonly textField?: string;
  readonly strict?: boolean;
  /** Tokenizer of the shards or the text; by default one is trained on the text. */
  readonly tokenizer?: string;
  /** Size of the tokenizer for a text. @param bytes of the training text */
  readonly vocabSize: (bytes: number) => number;
  /** Tokens to hold out, approximately; a larger held-out text is thinned evenly. */
  readonly heldOutTokens: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onRead?: (report: ReadReport) => void;
}

export interface SharedDataset {
  /** The folder of the shards. */
  readonly shards: string;
  readonly vocabSize: number;
  readonly trainingTokens: number;
  readonly heldOutTokens: number;
  readonly trainingBytes: number;
  readonly bytesPerToken: number;
}

/**
 * Writes `tokenizer/` and `tokens/` in `out` for a text, unless an earlier call did, or opens existing shards.
 * @throws QuernError for too little text, or shards without their tokenizer
 */
export async function shareDataset(out: string, options: SharedDatasetOptions): Promise<SharedDataset> {
  const { data, tokenizer, vocabSize, heldOutTokens, signal, onProgress, onRead } = options;
  const calls = { signal, onProgress };
  const paths = runPaths(out);
  const open = async () => {
    if (data !== undefined) return openDataset(data, await tokenizerOfShards(data, tokenizer, calls));
    // The header is written last, so shards that have one are complete.
    if (existsSync(join(paths.tokens, "shards.json")))
      return openDataset(paths.tokens, await loadTokenizer(paths.tokenizer));
    const split = await splitOf(options);
    if (split.report !== null) onRead?.(split.report);
    const given = tokenizer === undefined ? undefined : await openTokenizer(tokenizer, { signal });
    const used = await tokenizerFor(split, vocabSize(split.trainingBytes), given, calls);
    return encodeText(out, { ...split, heldOut: sharedHeldOut(split, heldOutTokens) }, used, calls);
  };
  const dataset = await open();
  try {
    const { train, heldout, dtype } = dataset;
    return {
      shards: data ?? paths.tokens,
      vocabSize: dataset.tokenizer.vocabSize,
      trainingTokens: train.tokens,
      heldOutTokens: heldout.tokens,
      trainingBytes: train.bytes,
      bytesPerToken: dtype === "u16" ? 2 : 4,
    };
  } finally {
    dataset.close();
  }
}

/** Splits the text of the options into training and held-out documents. */
export async function splitOf(options: SharedDatasetOptions): Promise<TextSplit> {
  const { text, documents, textField, strict, signal, onProgress } = options;
  const given = await documents?.();
  return splitText(given, undefined, { text: text && [...text], textField, strict }, { signal, onProgress });
}

/** The held-out documents of all runs: an even share of each source, and one source after another for the loss of each. */
export function sharedHeldOut({ heldOut, heldOutBytes }: TextSplit, tokens: number): GivenDocument[] {
  const bySource = new Map<string, GivenDocument[]>();
  for (const document of heldOut) {
    const { source = "" } = document;
    const own = bySource.get(source);
    if (own === undefined) bySource.set(source, [document]);
    else own.push(document);
  }
  const share = (tokens * BYTES_PER_TOKEN) / heldOutBytes;
  return [...bySource.keys()].sort().flatMap((source) => thin(bySource.get(source) ?? [], share));
}

const BYTES_PER_TOKEN = 4;

/** Keeps a share of the documents by their bytes, evenly over the list; at least one. */
function thin(documents: readonly GivenDocument[], share: number): GivenDocument[] {
  if (share >= 1) return [...documents];
  const kept: GivenDocument[] = [];
  let [seen, taken] = [0, 0];
  for (const document of documents) {
    const bytes = Buffer.byteLength(document.text);
    seen += bytes;
    if (taken + bytes / 2 > seen * share && kept.length > 0) continue;
    taken += bytes;
    kept.push(document);
  }
  return kept;
}

/** Returns what `shareDataset` would make, and writes nothing; tokens of a text are estimates. */
export async function planSharedDataset(options: SharedDatasetOptions): Promise<SharedDataset> {
  const { data, tokenizer, vocabSize, heldOutTokens, signal } = options;
  if (data !== undefined) return shareDataset("", options);
  const split = await splitOf(options);
  const given = tokenizer === undefined ? undefined : await openTokenizer(tokenizer, { signal });
  return {
    shards: "",
    vocabSize: given?.vocabSize ?? vocabSize(split.trainingBytes),
    trainingTokens: guessTokens(split.trainingBytes),
    heldOutTokens: Math.min(heldOutTokens, guessTokens(split.heldOutBytes)),
    trainingBytes: split.trainingBytes,
    bytesPerToken: 2,
  };
}
