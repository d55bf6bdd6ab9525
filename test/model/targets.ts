/** @file The backends that models are held to their oracle on: the interpreter, and every cpu row that runs here. */
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import type { CompileOptions } from "../../src/backends/index.js";

export interface Target {
  readonly name: string;
  readonly options: CompileOptions;
  /** Largest relative difference from the float64 oracle, whose numbers are stored as float32. */
  readonly tolerance: number;
}

export const TARGETS: readonly Target[] = [
  { name: "reference", options: { backend: "reference" }, tolerance: 2e-6 },
  ...runnableSets(await findCompiler()).map(({ name }) => ({
    name: `cpu ${name}`,
    options: { backend: "cpu" as const, cpu: { instructionSet: name } },
    tolerance: 1e-4,
  })),
];

/**
 * Pairs of a target and a fixture to test. Each program takes seconds to build, and each operation is held to the
 * interpreter on every row elsewhere: so all fixtures run there, the first `widest` on the widest row, and the first
 * `everywhere` on the other rows too. Where WebAssembly is the widest row it takes half of the widest's: its programs are
 * built by a compiler that is itself WebAssembly.
 */
export function pairsOf<F extends string>(fixtures: readonly F[], widest: number, everywhere: number) {
  const onWidest = TARGETS[1]?.options.cpu?.instructionSet === "wasm" ? Math.ceil(widest / 2) : widest;
  return TARGETS.flatMap((target, i) =>
    fixtures
      .slice(0, [fixtures.length, onWidest][i] ?? everywhere)
      .map((fixture) => ({ fixture, target, on: target.name })),
  );
}

/** Milliseconds: clang as WebAssembly takes long to build a program, longer beside other tests. */
export const SLOW_BUILD = 300_000;
