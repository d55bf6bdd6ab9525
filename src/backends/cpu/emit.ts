/**
 * @file Emits a program's C file, with one function per distinct kernel and one per entry, and the C file of the templates.
 *
 * Only the macros at its top are specific to a machine; they come from the instruction-set table. Kernels with equal text are
 * emitted once and called with different offsets.
 */
import { readFileSync } from "node:fs";
import {
  type Buffer,
  buffersOf,
  type CompiledGraph,
  type ComputeDType,
  costOf,
  flatten,
  type Kernel,
  type KernelCost,
  type LoopKernel,
  multipliesInBf16,
  type RowView,
  type TemplateKernel,
} from "../../compiler/index.js";
import { type DType, isBlocked, isOp } from "../../tensor/index.js";
import type { InstructionSet } from "./instruction-sets.js";
import { emitLoop, Parameters } from "./loop.js";
import { blockType, type TemplateOp, templates } from "./templates.js";

/** Types and inlined functions, included in every program. */
const INLINE_FILES = ["platform", "vector", "bf16", "storage"];
/** Large operations, compiled separately because they take the compiler longer than most programs. */
const TEMPLATE_FILES = [
  "tiles",
  "pool",
  "gemm",
  "gemm_tiles",
  "gemv",
  "loop",
  "attention",
  "attention_tiles",
  "cross_entropy",
  "embedding",
  "gather",
  "rope",
];
/** Products and embeddings whose weights are stored in blocks or 16 bits; most programs have none, and they take long to compile. */
const BLOCK_FILES = ["int8", "blocks", "blocks_tiles", "blocks_embedding"];
const HALF_FILES = ["half"];

export interface Emitted {
  readonly source: string;
  /** C that is compiled separately and linked; the same for most programs of an instruction set and dtype. */
  readonly templates: string;
  /** Number of distinct kernels. */
  readonly kernels: number;
}

interface Emission {
  /** Text of the functions, with NAME in place of the kernel's name. */
  readonly text: string;
  /** Prefix of the kernel's name. */
  readonly stem: string;
  readonly buffers: readonly Buffer[];
  /** C expression for the scratch in floats. */
  readonly scratch: string;
}

/** The types of weights that the graph multiplies or looks up, other than f32, in alphabetical order. */
function storedWeights(graph: CompiledGraph): DType[] {
  const kernels = [...graph.entries.values()].flat();
  const types = kernels.flatMap((kernel) =>
    kernel.kind === "template" && (isOp(kernel.node, "matmul") || isOp(kernel.node, "embedding"))
      ? kernel.node.inputs.flatMap(({ dtype }) => (dtype === "f32" || dtype === "i32" ? [] : [dtype]))
      : [],
  );
  return [...new Set(types)].sort();
}

/** @param threads threads of the program's pool, including the caller */
export function emitProgram(graph: CompiledGraph, set: InstructionSet, threads: number): Emitted {
  const functions = new Map<string, { name: string; text: string }>();
  const scratch = new Set<string>(["0"]);
  const entries: string[] = [];
  const costs: KernelCost[] = [];
  const numbers = new Map(graph.memory.variables.map((buffer, i) => [buffer, i] as const));
  for (const [entryName, kernels] of graph.runs) {
    const calls = kernels.map((kernel, i) => {
      const emission = emitKernel(kernel, kernels[i - 1], graph.dtype, set);
      scratch.add(emission.scratch);
      const known = functions.get(emission.text) ?? { name: `${emission.stem}_${functions.size}`, text: emission.text };
      functions.set(emission.text, known);
      const number = [...functions.keys()].indexOf(emission.text);
      if (number === costs.length) costs.push(costOf(kernel, graph.dtype));
      const arguments_ = emission.buffers.map((buffer) =>
        buffer.kind === "variable" ? `V(${numbers.get(buffer)})` : `A(${graph.memory.offsets.get(buffer)})`,
      );
      const names = emission.buffers.flatMap((buffer) => buffer.name ?? []);
      const comment = names.length > 0 ? ` // ${names.join(", ").replace(/[^\x20-\x7e]/g, "?")}` : "";
      const call = `${known.name}((float *const[]){${[...arguments_, "SCRATCH"].join(", ")}});`;
      return `  ${profiles() ? `TIMED(${number}, ${entries.length}, ${call})` : call}${comment}`;
    });
    const count = profiles() ? [`  runs[${entries.length}]++;`] : [];
    entries.push(entryFunctions(`entry_${identifier(entryName)}`, [...count, ...calls]));
  }
  const names = [...graph.runs.keys()].map(identifier);
  const bindings = Math.ceil((8 * (1 + graph.memory.variables.length)) / 64) * 64;
  const weights = storedWeights(graph);
  const templates = [
    ...TEMPLATE_FILES,
    ...(weights.some(isBlocked) ? BLOCK_FILES : []),
    ...(weights.some((dtype) => !isBlocked(dtype)) ? HALF_FILES : []),
  ]
    .map(templateText)
    .join("\n");
  const source = [
    `// Emitted by Quern for ${set.name}, ${threads} threads.`,
    ...macrosOf(set, weights, graph),
    ...INLINE_FILES.map(templateText),
    "\n// ---- templates, compiled separately\n",
    ...prototypesOf(templates),
    "\n// ---- kernels\n",
    ...[...functions.values()].map(({ name, text }) => text.replaceAll("NAME", name)),
    "\n// ---- entries\n",
    "// Arena layout: planned memory, pointers to the pool and to each variable, scratch.",
    "#define A(offset) ((float *)(arena + offset##LL))",
    `#define BINDINGS(arena) ((void **)((arena) + ${graph.memory.bytes}LL))`,
    "#define V(variable) ((float *)BINDINGS(arena)[1 + variable])",
    `#define SCRATCH A(${graph.memory.bytes + bindings})`,
    ...(profiles()
      ? [
          profiler(
            [...functions.values()].map(({ name }) => name),
            costs,
            graph.runs.size,
          ),
        ]
      : []),
    ...entries,
    runtime(graph.memory.bytes + bindings, [...scratch], names, threads, set),
  ].join("\n");
  const library = [
    `// Quern's templates for ${set.name}.`,
    ...macrosOf(set, weights, graph),
    ...INLINE_FILES.map(templateText),
    templates,
  ];
  return { source, templates: library.join("\n"), kernels: functions.size };
}

/** Calls per function. Each call's array of arguments has its own place on the stack of a thread, which has 256 kB. */
const CALLS_PER_FUNCTION = 64;

/** Returns the function of an entry, in several parts if it has many calls. */
function entryFunctions(name: string, lines: readonly string[]): string {
  const define = (part: string, body: readonly string[]) =>
    `static __attribute__((noinline)) void ${part}(char *arena) {\n${body.join("\n")}\n}`;
  if (lines.length <= CALLS_PER_FUNCTION) return define(name, lines);
  const parts = Array.from({ length: Math.ceil(lines.length / CALLS_PER_FUNCTION) }, (_, i) =>
    lines.slice(CALLS_PER_FUNCTION * i, CALLS_PER_FUNCTION * (i + 1)),
  );
  const named = parts.map((part, i) => ({ part: `${name}_part${i}`, body: part }));
  return [
    ...named.map(({ part, body }) => define(part, body)),
    define(
      name,
      named.map(({ part }) => `  ${part}(arena);`),
    ),
  ].join("\n");
}

const macrosOf = (set: InstructionSet, weights: readonly DType[], { dtype, entries }: CompiledGraph) => [
  "#define _GNU_SOURCE // for sched_getcpu",
  `#define QN_VL ${set.vectorLength}`,
  `#define QN_MR ${set.tileRows}`,
  `#define QN_NV ${set.tileVectors}`,
  `#define QN_PAIRS ${set.bf16Products ? 1 : 0}`,
  `#define QN_TILES ${set.tiles && dtype === "bf16" ? 1 : 0}`,
  `#define QN_BF16 ${dtype === "bf16" ? 1 : 0}`,
  // Tiles of int8 have their own flag (instruction-sets.ts); without instructions, they are the twin.
  `#define QN_TILE_TWIN ${set.tiles && set.onRequest ? 1 : 0}`,
  `#define QN_BLOCK_TYPES (0${weights
    .filter(isBlocked)
    .map((type) => ` | 1 << ${blockType(type)}`)
    .join("")})`,
  `#define QN_SMALL_CACHE ${hasSmallCache(entries) ? 1 : 0}`,
  "#define QN_THREADS 1",
];

/** Whether some keys and values are stored in another type than f32. */
const hasSmallCache = (entries: CompiledGraph["entries"]) =>
  [...entries.values()]
    .flat()
    .some(
      (kernel) => kernel.kind === "template" && isOp(kernel.node, "attention") && kernel.node.inputs[1].dtype !== "f32",
    );

const templateText = (name: string) =>
  `\n// ---- ${name}.h\n${readFileSync(new URL(`./templates/${name}.h`, import.meta.url), "utf8")}`;

/** Prototypes of the template functions that programs can call. */
function prototypesOf(templates: string): string[] {
  const functions = [...templates.matchAll(/^QN_TEMPLATE ([^{;]+\))(?: \{|;)/gm)].map(([, head]) => `${head};`);
  return ["extern int qn_threads;", ...new Set(functions)];
}

/** With `QUERN_PROFILE=1` the program times each kernel and prints the times to standard error when it ends. */
const profiles = () => process.env.QUERN_PROFILE === "1";

function profiler(names: readonly string[], costs: readonly KernelCost[], entries: number): string {
  const rows = names.map((name, i) => `  {"${name}: ${costs[i].what}", ${costs[i].flops}.0, ${costs[i].bytes}.0},`);
  return `
#include <stdio.h>
#include <time.h>
static struct { const char *name; double flops, bytes, seconds; long launches; int warm; } timed[] = {
${rows.join("\n")}
};
static double clock_now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static int runs[${entries}]; // an entry's first run touches its memory for the first time and is not timed
#define TIMED(i, entry, ...) do { double start = clock_now(); __VA_ARGS__ if (runs[entry] > 1) timed[i].seconds += clock_now() - start, timed[i].launches++; } while (0);
static __attribute__((destructor)) void print_times(void) {
  for (unsigned i = 0; i < sizeof timed / sizeof *timed; i++) if (timed[i].launches) {
    double one = timed[i].seconds / timed[i].launches;
    fprintf(stderr, "%9.1f ms  %6ld ×  %7.1f GFLOP/s  %6.1f GB/s  %s\\n", 1e3 * timed[i].seconds, timed[i].launches, timed[i].flops / one / 1e9, timed[i].bytes / one / 1e9, timed[i].name);
  }
}`;
}

const identifier = (name: string) => name.replace(/[^A-Za-z0-9_]/g, "_");

function emitKernel(kernel: Kernel, before: Kernel | undefined, dtype: ComputeDType, set: InstructionSet): Emission {
  if (kernel.kind === "loop") return emitLoopKernel(kernel);
  return emitTemplateKernel(kernel, dtype, set, leavesRounded(before, kernel));
}

/** Whether the kernel before rounded the same rows for weights of the same type: queries, keys and values have one input. */
function leavesRounded(before: Kernel | undefined, { node, operands, operandViews }: TemplateKernel): boolean {
  return (
    before?.kind === "template" &&
    isOp(node, "matmul") &&
    isOp(before.node, "matmul") &&
    isBlocked(node.inputs[1].dtype) &&
    before.node.inputs[1].dtype === node.inputs[1].dtype &&
    before.operands[0] === operands[0] &&
    before.operandViews[0]?.offset === operandViews[0]?.offset &&
    before.node.outputs[0].shape[0] === node.outputs[0].shape[0] &&
    !buffersOf(before).writes.includes(operands[0] as Buffer)
  );
}

function emitLoopKernel({ body }: LoopKernel): Emission {
  const parameters = new Parameters();
  const loop = emitLoop(flatten(body), parameters);
  const text = `${loop.block("NAME_block")}\nstatic void NAME(float *const *p) {\n  ${loop.run("NAME_block")}\n}\n`;
  const stem = body.values.some((value) => value.op === "rowSum" || value.op === "rowMax") ? "rows" : "loop";
  return { text, stem, buffers: parameters.buffers, scratch: String(loop.scratch) };
}

/** With tiles an epilogue's block has 64 columns: too few for the hardware's prefetcher. */
const PREFETCHED_ROWS = 8;

function emitTemplateKernel(
  kernel: TemplateKernel,
  dtype: ComputeDType,
  { tiles }: InstructionSet,
  isRounded: boolean,
): Emission {
  const emit = templates[kernel.node.op as TemplateOp];
  if (!emit) throw new Error(`${kernel.node.op} has no template`);
  const parameters = new Parameters();
  // Register buffers in a fixed order first, so that equal kernels get equal text.
  for (const operand of kernel.operands) if (typeof operand !== "number") parameters.index(operand);
  for (const result of kernel.results) if (result !== null) parameters.index(result);
  const at = (buffer: Buffer) => `p[${parameters.index(buffer)}]`;
  const operand = (i: number): Buffer => {
    const value = kernel.operands[i];
    if (typeof value === "number") throw new Error(`${kernel.node.op}: operand ${i} is a number`);
    return value;
  };
  let epilogue = "";
  if (kernel.epilogue) {
    const ahead = tiles && dtype === "bf16" ? PREFETCHED_ROWS : 0;
    epilogue = `${emitLoop(kernel.epilogue, parameters, ahead).block("NAME_epilogue")}\n`;
  }
  const from = (buffer: Buffer, view: RowView | null) => {
    if (!view || view.offset === 0) return at(buffer);
    if (buffer.dtype === "bf16") return `(float *)((unsigned short *)${at(buffer)} + ${view.offset})`;
    return `(${at(buffer)} + ${view.offset})`;
  };
  const call = emit(kernel, {
    operand: (i) => from(operand(i), kernel.operandViews[i]),
    ids: (i) => `(const int *)${at(operand(i))}`,
    index: (i) => {
      const value = kernel.operands[i];
      return typeof value === "number" ? `${value}` : `*(const int *)${at(value)}`;
    },
    rowIndex: (i) => {
      const value = kernel.operands[i];
      if (typeof value === "number") return `(qn_row_index){(const int[]){${value}}, 0}`;
      return `(qn_row_index){(const int *)${at(value)}, ${kernel.node.inputs[i].shape.length}}`;
    },
    result: (i) => {
      const buffer = kernel.results[i];
      return buffer === null ? "0" : from(buffer, kernel.resultViews[i]);
    },
    block: kernel.inBlocks ? `${parameters.index(kernel.results[0] as Buffer)}, ${parameters.buffers.length}` : "0, 0",
    scratch: `p[${parameters.buffers.length}]`,
    bf16: dtype === "bf16" && multipliesInBf16(kernel.node) ? 1 : 0,
    epilogue: kernel.epilogue ? "NAME_epilogue" : "0",
    isRounded: isRounded ? 1 : 0,
  });
  const text = `${epilogue}static void NAME(float *const *p) {\n  ${call.statement}\n}\n`;
  const stem = kernel.node.op.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return { text, stem, buffers: parameters.buffers, scratch: call.scratch };
}

/** The functions called by the host. */
function runtime(
  bytes: number,
  scratch: readonly string[],
  entries: readonly string[],
  threads: number,
  set: InstructionSet,
): string {
  const largest = scratch.map((expression) => `  n = ${expression}; if (n > most) most = n;`).join("\n");
  const cases = entries.map((name, i) => `    case ${i}: entry_${name}(arena); break;`).join("\n");
  const wasm = set.name === "wasm";
  const shared = `
${wasm ? "#define EXPORT(name) __attribute__((export_name(#name)))" : NATIVE_EXPORT}
// Size of the arena in bytes; depends on the number of threads. The arena must be zeroed before the first run.
EXPORT(quern_bytes) double quern_bytes(void) {
  qn_threads = ${threads};
  long n, most = 0;
${largest}
  return ${bytes}.0 + 4.0 * (double)most + 64.0;
}
// Binding 0 is the thread pool, binding 1 + i the memory of variable i.
EXPORT(quern_bind) void quern_bind(void *arena, int binding, void *memory) { BINDINGS((char *)arena)[binding] = memory; }
static void run(char *arena, int entry) {
  qn_pool_begin(BINDINGS(arena)[0]);
  switch (entry) {
${cases}
  }
  qn_pool_end();
}`;
  if (wasm) {
    return `${shared}
extern char __heap_base;
EXPORT(quern_end) long quern_end(void) { return (long)&__heap_base; }
EXPORT(quern_run) void quern_run(void *arena, int entry) { run(arena, entry); }
`;
  }
  return `${shared}
// Allocates zeroed memory; returns 0 if there is not enough.
EXPORT(quern_allocate) void *quern_allocate(double bytes) { return qn_map((unsigned long)bytes); }
EXPORT(quern_free) void quern_free(void *memory, double bytes) { qn_unmap(memory, (unsigned long)bytes); }
// Opens a thread pool that programs can share, one at a time; returns 0 if threads cannot be started.
EXPORT(quern_open_pool) void *quern_open_pool(int threads) { return qn_pool_open(threads); }
EXPORT(quern_close_pool) void quern_close_pool(void *pool) { qn_pool_close(pool); }
// A process loads this library once for all programs with this text, so runs must be serialized.
static pthread_mutex_t image_lock = PTHREAD_MUTEX_INITIALIZER;
EXPORT(quern_run) void quern_run(void *arena, int entry) {
  pthread_mutex_lock(&image_lock);
  run(arena, entry);
  pthread_mutex_unlock(&image_lock);
}
`;
}

const NATIVE_EXPORT = `#ifdef _WIN32
#define EXPORT(name) __declspec(dllexport)
#else
#define EXPORT(name) __attribute__((visibility("default")))
#endif`;
