/**
 * @file Python's `random.Random`: the same seeds give the same draws. Few-shot examples, shuffled choices and bootstrap errors
 * of published results depend on it. The generator is MT19937 (Matsumoto and Nishimura 1998).
 */
import { createHash } from "node:crypto";
import { QuernError } from "../../errors.js";

/** Words of state. */
const N = 624;
const M = 397;
const UPPER = 0x80000000;
const LOWER = 0x7fffffff;
const MATRIX = 0x9908b0df;

/** A whole number of either sign, or text. */
export type PythonSeed = number | bigint | string;

export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #next = N;
  #spareGauss: number | null = null;

  /** @throws QuernError for a seed with a fraction, or beyond 2^53 as a number */
  constructor(seed: PythonSeed) {
    this.seed(seed);
  }

  /** Starts the sequence of `seed` again. Text is hashed with SHA-512, as Python's seeding version 2 does. */
  seed(seed: PythonSeed): void {
    this.#spareGauss = null;
    this.#fillByArray(seedWords(seed));
  }

  /** Starts the sequence of NumPy's `RandomState(seed)`, for seeds below 2^32. */
  seedAsNumpy(seed: number): void {
    this.#spareGauss = null;
    this.#fillBySeed(seed);
  }

  /** Returns 32 random bits. */
  #word(): number {
    if (this.#next === N) this.#refill();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #refill(): void {
    const s = this.#state;
    for (let i = 0; i < N; i++) {
      const y = (s[i]! & UPPER) | (s[i + 1 === N ? 0 : i + 1]! & LOWER);
      s[i] = s[i + M < N ? i + M : i + M - N]! ^ (y >>> 1) ^ (y & 1 ? MATRIX : 0);
    }
    this.#next = 0;
  }

  #fillBySeed(seed: number): void {
    const s = this.#state;
    s[0] = seed;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1]! ^ (s[i - 1]! >>> 30)) + i;
    this.#next = N;
  }

  #fillByArray(key: readonly number[]): void {
    this.#fillBySeed(19650218);
    const s = this.#state;
    let i = 1;
    let j = 0;
    const advance = () => {
      if (++i < N) return;
      s[0] = s[N - 1]!;
      i = 1;
    };
    for (let k = Math.max(N, key.length); k > 0; k--) {
      s[i] = (s[i]! ^ Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), 1664525)) + key[j]! + j;
      advance();
      j = (j + 1) % key.length;
    }
    for (let k = N - 1; k > 0; k--) {
      s[i] = (s[i]! ^ Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), 1566083941)) - i;
      advance();
    }
    s[0] = UPPER;
  }

  /** Returns a number in [0, 1) with 53 random bits. */
  random(): number {
    const high = this.#word() >>> 5;
    const low = this.#word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** Returns a whole number of `bits` random bits, 0 ≤ bits ≤ 53. */
  getrandbits(bits: number): number {
    if (!Number.isInteger(bits) || bits < 0 || bits > 53) {
      throw new QuernError(`getrandbits takes 0 to 53 bits, not ${bits}; use getrandbitsBig for more`);
    }
    if (bits === 0) return 0;
    if (bits <= 32) return this.#word() >>> (32 - bits);
    const low = this.#word();
    return (this.#word() >>> (64 - bits)) * 4294967296 + low;
  }

  /** Returns a whole number of `bits` random bits, without a limit. */
  getrandbitsBig(bits: number): bigint {
    let value = 0n;
    for (let done = 0; done < bits; done += 32) {
      const left = Math.min(32, bits - done);
      value |= BigInt(this.#word() >>> (32 - left)) << BigInt(done);
    }
    return value;
  }

  /** Returns a whole number in [0, below), each equally likely; Python's `_randbelow`. */
  randbelow(below: number): number {
    if (!Number.isSafeInteger(below) || below < 1) {
      throw new QuernError(`a random whole number needs at least one to choose from, not ${below}`);
    }
    const bits = bitLength(below);
    let value = this.getrandbits(bits);
    while (value >= below) value = this.getrandbits(bits);
    return value;
  }

  /** Returns a whole number of `range(start, stop, step)`; with one argument of `range(start)`. */
  randrange(start: number, stop?: number, step = 1): number {
    if (stop === undefined) return this.randbelow(start);
    const width = stop - start;
    const count = step > 0 ? Math.floor((width + step - 1) / step) : Math.floor((width + step + 1) / step);
    return start + step * this.randbelow(count);
  }

  /** Returns a whole number from `low` to `high`, both included. */
  randint(low: number, high: number): number {
    return this.randrange(low, high + 1);
  }

  /** Returns a number between `low` and `high`. */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** Returns a draw of a normal distribution; draws come in pairs, and the second is kept for the next call. */
  gauss(mean = 0, deviation = 1): number {
    let z = this.#spareGauss;
    this.#spareGauss = null;
    if (z === null) {
      const angle = this.random() * 2 * Math.PI;
      const radius = Math.sqrt(-2 * Math.log(1 - this.random()));
      z = Math.cos(angle) * radius;
      this.#spareGauss = Math.sin(angle) * radius;
    }
    return mean + z * deviation;
  }

  /** Shuffles `items` in place. */
  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.randbelow(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
  }

  /** Returns one item. */
  choice<T>(items: readonly T[]): T {
    if (items.length === 0) throw new QuernError("cannot choose from an empty list");
    return items[this.randbelow(items.length)]!;
  }

  /**
   * Returns `count` different positions of `items`, in random order. Python draws from a shrinking pool if the list is short,
   * else it draws again after a repeated position; the results differ, so the same rule is used here.
   *
   * @throws QuernError for more than there are
   */
  sample<T>(items: readonly T[], count: number): T[] {
    const n = items.length;
    if (count < 0 || count > n) throw new QuernError(`cannot sample ${count} of ${n} items without repetition`);
    const setSize = count > 5 ? 21 + 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 21;
    const chosen: T[] = [];
    if (n <= setSize) {
      const pool = [...items];
      for (let i = 0; i < count; i++) {
        const j = this.randbelow(n - i);
        chosen.push(pool[j]!);
        pool[j] = pool[n - i - 1]!;
      }
      return chosen;
    }
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      let j = this.randbelow(n);
      while (seen.has(j)) j = this.randbelow(n);
      seen.add(j);
      chosen.push(items[j]!);
    }
    return chosen;
  }

  /** Returns `count` items drawn with replacement, in proportion to `weights` if given. */
  choices<T>(items: readonly T[], count: number, weights?: readonly number[]): T[] {
    const n = items.length;
    if (n === 0) throw new QuernError("cannot choose from an empty list");
    if (weights === undefined) return Array.from({ length: count }, () => items[Math.floor(this.random() * n)]!);
    if (weights.length !== n) throw new QuernError(`there are ${weights.length} weights for ${n} items`);
    const cumulative = new Float64Array(n);
    let total = 0;
    for (let i = 0; i < n; i++) {
      total += weights[i]!;
      cumulative[i] = total;
    }
    if (!(total > 0 && Number.isFinite(total))) throw new QuernError(`the weights add up to ${total}, not above zero`);
    return Array.from({ length: count }, () => items[firstAbove(cumulative, this.random() * total)]!);
  }

  /** Fills `positions` with draws from [0, below) with replacement: the positions that `choices` draws. */
  drawPositions(positions: Uint32Array, below: number): void {
    for (let i = 0; i < positions.length; i++) positions[i] = Math.floor(this.random() * below);
  }
}

/** Returns the first position whose cumulative weight is above `x`; at most the last. */
function firstAbove(cumulative: Float64Array, x: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (x < cumulative[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

function bitLength(value: number): number {
  return value <= 0xffffffff ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 4294967296));
}

/** Returns the seed's magnitude as 32-bit words, the least first. */
function seedWords(seed: PythonSeed): number[] {
  let value: bigint;
  if (typeof seed === "string") {
    const text = Buffer.from(seed, "utf8");
    const hash = createHash("sha512").update(text).digest("hex");
    value = BigInt(`0x${text.toString("hex")}${hash}`);
  } else {
    if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
      throw new QuernError(`a seed must be a whole number below 2^53 or text, not ${seed}`, { exitCode: 2 });
    }
    value = BigInt(seed);
    if (value < 0n) value = -value;
  }
  const words: number[] = [];
  do {
    words.push(Number(value & 0xffffffffn));
    value >>= 32n;
  } while (value > 0n);
  return words;
}
