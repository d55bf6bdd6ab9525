/**
 * @file Emits a program's CUDA C++ file, with one function per distinct kernel, and the list of each entry's launches.
 *
 * The file is the same for all GPUs. Kernels with equal text are emitted once and launched with other arguments.
 */
import { readFileSync } from "node:fs";
import type { Buffer, CompiledGraph, Kernel } from "../../compiler/index.js";
import type { Algorithm, ProductShape } from "./cublaslt.js";
import { loopSteps } from "./loop.js";
import { type Argument, type Arithmetic, aligned, type Step } from "./step.js";
import { templateSteps } from "./templates.js";

const TEMPLATE_FILES = [
  "platform",
  "reduce",
  "gemm",
  "fp8",
  "stored",
  "lookup",
  "cache",
  "attention",
  "attention_bf16",
  "cross_entropy",
];

/** Where a launch's argument points to: bytes into the arena, the scratch after it, or variable number `variable`. */
export type Place = { readonly arena: number } | { readonly variable: number; readonly bytes: number };

export type Launch = KernelLaunch | ProductLaunch;

export interface KernelLaunch {
  /** Name of the function. */
  readonly kernel: string;
  readonly grid: readonly [number, number, number];
  readonly threads: number;
  readonly arguments: readonly Place[];
}

/** A product that cuBLASLt computes. */
export interface ProductLaunch {
  readonly product: ProductShape;
  readonly algorithm: Algorithm;
  /** A, B, C, the workspace, and the bias if there is one. */
  readonly arguments: readonly Place[];
}

/** The launches of each entry, and what they need. */
export interface Launches {
  readonly entries: Readonly<Record<string, readonly Launch[]>>;
  /** Bytes of the arena with the scratch. */
  readonly bytes: number;
}

export interface Emitted extends Launches {
  readonly source: string;
  /** Number of distinct kernels. */
  readonly kernels: number;
}

/** @param library chooses cuBLASLt's algorithms, if it is installed */
export function emitProgram(graph: CompiledGraph, library: Arithmetic["library"] = null): Emitted {
  const chosen = new Map<string, Algorithm | null>();
  const once: Arithmetic["library"] =
    library &&
    ((shape) => {
      const key = JSON.stringify(shape);
      const algorithm = chosen.has(key) ? (chosen.get(key) as Algorithm | null) : library(shape);
      chosen.set(key, algorithm);
      return algorithm;
    });
  const names = new Map<string, string>();
  const numbers = new Map(graph.memory.variables.map((buffer, i) => [buffer, i] as const));
  const base = aligned(graph.memory.bytes);
  let scratch = 0;
  const placeOf = ({ buffer, bytes }: Argument): Place => {
    if (buffer === null) return { arena: base + bytes };
    if (buffer.kind === "variable") return { variable: numberOf(buffer), bytes };
    return { arena: offsetOf(buffer) + bytes };
  };
  const numberOf = (buffer: Buffer) => known(numbers.get(buffer), buffer);
  const offsetOf = (buffer: Buffer) => known(graph.memory.offsets.get(buffer), buffer);
  const launchOf = (step: Step): Launch => {
    if ("product" in step) {
      const { product, algorithm } = step;
      scratch = Math.max(scratch, step.scratch);
      return { product, algorithm, arguments: step.arguments.map(placeOf) };
    }
    const kernel = names.get(step.text) ?? `${step.stem}_${names.size}`;
    names.set(step.text, kernel);
    scratch = Math.max(scratch, step.scratch);
    return { kernel, grid: step.grid, threads: step.threads, arguments: step.arguments.map(placeOf) };
  };
  const stepsOf = (kernel: Kernel) =>
    kernel.kind === "loop" ? loopSteps(kernel.body) : templateSteps(kernel, graph.dtype, once);
  const entries = Object.fromEntries(
    [...graph.runs].map(([name, kernels]) => [name, kernels.flatMap((kernel) => stepsOf(kernel).map(launchOf))]),
  );
  const source = [
    "// Emitted by Quern.",
    ...TEMPLATE_FILES.map(templateText),
    "\n// ---- kernels\n",
    ...[...names].map(([text, name]) => `${text.replaceAll("NAME", name)}\n`),
  ].join("\n");
  return { source, kernels: names.size, entries, bytes: base + aligned(scratch) };
}

function known<T>(value: T | undefined, { name, kind }: Buffer): T {
  if (value === undefined) throw new Error(`${name ?? kind} has no memory`);
  return value;
}

const templateText = (name: string) =>
  `\n// ---- ${name}.h\n${readFileSync(new URL(`./templates/${name}.h`, import.meta.url), "utf8")}`;
