import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { emulator } from "../../src/backends/cpu/emulated.js";
import { bf16IsFaster, bf16Pays } from "../../src/backends/cpu/peak.js";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import { toBf16 } from "../../src/backends/reference/evaluate.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const compiler = await findCompiler();
const sets = runnableSets(compiler);

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);
it("rounds to bf16 as its definition says", () => {
  // One and the numbers around it are 2^-7 apart; ties go to the even one.
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

describe("precision", () => {
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

  it("auto is bf16 only where the machine has the products and is faster by them", async () => {
    for (const set of sets.slice(0, 2)) {
      const { dtype } = await run({ cpu: { instructionSet: set.name }, dtype: "auto" });
      expect(dtype).toBe(set.bf16Products && (await bf16Pays()) ? "bf16" : "fp32");
    }
  });

  it("decides by measured peaks: bf16 must be clearly faster", () => {
    expect(bf16IsFaster({ gflopsOneThread: 118, bf16OneThread: 236 })).toBe(true); // Zen 4
    expect(bf16IsFaster({ gflopsOneThread: 155, bf16OneThread: 85 })).toBe(false); // Sapphire Rapids
    expect(bf16IsFaster({ gflopsOneThread: 100, bf16OneThread: 110 })).toBe(false); // within the noise
    expect(bf16IsFaster({ gflopsOneThread: 180, bf16OneThread: 86 })).toBe(false); // Emerald Rapids
    expect(bf16IsFaster({ gflopsOneThread: 153, bf16OneThread: 0 })).toBe(false); // Skylake
  });

  it("is fp32 unless asked for", async () => {
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
  const twins = [4, 8, 16].map((lanes) => ({ name: `twin, ${lanes} lanes`, lanes, flags: ["-DQN_PLAIN"] }));
  const machine = sets
    .filter((set) => set.bf16Products)
    .map((set) => ({ name: `instructions of ${set.name}`, lanes: set.vectorLength, flags: set.flags }));

  // The same check for both, bit by bit: so the twin is what the instructions are.
  it.each([...twins, ...machine])("$name: has the bits of the definition", ({ lanes, flags }) => {
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
    // A program of another machine is run by its emulator, which finds no shared libraries of it.
    const [command, ...args] = [...(emulator()?.split(" ") ?? []), program];
    const linked = emulator() === undefined ? [] : ["-static"];
    execFileSync(compiler?.command ?? "", [...options, ...linked, "-lm", "-lpthread"]);
    expect(execFileSync(command, args, { encoding: "utf8" })).toBe("ok\n");
  });
});
