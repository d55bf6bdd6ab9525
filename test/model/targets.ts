/** @file The backends on which models are compared to their reference: the interpreter, and all cpu targets of this machine. */
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import type { CompileOptions } from "../../src/backends/index.js";

export interface Target {
  readonly name: string;
  readonly options: CompileOptions;
  /** Largest relative difference from the float64 reference, which is stored as float32. */
  readonly tolerance: number;
}

/** With `QUERN_TEST_CUDA` (`npm run test:cuda-emulated`, scripts/gpu-check.sh) the `cuda` backend takes their place. */
const CUDA: readonly Target[] = [{ name: "cuda", options: { backend: "cuda" }, tolerance: 1e-4 }];
/** With `QUERN_TEST_WEBGPU` (`npm run test:webgpu`) the `webgpu` backend does. */
const onWebGpu = process.env.QUERN_TEST_WEBGPU !== undefined;
const WEBGPU: readonly Target[] = [{ name: "webgpu", options: { backend: "webgpu" }, tolerance: 1e-4 }];

const CPU: readonly Target[] = [
  { name: "reference", options: { backend: "reference" }, tolerance: 2e-6 },
  ...runnableSets(await findCompiler()).map(({ name }) => ({
    name: `cpu ${name}`,
    options: { backend: "cpu" as const, cpu: { instructionSet: name } },
    tolerance: 1e-4,
  })),
];

export const TARGETS = process.env.QUERN_TEST_CUDA ? CUDA : onWebGpu ? WEBGPU : CPU;

/**
 * Pairs of a target and a fixture to test. A program takes seconds to build, and other tests compare each operation to the
 * interpreter on every instruction set. So all fixtures run on the interpreter, the first `widest` on the widest instruction
 * set, and the first `everywhere` on the others too. If WebAssembly is the widest, it gets half of `widest`: its compiler is
 * itself WebAssembly and slow.
 */
export function pairsOf<F extends string>(fixtures: readonly F[], widest: number, everywhere: number) {
  if (onWebGpu) return fixtures.map((fixture) => ({ fixture, target: TARGETS[0], on: TARGETS[0].name }));
  const onWidest = TARGETS[1]?.options.cpu?.instructionSet === "wasm" ? Math.ceil(widest / 2) : widest;
  return TARGETS.flatMap((target, i) =>
    fixtures
      .slice(0, [fixtures.length, onWidest][i] ?? everywhere)
      .map((fixture) => ({ fixture, target, on: target.name })),
  );
}

/** Test timeout in milliseconds: clang as WebAssembly builds programs slowly, especially next to other tests. */
export const SLOW_BUILD = 300_000;
