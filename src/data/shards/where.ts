/** @file Traces a token back to its document and to the archive the document was read from. */
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

/** The origin of a token. */
export interface TokenOrigin extends LineageEntry {
  readonly split: "train" | "heldout";
  readonly position: number;
  /** The document's index in the split. */
  readonly document: number;
  /** The token's index in the document. */
  readonly token: number;
  /** UTF-8 byte offset of the token in the document's text; null if no tokenizer is stored next to the shards. */
  readonly byte: number | null;
  /** Tokens of the document, including its end token. */
  readonly tokens: number;
  /** Text before, of and after the token; empty without a tokenizer. */
  readonly context: readonly [before: string, text: string, after: string];
}

/** Tokens of context on either side. */
const CONTEXT = 24;

/**
 * Finds the document that contains a token.
 *
 * @param place folder of the shards, or of the corpus or training run that contains them
 * @param position of the token in its split, from 0
 * @throws QuernError for a position outside the split, or shards without lineage
 */
export async function where(
  place: string,
  position: number,
  { split = "train" }: { readonly split?: "train" | "heldout" } = {},
): Promise<TokenOrigin> {
  const folder = [place, join(place, "shards"), join(place, "tokens")].find(hasShards) ?? place;
  const shards = openShards(folder);
  try {
    const { header } = shards;
    const { tokens } = shards[split];
    if (!Number.isInteger(position) || position < 0 || position >= tokens) {
      const name = split === "train" ? "training" : "held-out";
      throw new QuernError(`${folder} has no ${name} token ${position}; its ${tokens} tokens are numbered from 0`, {
        exitCode: 2,
      });
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
        decode(position - CONTEXT, position),
        decode(position, position + 1),
        decode(position + 1, position + 1 + CONTEXT),
      ],
    };
  } finally {
    shards.close();
  }
}

const hasShards = (folder: string) => existsSync(join(folder, "shards.json"));

/** Loads the tokenizer of the shards: a corpus has it in the folder itself, a training run next to the folder. */
async function tokenizerBeside(folder: string, hash: string): Promise<Tokenizer | null> {
  for (const place of [folder, dirname(folder)]) {
    const tokenizer = await loadTokenizer(join(place, "tokenizer")).catch(() => null);
    if (tokenizer !== null && tokenizerHash(tokenizer) === hash) return tokenizer;
  }
  return null;
}

/** Finds a token's document by bisection in its file's index: about twenty reads of four bytes. */
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
      throw new QuernError(
        `${path} does not match its shard: no document contains token ${position}; write the shards again`,
      );
    }
    return { document: documents + low, start, end };
  } catch (error) {
    throw fileError(error, "read", path);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
