import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { defaultThreads, findCompiler } from "../../src/backends/cpu/toolchain.js";
import { compile, programsFolder } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

const entries = { main: { outputs: { y: q.mul(q.input("x", [5]), 3) } } };
const compiler = await findCompiler();

/** Entries of the cache, without its tag file. */
const builtPrograms = async () => (await readdir(programsFolder())).filter((name) => name !== "CACHEDIR.TAG");

describe("building a program", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-build-"));
    vi.stubEnv("QUERN_CACHE", folder);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it.runIf(compiler)("caches it for its owner alone, leaving nothing else behind", async () => {
    const first = await compile(entries);
    const second = await compile(entries);
    expect([first.plan.cached, second.plan.cached]).toEqual([false, true]);
    await second.run("main", { x: [1, 2, 3, 4, 5] });
    expect([...(await second.read("y"))]).toEqual([3, 6, 9, 12, 15]);
    // One library serves both programs, but they share no state.
    expect([...(await first.read("x"))]).toEqual([0, 0, 0, 0, 0]);
    // The program, and the templates that it is linked with.
    expect(await builtPrograms()).toHaveLength(2);
    if (process.getuid) expect((await stat(programsFolder())).mode & 0o077).toBe(0);
    first.dispose();
    second.dispose();
  });

  it.runIf(compiler)("by many at once gives each a whole one", async () => {
    const programs = await Promise.all(Array.from({ length: 4 }, () => compile(entries)));
    for (const program of programs) {
      await program.run("main", { x: [1, 1, 1, 1, 2] });
      expect((await program.read("y"))[4]).toBe(6);
      program.dispose();
    }
    expect(await builtPrograms()).toHaveLength(2);
  });

  it.runIf(compiler)("builds again for a compiler that has changed", async () => {
    const wrapper = join(folder, "cc");
    const write = (note: string) =>
      writeFile(wrapper, `#!/bin/sh\n# ${note}\nexec ${compiler?.command} "$@"\n`, { mode: 0o700 });
    await write("first");
    const first = await findCompiler({ QUERN_CC: wrapper });
    await write("the second, a longer one");
    const second = await findCompiler({ QUERN_CC: `${folder}/./cc` });
    expect(second?.version).toBe(first?.version);
    expect(second?.identity).not.toBe(first?.identity);
  });

  it.runIf(compiler && totalmem() > 12 * 2 ** 30)(
    "addresses an arena above 4 GiB, of which it touches little",
    async () => {
      // Two tables of 2.3 GiB whose last rows are read and written; pages never touched take no memory.
      const [rows, width] = [600_000, 1024];
      const ids = q.input("ids", [3], "i32");
      const [a, b] = ["a", "b"].map((name) => q.embedding(q.variable(name, [rows, width]), ids));
      const program = await compile(
        { main: { outputs: { a0: q.add(a, 1), b0: q.add(b, 2) } } },
        { cpu: { threads: 2 } },
      );
      try {
        expect(program.plan.arenaBytes).toBeGreaterThan(4.5 * 2 ** 30);
        await program.run("main", { ids: [0, rows - 1, 5] });
        expect(await program.read("a0")).toEqual(new Float32Array(3 * width).fill(1));
        expect(await program.read("b0")).toEqual(new Float32Array(3 * width).fill(2));
      } finally {
        program.dispose();
      }
    },
  );

  it("throws for a compiler that does not run", async () => {
    vi.stubEnv("QUERN_CC", "/nonexistent/cc");
    await expect(compile(entries)).rejects.toThrow('cannot run the C compiler "/nonexistent/cc" (from QUERN_CC)');
  });

  it.runIf(compiler)("names an instruction set that is not there", async () => {
    vi.stubEnv("QUERN_CPU", "avx1024");
    await expect(compile(entries)).rejects.toThrow(
      /unknown instruction set "avx1024"; this machine supports .*portable/,
    );
  });

  it("uses QUERN_THREADS threads", () => {
    expect(defaultThreads({ QUERN_THREADS: "3" })).toBe(3);
    expect(defaultThreads({})).toBe(availableParallelism());
    for (const wrong of ["0", "1.5", "many", "257"]) {
      expect(() => defaultThreads({ QUERN_THREADS: wrong })).toThrow(/QUERN_THREADS must be a whole number from 1 to/);
    }
  });

  it("throws for a plan larger than WebAssembly can address, with its size", async () => {
    const big = q.variable("big", [1 << 16, 1 << 15]);
    await expect(
      compile({ main: { outputs: {}, assign: [[big, q.mul(big, 2)]] } }, { cpu: { instructionSet: "wasm" } }),
    ).rejects.toThrow(/the plan needs 8\.\d+ GiB, but WebAssembly can address only 4 GiB/);
  });

  it("throws for unknown names and wrong values", async () => {
    const program = await compile(entries, { backend: "reference" });
    await expect(program.read("z")).rejects.toThrow('the program has no tensor "z"; it has x, y');
    expect(() => program.write("x", [1, 2])).toThrow('"x" (5) takes 5 values, not 2');
    await expect(program.run("other")).rejects.toThrow('no entry "other"');
  });
});
