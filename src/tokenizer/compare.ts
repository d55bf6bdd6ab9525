/** @file Compares tokenizers on the same texts: bytes per token, and the extra tokens that typos cause. */
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import type { Tokenizer } from "./tokenizer.js";

export interface ComparedText {
  /** The group that the figures are summed over: a language, a domain or a file. */
  readonly group: string;
  readonly text: string;
}

export interface CompareOptions {
  /** Shares of characters to mistype, from 0 to 1; default 1 %, 2 % and 5 %. */
  readonly typos?: readonly number[];
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** The figures of one tokenizer on one group. */
export interface Comparison {
  readonly group: string;
  readonly tokenizer: string;
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  readonly bytesPerToken: number;
  /** Extra tokens for each share of mistyped characters: 0.12 is 12 % more. */
  readonly typoCost: readonly number[];
}

const TYPOS = [0.01, 0.02, 0.05] as const;

/**
 * Compares tokenizers per group, and over all texts (group `all`, last). Every tokenizer gets the same typos, from `seed`.
 * @throws QuernError if there is no text
 */
export async function compareTokenizers(
  texts: Iterable<ComparedText> | AsyncIterable<ComparedText>,
  tokenizers: ReadonlyMap<string, Tokenizer>,
  { typos = TYPOS, seed = 1, signal, onProgress }: CompareOptions = {},
): Promise<Comparison[]> {
  const groups = new Map<
    string,
    Map<string, { documents: number; bytes: number; tokens: number; mistyped: number[] }>
  >();
  let documents = 0;
  for await (const { group, text } of texts) {
    signal?.throwIfAborted();
    const mistyped = typos.map((share, index) => mistype(text, share, seed + documents * typos.length + index));
    const bytes = new TextEncoder().encode(text).length;
    for (const key of [group, "all"]) {
      const row = groups.get(key) ?? new Map();
      groups.set(key, row);
      for (const name of tokenizers.keys()) {
        if (!row.has(name)) row.set(name, { documents: 0, bytes: 0, tokens: 0, mistyped: typos.map(() => 0) });
      }
    }
    for (const [name, tokenizer] of tokenizers) {
      const tokens = tokenizer.count(text);
      const mistypedTokens = mistyped.map((each) => tokenizer.count(each));
      for (const key of new Set([group, "all"])) {
        const sum = groups.get(key)!.get(name)!;
        sum.documents++;
        sum.bytes += bytes;
        sum.tokens += tokens;
        mistypedTokens.forEach((count, index) => {
          sum.mistyped[index] += count;
        });
      }
    }
    documents++;
    onProgress?.({ task: "compare tokenizers", done: documents, unit: "document" });
  }
  if (documents === 0) throw new QuernError("there is no text to compare the tokenizers on");
  const names = [...groups.keys()].filter((name) => name !== "all").sort();
  return [...names, "all"].flatMap((group) =>
    Array.from(groups.get(group)!, ([tokenizer, { documents: count, bytes, tokens, mistyped }]) => ({
      ...{ group, tokenizer, documents: count, bytes, tokens },
      bytesPerToken: tokens === 0 ? 0 : bytes / tokens,
      typoCost: mistyped.map((count) => (tokens === 0 ? 0 : count / tokens - 1)),
    })),
  );
}

/**
 * Mistypes about `share` of a text's characters. Only letters change: each is dropped, doubled, swapped with the next character,
 * or replaced by another letter of the text.
 */
export function mistype(text: string, share: number, seed: number): string {
  const characters = [...text];
  const letters = characters.flatMap((character, index) => (/\p{L}/u.test(character) ? [index] : []));
  if (letters.length === 0) return text;
  const random = generator(seed);
  const chance = (share * characters.length) / letters.length;
  const out = [...characters];
  for (const index of letters) {
    if (random() >= chance) continue;
    const kind = Math.floor(random() * 4);
    if (kind === 0) out[index] = "";
    else if (kind === 1) out[index] += characters[index];
    else if (kind === 2 && index + 1 < out.length) [out[index], out[index + 1]] = [out[index + 1], out[index]];
    else out[index] = characters[letters[Math.floor(random() * letters.length)]];
  }
  return out.join("");
}

/** Returns a generator of random numbers in [0, 1) (SplitMix by Steele and Vigna, in 32 bits). */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}
