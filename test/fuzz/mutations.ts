/** @file Mutations that every format shares: of bytes, of texts, and of JSON values. */
import type { Random } from "./random.js";

/** Integers at which readers break. */
const INTEGERS = [0, 1, 2, 3, 7, 8, 63, 127, 128, 255, 256, 1023, 4096, 65535, 65536, 1e6, 2 ** 31 - 1, 2 ** 31];
export const NUMBERS: readonly number[] = [
  ...INTEGERS,
  ...INTEGERS.slice(1).map((value) => -value),
  ...[2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e19, 1e100, 1.7e308, 5e-324, 0.5, -0, 1e-9, 1.5],
];

/** Strings at which readers break. */
export const STRINGS: readonly string[] = [
  ...["", " ", "\0", "\n", "a", "0", "-1", "1e999", "NaN", "null", "true", "__proto__", "constructor", "toString"],
  ...[
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u202e",
    "é",
    "猫",
    "😀",
    "<|endoftext|>",
    "../../x",
    "/dev/zero",
    "a".repeat(300),
  ],
  ...["\x1b[2J", "%s%n", "{{", "{%", "$(id)", "<script>", "\r\n\r\n", "x".repeat(20_000)],
];

/** One change of some bytes; the result may have another length. */
export function mutateBytes(bytes: Buffer, random: Random, from = 0, most = bytes.length): Buffer {
  const to = Math.min(most, bytes.length);
  const at = random.between(Math.min(from, to), to);
  const some = () => Math.min(to - at, 1 + random.below(random.pick([4, 16, 200, to])));
  return random.oneOf(
    () => set(bytes, at, Buffer.from([random.pick([0, 1, 127, 128, 255, random.below(256)])])),
    () => set(bytes, at, Buffer.from([bytes[at] ^ (1 << random.below(8))])),
    () => set(bytes, at, integer(random)),
    () => splice(bytes, at, some(), Buffer.alloc(0)),
    () => splice(bytes, at, 0, bytes.subarray(at, at + some())),
    () => splice(bytes, at, 0, random.bytes(1 + random.below(8))),
    () => bytes.subarray(0, at),
    () => set(bytes, at, random.bytes(some())),
  );
}

function integer(random: Random): Buffer {
  const value = BigInt(Math.trunc(random.pick(NUMBERS.filter((each) => Math.abs(each) < 2 ** 64))));
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  const width = random.pick([2, 4, 8]);
  return random.chance(0.2) ? bytes.subarray(0, width).reverse() : bytes.subarray(0, width);
}

/** Writes over bytes, of which a copy is given. */
export function set(bytes: Buffer, at: number, data: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  if (at < copy.length) copy.set(data.subarray(0, copy.length - at), at);
  return copy;
}

export function splice(bytes: Buffer, at: number, removed: number, inserted: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}

/** One change in a list: an entry goes, comes twice or often, or takes another's place; sometimes it is cut. */
export function mutateList<T>(list: readonly T[], random: Random): T[] {
  const copy = [...list];
  const [a, b] = [random.below(copy.length), random.below(copy.length)];
  if (copy.length === 0) return copy;
  random.oneOf(
    () => void copy.splice(a, 1),
    () => void copy.splice(b, 0, copy[a]),
    () => void copy.splice(b, 0, ...Array.from({ length: random.pick([2, 50, 2000]) }, () => list[a])),
    () => {
      [copy[a], copy[b]] = [copy[b], copy[a]];
    },
    () => void copy.splice(a, 1 + random.below(copy.length)),
  );
  return copy;
}

/** One change of a text, which is taken apart into words and marks; `words` are those of its language. */
export function mutateText(text: string, random: Random, words: readonly string[] = []): string {
  const parts = text.match(/\w+|\s+|[^\w\s]/g) ?? [];
  const at = random.below(parts.length + 1);
  const insert = (more: string) => [...parts.slice(0, at), more, ...parts.slice(at)].join("");
  return random.oneOf(
    () => mutateList(parts, random).join(""),
    () => mutateList(parts, random).join(""),
    () => insert(words.length > 0 ? random.pick(words) : random.pick(STRINGS)),
    () => insert(words.length > 0 ? random.pick(words) : random.pick(STRINGS)),
    () => insert(random.pick(STRINGS)),
    () => insert(String(random.pick(NUMBERS))),
    () =>
      insert(
        (words.length > 0 ? random.pick(words) : random.pick(STRINGS))
          .repeat(random.pick([2, 100, 3000]))
          .slice(0, 100_000),
      ),
    () => {
      const numbers = [...text.matchAll(/\d+/g)];
      if (numbers.length === 0) return insert("9");
      const one = random.pick(numbers);
      return text.slice(0, one.index) + random.pick(NUMBERS) + text.slice(one.index + one[0].length);
    },
  );
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A value that may stand where another is wanted. */
export function oddJson(random: Random): Json {
  return random.oneOf<Json>(
    () => random.pick(NUMBERS),
    () => random.pick(NUMBERS),
    () => random.pick(STRINGS),
    () => random.pick([null, true, false]),
    () => random.pick<Json>([[], {}, [[]], [null], { a: 1 }, [1, "a", null], [0, 0], [-1, 1e19]]),
    () => nested(random.pick([5, 60, 110])),
    () => Array.from({ length: random.pick([3, 3000]) }, () => random.pick([0, 1, -1])),
  );
}

function nested(depth: number): Json {
  let value: Json = 0;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** One change somewhere in a JSON value, which is copied. Shallow places are as likely as deep ones. */
export function mutateJson(value: Json, random: Random): Json {
  const copy = structuredClone(value);
  const holder: { value: Json } = { value: copy };
  let parent: Json[] | { [key: string]: Json } = holder;
  let key: string | number = "value";
  for (;;) {
    const here: Json = (parent as { [key: string]: Json })[key];
    if (typeof here !== "object" || here === null) break;
    const keys: string[] = Object.keys(here);
    if (keys.length === 0 || random.chance(parent === holder ? 0.02 : 0.15)) break;
    parent = here;
    key = random.pick(keys);
  }
  const at = parent as { [key: string]: Json };
  const old = at[key];
  random.oneOf(
    () => {
      at[key] = oddJson(random);
    },
    () => {
      at[key] = oddJson(random);
    },
    () => {
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete at[key];
    },
    () => {
      if (Array.isArray(parent)) parent.splice(0, parent.length, ...mutateList(parent, random));
      else at[random.pick([...STRINGS.filter((name) => name !== "__proto__"), ...Object.keys(parent)])] = old;
    },
    () => {
      if (typeof old === "number")
        at[key] = random.pick([old + 1, old - 1, -old, old * 2, old * 1e9, old + 0.5, `${old}`]);
      else if (typeof old === "string") at[key] = mutateText(old, random);
      else at[key] = [old];
    },
    () => {
      // Another value of the same document, in the wrong place.
      const others = Array.isArray(parent) ? parent : Object.values(parent);
      at[key] = structuredClone(random.pick(others));
    },
  );
  return holder.value;
}

/** JSON text, mostly well-formed. */
export function jsonText(value: Json, random: Random): string {
  const text = JSON.stringify(value) ?? "null";
  if (random.chance(0.9)) return text;
  return random.oneOf(
    () => text.slice(0, random.below(text.length)),
    () => text.replace(/\d+/, random.pick(["NaN", "Infinity", "1e999", "-0", "9".repeat(400)])),
    () => deeper(text, random),
    () => deeper(text, random),
    () => `\ufeff${text}`,
    () => text.replace(/("[^"]*":)/, `$1 0, $1`),
    () => `${text}${text}`,
    () => mutateText(text, random),
  );
}

/** A value of a JSON text becomes one in which others lie by the thousand: what calls itself for each of them fails. */
function deeper(text: string, random: Random): string {
  const values = [...text.matchAll(/(?<=[:,[])("[^"\\]*"|\d+|true|false|null)(?=[,}\]])/g)];
  const depth = random.pick([600, 8000, 100_000]);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
  ]);
  const deep = `${open.repeat(depth)}0${close.repeat(depth)}`;
  if (values.length === 0) return deep;
  const one = random.pick(values);
  return text.slice(0, one.index) + deep + text.slice(one.index + one[0].length);
}

/** Applies a mutation as often as `random.few` says. */
export function several<T>(value: T, random: Random, mutate: (value: T) => T): T {
  for (let i = random.few(); i > 0; i--) value = mutate(value);
  return value;
}
