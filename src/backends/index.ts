/** @file Compiles a graph to a runnable program: the table of backends, and the one place that chooses among them. */
export { OutOfMemoryError, QuernError } from "../errors.js";

import { type ComputeDType, compileGraph, type Explanation, explain as explainGraph } from "../compiler/index.js";
import { QuernError } from "../errors.js";
import type { Entries } from "../tensor/index.js";
import type { Backend } from "./backend.js";
import { type BackendChoice, chooseFrom } from "./choose-backend.js";
import { type CommonOptions, compileFor } from "./compile.js";
import { type CpuOptions, cpu, limitsOfSet } from "./cpu/index.js";
import { type CudaOptions, cuda } from "./cuda/index.js";
import { examineMachine as examine, type Machine, type MachineReport } from "./machine.js";
import type { Program } from "./program.js";
import { reference } from "./reference/index.js";
import { type WebGpuOptions, webgpu } from "./webgpu/index.js";

export type { ComputeDType, EntryCost, Explanation, KernelCost, Limits, Totals } from "../compiler/index.js";
export type { Backend, DeviceTensor, Image, Layout, Loadable, Lowered, Target } from "./backend.js";
export type { BackendChoice } from "./choose-backend.js";
export type { CommonOptions } from "./compile.js";
export type { CpuOptions } from "./cpu/index.js";
export type { CudaOptions } from "./cuda/index.js";
export { freeMemory } from "./free-memory.js";
export type { GpuReport, Machine, MachineReport, Peak, PeakOptions, ProcessorReport } from "./machine.js";
export { type Delivered, type Plan, type Program, type Receive, withMemory } from "./program.js";
export { programsFolder } from "./program-cache.js";
export { compileReference, type ReferenceProgram } from "./reference/index.js";
export type { SharedPart, Sharing } from "./sharing.js";
export type { Values, Written } from "./slots.js";
export type { WebGpuOptions } from "./webgpu/index.js";

/** The table of backends: each is a folder here. The first row is the default. */
export const BACKENDS: readonly Backend[] = [cpu, webgpu, cuda, reference];

export interface CompileOptions extends CommonOptions {
  /**
   * `cpu` compiles C with the system's compiler, or to WebAssembly with clang if there is none. `webgpu` compiles WGSL for a GPU, with
   * the optional package webgpu (Dawn) in Node. `cuda` compiles CUDA C++ for an NVIDIA GPU by NVRTC.
   */
  readonly backend?: "auto" | "cpu" | "webgpu" | "cuda" | "reference";
  /** Options of the `cpu` backend. */
  readonly cpu?: CpuOptions;
  /** Options of the `webgpu` backend. */
  readonly webgpu?: WebGpuOptions;
  /** Options of the `cuda` backend. */
  readonly cuda?: CudaOptions;
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
    backend = process.env.QUERN_BACKEND || table[0].name,
    ...options
  }: CommonOptions & { readonly backend?: string; readonly [row: string]: unknown },
): Promise<Program> {
  const chosen = backend === "auto" ? (await chooseBackend("auto", table)).name : backend;
  const row = table.find(({ name }) => name === chosen);
  if (row) return compileFor(row, entries, options);
  throw new QuernError(`unknown backend "${backend}"; available: ${table.map(({ name }) => name).join(", ")}`, {
    exitCode: 2,
  });
}

/**
 * Computes the cost of the program that `compile` would create from these entries.
 * @param target a plan's target; a row of the `cpu` backend may store intermediate tensors in bf16
 */
export function explain(entries: Entries, dtype: ComputeDType = "fp32", target?: string): Explanation {
  return explainGraph(entries, dtype, limitsOfSet(target));
}

/** Bytes of the program that `compile` would create: all of it, and the part that is variables. Kernels' scratch is not counted. */
export function memoryOf(entries: Entries): { readonly total: number; readonly state: number } {
  const { totalBytes: total, stateBytes: state } = compileGraph(entries).memory;
  return { total, state };
}

/**
 * The backend of this name, after a look at its GPU; for `auto`, the fastest on this machine, measured once per process. A GPU that is
 * software is never chosen by `auto`.
 * @throws QuernError if there is no such backend, or no GPU for it, with what to install
 */
export function chooseBackend(name: string, table: readonly Backend[] = BACKENDS): Promise<BackendChoice> {
  return chooseFrom(table, name, (backend, entries) => compileFrom(table, entries, { backend }));
}

const machine = cpu.machine as Machine;

/** Examines this machine; measures its peaks unless `measure` is false. */
export async function examineMachine(options?: Parameters<typeof examine>[2]): Promise<MachineReport> {
  const gpus = await Promise.all(BACKENDS.map((backend) => backend.examineGpu?.()));
  return examine(
    machine,
    gpus.filter((gpu) => gpu !== undefined),
    options,
  );
}

/** Measure this machine's peak throughput and choose by it; see `Machine`. */
export const { measurePeak, peakOnce, limitOf, bf16Row } = machine;
