/**
 * @file Generates a corpus of synthetic documents of at least 1 KB with a seeded bigram model of real texts. Some pairs of
 * documents share a known part of their word 5-grams.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";

/** Two documents, by number (a < b), and the Jaccard similarity of their 5-grams. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  readonly jaccard: number;
}

const WORDS = 200;
const NGRAM = 5;

export async function writeDocuments(
  path: string,
  { documents, texts, seed }: { readonly documents: number; readonly texts: readonly string[]; readonly seed: number },
): Promise<{ readonly pairs: readonly Pair[]; readonly bytes: number }> {
  const random = generator(seed);
  const model = new WordPairs(texts);
  const out = createWriteStream(path);
  const pairs: Pair[] = [];
  let bytes = 0;
  const write = async (id: number, words: readonly number[]) => {
    const text = model.text(words);
    bytes += Buffer.byteLength(text);
    if (!out.write(`{"id":"${id}","text":${JSON.stringify(text)}}\n`)) await once(out, "drain");
  };
  for (let id = 0; id < documents; ) {
    const original = model.draw(random);
    await write(id, original);
    id += 1;
    // Every tenth document gets a partner: nine with similarity .5 to .95, then one dissimilar pair below .3.
    if (id % 10 !== 0 || id === documents) continue;
    const unlike = (id / 10) % 10 === 0;
    const wanted = unlike ? 0.2 + 0.09 * random() : 0.5 + 0.45 * random();
    // The beginning is shared: s common n-grams out of n per document have similarity s / (2 n - s).
    const shared = Math.round((2 * (original.length - NGRAM + 1) * wanted) / (1 + wanted)) + NGRAM - 1;
    const partner = [...original.slice(0, shared), ...model.draw(random).slice(shared)];
    const jaccard = similarity(original, partner);
    if (unlike && jaccard >= 0.3) throw new Error(`a dissimilar pair has similarity ${jaccard}`);
    await write(id, partner);
    pairs.push({ a: id - 1, b: id, jaccard });
    id += 1;
  }
  out.end();
  await once(out, "finish");
  return { pairs, bytes };
}

/** Bigram model: samples each word from those that followed the previous one in the texts. Words are numbers. */
class WordPairs {
  readonly #words: readonly string[];
  readonly #sequence: Int32Array;
  /** Positions of each word in the sequence, grouped by word. */
  readonly #places: Int32Array;
  readonly #starts: Int32Array;

  constructor(texts: readonly string[]) {
    const numbers = new Map<string, number>();
    const sequence: number[] = [];
    for (const text of texts) {
      for (const word of text.split(" ")) {
        if (word === "") continue;
        let number = numbers.get(word);
        if (number === undefined) {
          number = numbers.size;
          numbers.set(word, number);
        }
        sequence.push(number);
      }
    }
    this.#words = [...numbers.keys()];
    this.#sequence = Int32Array.from(sequence);
    this.#starts = new Int32Array(this.#words.length + 1);
    for (const number of sequence) this.#starts[number + 1] += 1;
    for (let i = 0; i < this.#words.length; i++) this.#starts[i + 1] += this.#starts[i];
    const next = this.#starts.slice();
    this.#places = new Int32Array(sequence.length);
    for (const [place, number] of sequence.entries()) this.#places[next[number]++] = place;
  }

  draw(random: () => number): number[] {
    const words: number[] = [];
    const length = this.#sequence.length;
    let word = this.#sequence[Math.floor(random() * length)];
    // At least 1 KB, whatever the words.
    for (let bytes = 0; words.length < WORDS || bytes < 1040; ) {
      words.push(word);
      bytes += this.#words[word].length + 1;
      const [from, to] = [this.#starts[word], this.#starts[word + 1]];
      const place = this.#places[from + Math.floor(random() * (to - from))];
      // A word with few successors would reproduce its source text.
      const jumps = to - from < 3 || place + 1 === length || random() < 0.2;
      word = this.#sequence[jumps ? Math.floor(random() * length) : place + 1];
    }
    return words;
  }

  text(words: readonly number[]): string {
    let text = "";
    for (const word of words) text += text === "" ? this.#words[word] : ` ${this.#words[word]}`;
    return text;
  }
}

function similarity(a: readonly number[], b: readonly number[]): number {
  const grams = (words: readonly number[]) => {
    const set = new Set<string>();
    for (let i = 0; i + NGRAM <= words.length; i++) set.add(words.slice(i, i + NGRAM).join(" "));
    return set;
  };
  const [x, y] = [grams(a), grams(b)];
  let both = 0;
  for (const gram of x) if (y.has(gram)) both += 1;
  return both / (x.size + y.size - both);
}

/** Random numbers in [0, 1) (xorshift128, Marsaglia 2003). */
function generator(seed: number): () => number {
  let [x, y, z, w] = [seed, 362436069, 521288629, 88675123];
  return () => {
    const t = x ^ (x << 11);
    [x, y, z] = [y, z, w];
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return (w >>> 0) / 2 ** 32;
  };
}
