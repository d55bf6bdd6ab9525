/**
 * @file Writes documents as token shards that record the origin of every document: the lineage of both splits, and
 * `heldout-sources.json` for the loss per source.
 */
import type { GivenDocument } from "../../documents/index.js";
import { batchesOf } from "../text-tasks.js";
import { writeHeldOutSources } from "./held-out-sources.js";
import { type LineageEntry, LineageWriter } from "./lineage.js";
import type { ShardsHeader } from "./shards.js";
import { shardFiles, type WriteShardsOptions, writeTasks } from "./write-shards.js";

type Documents = Iterable<GivenDocument> | AsyncIterable<GivenDocument>;

export interface WriteDocumentShardsOptions extends Omit<WriteShardsOptions, "train" | "heldout"> {
  readonly train: Documents;
  readonly heldout: Documents;
}

/** The files that `writeDocumentShards` writes. */
export const documentShardFiles = {
  writes: (path: string) =>
    shardFiles.writes(path) || /^(lineage-(train|heldout)\.(jsonl|starts)|heldout-sources\.json)$/.test(path),
};

/**
 * Writes the shards into a folder that the caller has claimed, as `writeShardsInto` does. With `resumeKey`, a resumed call must
 * pass the same documents in the same order.
 * @throws QuernError if there is no text to train on or the folder cannot be written
 */
export async function writeDocumentShards(
  folder: string,
  { train, heldout, writeExtraFiles, ...options }: WriteDocumentShardsOptions,
): Promise<ShardsHeader> {
  let inside = folder;
  const sources: { source: string; documents: number }[] = [];
  async function* texts(split: "train" | "heldout", documents: Documents): AsyncGenerator<string> {
    const lineage = await LineageWriter.create(inside, split);
    try {
      for await (const document of documents) {
        if (document.text === "") continue;
        await lineage.add(lineageOf(document));
        if (split === "heldout") count(sources, document.source ?? "");
        yield document.text;
      }
      await lineage.commit();
    } finally {
      await lineage.discard();
    }
  }
  return writeTasks(folder, {
    ...options,
    train: batchesOf(texts("train", train)),
    heldout: batchesOf(texts("heldout", heldout)),
    onFolder(temporary) {
      inside = temporary;
    },
    async writeExtraFiles(temporary) {
      await writeHeldOutSources(temporary, sources);
      await writeExtraFiles?.(temporary);
    },
  });
}

function count(sources: { source: string; documents: number }[], source: string): void {
  const last = sources.at(-1);
  if (last?.source === source) last.documents += 1;
  else sources.push({ source, documents: 1 });
}

/** The lineage of a document; its source replaces a missing origin. */
function lineageOf({ id = "", url, source = "", origin = { archive: source }, fields }: GivenDocument): LineageEntry {
  const { group, copy } = fields ?? {};
  return {
    ...{ id, url, source, ...origin },
    ...(typeof group === "string" ? { group } : {}),
    ...(typeof copy === "number" ? { copy } : {}),
  };
}
