/** @file From a token back to the document that it is of, and to the archive that this was read from. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import {
  type LineageEntry,
  loadTokenizer,
  openShards,
  readLineage,
  type ShardsHeader,
  type Tokenizer,
  tokenizerHash,
} from "../../tokenizer/index.js";

export interface Whereabouts extends LineageEntry {
  readonly split: "train" | "heldout";
  readonly position: number;
  /** The document's number in the split, and the token's in the document. */
  readonly document: number;
  readonly token: number;
  /** Where the token's text begins in the document's, in bytes of UTF-8; null where the shards have no tokenizer beside them. */
  readonly byte: number | null;
  /** Tokens of the document, its end among them. */
  readonly tokens: number;
  /** What stands before, in and after the token; empty without a tokenizer. */
  readonly context: readonly [before: string, text: string, after: string];
}

/** Tokens shown on either side. */
const SHOWN = 24;

/**
 * The document behind a token of shards, counted from 0 in its split. Of a corpus or a training run its folder will do.
 *
 * @throws QuernError for a position that the split does not have, shards without lineage
 */
export async function where(
  place: string,
  position: number,
  { split = "train" }: { readonly split?: "train" | "heldout" } = {},
): Promise<Whereabouts> {
  const folder = [place, join(place, "shards"), join(place, "tokens")].find(hasShards) ?? place;
  const shards = openShards(folder);
  try {
    const { header } = shards;
    const { tokens } = shards[split];
    if (!Number.isInteger(position) || position < 0 || position >= tokens) {
      const name = split === "train" ? "training" : "held-out";
      throw new QuernError(`${folder} has no ${name} token ${position}; it has ${tokens}, from 0`, { exitCode: 2 });
    }
    const { document, start, end } = findDocument(folder, header[split].files, position);
    const lineage = await readLineage(folder, split, document);
    const place = { split, position, document, token: position - start, tokens: end - start } as const;
    const tokenizer = await tokenizerBeside(folder, header.tokenizer);
    if (tokenizer === null) return { ...lineage, ...place, byte: null, context: ["", "", ""] };
    const decode = (from: number, to: number) =>
      tokenizer.decode(
        shards[split].read(Math.max(start, from), Math.max(0, Math.min(to, end) - Math.max(start, from))),
      );
    return {
      ...lineage,
      ...place,
      byte: tokenizer.decodeBytes(shards[split].read(start, position - start)).length,
      context: [
        decode(position - SHOWN, position),
        decode(position, position + 1),
        decode(position + 1, position + 1 + SHOWN),
      ],
    };
  } finally {
    shards.close();
  }
}

const hasShards = (folder: string) => existsSync(join(folder, "shards.json"));

/** Of a corpus in the folder itself, of a training run beside it. */
async function tokenizerBeside(folder: string, hash: string): Promise<Tokenizer | null> {
  for (const place of [folder, dirname(folder)]) {
    const tokenizer = await loadTokenizer(join(place, "tokenizer")).catch(() => null);
    if (tokenizer !== null && tokenizerHash(tokenizer) === hash) return tokenizer;
  }
  return null;
}

/** By halving in the index of the file that has the token: some twenty reads of four bytes. */
function findDocument(folder: string, files: ShardsHeader["train"]["files"], position: number) {
  let [tokens, documents] = [0, 0];
  let file = files[0];
  for (file of files) {
    if (position < tokens + file.tokens) break;
    tokens += file.tokens;
    documents += file.documents;
  }
  const path = join(folder, `${file.name}.ends`);
  let handle: number | undefined;
  try {
    handle = openSync(path, "r");
    const opened = handle;
    const bytes = Buffer.alloc(4);
    const endOf = (index: number) => {
      if (index < 0) return tokens;
      readSync(opened, bytes, 0, 4, 4 * index);
      return tokens + bytes.readUInt32LE(0);
    };
    let [low, high] = [0, file.documents - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (endOf(middle) > position) high = middle;
      else low = middle + 1;
    }
    const [start, end] = [endOf(low - 1), endOf(low)];
    if (start > position || end <= position || end > tokens + file.tokens) {
      throw new QuernError(`${path} is not what was written: no document ends where it says; write the shards again`);
    }
    return { document: documents + low, start, end };
  } catch (error) {
    throw fileError(error, "read", path);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
