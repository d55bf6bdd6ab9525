import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { emulator } from "../../src/backends/cpu/emulated.js";
import { instructionSet } from "../../src/backends/cpu/instruction-sets.js";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const compiler = await findCompiler();
const names = runnableSets(compiler).map(({ name }) => name);
const hasTiles = names.includes("amx");

const folder = mkdtempSync(join(tmpdir(), "quern-tiles-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(compiler !== null)("templates/tiles.h", () => {
  const twins = [4, 16].map((lanes) => ({ name: `twin, ${lanes} lanes`, lanes, flags: ["-DQN_PLAIN"] }));
  const machine = hasTiles ? [{ name: "instructions", lanes: 16, flags: instructionSet("amx").flags }] : [];

  it.each([...twins, ...machine])("$name: matches the definition bit by bit", ({ lanes, flags }) => {
    const program = join(folder, "check");
    const options = ["-std=gnu11", "-O1", "-w", "-Wno-psabi", ...flags, `-DQN_VL=${lanes}`, "bench/kernels/tiles.c"];
    const linked = emulator() === undefined ? [] : ["-static"];
    execFileSync(compiler?.command ?? "", [...options, "-o", program, ...linked, "-lm", "-lpthread"]);
    const [command, ...args] = [...(emulator()?.split(" ") ?? []), program];
    expect(execFileSync(command, args, { encoding: "utf8" })).toBe("ok\n");
  });
});

describe.runIf(hasTiles)("amx", () => {
  it("has the same bits as its twin on odd shapes, forward and backward, for any number of threads", async () => {
    const shapes = [
      [33, 9, 70],
      [9, 300, 513],
      [130, 65, 33],
      [64, 64, 1300],
    ];
    const entries = Object.fromEntries(
      shapes.map(([M, N, K], i) => {
        const [x, w] = [q.variable(`x${i}`, [M, K]), q.variable(`w${i}`, [N, K])];
        const y = q.linear(x, w);
        const [dx, dw] = q.gradients(q.sum(q.mul(y, y)), [x, w]);
        return [`e${i}`, { outputs: { [`y${i}`]: y, [`dx${i}`]: dx, [`dw${i}`]: dw } }] as const;
      }),
    );
    const results = [];
    for (const [name, threads] of [
      ["amx", 1],
      ["amx", 3],
      ["amx-twin", 2],
    ] as const) {
      const program = await compile(entries, { dtype: "bf16", cpu: { instructionSet: name, threads } });
      const next = random(7);
      const bits: Record<string, Float32Array> = {};
      for (const [i, [M, N, K]] of shapes.entries()) {
        // Many magnitudes, so that sums round and some products are denormal.
        const values = (n: number) => Float32Array.from({ length: n }, () => (next() - 0.5) * 2 ** (40 * next() - 30));
        program.write(`x${i}`, values(M * K));
        program.write(`w${i}`, values(N * K));
        await program.run(`e${i}`);
        for (const output of [`y${i}`, `dx${i}`, `dw${i}`])
          bits[output] = (await program.read(output)).slice() as Float32Array;
      }
      program.dispose();
      results.push(bits);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  }, 60_000);

  it("multiplies the head's strips, packed once for all chunks of rows, with the bits of one chunk and of the twin", async () => {
    const [N, C, V, first] = [300, 37, 331, 256]; // a chunk has 256 rows
    const entries = Object.fromEntries(
      [N, first, N - first].map((rows, i) => {
        const [x, w] = [q.variable(`x${i}`, [rows, C]), q.variable("w", [V, C])];
        const loss = q.linearCrossEntropy(x, w, q.input(`ids${i}`, [rows], "i32"));
        const [dx, dw] = q.gradients(q.sum(loss), [x, w]);
        return [`e${i}`, { outputs: { [`loss${i}`]: loss, [`dx${i}`]: dx, [`dw${i}`]: dw } }] as const;
      }),
    );
    const next = random(3);
    const x = Float32Array.from({ length: N * C }, () => 2 * next() - 1);
    const w = Float32Array.from({ length: V * C }, () => next() - 0.5);
    const ids = Int32Array.from({ length: N }, () => Math.floor(next() * V));
    const results: Record<string, Float32Array>[] = [];
    for (const [name, threads] of [
      ["amx", 1],
      ["amx", 3],
      ["amx-twin", 2],
    ] as const) {
      const program = await compile(entries, { dtype: "bf16", cpu: { instructionSet: name, threads } });
      program.write("w", w);
      const bits: Record<string, Float32Array> = {};
      for (const [i, [from, to]] of [
        [0, N],
        [0, first],
        [first, N],
      ].entries()) {
        program.write(`x${i}`, x.slice(from * C, to * C));
        await program.run(`e${i}`, { [`ids${i}`]: ids.slice(from, to) });
        for (const output of [`loss${i}`, `dx${i}`, `dw${i}`]) bits[output] = (await program.read(output)).slice();
      }
      program.dispose();
      for (const output of ["loss", "dx"]) {
        expect([...bits[`${output}0`]]).toEqual([...bits[`${output}1`], ...bits[`${output}2`]]);
      }
      results.push(bits);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2].dw0.every((value, i) => Math.abs(value - results[0].dw0[i]) < 1e-3)).toBe(true);
  }, 60_000);

  it("multiplies in one program with products of stored weights", async () => {
    const [x, stored, w] = [
      q.variable("x", [16, 64]),
      q.variable("stored", [32, 64], "q8_0"),
      q.variable("w", [32, 64]),
    ];
    const entry = { outputs: { y: q.linear(x, w), z: q.linear(x, stored) } };
    const program = await compile({ entry }, { dtype: "bf16", cpu: { instructionSet: "amx", threads: 1 } });
    program.write("x", new Float32Array(16 * 64).fill(1));
    program.write("w", new Float32Array(32 * 64).fill(0.5));
    program.write("stored", new Uint8Array(32 * 2 * 34));
    await program.run("entry");
    expect([...(await program.read("y"))]).toEqual(new Array(16 * 32).fill(32));
    expect([...(await program.read("z"))]).toEqual(new Array(16 * 32).fill(0));
    program.dispose();
  }, 60_000);

  it("has the same bits where a large result is written past the caches", async () => {
    const [M, N, K] = [1024, 2080, 40];
    const [x, w, half] = [q.variable("x", [M, K]), q.variable("w", [N, K]), q.variable("half", [N / 2, K])];
    const entries = { whole: { outputs: { y: q.linear(x, w) } }, half: { outputs: { z: q.linear(x, half) } } };
    const program = await compile(entries, { dtype: "bf16", cpu: { instructionSet: "amx", threads: 2 } });
    const next = random(9);
    const weights = Float32Array.from({ length: N * K }, () => next() - 0.5);
    program.write(
      "x",
      Float32Array.from({ length: M * K }, () => next() - 0.5),
    );
    program.write("w", weights);
    await program.run("whole");
    const y = (await program.read("y")).slice();
    for (const part of [0, 1]) {
      program.write("half", weights.slice((part * N * K) / 2, ((part + 1) * N * K) / 2));
      await program.run("half");
      const z = await program.read("z");
      for (let i = 0; i < M; i += 31) {
        const [from, row] = [i * N + (part * N) / 2, (i * N) / 2];
        expect(z.slice(row, row + N / 2)).toEqual(y.slice(from, from + N / 2));
      }
    }
    program.dispose();
  });

  // A preloaded library refuses the request, as a kernel could.
  it("falls back to the next row if the system refuses the tiles", () => {
    const refusal = join(folder, "refusal.so");
    writeFileSync(
      join(folder, "refusal.c"),
      `#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
long syscall(long number, long a, long b, long c, long d, long e, long f) {
  static long (*next)(long, ...);
  if (number == 158 && a == 0x1023) { errno = EPERM; return -1; }
  if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return next(number, a, b, c, d, e, f);
}
`,
    );
    execFileSync(compiler?.command ?? "", ["-shared", "-fPIC", "-w", join(folder, "refusal.c"), "-o", refusal, "-ldl"]);
    const engine = pathToFileURL(join("dist", "src")).href;
    const script = `
      const { compile } = await import("${engine}/backends/index.js");
      const q = await import("${engine}/tensor/index.js");
      const x = q.variable("x", [16, 32]);
      const program = await compile({ main: { outputs: { y: q.linear(x, x) } } }, { dtype: "bf16" });
      program.write("x", new Float32Array(512).fill(1));
      await program.run("main");
      console.log(program.plan.target, (await program.read("y"))[0]);`;
    const run = (QUERN_CPU: string) =>
      spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        encoding: "utf8",
        env: { ...process.env, LD_PRELOAD: refusal, QUERN_CPU },
      });
    const free = run("");
    expect(free.stderr).toBe("");
    expect(["avx512bf16 32\n", "avx512 32\n"]).toContain(free.stdout);
    const forced = run("amx");
    expect(forced.status).not.toBe(0);
    expect(forced.stderr).toContain("the system refuses this process the tile registers");
  }, 60_000);
});

it("the twin is never chosen automatically", () => {
  expect(names).not.toContain("amx-twin");
});
