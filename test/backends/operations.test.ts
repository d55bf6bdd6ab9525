import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile, compileReference, type Program } from "../../src/backends/index.js";
import type { Entry } from "../../src/tensor/index.js";
import * as q from "../../src/tensor/index.js";
import { type Case, cases, stateCases } from "./operations.cases.js";

function prepare(program: Program, { values }: Case): void {
  for (const [name, data] of Object.entries(values)) program.write(name, data);
}

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
/** Distance relative to the norm of the second. */
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

describe("reference", () => {
  const differentiated = cases.filter(({ gradients }) => Object.keys(gradients).length > 0);
  it.each(differentiated.map((c) => [c.name, c] as const))("%s: gradients match finite differences", async (_, c) => {
    const program = compileReference({ main: c.entry });
    prepare(program, c);
    const loss = async () => {
      await program.run("main");
      return program.readExact(`${c.name}/loss`)[0];
    };
    await loss();
    const gradients = Object.entries(c.gradients).map(([name, output]) => [name, program.readExact(output)] as const);
    for (const [name, gradient] of gradients) {
      const value = c.values[name];
      // A few elements of each parameter, spread over it.
      for (let k = 0; k < Math.min(4, value.length); k++) {
        const i = Math.floor((k * (value.length - 1)) / 3) % value.length;
        const h = 1e-5;
        const at = async (x: number) => {
          const changed = value.slice();
          changed[i] = x;
          program.write(name, changed);
          return loss();
        };
        const numeric = ((await at(value[i] + h)) - (await at(value[i] - h))) / (2 * h);
        program.write(name, value);
        expect(Math.abs(numeric - gradient[i])).toBeLessThan(1e-6 + 1e-5 * norm(gradient));
      }
    }
  });
});

it("accepts only f32 operands", () => {
  const x = q.variable("x", [4, 4], "bf16");
  for (const f of [() => q.add(x, 1), () => q.matmul(x, x), () => q.sum(x), () => q.concatenate([x, x], 0)]) {
    expect(f).toThrow(/needs f32/);
  }
  const counter = q.variable("n", [1], "u8");
  const assign = [[counter, q.add(q.cast(counter, "f32"), 1)]] as const;
  expect(() => compileReference({ main: { outputs: {}, assign } })).toThrow("n is u8 but is assigned f32: cast it");
});

const compiler = await findCompiler();
const sets = runnableSets(compiler).map((set) => set.name);
const isSlow = process.env.QUERN_TEST_SLOW !== undefined;
// The widest set, a narrower one, and WebAssembly, which runs everywhere: clang for it is a development dependency. `npm run
// test:all` builds the others too.
const targets = [...new Set([...sets.filter((name, i) => isSlow || i === 0 || name === "avx2"), "wasm"])];

// Keys and values that grow with each call, as in generation.
const [B, S, G, H, D] = [2, 9, 2, 4, 8];
const chunk = 3;
const cachedAttention = (): Entry => {
  const k = q.variable("cache/k", [B, S, G, D]);
  const position = q.scalar("cache/position", "i32");
  const written = q.cacheWrite(k, q.input("cache/rows", [B, chunk, G, D]), position);
  const queries = q.input("cache/q", [B, chunk, H, D]);
  const segments = q.input("cache/segments", [B, S], "i32");
  const o = q.attention(queries, written, written, { position });
  const masked = q.attention(queries, written, written, { position, segments });
  return { outputs: { "cache/o": o, "cache/masked": masked }, assign: [[k, written]] };
};

const castGradient = (): Entry => {
  const x = q.variable("cast gradient/x", [5], "f16");
  const weights = q.constant(
    Float32Array.from([0, 1, 2, 3, 4], (w) => w / 3),
    [5],
  );
  const loss = q.sum(q.mul(weights, q.cast(q.cast(x, "bf16"), "f32")));
  return { outputs: { "cast gradient/dx": q.gradients(loss, [x])[0] } };
};

describe.each(targets)("cpu, %s", (target) => {
  // All cases in one program, so that each target builds once.
  const stateEntries = Object.fromEntries(stateCases.map((c) => [c.name, c.entry]));
  const entries = {
    ...Object.fromEntries(cases.map((c) => [c.name, c.entry])),
    ...stateEntries,
    cache: cachedAttention(),
    castGradient: castGradient(),
  };
  const reference = compileReference(entries);
  let program: Program;
  beforeAll(async () => {
    // The widest instruction set and WebAssembly are optimized as for a user.
    if (target === targets[0] || target === "wasm") vi.stubEnv("QUERN_OPTIMIZE", "2");
    program = await compile(entries, { cpu: { instructionSet: target, threads: 2 } });
  }, 300_000);
  afterAll(() => {
    vi.unstubAllEnvs();
    program.dispose();
  });

  it("matches reference, forward and backward", { timeout: 120_000 }, async () => {
    const wrong: string[] = [];
    for (const c of cases) {
      for (const each of [program, reference]) {
        prepare(each, c);
        await each.run(c.name);
      }
      for (const output of Object.keys(c.entry.outputs)) {
        // The loss only serves to compute gradients: its terms cancel, leaving rounding errors.
        if (output.endsWith("/loss")) continue;
        const want = reference.readExact(output);
        // Casts add nothing up, and some are infinite.
        if (c.name.startsWith("casts")) {
          expect(await program.read(output), output).toEqual(Float32Array.from(want));
          continue;
        }
        const error = distance(await program.read(output), want);
        if (!(error < 1e-5)) wrong.push(`${output}: ${error}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("passes a gradient through casts between floats unchanged", async () => {
    await expect(program.read("cast gradient/dx")).rejects.toThrow('run "castGradient" first');
    await program.run("castGradient");
    // Σ w · f32(bf16(x)), and x came from f16: w reaches x unrounded.
    expect(Array.from(await program.read("cast gradient/dx"))).toEqual([0, 1, 2, 3, 4].map((w) => Math.fround(w / 3)));
  });

  it("leaves the same state as reference, with the same bits for any number of threads", {
    timeout: 120_000,
  }, async () => {
    // The same entries with other thread counts; clang takes a while to compile each to WebAssembly.
    const counts = target === "wasm" ? [1] : [1, 3];
    const others = await Promise.all(
      counts.map((threads) => compile(stateEntries, { cpu: { instructionSet: target, threads } })),
    );
    for (const c of stateCases) {
      for (const each of [program, ...others, reference]) {
        prepare(each, c);
        await each.run(c.name);
        await each.run(c.name);
      }
      const assigned = (c.entry.assign ?? []).map(([to]) => (to.node.attributes as { name: string }).name);
      for (const name of [...assigned, ...Object.keys(c.entry.outputs)]) {
        if (name.endsWith("/loss")) continue;
        const want = reference.readExact(name);
        expect(distance(await program.read(name), want)).toBeLessThan(1e-5);
        for (const other of others) expect(await other.read(name)).toEqual(await program.read(name));
      }
    }
    for (const other of others) other.dispose();
  });

  it("writes a cache and attends at a moving position", async () => {
    for (let at = 0; at < S; at += chunk) {
      const rows = Float32Array.from({ length: B * chunk * G * D }, (_, i) => Math.sin(i * 1.7 + at));
      const query = Float32Array.from({ length: B * chunk * H * D }, (_, i) => 2 * Math.cos(i * 0.9 + at));
      // Padding before the text of one row, two documents in the other.
      const segments = Int32Array.from({ length: B * S }, (_, i) => (i < S ? (i < 2 ? 0 : 1) : i < S + 5 ? 1 : 2));
      const values = { "cache/position": at, "cache/rows": rows, "cache/q": query, "cache/segments": segments };
      for (const each of [program, reference]) await each.run("cache", values);
      for (const output of ["cache/o", "cache/masked"]) {
        const want = reference.readExact(output);
        expect(distance(await program.read(output), want)).toBeLessThan(2e-6);
      }
      expect(await program.read("cache/k")).toEqual(await reference.read("cache/k"));
    }
  });
});

// In this file so that one clang process compiles both to WebAssembly.
const dotted = cases.filter(({ name }) => /^(matmul|attention|linear)/.test(name));
const inBf16 = [
  ...targets.filter((name) => isSlow || name !== "avx2" || name === sets[0]),
  ...(compiler ? ["amx-twin"] : []),
];
describe.each(inBf16)("products in bf16, cpu %s", (target) => {
  const entries = Object.fromEntries(dotted.map((c) => [c.name, c.entry]));
  const [reference, exact] = [compileReference(entries, "bf16"), compileReference(entries)];
  const tiled = target === "amx" || target === "amx-twin";
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, { dtype: "bf16", cpu: { instructionSet: target, threads: 2 } });
  }, 120_000);
  afterAll(() => program.dispose());

  it("match reference with rounded operands, forward and backward", { timeout: 120_000 }, async () => {
    expect(program.plan.dtype).toBe("bf16");
    const wrong: string[] = [];
    let changed = 0;
    for (const c of dotted) {
      for (const each of [program, reference, exact]) {
        prepare(each, c);
        await each.run(c.name);
      }
      for (const output of Object.keys(c.entry.outputs)) {
        if (output.endsWith("/loss")) continue;
        const want = reference.readExact(output);
        const error = distance(await program.read(output), want);
        // Attention rounds its weights relative to the largest so far, not to their sum, so they round differently. Tiles round a
        // layer's output, as autocast does. Both must be about as close to the exact result as reference's rounding.
        const roundsElsewhere = /attention/.test(c.name) || (tiled && c.name === "linear and residual");
        const bound = roundsElsewhere ? 1.5 * distance(exact.readExact(output), want) : 2e-4;
        const off = roundsElsewhere ? distance(await program.read(output), exact.readExact(output)) : error;
        // An fp32 sum halfway between two bf16 may round either way: 2^-8 of one number among many.
        if (!(off < bound + 1e-6)) wrong.push(`${output}: ${off} of ${bound}`);
        if (distance(exact.readExact(output), want) > 1e-3) changed++;
      }
    }
    expect(wrong).toEqual([]);
    expect(changed).toBeGreaterThan(dotted.length); // rounding must have an effect, or this would compare fp32 with fp32
  });
});
