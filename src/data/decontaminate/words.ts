/**
 * @file Splits a text into words for comparison: runs of letters and digits, in lower case and without diacritics; every other
 * character separates words. In scripts written without spaces each character is a word. A word has two 32-bit hashes and
 * its place in the text.
 */

/** Values of the fold table. Others: 2 + the folded code unit, or ALONE + the unit for a word of one character. */
const SEPARATOR = 0;
const IGNORED = 1;
const ALONE = 0x20000;

let folds: Int32Array | undefined;

/** Returns the value of each of the 65,536 UTF-16 units. Computed once, in about 20 ms. */
function foldTable(): Int32Array {
  if (folds !== undefined) return folds;
  const table = new Int32Array(65536);
  for (let unit = 0; unit < 65536; unit++) {
    const text = String.fromCharCode(unit);
    if (unit >= 0xd800 && unit < 0xe000)
      table[unit] = 2 + unit; // surrogate: half of a character above U+FFFF
    else if (/\p{M}/u.test(text)) table[unit] = IGNORED;
    else if (
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u.test(
        text,
      )
    )
      table[unit] = ALONE + unit;
    else if (/[\p{L}\p{N}]/u.test(text)) {
      const base = text.normalize("NFD").charCodeAt(0);
      // Strips diacritics from Latin letters only. Hangul, which NFD also decomposes, stays whole.
      const plain = base < 0x250 ? String.fromCharCode(base) : text;
      const lower = plain.toLowerCase();
      table[unit] = 2 + (lower.length === 1 ? lower : plain).charCodeAt(0);
    }
  }
  folds = table;
  return table;
}

const mix = (hash: number) => {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
};

/** Splits one text after another into words, reusing its arrays. Elements below `count` are valid. */
export class OverlapWords {
  count = 0;
  /** First hash of each word. */
  first = new Int32Array(1024);
  /** Second hash of each word. */
  second = new Int32Array(1024);
  /** UTF-16 offsets of each word in the text. */
  starts = new Int32Array(1024);
  ends = new Int32Array(1024);

  read(text: string): void {
    const table = foldTable();
    this.count = 0;
    let begun = -1;
    let [a, b] = [0, 0];
    for (let at = 0; at < text.length; at++) {
      const fold = table[text.charCodeAt(at)];
      if (fold === IGNORED) continue;
      if (fold === SEPARATOR || fold >= ALONE) {
        if (begun >= 0) this.#add(a, b, begun, at);
        begun = -1;
        if (fold >= ALONE) this.#add(fold, Math.imul(fold, 0x9e3779b1), at, at + 1);
        continue;
      }
      if (begun < 0) {
        begun = at;
        a = 0x811c9dc5 | 0;
        b = 0x2545f491;
      }
      a = Math.imul(a ^ fold, 0x01000193);
      b = Math.imul(b + fold, 0x9e3779b1) ^ (b >>> 15);
    }
    if (begun >= 0) this.#add(a, b, begun, text.length);
  }

  #add(a: number, b: number, start: number, end: number): void {
    if (this.count === this.first.length) this.#grow();
    this.first[this.count] = mix(a);
    this.second[this.count] = mix(b ^ 0x5bd1e995);
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count += 1;
  }

  #grow(): void {
    for (const key of ["first", "second", "starts", "ends"] as const) {
      const grown = new Int32Array(2 * this[key].length);
      grown.set(this[key]);
      this[key] = grown;
    }
  }
}

const FACTORS = [0x01000193, 0x9e3779b1 | 0] as const;

/** Calls `visit` with the two 32-bit rolling hashes (Karp and Rabin 1987) of each n-gram, which starts at word `at`. */
export function eachGram(words: OverlapWords, n: number, visit: (at: number, low: number, high: number) => void): void {
  let [low, high] = [0, 0];
  let [dropLow, dropHigh] = [1, 1];
  for (let i = 0; i < n; i++) {
    dropLow = Math.imul(dropLow, FACTORS[0]);
    dropHigh = Math.imul(dropHigh, FACTORS[1]);
  }
  const { first, second, count } = words;
  for (let at = 0; at < count; at++) {
    low = (Math.imul(low, FACTORS[0]) + first[at]) | 0;
    high = (Math.imul(high, FACTORS[1]) + second[at]) | 0;
    if (at >= n) {
      low = (low - Math.imul(dropLow, first[at - n])) | 0;
      high = (high - Math.imul(dropHigh, second[at - n])) | 0;
    }
    if (at >= n - 1) visit(at - n + 1, low, high);
  }
}
