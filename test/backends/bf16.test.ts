import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { emulator } from "../../src/backends/cpu/emulated.js";
import { instructionSet } from "../../src/backends/cpu/instruction-sets.js";
import { bf16IsFaster, bf16Pays, fastestInBf16, limitOf } from "../../src/backends/cpu/peak.js";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import { toBf16 } from "../../src/backends/reference/evaluate.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const compiler = await findCompiler();
const sets = runnableSets(compiler);

/** Peaks of one thread; twice that of two. */
const peakOf = (fp32: number, bf16: number, amx = 0) => ({
  ...{ gflopsOneThread: fp32, gflops: 2 * fp32, bf16OneThread: bf16, bf16: 2 * bf16, amxOneThread: amx, amx: 2 * amx },
});

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);
it("rounds to bf16 by its definition", () => {
  // Numbers around 1 are 2^-7 apart; ties round to even.
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -1 - 2 ** -8].map(toBf16)).toEqual([
    1,
    1 + 2 ** -6,
    1 + 2 ** -7,
    -1,
  ]);
  expect([0, Number.POSITIVE_INFINITY, 3.140625, 255.9].map(toBf16)).toEqual([
    0,
    Number.POSITIVE_INFINITY,
    3.140625,
    256,
  ]);
});

describe("dtype", () => {
  const [x, w] = [q.variable("x", [64, 48]), q.variable("w", [32, 48])];
  const entries = { main: { outputs: { y: q.linear(x, w) } } };
  const next = random(5);
  const values = Array.from({ length: 64 * 48 }, () => next() - 0.5);
  const run = async (options: Parameters<typeof compile>[1]) => {
    const program = await compile(entries, options);
    program.write("x", values);
    program.write("w", values.slice(0, 32 * 48).reverse());
    await program.run("main");
    const result = { y: await program.read("y"), dtype: program.plan.dtype };
    program.dispose();
    return result;
  };

  it("auto is bf16 only if the machine has bf16 products and they are faster", async () => {
    for (const set of sets.slice(0, 2)) {
      const { dtype } = await run({ cpu: { instructionSet: set.name }, dtype: "auto" });
      expect(dtype).toBe(set.bf16Products && (await bf16Pays(set)) ? "bf16" : "fp32");
    }
  });

  it("auto compares measured peaks: bf16 must be clearly faster", () => {
    const faster = (...peaks: [number, number, number?]) =>
      bf16IsFaster(instructionSet("avx512bf16"), peakOf(...peaks));
    expect(faster(118, 236)).toBe(true); // Zen 4
    expect(faster(155, 85)).toBe(false); // Sapphire Rapids
    expect(faster(100, 110)).toBe(false); // within the noise
    expect(faster(180, 86)).toBe(false); // Emerald Rapids
    expect(faster(153, 0)).toBe(false); // Skylake
    expect(bf16IsFaster(instructionSet("amx"), peakOf(180, 86, 2900))).toBe(true);
    expect(bf16IsFaster(instructionSet("amx"), peakOf(180, 86, 0))).toBe(false); // the system refuses the tiles
    expect(bf16IsFaster(instructionSet("avx512"), peakOf(180, 86, 2900))).toBe(false);
  });

  it("the instruction set for bf16 is the fastest measured, which may be one without bf16 products", () => {
    const rows = (...names: string[]) => names.map(instructionSet);
    const all = rows("amx", "avx512bf16", "avx512", "avx2", "portable");
    expect(fastestInBf16(all, peakOf(155, 86, 2900)).name).toBe("amx"); // Emerald Rapids
    expect(fastestInBf16(all.slice(1), peakOf(155, 86)).name).toBe("avx512"); // without permission
    expect(fastestInBf16(all.slice(1), peakOf(118, 236)).name).toBe("avx512bf16"); // Zen 4
    expect(fastestInBf16(all.slice(2), peakOf(153, 0)).name).toBe("avx512"); // Skylake
    expect(fastestInBf16(rows("neonbf16", "neon"), peakOf(40, 150)).name).toBe("neonbf16");
  });

  it("the peak is that of the instruction set's own products", () => {
    const peak = peakOf(155, 86, 2900);
    const limits = ["amx", "avx512bf16", "avx512", "interpreter"].map((target) =>
      limitOf(peak, { target, dtype: "bf16" }),
    );
    expect(limits).toEqual([5800, 172, 310, 310]);
    expect(limitOf(peak, { target: "amx", dtype: "fp32" })).toBe(310);
  });

  it("defaults to fp32", async () => {
    const [plain, fp32, bf16] = [await run({}), await run({ dtype: "fp32" }), await run({ dtype: "bf16" })];
    expect(plain).toEqual(fp32);
    expect((await run({ dtype: "bf16", cpu: { threads: 1 } })).y).toEqual(bf16.y);
    expect(distance(bf16.y, fp32.y)).toBeGreaterThan(1e-4);
    expect(distance(bf16.y, fp32.y)).toBeLessThan(1e-2);
  });
});

describe.runIf(compiler !== null)("templates/bf16.h", () => {
  const folder = mkdtempSync(join(tmpdir(), "quern-bf16-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const portable = [4, 8, 16].map((lanes) => ({ name: `portable, ${lanes} lanes`, lanes, flags: ["-DQN_PLAIN"] }));
  const machine = sets
    .filter((set) => set.bf16Products)
    .map((set) => ({ name: `instructions of ${set.name}`, lanes: set.vectorLength, flags: set.flags }));

  // Both are checked bit by bit against the definition, so the portable version equals the instructions.
  it.each([...portable, ...machine])("$name: matches the definition bit by bit", ({ lanes, flags }) => {
    const program = join(folder, "check");
    const options = [
      "-std=gnu11",
      "-O1",
      "-w",
      "-Wno-psabi",
      ...flags,
      `-DQN_VL=${lanes}`,
      "bench/kernels/bf16.c",
      "-o",
      program,
    ];
    // A program for another architecture runs under an emulator, which finds no shared libraries for it.
    const [command, ...args] = [...(emulator()?.split(" ") ?? []), program];
    const linked = emulator() === undefined ? [] : ["-static"];
    execFileSync(compiler?.command ?? "", [...options, ...linked, "-lm", "-lpthread"]);
    expect(execFileSync(command, args, { encoding: "utf8" })).toBe("ok\n");
  });
});

// They take minutes, so this only keeps them in step with the templates.
it.runIf(compiler !== null).each(["check", "speed"])("bench/kernels/%s.c compiles", (name) => {
  const options = ["-std=gnu11", "-fsyntax-only", "-w", "-DQN_VL=4", `bench/kernels/${name}.c`];
  expect(execFileSync(compiler?.command ?? "", options, { encoding: "utf8" })).toBe("");
});
