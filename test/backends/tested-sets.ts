/** The targets of tests that build large programs. */
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import type { CompileOptions } from "../../src/backends/index.js";

const compiler = await findCompiler();
const sets = runnableSets(compiler).map((set) => set.name);

/**
 * The widest instruction set of this machine and WebAssembly. `npm run test:all` builds every set, and `amx-twin` where there is
 * a compiler; `QUERN_CPU` chooses another widest one.
 */
export const testedSets: readonly string[] = onWebGpu(
  process.env.QUERN_TEST_SLOW === undefined
    ? [...sets.slice(0, 1), "wasm"]
    : [...sets, ...(compiler ? ["amx-twin"] : []), "wasm"],
);

/** All instruction sets of this machine, and WebAssembly. */
export const everySet: readonly string[] = onWebGpu([...new Set([...sets, "wasm"])]);

/** `npm run test:webgpu` runs the same tests on a GPU instead. */
function onWebGpu(others: readonly string[]): readonly string[] {
  return process.env.QUERN_TEST_WEBGPU === undefined ? others : ["webgpu"];
}

/** Options for one of these sets. */
export function optionsOf(set: string, threads = 2): CompileOptions {
  return set === "webgpu" ? { backend: "webgpu" } : { cpu: { instructionSet: set, threads } };
}
