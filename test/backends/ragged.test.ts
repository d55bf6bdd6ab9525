/** Rows of different lengths in one batch: each has the same bits as alone in a batch of that size, on every target. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile, compileReference, type Program } from "../../src/backends/index.js";
import type { Entry } from "../../src/tensor/index.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const compiler = await findCompiler();
const targets = [...new Set([...runnableSets(compiler).map((set) => set.name), "wasm"])];

/** B rows of a batch, in R slots of a cache of capacity S. */
const [B, SLOTS, S, H, G, D, POSITIONS] = [4, 6, 75, 4, 2, 24, 80];

const angles = (f: (x: number) => number) =>
  q.constant(
    Float32Array.from({ length: (POSITIONS * D) / 2 }, (_, i) => f((i / D) * 0.7)),
    [POSITIONS, D / 2],
  );
const [cos, sin] = [angles(Math.cos), angles(Math.sin)];

/** T new tokens per row against a cache, as in a transformer layer. */
function attend(T: number): Entry {
  const name = (x: string) => `${T}/${x}`;
  const index = (x: string) => q.input(name(x), [B], "i32");
  const [position, lengths, rows] = [index("position"), index("lengths"), index("rows")];
  const [keys, values] = ["keys", "values"].map((x) => q.variable(x, [SLOTS, S, G, D]));
  const turned = (x: q.Tensor) => q.rope(x, cos, sin, position);
  const k = q.cacheWrite(keys, turned(q.input(name("k"), [B, T, G, D])), position, { rows });
  const v = q.cacheWrite(values, q.input(name("v"), [B, T, G, D]), position, { rows });
  const queries = turned(q.input(name("q"), [B, T, H, D]));
  const segments = q.input(name("segments"), [B, S], "i32");
  return {
    outputs: {
      [name("o")]: q.attention(queries, k, v, { position, lengths, rows }),
      [name("apart")]: q.attention(queries, k, v, { position, lengths, rows, segments }),
      [name("places")]: q.cast(q.positions([B, T], position), "f32"),
    },
    assign: [
      [keys, k],
      [values, v],
    ],
  };
}

/** Rows of a padded batch, forward and backward. */
const PADDED = 37;
function padded(): Entry {
  const [a, b, c] = [H, G, G].map((heads, i) => q.variable(`padded/${"qkv"[i]}`, [B, PADDED, heads, D]));
  const o = q.attention(a, b, c, { lengths: q.input("padded/lengths", [B], "i32") });
  const slope = q.input("padded/slope", [B, PADDED, H, D]);
  const [da, db, dc] = q.gradients(q.sum(q.mul(o, slope)), [a, b, c]);
  return { outputs: { "padded/o": o, "padded/dq": da, "padded/dk": db, "padded/dv": dc } };
}

const copy = (): Entry => {
  const [from, to, lengths] = ["from", "to", "lengths"].map((x) => q.input(`copy/${x}`, [3], "i32"));
  const caches = ["keys", "values"].map((x) => q.variable(x, [SLOTS, S, G, D]));
  return { outputs: {}, assign: caches.map((cache) => [cache, q.cacheCopy(cache, from, to, lengths)] as const) };
};

/** One query, a few, one tile and several tiles: each takes a different path through the templates. */
const CHUNKS = [1, 3, 7, 70];
const entries = {
  ...Object.fromEntries(CHUNKS.map((T) => [`attend ${T}`, attend(T)] as const)),
  padded: padded(),
  copy: copy(),
};

const draw = random(42);
const numbers = (count: number) => Float32Array.from({ length: count }, () => 4 * draw() - 2);
const cacheSize = SLOTS * S * G * D;
/** Inputs of every run; each row's values are at its index. */
const caches = { keys: numbers(cacheSize), values: numbers(cacheSize) };
const given = (T: number) => ({
  q: numbers(B * T * H * D),
  k: numbers(B * T * G * D),
  v: numbers(B * T * G * D),
  segments: Int32Array.from({ length: B * S }, (_, i) => Math.floor((i % S) / 11)),
});

/** State of the rows: two sequences of different lengths, an empty row, and a short one whose chunk is padded. */
const rowsOf = (T: number) => ({
  position: [S - T, 2, 5, 0],
  lengths: [S, 2 + T, 0, Math.ceil(T / 2)],
  rows: [4, 0, -1, 5],
});
type Rows = ReturnType<typeof rowsOf>;
/** Only row b is present. */
const alone = (rows: Rows, b: number): Rows => ({
  position: rows.position.map((x, i) => (i === b ? x : -T_FAR)),
  lengths: rows.lengths.map((x, i) => (i === b ? x : 0)),
  rows: rows.rows.map((x, i) => (i === b ? x : -1)),
});
const T_FAR = 1000;

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

describe.each(targets)("ragged rows on cpu, %s", (target) => {
  const reference = compileReference(entries);
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, { cpu: { instructionSet: target, threads: 2 } });
  }, 300_000);
  afterAll(() => program.dispose());

  const run = async (each: Program, entry: string, prefix: string, values: Record<string, ArrayLike<number>>) => {
    for (const [name, data] of Object.entries(caches)) each.write(name, data);
    await each.run(entry, Object.fromEntries(Object.entries(values).map(([k, v]) => [`${prefix}/${k}`, v])));
  };
  /** Row b of an output of B rows. */
  const rowOf = (data: Float32Array, b: number) => data.subarray((data.length / B) * b, (data.length / B) * (b + 1));

  it.each(CHUNKS)("matches reference, and each row has the bits of running alone, chunks of %i", async (T) => {
    const [fixed, rows] = [given(T), rowsOf(T)];
    for (const each of [program, reference]) await run(each, `attend ${T}`, `${T}`, { ...fixed, ...rows });
    const outputs = [`${T}/o`, `${T}/apart`];
    const together = new Map<string, Float32Array>();
    for (const name of [...outputs, `${T}/places`, "keys", "values"]) {
      together.set(name, await program.read(name));
      expect(distance(together.get(name) as Float32Array, reference.readExact(name)), name).toBeLessThan(2e-6);
    }
    for (const name of outputs) expect(rowOf(together.get(name) as Float32Array, 2).every((x) => x === 0)).toBe(true);
    for (const b of [0, 1, 3]) {
      await run(program, `attend ${T}`, `${T}`, { ...fixed, ...alone(rows, b) });
      for (const name of outputs) {
        expect(rowOf(await program.read(name), b)).toEqual(rowOf(together.get(name) as Float32Array, b));
      }
    }
    // Slots without a row are unchanged, and so are positions before and after those written.
    const slot = (data: ArrayLike<number>, i: number) => Array.from(data).slice(i * S * G * D, (i + 1) * S * G * D);
    for (const name of ["keys", "values"] as const) {
      const now = together.get(name) as Float32Array;
      for (const i of [1, 2, 3]) expect(slot(now, i)).toEqual(slot(caches[name], i));
      expect(slot(now, 0).slice(0, 2 * G * D)).toEqual(slot(caches[name], 0).slice(0, 2 * G * D));
      expect(slot(now, 0).slice((2 + T) * G * D)).toEqual(slot(caches[name], 0).slice((2 + T) * G * D));
      expect(slot(now, 4).slice(0, (S - T) * G * D)).toEqual(slot(caches[name], 4).slice(0, (S - T) * G * D));
    }
  });

  it("padded rows have the bits of running alone, and empty rows have no gradient", async () => {
    const sizes = [H, G, G].map((heads) => B * PADDED * heads * D);
    const variables = Object.fromEntries(["q", "k", "v"].map((x, i) => [`padded/${x}`, numbers(sizes[i])] as const));
    const [slope, lengths] = [numbers(sizes[0]), [PADDED, 5, 0, 20]];
    for (const each of [program, reference]) {
      for (const [name, data] of Object.entries(variables)) each.write(name, data);
      await each.run("padded", { "padded/slope": slope, "padded/lengths": lengths });
    }
    const outputs = ["o", "dq", "dk", "dv"].map((x) => `padded/${x}`);
    const together = await Promise.all(outputs.map((name) => program.read(name)));
    for (const [i, name] of outputs.entries()) {
      expect(distance(together[i], reference.readExact(name)), name).toBeLessThan(3e-6);
      expect(rowOf(together[i], 2).every((x) => x === 0)).toBe(true);
    }
    for (const b of [0, 1, 3]) {
      await program.run("padded", { "padded/lengths": lengths.map((x, i) => (i === b ? x : 0)) });
      for (const [i, name] of outputs.entries()) {
        expect(rowOf(await program.read(name), b)).toEqual(rowOf(together[i], b));
      }
    }
  });

  it("copies the beginnings of slots in order, and skips negative slots", async () => {
    const given = { from: [0, 3, -1], to: [3, 5, 2], lengths: [40, S + 9, 10] };
    for (const each of [program, reference]) await run(each, "copy", "copy", given);
    const now = await program.read("keys");
    expect(now).toEqual(await reference.read("keys"));
    expect(await program.read("values")).toEqual(await reference.read("values"));
    const at = (slot: number, s: number) => now[(slot * S + s) * G * D];
    const was = (slot: number, s: number) => caches.keys[(slot * S + s) * G * D];
    expect([at(3, 39), at(3, 40), at(5, 39), at(5, S - 1), at(2, 0)]).toEqual([
      ...[was(0, 39), was(3, 40), was(0, 39), was(3, S - 1)],
      was(2, 0),
    ]);
  });
});

it("throws for operands that do not fit", () => {
  const [x, cache] = [q.input("x", [2, 1, 2, 8]), q.variable("cache", [4, 9, 2, 8])];
  const index = (n: number) => q.input("index", [n], "i32");
  expect(() => q.attention(x, cache, cache)).toThrow(/q and k must have the same batch/);
  expect(() => q.attention(x, cache, cache, { rows: index(3) })).toThrow(/rows must be i32 \(batch\)/);
  expect(() => q.attention(x, x, x, { lengths: index(3) })).toThrow(/lengths must be i32 \(batch\)/);
  expect(() => q.attention(x, x, x, { position: index(3) })).toThrow(/position must be i32, a scalar or \(batch\)/);
  expect(() => q.cacheWrite(cache, x, index(2))).toThrow(/must fit the cache/);
  expect(() => q.cacheWrite(cache, x, index(3), { rows: index(2) })).toThrow(/position must be i32/);
  expect(() => q.positions([2, 5], index(3))).toThrow(/the start must be i32, a scalar or \(batch\)/);
  expect(() => q.cacheCopy(cache, index(2), index(2), index(1))).toThrow(/i32 \(copies\)/);
  const p = q.variable("p", [2, 1, 2, 8]);
  const o = q.attention(p, cache, cache, { rows: index(2) });
  expect(() => q.gradients(q.sum(o), [p])).toThrow(/no gradient/);
});
