/** @file Several tokenizers over the same texts: bytes per token, and what mistyped characters cost. */
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import type { Tokenizer } from "./tokenizer.js";

export interface ComparedText {
  /** What the figures are gathered by: a language, a domain, a file. */
  readonly group: string;
  readonly text: string;
}

export interface CompareOptions {
  /** Shares of the characters that are mistyped. */
  readonly typos?: readonly number[];
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** One tokenizer on one group. */
export interface Comparison {
  readonly group: string;
  readonly tokenizer: string;
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  readonly bytesPerToken: number;
  /** For each share of mistyped characters, how many more tokens: .12 is 12 % more. */
  readonly typoCost: readonly number[];
}

const TYPOS = [0.01, 0.02, 0.05] as const;

/**
 * Compares tokenizers group by group, and over all (`all`, last). Texts are mistyped from a seed, the same for every
 * tokenizer.
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
      const more = mistyped.map((each) => tokenizer.count(each));
      for (const key of new Set([group, "all"])) {
        const sum = groups.get(key)!.get(name)!;
        sum.documents++;
        sum.bytes += bytes;
        sum.tokens += tokens;
        more.forEach((count, index) => {
          sum.mistyped[index] += count;
        });
      }
    }
    documents++;
    onProgress?.({ task: "compare tokenizers", done: documents, unit: "document" });
  }
  if (documents === 0) throw new QuernError("there is no text to compare on");
  const names = [...groups.keys()].filter((name) => name !== "all").sort();
  return [...names, "all"].flatMap((group) =>
    Array.from(groups.get(group)!, ([tokenizer, { documents: count, bytes, tokens, mistyped }]) => ({
      ...{ group, tokenizer, documents: count, bytes, tokens },
      bytesPerToken: tokens === 0 ? 0 : bytes / tokens,
      typoCost: mistyped.map((more) => (tokens === 0 ? 0 : more / tokens - 1)),
    })),
  );
}

/**
 * A text with about that share of its characters mistyped. It is letters that are: left out, doubled, exchanged with the next,
 * or replaced by another letter of the same text.
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

/** Numbers in [0, 1) from a seed (Steele and Vigna's SplitMix, in 32 bits). */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}
