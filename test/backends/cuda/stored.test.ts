/** @file Stored weights and caches of every type on the `cuda` backend against `reference`. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile, compileReference, type Program } from "../../../src/backends/index.js";
import type { Entries, Tensor } from "../../../src/tensor/index.js";
import * as q from "../../../src/tensor/index.js";
import { randomBlocks, randomNumbers, STORED } from "../stored-weights.js";
import { describeCuda } from "./device.js";

const [M, N, K] = [11, 21, 512];
const [SLOTS, S, G, H, D, T] = [3, 40, 2, 4, 32, 5];
const CACHES = ["f32", "bf16", "f16", "q8_0"] as const;

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

/** A product with each stored type, of few rows and of more, and an embedding. */
function productEntries(): Entries {
  const ids = q.input("ids", [7], "i32");
  return Object.fromEntries(
    STORED.map(([dtype]) => {
      const w = q.variable(`w/${dtype}`, [N, K], dtype);
      const [one, many] = [q.input("one", [1, K]), q.input("many", [M, K])];
      const outputs: Record<string, Tensor> = {
        [`one/${dtype}`]: q.linear(one, w),
        [`many/${dtype}`]: q.silu(q.linear(many, w)),
        [`rows/${dtype}`]: q.embedding(w, ids),
      };
      return [dtype, { outputs }] as const;
    }),
  );
}

/** Ragged rows written to permuted slots, attended, and copied. */
function cacheEntries(): Entries {
  const perRow = (name: string) => q.input(name, [2], "i32");
  return Object.fromEntries(
    CACHES.map((dtype) => {
      const [k, v] = ["k", "v"].map((name) => q.variable(`${name}/${dtype}`, [SLOTS, S, G, D], dtype));
      const [position, rows, lengths] = [perRow("positions"), perRow("rows"), perRow("lengths")];
      const [newK, newV] = [k, v].map((cache, i) =>
        q.cacheWrite(cache, q.input(`new${i}`, [2, T, G, D]), position, { rows }),
      );
      const o = q.attention(q.input("q", [2, T, H, D]), newK, newV, { position, rows, lengths });
      return [
        dtype,
        {
          outputs: { [`o/${dtype}`]: o },
          assign: [
            [k, newK],
            [v, newV],
          ] as const,
        },
      ] as const;
    }),
  );
}

describeCuda("cuda, stored weights and caches", () => {
  let products: Program;
  let caches: Program;
  beforeAll(async () => {
    products = await compile(productEntries(), { backend: "cuda" });
    caches = await compile(cacheEntries(), { backend: "cuda" });
  }, 900_000);
  afterAll(() => {
    products?.dispose();
    caches?.dispose();
  });

  it.each(STORED)("%s: products and look-ups match reference", async (dtype) => {
    const reference = compileReference(productEntries());
    const random = randomNumbers(3);
    const weights = q.isBlocked(dtype)
      ? randomBlocks(dtype, N, K, random)
      : Float32Array.from({ length: N * K }, () => random() - 0.5);
    const given = {
      one: Float32Array.from({ length: K }, () => random() - 0.5),
      many: Float32Array.from({ length: M * K }, () => random() - 0.5),
      ids: [0, N - 1, 3, 3, -1, N, 7],
    };
    for (const each of [products, reference]) {
      each.write(`w/${dtype}`, weights);
      await each.run(dtype, given);
    }
    for (const name of ["one", "many", "rows"]) {
      const error = distance(await products.read(`${name}/${dtype}`), reference.readExact(`${name}/${dtype}`));
      expect(error, name).toBeLessThan(1e-5);
    }
  });

  it.each(CACHES)("a cache of %s: ragged rows match reference", async (dtype) => {
    const reference = compileReference(cacheEntries());
    const random = randomNumbers(5);
    for (const round of [0, 1, 2]) {
      const given: Record<string, ArrayLike<number>> = {
        q: Float32Array.from({ length: 2 * T * H * D }, () => 4 * random() - 2),
        ...Object.fromEntries(
          [0, 1].map((i) => [`new${i}`, Float32Array.from({ length: 2 * T * G * D }, () => 2 * random() - 1)]),
        ),
        positions: [3 * round, 5 * round],
        lengths: [3 * round + T, 5 * round + 2],
        rows: [2, 0],
      };
      for (const each of [caches, reference]) await each.run(dtype, given);
      const error = distance(await caches.read(`o/${dtype}`), reference.readExact(`o/${dtype}`));
      expect(error).toBeLessThan(1e-5);
    }
  });
});
