/**
 * @file Documents to token shards that know where every token comes from. A document is held out by its text alone, so that
 * another run, with more documents or in another order, holds out the same ones; copies of it are left out.
 */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Document,
  makeFolder,
  type OutputLayout,
  readTexts,
  temporaryName,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import {
  isHeldOut,
  type LineageEntry,
  LineageWriter,
  lineageFiles,
  type ShardsHeader,
  saveTokenizer,
  shardFiles,
  type Tokenizer,
  writeShardsInto,
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
  writes: (path) =>
    shardFiles.writes(path) ||
    /^(lineage-(train|heldout)\.(jsonl|starts)|heldout-sources\.json|tokenizer\/tokenizer(_config)?\.json)$/.test(path),
  folders: /^(tokenizer)$/,
};

function lineageOf({ id, url, source, origin, fields }: Document): LineageEntry {
  const { group, copy } = fields ?? {};
  return {
    ...{ id, url, source, archive: origin.archive, offset: origin.offset, time: origin.time },
    ...(typeof group === "string" ? { group } : {}),
    ...(typeof copy === "number" ? { copy } : {}),
  };
}

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
  const { inputs, out, tokenizer, heldout = 0.01, fileTokens, resumeKey, signal, onProgress } = options;
  const others = typeof heldout === "number" ? undefined : heldout;
  const isOf = (split: string, { text, fields }: Document) => {
    if (typeof heldout !== "number") return true;
    if (isHeldOut(text, heldout) !== (split === "heldout")) return false;
    return split === "train" || fields?.copy === undefined;
  };
  await makeFolder(out);
  const folder = temporaryName(join(out, "shards.json"));
  const sources: { source: string; documents: number }[] = [];
  const count = ({ source }: Document) => {
    const last = sources.at(-1);
    if (last?.source === source) last.documents += 1;
    else sources.push({ source, documents: 1 });
  };
  async function* texts(split: "train" | "heldout"): AsyncGenerator<string> {
    const lineage = await LineageWriter.create(folder, split);
    try {
      for await (const document of readTexts((split === "heldout" && others) || inputs, { signal })) {
        if (!isOf(split, document)) continue;
        await lineage.add(lineageOf(document));
        if (split === "heldout") count(document);
        yield document.text;
      }
      await lineage.commit();
    } finally {
      await lineage.discard();
    }
  }
  try {
    return await writeShardsInto(out, {
      ...{ tokenizer, train: texts("train"), heldout: texts("heldout"), fileTokens, resumeKey, signal, onProgress },
      async beside(temporary) {
        for (const name of [...lineageFiles("train"), ...lineageFiles("heldout")])
          await rename(join(folder, name), join(temporary, name));
        await writeFileAtomic(join(temporary, "heldout-sources.json"), `${JSON.stringify(sources)}\n`);
        await mkdir(join(temporary, "tokenizer"), { recursive: true });
        await saveTokenizer(tokenizer, join(temporary, "tokenizer"));
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
