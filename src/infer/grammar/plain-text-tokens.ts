/** @file The tokens of a vocabulary that are plain text, by their number of characters. */
import { buildTrie, type TokenEntry, type TokenTrie } from "./token-trie.js";

/** The tokens that are whole characters without quotes, backslashes and control characters, which most strings take. */
export interface PlainTextTokens {
  /** By the largest number of characters: the mask of the tokens with no more. The last holds all. */
  readonly masks: readonly Uint32Array[];
  /** The trie of all other tokens. */
  readonly others: TokenTrie;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param size V, the number of logits */
export function plainTextTokens(entries: readonly TokenEntry[], size: number): PlainTextTokens {
  const others: TokenEntry[] = [];
  const byLength: number[][] = [];
  for (const entry of entries) {
    const characters = characterCount(entry.bytes);
    if (characters === undefined) {
      others.push(entry);
      continue;
    }
    byLength[characters] ??= [];
    byLength[characters].push(entry.id);
  }
  const masks: Uint32Array[] = [];
  const mask = new Uint32Array(Math.ceil(size / 32));
  for (let length = 0; length < Math.max(1, byLength.length); length++) {
    for (const id of byLength[length] ?? []) mask[id >> 5] |= 1 << (id & 31);
    masks.push(mask.slice());
  }
  return { masks, others: buildTrie(others) };
}

/** The characters of a token, undefined if it has others than plain text. */
function characterCount(bytes: Uint8Array): number | undefined {
  if (bytes.some((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c)) return undefined;
  try {
    return Array.from(utf8.decode(bytes)).length;
  } catch {
    return undefined;
  }
}
