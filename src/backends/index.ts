/** @file From a graph to something that runs: the one place where a target is chosen. */
import type { Entries } from "../tensor/index.js";
import type { Program } from "./program.js";
import { compileReference } from "./reference/index.js";

export type { Plan, Program, Values } from "./program.js";
export { compileReference, type ReferenceProgram } from "./reference/index.js";

export interface CompileOptions {
  /** `cpu` is C by the system's compiler, or by clang to WebAssembly where there is none. */
  readonly backend?: "cpu" | "reference";
  /** Threads of the cpu backend; all cores unless given. */
  readonly threads?: number;
  /** Instruction set of the cpu backend, a row of its table; the widest that this machine has unless given. */
  readonly cpu?: string;
  readonly signal?: AbortSignal;
}

/**
 * Compiles the entry points of one program. They share variables by name, and the arena.
 *
 * @throws ShapeError where the entries do not make one program
 */
export async function compile(entries: Entries, options: CompileOptions = {}): Promise<Program> {
  switch (options.backend ?? "reference") {
    case "reference":
      return compileReference(entries);
    default:
      throw new Error("unreachable");
  }
}
