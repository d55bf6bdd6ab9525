/** @file Compiles a graph to a runnable program: the table of backends, and the one place that chooses among them. */
export { QuernError } from "../errors.js";

import { QuernError } from "../errors.js";
import type { Entries } from "../tensor/index.js";
import type { Backend } from "./backend.js";
import { type CommonOptions, compileFor } from "./compile.js";
import { type CpuOptions, cpu } from "./cpu/index.js";
import { examineMachine as examine, type Machine, type MachineReport } from "./machine.js";
import type { Program } from "./program.js";
import { reference } from "./reference/index.js";

export type { ComputeDType, Limits } from "../compiler/index.js";
export { type EntryCost, type Explanation, explain, type KernelCost, type Totals } from "../compiler/index.js";
export type { Backend, DeviceTensor, Image, Layout, Loadable, Lowered, Target } from "./backend.js";
export type { CommonOptions } from "./compile.js";
export type { CpuOptions } from "./cpu/index.js";
export { freeMemory } from "./free-memory.js";
export type { Machine, MachineReport, Peak, PeakOptions, ProcessorReport } from "./machine.js";
export type { Plan, Program } from "./program.js";
export { programsFolder } from "./program-cache.js";
export { compileReference, type ReferenceProgram } from "./reference/index.js";
export type { Sharing } from "./sharing.js";
export type { Values, Written } from "./slots.js";

/** The table of backends: each is a folder here. The first row is the default. */
export const BACKENDS: readonly Backend[] = [cpu, reference];

export interface CompileOptions extends CommonOptions {
  /** `cpu` compiles C with the system's compiler, or to WebAssembly with clang if there is none. */
  readonly backend?: "cpu" | "reference";
  /** Options of the `cpu` backend. */
  readonly cpu?: CpuOptions;
}

/**
 * Compiles the entry points of one program. They share one arena, and variables of the same name.
 *
 * @throws ShapeError if the entries disagree about a name, or assign a value of the wrong type
 * @throws QuernError if this machine cannot build the program or lacks the memory, or if variables cannot be shared
 */
export function compile(entries: Entries, options: CompileOptions = {}): Promise<Program> {
  return compileFrom(BACKENDS, entries, { ...options });
}

/** `compile` with another table of backends. Each backend's options are under its name. */
export async function compileFrom(
  table: readonly Backend[],
  entries: Entries,
  {
    backend = table[0].name,
    ...options
  }: CommonOptions & { readonly backend?: string; readonly [row: string]: unknown },
): Promise<Program> {
  const row = table.find(({ name }) => name === backend);
  if (row) return compileFor(row, entries, options);
  throw new QuernError(`unknown backend "${backend}"; available: ${table.map(({ name }) => name).join(", ")}`, {
    exitCode: 2,
  });
}

const machine = cpu.machine as Machine;

/** Examines this machine; measures its peaks unless `measure` is false. */
export function examineMachine(options?: Parameters<typeof examine>[1]): Promise<MachineReport> {
  return examine(machine, options);
}

/** Measure this machine's peak throughput and choose by it; see `Machine`. */
export const { measurePeak, peakOnce, limitOf, bf16Row } = machine;
