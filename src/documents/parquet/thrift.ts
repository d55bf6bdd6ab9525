/**
 * @file Parses Thrift's compact protocol, as far as Parquet uses it. A struct becomes an array indexed by field number. Every
 * size is checked against the remaining bytes, so that a damaged header causes an error, not a long loop.
 */

/** Thrown if a struct continues beyond the given bytes; the caller may retry with more. */
export class CutShort extends Error {
  constructor() {
    super("a header is cut short");
  }
}

export type ThriftStruct = readonly (ThriftValue | undefined)[];
/** 64-bit integers are bigints; strings are their bytes. */
export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftStruct | ThriftList;
export interface ThriftList {
  readonly list: readonly ThriftValue[];
}

/** Deepest nesting of structs; Parquet's nest about six deep. */
const DEEPEST = 32;

/** Reads the struct at `start`, and returns where it ends. */
export function readStruct(bytes: Buffer, start: number): { readonly fields: ThriftStruct; readonly end: number } {
  const reader = new Reader(bytes, start);
  const fields = reader.struct(0);
  return { fields, end: reader.at };
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes;
    this.at = start;
  }

  struct(depth: number): ThriftStruct {
    if (depth > DEEPEST) throw new Error("a header nests too deeply");
    const fields: (ThriftValue | undefined)[] = [];
    for (let id = 0; ; ) {
      const byte = this.#byte();
      if (byte === 0) return fields;
      const type = byte & 15;
      id = byte >> 4 === 0 ? zigzag(this.#varint()) : id + (byte >> 4);
      if (id < 0 || id > 1000) throw new Error("a header has an unknown field");
      fields[id] = type === 1 ? true : type === 2 ? false : this.#value(type, depth);
    }
  }

  #byte(): number {
    if (this.at >= this.#bytes.length) throw new CutShort();
    return this.#bytes[this.at++];
  }

  /** Reads an unsigned integer of at most 32 bits. */
  #varint(): number {
    const value = this.#bigVarint();
    if (value > 0xffffffffn) throw new Error("a number in a header is too large");
    return Number(value);
  }

  #bigVarint(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 127) << shift;
      if (byte < 128) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new Error("a number in a header is too long");
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
        return zigzag(this.#varint());
      case 6: {
        const value = this.#bigVarint();
        return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
      }
      case 7: {
        this.at += 8;
        if (this.at > this.#bytes.length) throw new CutShort();
        return this.#bytes.readDoubleLE(this.at - 8);
      }
      case 8: {
        const length = this.#varint();
        this.at += length;
        if (this.at > this.#bytes.length) throw new CutShort();
        return this.#bytes.subarray(this.at - length, this.at);
      }
      case 9:
      case 10: {
        const head = this.#byte();
        const length = head >> 4 === 15 ? this.#varint() : head >> 4;
        // Each element takes at least one byte.
        if (length > this.#bytes.length - this.at) throw new CutShort();
        const list: ThriftValue[] = [];
        for (let i = 0; i < length; i++) list.push(this.#value(head & 15, depth));
        return { list };
      }
      case 12:
        return this.struct(depth + 1);
      default:
        throw new Error("a header has an unknown type");
    }
  }
}

const zigzag = (value: number) => (value >>> 1) ^ -(value & 1);
