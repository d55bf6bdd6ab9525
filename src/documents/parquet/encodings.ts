/**
 * @file Decodes Parquet's encodings from a decompressed page. Counts in the page are checked against the number of values that
 * the caller knows from the page header, so that no loop runs longer.
 */

const cut = () => new Error("a page is cut short");

/** Reads a little-endian unsigned varint of at most 32 bits, and where it ends. */
function varint(bytes: Buffer, at: number): readonly [value: number, end: number] {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= bytes.length) throw cut();
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) {
      if (value > 0xffffffff) break;
      return [value, at];
    }
  }
  throw new Error("a page has a number that is too long");
}

/**
 * Decodes `count` values of `width` bits in [`start`, `end`), as runs of equal values and of packed bits ("RLE/bit-packed
 * hybrid").
 */
export function readHybrid(bytes: Buffer, start: number, end: number, width: number, count: number): Uint32Array {
  const values = new Uint32Array(count);
  if (width === 0) return values;
  if (width > 32) throw new Error(`a page has indices of ${width} bits`);
  const wide = (width + 7) >> 3;
  let at = start;
  for (let done = 0; done < count; ) {
    const [header, body] = varint(bytes, at);
    at = body;
    if (header % 2 === 0) {
      const run = header / 2;
      if (at + wide > end) throw cut();
      if (run > count - done) throw new Error("a page has a run that is too long");
      values.fill(bytes.readUIntLE(at, wide), done, done + run);
      at += wide;
      done += run;
      continue;
    }
    const groups = (header - 1) / 2;
    // The last group is padded to 8 values.
    if (groups > Math.ceil((count - done) / 8)) throw new Error("a page has a run that is too long");
    const run = Math.min(groups * 8, count - done);
    // Some writers omit the padding of the last group.
    if (at + Math.ceil((run * width) / 8) > end) throw cut();
    unpackBits(bytes, at, width, values, done, run);
    at += groups * width;
    done += run;
  }
  return values;
}

/** Unpacks integers of `width` bits, lowest bit first. */
function unpackBits(bytes: Buffer, at: number, width: number, into: Uint32Array, from: number, count: number): void {
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1;
  let held = 0;
  let bits = 0;
  let next = at;
  if (width <= 24) {
    for (let i = 0; i < count; i++) {
      while (bits < width) {
        held |= bytes[next++] << bits;
        bits += 8;
      }
      into[from + i] = held & mask;
      held >>>= width;
      bits -= width;
    }
    return;
  }
  for (let i = 0; i < count; i++) into[from + i] = Number(bitsAt(bytes, at * 8 + i * width, width));
}

/** Reads `width` bits (up to 64) at a bit offset. */
function bitsAt(bytes: Buffer, bit: number, width: number): bigint {
  let value = 0n;
  for (let got = 0; got < width; ) {
    const inside = (bit + got) & 7;
    const take = Math.min(8 - inside, width - got);
    const part = (bytes[(bit + got) >>> 3] >> inside) & ((1 << take) - 1);
    value |= BigInt(part) << BigInt(got);
    got += take;
  }
  return value;
}

/**
 * Decodes deltas in blocks ("DELTA_BINARY_PACKED"), and returns where they end.
 * @param wide whether values have 64 bits; otherwise they wrap to 32
 */
export function readDeltas(
  bytes: Buffer,
  start: number,
  count: number,
  wide: boolean,
): { readonly values: BigInt64Array | Int32Array; readonly end: number } {
  const [block, a] = varint(bytes, start);
  const [miniblocks, b] = varint(bytes, a);
  const [total, c] = varint(bytes, b);
  const [first, d] = zigzag(bytes, c);
  const each = block / miniblocks;
  if (!Number.isInteger(each) || each % 8 !== 0 || each === 0 || miniblocks > 1024 || block > 2 ** 24) {
    throw new Error("a page has blocks of an invalid size");
  }
  if (total !== count) throw new Error(`a page has ${total} values instead of ${count}`);
  const values = wide ? new BigInt64Array(count) : new Int32Array(count);
  let at = d;
  let value = first;
  let done = 0;
  const put = (of: bigint) => {
    if (wide) (values as BigInt64Array)[done++] = of;
    else (values as Int32Array)[done++] = Number(BigInt.asIntN(32, of));
  };
  if (count > 0) put(value);
  while (done < count) {
    const [least, widths] = zigzag(bytes, at);
    at = widths + miniblocks;
    if (at > bytes.length) throw cut();
    for (let i = 0; i < miniblocks && done < count; i++) {
      const width = bytes[widths + i];
      if (width > 64) throw new Error(`a page has deltas of ${width} bits`);
      const end = at + (each * width) / 8;
      const here = Math.min(each, count - done);
      if (at + Math.ceil((here * width) / 8) > bytes.length) throw cut();
      if (!wide && width <= 24) {
        const packed = new Uint32Array(here);
        if (width > 0) unpackBits(bytes, at, width, packed, 0, here);
        let small = Number(BigInt.asIntN(32, value));
        const base = Number(BigInt.asIntN(32, least));
        for (let j = 0; j < here; j++) {
          small = (small + base + packed[j]) | 0;
          (values as Int32Array)[done++] = small;
        }
        value = BigInt(small);
      } else {
        for (let j = 0; j < here; j++) {
          value = BigInt.asIntN(64, value + least + (width === 0 ? 0n : bitsAt(bytes, at * 8 + j * width, width)));
          put(value);
        }
      }
      at = end;
    }
  }
  return { values, end: Math.min(at, bytes.length) };
}

function zigzag(bytes: Buffer, at: number): readonly [value: bigint, end: number] {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (at >= bytes.length) throw cut();
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)), at];
  }
  throw new Error("a page has a number that is too long");
}

/** Calls `take` with the start and end of each of `count` byte strings, each preceded by its length ("PLAIN"). */
export function readPlainStrings(
  bytes: Buffer,
  start: number,
  count: number,
  take: (bytes: Buffer, from: number, to: number) => void,
): void {
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) throw cut();
    const from = at + 4;
    const to = from + bytes.readUInt32LE(at);
    if (to > bytes.length) throw cut();
    take(bytes, from, to);
    at = to;
  }
}

/** `readPlainStrings` for strings preceded by all their lengths ("DELTA_LENGTH_BYTE_ARRAY"). */
export function readLengthStrings(
  bytes: Buffer,
  start: number,
  count: number,
  take: (bytes: Buffer, from: number, to: number) => void,
): void {
  const { values: lengths, end } = readDeltas(bytes, start, count, false);
  let at = end;
  for (const length of lengths as Int32Array) {
    if (length < 0 || at + length > bytes.length) throw cut();
    take(bytes, at, at + length);
    at += length;
  }
}

/**
 * `readPlainStrings` for strings that share a prefix with the previous one ("DELTA_BYTE_ARRAY").
 * @param most limit on the bytes of all strings
 */
export function readPrefixStrings(
  bytes: Buffer,
  start: number,
  count: number,
  most: number,
  take: (bytes: Buffer, from: number, to: number) => void,
): void {
  const { values: prefixes, end } = readDeltas(bytes, start, count, false);
  let previous = Buffer.alloc(0);
  let index = 0;
  let total = 0;
  readLengthStrings(bytes, end, count, (own, from, to) => {
    const prefix = Number(prefixes[index++]);
    if (prefix < 0 || prefix > previous.length) throw new Error("a page has a prefix that is too long");
    const whole = Buffer.allocUnsafeSlow(prefix + to - from);
    total += whole.length;
    if (total > most) throw new Error(`a page has more than ${most} bytes of text`);
    previous.copy(whole, 0, 0, prefix);
    own.copy(whole, prefix, from, to);
    previous = whole;
    take(whole, 0, whole.length);
  });
}

/** Joins values whose bytes are stored in one stream per byte position ("BYTE_STREAM_SPLIT"). */
export function joinStreams(bytes: Buffer, start: number, count: number, width: number): Buffer {
  if (start + count * width > bytes.length) throw cut();
  const joined = Buffer.allocUnsafeSlow(count * width);
  for (let stream = 0; stream < width; stream++) {
    const from = start + stream * count;
    for (let i = 0; i < count; i++) joined[i * width + stream] = bytes[from + i];
  }
  return joined;
}
