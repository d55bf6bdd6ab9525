/**
 * @file A corpus of made-up documents of at least a kilobyte, by a seeded model of word pairs over real texts, with pairs
 * of documents that share a known part of their word 5-grams.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";

/** Two documents, by their numbers (a < b), and the share of their 5-grams that they have in common. */
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
    // Every tenth document gets a partner: nine from .5 to .95, then one of the unlike ones below .3.
    if (id % 10 !== 0 || id === documents) continue;
    const unlike = (id / 10) % 10 === 0;
    const wanted = unlike ? 0.2 + 0.09 * random() : 0.5 + 0.45 * random();
    // The beginning is shared: s n-grams of n each are s / (2 n - s) of all.
    const shared = Math.round((2 * (original.length - NGRAM + 1) * wanted) / (1 + wanted)) + NGRAM - 1;
    const partner = [...original.slice(0, shared), ...model.draw(random).slice(shared)];
    const jaccard = similarity(original, partner);
    if (unlike && jaccard >= 0.3) throw new Error(`an unlike pair has ${jaccard}`);
    await write(id, partner);
    pairs.push({ a: id - 1, b: id, jaccard });
    id += 1;
  }
  out.end();
  await once(out, "finish");
  return { pairs, bytes };
}

/** Each word by one that followed it in the texts; words are numbers. */
class WordPairs {
  readonly #words: readonly string[];
  readonly #sequence: Int32Array;
  /** Places of each word in the sequence, one word after the other. */
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
    // Long enough for a kilobyte whatever the words.
    for (let bytes = 0; words.length < WORDS || bytes < 1040; ) {
      words.push(word);
      bytes += this.#words[word].length + 1;
      const [from, to] = [this.#starts[word], this.#starts[word + 1]];
      const place = this.#places[from + Math.floor(random() * (to - from))];
      // A word with few successors would lead along the text that it is of.
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

/** Numbers from 0 to below 1 (xorshift128, Marsaglia 2003). */
function generator(seed: number): () => number {
  let [x, y, z, w] = [seed, 362436069, 521288629, 88675123];
  return () => {
    const t = x ^ (x << 11);
    [x, y, z] = [y, z, w];
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return (w >>> 0) / 2 ** 32;
  };
}
