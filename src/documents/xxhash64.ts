/**
 * @file xxHash64 (Collet; published specification) with seed 0; Zstandard's checksum is its lower half. A 64-bit number is
 * stored as two 32-bit numbers, because BigInts are about ten times slower.
 */

const P1 = [0x85ebca87, 0x9e3779b1] as const;
const P2 = [0x27d4eb4f, 0xc2b2ae3d] as const;
const P3 = [0x9e3779f9, 0x165667b1] as const;
const P4 = [0xc2b2ae63, 0x85ebca77] as const;
const P5 = [0x165667c5, 0x27d4eb2f] as const;
type Constant = readonly [low: number, high: number];

/** The 64-bit result of the functions below. */
let low = 0;
let high = 0;

function multiply(aLow: number, aHigh: number, [bLow, bHigh]: Constant): void {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const first = a0 * b0;
  const middle = a0 * b1 + a1 * b0 + Math.floor(first / 65536);
  low = ((middle & 0xffff) << 16) | (first & 0xffff);
  high = (a1 * b1 + Math.floor(middle / 65536) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
}

function add(aLow: number, aHigh: number, bLow: number, bHigh: number): void {
  const sum = (aLow >>> 0) + (bLow >>> 0);
  low = sum | 0;
  high = (aHigh + bHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
}

/** Rotates the last result to the left, by fewer than 32 bits. */
function rotate(by: number): void {
  const up = (high << by) | (low >>> (32 - by));
  low = (low << by) | (high >>> (32 - by));
  high = up;
}

/** One round of a lane: mixes an input into an accumulator. */
function round(sumLow: number, sumHigh: number, inLow: number, inHigh: number): void {
  multiply(inLow, inHigh, P2);
  add(sumLow, sumHigh, low, high);
  rotate(31);
  multiply(low, high, P1);
}

const STRIPE = 32;

export class XxHash64 {
  /** Four accumulators, each as low and high half. */
  readonly #lanes = new Int32Array(8);
  readonly #held = Buffer.alloc(STRIPE);
  #heldLength = 0;
  #total = 0;

  constructor() {
    add(P1[0], P1[1], P2[0], P2[1]);
    this.#lanes.set([low, high, P2[0], P2[1], 0, 0, -P1[0], ~P1[1]]);
  }

  update(bytes: Buffer): void {
    this.#total += bytes.length;
    let at = 0;
    if (this.#heldLength > 0) {
      at = Math.min(STRIPE - this.#heldLength, bytes.length);
      bytes.copy(this.#held, this.#heldLength, 0, at);
      this.#heldLength += at;
      if (this.#heldLength < STRIPE) return;
      this.#stripes(this.#held, 0, STRIPE);
      this.#heldLength = 0;
    }
    const end = at + Math.floor((bytes.length - at) / STRIPE) * STRIPE;
    this.#stripes(bytes, at, end);
    this.#heldLength = bytes.copy(this.#held, 0, end);
  }

  #stripes(bytes: Buffer, from: number, to: number): void {
    const lanes = this.#lanes;
    for (let at = from; at < to; at += 8) {
      const lane = ((at - from) >> 2) & 6;
      const first = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      const second = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
      round(lanes[lane], lanes[lane + 1], first, second);
      lanes[lane] = low;
      lanes[lane + 1] = high;
    }
  }

  /** The lower 32 bits. */
  digest(): number {
    const lanes = this.#lanes;
    let sum: Constant;
    if (this.#total >= STRIPE) {
      sum = [0, 0];
      [1, 7, 12, 18].forEach((by, i) => {
        low = lanes[2 * i];
        high = lanes[2 * i + 1];
        rotate(by);
        add(sum[0], sum[1], low, high);
        sum = [low, high];
      });
      for (let i = 0; i < 8; i += 2) {
        round(0, 0, lanes[i], lanes[i + 1]);
        multiply(sum[0] ^ low, sum[1] ^ high, P1);
        add(low, high, ...P4);
        sum = [low, high];
      }
    } else sum = P5;
    add(sum[0], sum[1], this.#total | 0, Math.floor(this.#total / 2 ** 32));
    sum = [low, high];
    const bytes = this.#held;
    let at = 0;
    for (; at + 8 <= this.#heldLength; at += 8) {
      round(0, 0, bytes.readInt32LE(at), bytes.readInt32LE(at + 4));
      [low, high] = [sum[0] ^ low, sum[1] ^ high];
      rotate(27);
      multiply(low, high, P1);
      add(low, high, ...P4);
      sum = [low, high];
    }
    if (at + 4 <= this.#heldLength) {
      multiply(bytes.readInt32LE(at), 0, P1);
      [low, high] = [sum[0] ^ low, sum[1] ^ high];
      rotate(23);
      multiply(low, high, P2);
      add(low, high, ...P3);
      sum = [low, high];
      at += 4;
    }
    for (; at < this.#heldLength; at++) {
      multiply(bytes[at], 0, P5);
      [low, high] = [sum[0] ^ low, sum[1] ^ high];
      rotate(11);
      multiply(low, high, P1);
      sum = [low, high];
    }
    // h ^= h >> 33, times P2; h ^= h >> 29, times P3; h ^= h >> 32.
    multiply(sum[0] ^ (sum[1] >>> 1), sum[1], P2);
    multiply(low ^ ((low >>> 29) | (high << 3)), high ^ (high >>> 29), P3);
    return (low ^ high) >>> 0;
  }
}
