/**
 * @file Tokenizes documents into shards. Whether a document is held out depends only on its text, so a run with more
 * documents or another order holds out the same ones. Copies in the held-out split are skipped.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Document, isHeldOut, type OutputLayout, readTexts, withOutput } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import {
  documentShardFiles,
  type ShardsHeader,
  saveTokenizer,
  type Tokenizer,
  writeDocumentShards,
} from "../../tokenizer/index.js";

export interface ShardDocumentsOptions {
  /** Files or folders of documents, in training order. */
  readonly inputs: readonly string[];
  readonly out: string;
  readonly tokenizer: Tokenizer;
  /** Held-out documents: separate files, or a share of the inputs chosen by hash. Default 0.01. */
  readonly heldout?: number | readonly string[];
  readonly fileTokens?: number;
  /** Identifies the work. An interrupted call with the same key resumes after the last complete file. */
  readonly resumeKey?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** The files that `shardDocuments` writes. */
export const shardsLayout: OutputLayout = {
  writes: (path) => documentShardFiles.writes(path) || /^tokenizer\/tokenizer(_config)?\.json$/.test(path),
  folders: /^(tokenizer)$/,
};

/**
 * Writes token shards, their tokenizer, `heldout-sources.json` (which lets evaluation report by source) and the lineage of
 * both splits. The folder is written atomically.
 *
 * @throws QuernError if there is nothing to train on or the folder cannot be written
 */
export async function shardDocuments({
  force,
  ...options
}: ShardDocumentsOptions & { readonly force?: boolean }): Promise<ShardsHeader> {
  const { inputs, out, heldout } = options;
  const read = typeof heldout === "object" ? [...inputs, ...heldout] : inputs;
  const claim = { verb: "shardDocuments", out, inputs: read, layout: shardsLayout, force };
  return withOutput(claim, () => shardDocumentsInto(options));
}

/** Runs `shardDocuments` in an output folder that the caller has already claimed. */
export async function shardDocumentsInto(options: ShardDocumentsOptions): Promise<ShardsHeader> {
  const { inputs, out, tokenizer, heldout = 0.01, ...calls } = options;
  const { signal } = calls;
  async function* documents(split: "train" | "heldout"): AsyncGenerator<Document> {
    const others = typeof heldout === "number" ? undefined : heldout;
    for await (const document of readTexts((split === "heldout" && others) || inputs, { signal })) {
      if (typeof heldout === "number") {
        if (isHeldOut(document.text, heldout) !== (split === "heldout")) continue;
        if (split === "heldout" && document.fields?.copy !== undefined) continue;
      }
      yield document;
    }
  }
  return writeDocumentShards(out, {
    ...{ tokenizer, train: documents("train"), heldout: documents("heldout"), ...calls },
    async writeExtraFiles(temporary) {
      await mkdir(join(temporary, "tokenizer"), { recursive: true });
      await saveTokenizer(tokenizer, join(temporary, "tokenizer"));
    },
  });
}
