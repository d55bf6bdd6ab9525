/** @file From a graph to something that runs: the one place where a target is chosen. */
export { QuernError } from "../errors.js";

import type { Precision } from "../compiler/index.js";
import type { Entries } from "../tensor/index.js";
import { compileCpu } from "./cpu/index.js";
import type { Program } from "./program.js";
import { compileReference } from "./reference/index.js";

export type { Precision } from "../compiler/index.js";
export { type EntryCost, type Explanation, explain, type KernelCost, type Totals } from "../compiler/index.js";
export { INSTRUCTION_SETS, type InstructionSet } from "./cpu/instruction-sets.js";
export { programsFolder } from "./cpu/program-cache.js";
export { type Compiler, chooseSet, defaultThreads, findCompiler, runnableSets } from "./cpu/toolchain.js";
export { freeMemory } from "./free-memory.js";
export { examineMachine, type MachineReport, measurePeak, type Peak, peakOnce } from "./machine.js";
export type { Plan, Program, Values, Written } from "./program.js";
export { compileReference, type ReferenceProgram } from "./reference/index.js";

export interface CompileOptions {
  /** `cpu` (the default) is C by the system's compiler, or by clang to WebAssembly where there is none. */
  readonly backend?: "cpu" | "reference";
  /** Threads of the cpu backend; all cores unless given. */
  readonly threads?: number;
  /** Instruction set of the cpu backend, a row of its table; else `QUERN_CPU`, else the widest that runs here. */
  readonly cpu?: string;
  /**
   * `bf16`: large products round their operands to bf16 and add up in fp32; all else stays fp32. `auto` is bf16 where the
   * machine multiplies bf16 faster than fp32, else fp32. fp32 unless given.
   */
  readonly precision?: Precision | "auto";
}

/**
 * Compiles the entry points of one program. They share variables by name, and the arena.
 *
 * @throws ShapeError where the entries do not make one program
 * @throws QuernError where this machine cannot build or hold it
 */
export async function compile(entries: Entries, options: CompileOptions = {}): Promise<Program> {
  return options.backend === "reference"
    ? compileReference(entries, options.precision === "bf16" ? "bf16" : "fp32")
    : compileCpu(entries, options);
}
