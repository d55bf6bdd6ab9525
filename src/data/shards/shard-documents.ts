/**
 * @file Documents to token shards, with their tokenizer. A document is held out by its text alone, so that another run, with
 * more documents or in another order, holds out the same ones; copies of it are left out.
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
  /** Files or folders of documents, in the order in which they are to be seen. */
  readonly inputs: readonly string[];
  readonly out: string;
  readonly tokenizer: Tokenizer;
  /** Those that are held out: other files, or the share of the inputs that a hash of their texts takes. Default .01. */
  readonly heldout?: number | readonly string[];
  readonly fileTokens?: number;
  /** Names this work: interrupted, it goes on behind the files that are whole. */
  readonly resumeKey?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** What `shardDocuments` writes. */
export const shardsLayout: OutputLayout = {
  writes: (path) => documentShardFiles.writes(path) || /^tokenizer\/tokenizer(_config)?\.json$/.test(path),
  folders: /^(tokenizer)$/,
};

/**
 * Writes token shards with their tokenizer, `heldout-sources.json` (by which a verdict is told by source) and the lineage of
 * both splits into one folder, which is there whole or not at all.
 *
 * @throws QuernError where there is nothing to train on or the folder cannot be written
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

/** `shardDocuments` into a folder that the caller has claimed. */
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
    async beside(temporary) {
      await mkdir(join(temporary, "tokenizer"), { recursive: true });
      await saveTokenizer(tokenizer, join(temporary, "tokenizer"));
    },
  });
}
