import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { instructionSet } from "../../src/backends/cpu/instruction-sets.js";
import { rearrange, storedBytes } from "../../src/backends/cpu/weight-layout.js";
import { compile, compileReference, type Program } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { type BlockDType, bytesOf, type DType, type Entries, isBlocked } from "../../src/tensor/index.js";
import { randomBlocks, randomNumbers, STORED } from "./stored-weights.js";
import { optionsOf, testedSets } from "./tested-sets.js";

interface Product {
  readonly name: string;
  readonly dtype: DType;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Rows 1 to 70, columns that fill no tile, one or several blocks along K. */
const products: Product[] = STORED.flatMap(([dtype, divisor]) =>
  [
    [1, 1, 1],
    [1, 97, 5],
    [7, 33, 1],
    [13, 70, 2],
    [16, 64, 3],
    [33, 31, 4],
    [70, 81, divisor === 256 ? 2 : 7],
  ].map(([M, N, blocks]) => {
    const K = divisor === 1 ? 13 * blocks + (blocks % 2) : divisor * blocks;
    return { name: `${dtype} ${M}×${N}×${K}`, dtype, M, N, K };
  }),
);

/** x · wᵀ with an epilogue, added to a variable; a look-up with ids outside the table; and the first row alone. */
const entriesOf = (list: readonly Product[]): Entries =>
  Object.fromEntries(
    list.map(({ name, dtype, M, N, K }) => {
      const w = q.variable(`${name}/w`, [N, K], dtype);
      const x = q.input(`${name}/x`, [M, K]);
      const y = q.linear(x, w, q.input(`${name}/bias`, [N]));
      const ids = q.input(`${name}/ids`, [4], "i32");
      const total = q.variable(`${name}/total`, [M, N]);
      const outputs = {
        [`${name}/y`]: y,
        [`${name}/rows`]: q.embedding(w, ids),
        [`${name}/first`]: q.linear(q.slice(x, 0, 1, 0), w, q.input(`${name}/bias`, [N])),
      };
      return [name, { outputs, assign: [[total, q.add(total, q.linear(q.mul(x, 2), w))]] }];
    }),
  );

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

/** Writes the same values to programs and runs them. */
async function runAll(programs: readonly Program[], { name, dtype, M, N, K }: Product, seed: number): Promise<void> {
  const random = randomNumbers(seed);
  const w = isBlocked(dtype)
    ? randomBlocks(dtype, N, K, random)
    : Float32Array.from({ length: N * K }, () => random() - 0.5);
  // Rows of different magnitudes, one of them 0.
  const x = Float32Array.from(
    { length: M * K },
    (_, i) => (random() - 0.5) * 10 ** (Math.floor(i / K) % 5) * (i < K ? 1 : Number(Math.floor(i / K) % 3 > 0)),
  );
  const bias = Float32Array.from({ length: N }, random);
  for (const program of programs) {
    program.write(`${name}/w`, w);
    program.write(`${name}/total`, new Float32Array(M * N).fill(1));
    await program.run(name, { [`${name}/x`]: x, [`${name}/bias`]: bias, [`${name}/ids`]: [N - 1, 0, -1, N] });
  }
}

// A machine with extensions also runs the code of one without.
const all = testedSets.flatMap((target) =>
  target !== "webgpu" && instructionSet(target).extensions
    ? [[target, ""] as const, [target, "none"] as const]
    : [[target, ""] as const],
);

describe.each(all)("stored weights, %s, extensions: %s", (target, extensions) => {
  const reference = compileReference(entriesOf(products));
  let program: Program;
  beforeAll(async () => {
    if (target === testedSets[0] || target === "wasm") vi.stubEnv("QUERN_OPTIMIZE", "2");
    vi.stubEnv("QUERN_EXTENSIONS", extensions);
    program = await compile(entriesOf(products), optionsOf(target));
  }, 300_000);
  afterAll(() => {
    vi.unstubAllEnvs();
    program.dispose();
  });

  it("match reference", { timeout: 120_000 }, async () => {
    const wrong: string[] = [];
    for (const [i, product] of products.entries()) {
      await runAll([reference, program], product, i);
      for (const output of ["y", "rows", "first", "total"].map((end) => `${product.name}/${end}`)) {
        const error = distance(await program.read(output), reference.readExact(output));
        if (!(error < 2e-6)) wrong.push(`${output}: ${error}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("give a row the same bits in any batch", async () => {
    for (const [i, product] of products.entries()) {
      await runAll([program], product, 100 + i);
      const [y, first] = [await program.read(`${product.name}/y`), await program.read(`${product.name}/first`)];
      expect(y.subarray(0, product.N), product.name).toEqual(first);
    }
  });

  it("are read as numbers", async () => {
    for (const product of products.filter(({ M }) => M === 13)) {
      await runAll([reference, program], product, 7);
      const name = `${product.name}/w`;
      expect(await program.read(name), name).toEqual(await reference.read(name));
    }
  });

  it("propagate NaN and infinity", async () => {
    for (const [i, product] of products.entries()) {
      await runAll([program], product, i);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const x = new Float32Array(product.M * product.K).fill(1).fill(value, product.K - 1, product.K);
        await program.run(product.name, { [`${product.name}/x`]: x });
        const first = await program.read(`${product.name}/first`);
        expect(first.some(Number.isFinite), `${product.name}, ${value}`).toBe(false);
      }
    }
  });
});

describe("reference", () => {
  it.each(STORED.filter(([dtype]) => isBlocked(dtype)))(
    "%s is close to the product of the decoded weights",
    async (dtype, divisor) => {
      const [M, N, K] = [4, 64, 8 * divisor];
      const product = { name: "p", dtype, M, N, K };
      const program = compileReference({
        ...entriesOf([product]),
        decoded: {
          outputs: { exact: q.linear(q.input("p/x", [M, K]), q.input("decoded", [N, K]), q.input("p/bias", [N])) },
        },
      });
      await runAll([program], product, 3);
      await program.run("decoded", { decoded: await program.read("p/w") });
      const error = distance(await program.read("p/y"), await program.read("exact"));
      expect(error).toBeLessThan(0.01); // rounding x to int8
      expect(error).toBeGreaterThan(0);
    },
  );
});

/** The bits that are 1. */
const ones = (bytes: Uint8Array) =>
  bytes.reduce((count, byte) => count + [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => (byte >> i) & 1).length, 0);

describe("storage types", () => {
  it("are refused where they cannot be used", () => {
    const w = q.variable("w", [4, 64], "q8_0");
    const x = q.input("x", [2, 64]);
    expect(() => q.variable("w", [4, 48], "q8_0")).toThrow(
      "q8_0 needs a matrix or cache whose rows are multiples of 32, not (4,48)",
    );
    expect(() => q.variable("w", [4, 128], "q6_k")).toThrow(
      "q6_k needs a matrix or cache whose rows are multiples of 256",
    );
    expect(() => q.input("w", [4, 64], "q4_0")).toThrow("only variables can be q4_0");
    for (const f of [() => q.add(w, 1), () => q.reshape(w, [2, 128]), () => q.matmul(w, x, { transposeB: true })]) {
      expect(f).toThrow("q8_0 is only for the right operand of a · bᵀ, the table of an embedding and caches");
    }
    expect(() => q.matmul(q.input("x", [2, 4]), w)).toThrow(
      "needs f32, except for a · bᵀ, whose right operand may be q8_0",
    );
    expect(() => compileReference({ main: { outputs: { w } } })).toThrow('the output "w" cannot be q8_0');
    const assign = [[w, w]] as const;
    expect(() => compileReference({ main: { outputs: {}, assign } })).toThrow("w is q8_0: it is only written");
  });

  it("take bytes of the right length", () => {
    const [w, h] = [q.variable("w", [4, 64], "q8_0"), q.variable("h", [4, 64], "bf16")];
    const y = q.add(q.linear(q.input("x", [2, 64]), w), q.linear(q.input("x", [2, 64]), h));
    const program = compileReference({ main: { outputs: { y } } });
    expect(() => program.write("w", new Float32Array(256))).toThrow(
      "takes 272 bytes of q8_0 blocks (a Uint8Array), not other",
    );
    expect(() => program.write("w", new Uint8Array(256))).toThrow(
      "takes 272 bytes of q8_0 blocks (a Uint8Array), not 256",
    );
    program.write(
      "h",
      Uint8Array.from({ length: 512 }, (_, i) => (i % 2 === 0 ? 0x80 : 0x3f)),
    );
    expect(program.readExact("h").every((x) => x === 1)).toBe(true);
  });

  it.each(STORED.filter(([dtype]) => isBlocked(dtype)))(
    "%s: the kernels' layout holds the same bytes",
    (dtype, divisor) => {
      const type = { dtype, shape: [21, 2 * divisor] };
      const rows = randomBlocks(dtype as BlockDType, 21, 2 * divisor, randomNumbers(1));
      const groups = new Uint8Array(storedBytes(type)).fill(9);
      expect(groups.length).toBe((bytesOf(type) / 21) * 32);
      rearrange(dtype as BlockDType, 2 * divisor, rows, groups, "to groups");
      const back = new Uint8Array(rows.length);
      rearrange(dtype as BlockDType, 2 * divisor, back, groups, "to rows");
      expect(back).toEqual(rows);
      expect(ones(groups)).toBe(ones(rows)); // nothing but zeros fills up the last group
    },
  );
});
