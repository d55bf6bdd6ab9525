/**
 * @file Holds out documents for evaluation, chosen by their texts alone. A run with more documents or in another order holds
 * out the same ones, and no exact copy of a held-out document is trained on.
 */
import { join } from "node:path";
import { documentLine, isHeldOut, LineFile, readTexts, writeFolderAtomic } from "../../documents/index.js";

export interface Split {
  readonly documents: number;
  readonly bytes: number;
  readonly train: number;
  readonly trainBytes: number;
}

/** File of the held-out documents, relative to the split's folder. */
export const HELD_OUT = join("heldout", "heldout.jsonl");

/** Splits documents into `train/documents/00000.jsonl` and `heldout/heldout.jsonl` under `path`; `share` is held out. */
export function splitDocuments(
  input: string,
  path: string,
  share: number,
  signal: AbortSignal | undefined,
): Promise<Split> {
  return writeFolderAtomic(path, (folder) => split(input, folder, share, signal));
}

async function split(input: string, folder: string, share: number, signal: AbortSignal | undefined): Promise<Split> {
  const files: LineFile[] = [];
  const counts = { documents: 0, bytes: 0, train: 0, trainBytes: 0 };
  try {
    for (const name of [join("train", "documents", "00000.jsonl"), HELD_OUT])
      files.push(await LineFile.create(join(folder, name)));
    for await (const document of readTexts([input], { signal })) {
      const held = isHeldOut(document.text, share);
      const bytes = Buffer.byteLength(document.text);
      counts.documents += 1;
      counts.bytes += bytes;
      if (!held) {
        counts.train += 1;
        counts.trainBytes += bytes;
      }
      await files[held ? 1 : 0].write(documentLine(document));
    }
    for (const file of files) await file.commit();
    return counts;
  } catch (error) {
    for (const file of files) await file.discard();
    throw error;
  }
}
