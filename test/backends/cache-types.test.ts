/** Caches of 16 bits and of blocks: written, read by few and by many queries, and copied, on every target as in the reference. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile, compileReference, type Program } from "../../src/backends/index.js";
import type { Entry } from "../../src/tensor/index.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";
import { randomBlocks } from "./stored-weights.js";
import { optionsOf, testedSets } from "./tested-sets.js";

const [B, SLOTS, S, H, G] = [3, 4, 75, 4, 2];
/** Whole vectors, and a width that is no multiple of a vector. */
const WIDTHS = [64, 26];
/** One query, a few, and more than that: each takes a different path through the templates. */
const CHUNKS = [1, 3, 7];
const DTYPES = ["bf16", "f16", "q8_0"] as const;
/** Blocks of 32 values fit only the first width. */
const widthsOf = (dtype: q.DType) => (dtype === "q8_0" ? [64] : WIDTHS);
const cases = DTYPES.flatMap((dtype) =>
  widthsOf(dtype).flatMap((D) => CHUNKS.map((T) => ({ dtype, D, T, name: `${dtype}/${D}/${T}` }))),
);

const cachesOf = (dtype: q.DType, D: number) =>
  ["keys", "values"].map((name) => q.variable(`${dtype}/${D}/${name}`, [SLOTS, S, G, D], dtype));

function attend({ dtype, D, T, name }: (typeof cases)[number]): Entry {
  const [position, rows] = ["position", "rows"].map((x) => q.input(x, [B], "i32"));
  const [keys, values] = cachesOf(dtype, D);
  const [k, v] = [keys, values].map((cache, i) =>
    q.cacheWrite(cache, q.input(`${name}/${i}`, [B, T, G, D]), position, { rows }),
  );
  const o = q.attention(q.input(`${name}/q`, [B, T, H, D]), k, v, { position, rows });
  return {
    outputs: { [`${name}/o`]: o },
    assign: [
      [keys, k],
      [values, v],
    ],
  };
}
const copy = (dtype: q.DType, D: number): Entry => {
  const [from, to, lengths] = ["from", "to", "lengths"].map((x) => q.input(x, [2], "i32"));
  return {
    outputs: {},
    assign: cachesOf(dtype, D).map((cache) => [cache, q.cacheCopy(cache, from, to, lengths)] as const),
  };
};
const entries = {
  ...Object.fromEntries(cases.map((each) => [each.name, attend(each)] as const)),
  ...Object.fromEntries(
    DTYPES.flatMap((dtype) => widthsOf(dtype).map((D) => [`copy ${dtype}/${D}`, copy(dtype, D)] as const)),
  ),
};

const draw = random(43);
const numbers = (count: number) => Float32Array.from({ length: count }, () => 4 * draw() - 2);
const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) => norm(Array.from(x, (v, i) => v - y[i])) / norm(y);

describe.each(testedSets)("16-bit and block caches on cpu, %s", (target) => {
  const reference = compileReference(entries);
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, optionsOf(target));
  }, 300_000);
  afterAll(() => program.dispose());

  it.each(cases)("$dtype, heads of $D, $T queries", async ({ dtype, D, T, name }) => {
    const both = [program, reference];
    const caches = ["keys", "values"].map((each) => `${dtype}/${D}/${each}`);
    const before = caches.map(() =>
      dtype === "q8_0" ? randomBlocks(dtype, SLOTS * S * G, D, draw) : numbers(SLOTS * S * G * D),
    );
    const given = {
      ...{ position: [S - T, 2, 5], rows: [3, 0, -1] },
      [`${name}/q`]: numbers(B * T * H * D),
      ...Object.fromEntries([0, 1].map((i) => [`${name}/${i}`, numbers(B * T * G * D)])),
    };
    for (const each of both) {
      for (const [i, cache] of caches.entries()) each.write(cache, before[i]);
      await each.run(name, given);
    }
    const o = await program.read(`${name}/o`);
    expect(distance(o, reference.readExact(`${name}/o`))).toBeLessThan(2e-6);
    expect(o.subarray((2 * o.length) / 3).every((x) => x === 0)).toBe(true); // the row without a slot
    for (const cache of caches) expect(await program.read(cache)).toEqual(await reference.read(cache));
    const copied = { from: [3, -1], to: [1, 0], lengths: [40, 5] };
    for (const each of both) await each.run(`copy ${dtype}/${D}`, copied);
    for (const cache of caches) expect(await program.read(cache)).toEqual(await reference.read(cache));
  });
});

it("refuses a cache of integers, or keys and values of different types", () => {
  const x = q.input("x", [2, 1, 2, 8]);
  const cacheOf = (dtype: q.DType) => q.variable(dtype, [2, 5, 2, 8], dtype);
  const position = q.scalar("position", "i32");
  expect(() => q.cacheWrite(cacheOf("u8"), x, position)).toThrow(/cache f32, bf16, f16 or q8_0/);
  expect(() => q.attention(x, cacheOf("bf16"), cacheOf("f16"))).toThrow(/same type/);
  expect(() => q.attention(x, cacheOf("i32"), cacheOf("i32"))).toThrow(/k and v may be bf16, f16 or q8_0/);
});
