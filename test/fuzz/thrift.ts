/** @file Thrift's compact protocol as a tree that keeps its types, so that it can be changed and written again. */
import { NUMBERS } from "./mutations.js";
import type { Random } from "./random.js";

export type Value =
  | { type: "bool"; value: boolean }
  | { type: "int"; code: 3 | 4 | 5 | 6; value: bigint }
  | { type: "double"; bytes: Buffer }
  | { type: "binary"; bytes: Buffer }
  | { type: "list"; code: number; items: Value[] }
  | Struct;
export interface Struct {
  type: "struct";
  fields: { id: number; value: Value }[];
}

/** @throws Error for bytes that are no struct */
export function readStruct(bytes: Buffer, start: number): { value: Struct; end: number } {
  let at = start;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length) throw new Error("cut short");
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const zigzag = (value: bigint) => (value >> 1n) ^ -(value & 1n);
  const read = (code: number, inList: boolean): Value => {
    switch (code) {
      case 1:
      case 2:
        return { type: "bool", value: inList ? bytes[at++] === 1 : code === 1 };
      case 3:
        return { type: "int", code, value: BigInt(bytes.readInt8(at++)) };
      case 4:
      case 5:
      case 6:
        return { type: "int", code, value: zigzag(varint()) };
      case 7:
        at += 8;
        return { type: "double", bytes: bytes.subarray(at - 8, at) };
      case 8: {
        const length = Number(varint());
        at += length;
        return { type: "binary", bytes: bytes.subarray(at - length, at) };
      }
      case 9: {
        const head = bytes[at++];
        const length = head >> 4 === 15 ? Number(varint()) : head >> 4;
        if (length > bytes.length) throw new Error("cut short");
        const items = Array.from({ length }, () => read(head & 15, true));
        return { type: "list", code: head & 15, items };
      }
      default:
        return struct();
    }
  };
  const struct = (): Struct => {
    const fields: Struct["fields"] = [];
    for (let id = 0; ; ) {
      if (at >= bytes.length) throw new Error("cut short");
      const byte = bytes[at++];
      if (byte === 0) return { type: "struct", fields };
      id = byte >> 4 === 0 ? Number(zigzag(varint())) : id + (byte >> 4);
      fields.push({ id, value: read(byte & 15, false) });
    }
  };
  const value = struct();
  return { value, end: at };
}

export function writeStruct(value: Struct): Buffer {
  const out: number[] = [];
  const varint = (given: bigint) => {
    let rest = BigInt.asUintN(64, given);
    while (rest > 127n) {
      out.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    out.push(Number(rest));
  };
  const zigzag = (given: bigint) => varint((given << 1n) ^ (given >> 63n));
  const codeOf = (each: Value): number => {
    if (each.type === "bool") return each.value ? 1 : 2;
    if (each.type === "int") return each.code;
    return { double: 7, binary: 8, list: 9, struct: 12 }[each.type];
  };
  const write = (each: Value, inList: boolean): void => {
    if (each.type === "bool") {
      if (inList) out.push(each.value ? 1 : 2);
    } else if (each.type === "int") {
      if (each.code === 3) out.push(Number(each.value) & 255);
      else zigzag(each.value);
    } else if (each.type === "double") out.push(...each.bytes);
    else if (each.type === "binary") {
      varint(BigInt(each.bytes.length));
      out.push(...each.bytes);
    } else if (each.type === "list") {
      const short = each.items.length < 15;
      out.push(((short ? each.items.length : 15) << 4) | each.code);
      if (!short) varint(BigInt(each.items.length));
      for (const item of each.items) write(item, true);
    } else {
      let last = 0;
      for (const field of each.fields) {
        const step = field.id - last;
        const code = codeOf(field.value);
        if (step > 0 && step < 16) out.push((step << 4) | code);
        else {
          out.push(code);
          zigzag(BigInt(field.id));
        }
        last = field.id;
        write(field.value, false);
      }
      out.push(0);
    }
  };
  write(value, false);
  return Buffer.from(out);
}

/** One change somewhere in a tree, in place. */
export function mutateStruct(root: Struct, random: Random): void {
  let here: Value = root;
  for (;;) {
    const below: readonly Value[] =
      here.type === "struct" ? here.fields.map(({ value }) => value) : here.type === "list" ? here.items : [];
    if (below.length === 0) return;
    const child: Value = random.pick(below);
    if ((child.type !== "struct" && child.type !== "list") || random.chance(0.1)) break;
    here = child;
  }
  if (here.type === "list") {
    const [a, b] = [random.below(here.items.length), random.below(here.items.length)];
    random.oneOf(
      () => void (here as { items: Value[] }).items.splice(a, 1),
      () => void (here as { items: Value[] }).items.splice(b, 0, (here as { items: Value[] }).items[a]),
      () => changeValue((here as { items: Value[] }).items[a], random),
      () => changeValue((here as { items: Value[] }).items[a], random),
    );
  } else if (here.type === "struct") {
    const at = random.below(here.fields.length);
    const field = here.fields[at];
    if (random.chance(0.12)) here.fields.splice(at, 1);
    else if (random.chance(0.08)) field.id = random.between(1, 20);
    else changeValue(field.value, random);
  }
}

function changeValue(value: Value, random: Random): void {
  if (value.type === "bool") value.value = !value.value;
  else if (value.type === "int") {
    const odd = BigInt(Math.trunc(random.pick(NUMBERS.filter((each) => Math.abs(each) <= 2 ** 63))));
    const near = value.value + BigInt(random.between(-3, 4));
    value.value = BigInt.asIntN(
      value.code === 6 ? 64 : 32,
      random.pick([odd, near, near, value.value * 2n, -value.value, BigInt(random.below(12))]),
    );
  } else if (value.type === "binary")
    value.bytes = random.pick([Buffer.alloc(0), random.bytes(5), Buffer.from("text"), Buffer.alloc(5000, 97)]);
  else if (value.type === "double") value.bytes = random.bytes(8);
  else if (value.type === "list")
    value.items = random.pick([[], value.items.slice(1), [...value.items, ...value.items]]);
  else value.fields = value.fields.slice(random.below(2), value.fields.length - random.below(2));
}

/** The value of a field. */
export const fieldOf = (struct: Value | undefined, id: number): Value | undefined =>
  struct?.type === "struct" ? struct.fields.find((field) => field.id === id)?.value : undefined;
