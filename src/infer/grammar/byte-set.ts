/** @file Immutable sets of bytes, as 256 bits. */

export class ByteSet {
  /** (8): bit b % 32 of word b / 32 is 1 if the set has byte b. */
  readonly words: Uint32Array;
  /** Equal for equal sets. */
  readonly key: string;

  private constructor(words: Uint32Array) {
    this.words = words;
    this.key = Array.from(words, (word) => word.toString(36)).join(".");
  }

  static of(bytes: Iterable<number>): ByteSet {
    const words = new Uint32Array(8);
    for (const byte of bytes) words[byte >> 5] |= 1 << (byte & 31);
    return new ByteSet(words);
  }

  /** The bytes from `first` to `last`, both included. */
  static range(first: number, last: number): ByteSet {
    const words = new Uint32Array(8);
    for (let byte = first; byte <= last; byte++) words[byte >> 5] |= 1 << (byte & 31);
    return new ByteSet(words);
  }

  has(byte: number): boolean {
    return ((this.words[byte >> 5] >>> (byte & 31)) & 1) === 1;
  }

  get isEmpty(): boolean {
    return this.words.every((word) => word === 0);
  }

  union(other: ByteSet): ByteSet {
    return new ByteSet(this.words.map((word, i) => word | other.words[i]));
  }

  intersection(other: ByteSet): ByteSet {
    return new ByteSet(this.words.map((word, i) => word & other.words[i]));
  }
}
