import { describe, expect, it } from "vitest";
import { compile, compileReference, findCompiler, type Program, runnableSets } from "../../src/backends/index.js";
import type { Entry } from "../../src/tensor/index.js";
import * as q from "../../src/tensor/index.js";
import { type Case, cases, stateCases } from "./operations.cases.js";

function prepare(program: Program, { values }: Case): void {
  for (const [name, data] of Object.entries(values)) program.write(name, data);
}

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) => norm(Array.from(x, (v, i) => v - y[i]));

describe("reference", () => {
  it.each(cases.map((c) => [c.name, c] as const))("%s: gradients match finite differences", async (_, c) => {
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
      for (let k = 0; k < Math.min(6, value.length); k++) {
        const i = Math.floor((k * (value.length - 1)) / 5) % value.length;
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

const compiler = await findCompiler();
// WebAssembly runs everywhere: clang for it is a development dependency.
const targets = [...new Set([...runnableSets(compiler).map((set) => set.name), "wasm"])];

describe.each(targets)("cpu, %s", (target) => {
  it("gives what reference gives, forward and backward", { timeout: 120_000 }, async () => {
    // All cases in one program: one build a target.
    const entries = Object.fromEntries(cases.map((c) => [c.name, c.entry]));
    const program = await compile(entries, { cpu: target, threads: 2 });
    const reference = compileReference(entries);
    const wrong: string[] = [];
    for (const c of cases) {
      prepare(program, c);
      prepare(reference, c);
      await program.run(c.name);
      await reference.run(c.name);
      for (const output of Object.keys(c.entry.outputs)) {
        // The loss only carries the gradients: its terms cancel, and what is left is rounding.
        if (output.endsWith("/loss")) continue;
        const want = reference.readExact(output);
        const error = distance(program.read(output), want) / (norm(want) || 1);
        if (!(error < 1e-5)) wrong.push(`${output}: ${error}`);
      }
    }
    program.dispose();
    expect(wrong).toEqual([]);
  });

  it("leaves the state that reference leaves, and the same bits on any number of threads", {
    timeout: 120_000,
  }, async () => {
    const entries = Object.fromEntries(stateCases.map((c) => [c.name, c.entry]));
    const programs = await Promise.all([1, 2, 3].map((threads) => compile(entries, { cpu: target, threads })));
    const reference = compileReference(entries);
    for (const c of stateCases) {
      for (const program of [...programs, reference]) {
        prepare(program, c);
        await program.run(c.name);
        await program.run(c.name);
      }
      const assigned = (c.entry.assign ?? []).map(([target]) => (target.node.attributes as { name: string }).name);
      for (const name of [...assigned, ...Object.keys(c.entry.outputs)]) {
        if (name.endsWith("/loss")) continue;
        const want = reference.readExact(name);
        const [first, ...others] = programs.map((program) => program.read(name));
        expect(distance(first, want) / norm(want)).toBeLessThan(1e-5);
        for (const other of others) expect(other).toEqual(first);
      }
    }
    for (const program of programs) program.dispose();
  });

  it("writes a cache and attends at a moving position", { timeout: 120_000 }, async () => {
    const [B, S, G, H, D] = [2, 9, 2, 4, 8];
    const length = 3;
    const k = q.variable("k", [B, S, G, D]);
    const position = q.scalar("position", "i32");
    const written = q.cacheWrite(k, q.input("rows", [B, length, G, D]), position);
    const o = q.attention(q.input("q", [B, length, H, D]), written, written, { position });
    const entry: Entry = { outputs: { o }, assign: [[k, written]] };
    const programs = [await compile({ step: entry }, { cpu: target, threads: 2 }), compileReference({ step: entry })];
    for (let at = 0; at < S; at += length) {
      const rows = Float32Array.from({ length: B * length * G * D }, (_, i) => Math.sin(i * 1.7 + at));
      const query = Float32Array.from({ length: B * length * H * D }, (_, i) => 2 * Math.cos(i * 0.9 + at));
      for (const program of programs) await program.run("step", { position: at, rows, q: query });
      expect(distance(programs[0].read("o"), programs[1].read("o")) / norm(programs[1].read("o"))).toBeLessThan(2e-6);
      expect(programs[0].read("k")).toEqual(programs[1].read("k"));
    }
    for (const program of programs) program.dispose();
  });
});
