/**
 * @file Documents set apart for the verdict, by their texts alone: another run, with more documents or in another order,
 * holds out the same ones, and no copy of one is trained on.
 */
import { join } from "node:path";
import { type AtomicFile, createAtomicFile, writeFolderAtomic } from "../../documents/index.js";
import { isHeldOut } from "../../tokenizer/index.js";
import { findParts } from "../pages.js";
import { readTexts, storedLine } from "../texts.js";

export interface Split {
  readonly documents: number;
  readonly bytes: number;
  readonly train: number;
  readonly trainBytes: number;
}

/** What is held out, under the split's folder. */
export const HELD_OUT = join("heldout", "heldout.jsonl");
const PIECE = 1 << 18;

/** Writes a folder with `train/documents/00000.jsonl` and `heldout/heldout.jsonl`. */
export function splitDocuments(
  input: string,
  path: string,
  share: number,
  signal: AbortSignal | undefined,
): Promise<Split> {
  return writeFolderAtomic(path, (folder) => split(input, folder, share, signal));
}

async function split(input: string, folder: string, share: number, signal: AbortSignal | undefined): Promise<Split> {
  const files: AtomicFile[] = [];
  const counts = { documents: 0, bytes: 0, train: 0, trainBytes: 0 };
  try {
    for (const name of [join("train", "documents", "00000.jsonl"), HELD_OUT])
      files.push(await createAtomicFile(join(folder, name)));
    const waiting = ["", ""];
    for await (const document of readTexts(await findParts([input], { signal }), { signal })) {
      const held = isHeldOut(document.text, share);
      const bytes = Buffer.byteLength(document.text);
      counts.documents += 1;
      counts.bytes += bytes;
      if (!held) {
        counts.train += 1;
        counts.trainBytes += bytes;
      }
      const side = held ? 1 : 0;
      waiting[side] += `${storedLine(document)}\n`;
      if (waiting[side].length < PIECE) continue;
      await files[side].write(waiting[side]);
      waiting[side] = "";
    }
    for (const [side, file] of files.entries()) {
      await file.write(waiting[side]);
      await file.commit();
    }
    return counts;
  } catch (error) {
    for (const file of files) await file.discard();
    throw error;
  }
}
