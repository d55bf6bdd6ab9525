/** @file Emits a program: its distinct kernels as WGSL, and for each entry the launches with their operands' places. */
import {
  type Buffer,
  type CompiledGraph,
  type Kernel,
  multipliesInBf16,
  type TemplateKernel,
} from "../../compiler/index.js";
import { isBlocked, type Op } from "../../tensor/index.js";
import type { Emission, Memory, Scratch } from "./kernel.js";
import { emitLoop, type Reserve } from "./loop.js";
import { emitAttention, emitAttentionGradient } from "./templates/attention.js";
import { emitBlockMatmul } from "./templates/block-formats.js";
import { emitCacheCopy, emitCacheWrite } from "./templates/cache.js";
import { emitCrossEntropy } from "./templates/cross-entropy.js";
import { emitMatmul } from "./templates/matmul.js";
import {
  emitConcatenate,
  emitEmbedding,
  emitEmbeddingGradient,
  emitGather,
  emitPositions,
  emitRandom,
  emitRope,
  emitScatterAdd,
} from "./templates/rows.js";

/** Where an operand is: at a byte of the arena or the scratch, or a variable's number. */
export interface Place {
  readonly kind: "arena" | "scratch" | "variable";
  readonly at: number;
  /** Bytes from there on. */
  readonly plus?: number;
}

export interface Launch {
  readonly kernel: number;
  readonly places: readonly Place[];
  readonly workgroups: number;
}

/** What the cache stores of a program. */
export interface Emitted {
  readonly kernels: readonly { readonly name: string; readonly text: string }[];
  readonly entries: Readonly<Record<string, readonly Launch[]>>;
  readonly scratchBytes: number;
}

/** What a template may use. */
interface Use {
  readonly reserve: Reserve;
  /** Whether the operation's products round their operands to bf16. */
  readonly rounds: boolean;
  readonly workgroupBytes: number;
  /** Threads of a subgroup, if kernels may exchange values within one. */
  readonly lanes: number | null;
}

/** What the code depends on, of an adapter. */
export type Traits = Pick<Use, "workgroupBytes" | "lanes">;

type TemplateOp = Extract<
  Op,
  | ("matmul" | "embedding" | "embeddingGradient" | "rope" | "attention" | "attentionGradient" | "linearCrossEntropy")
  | (
      | "linearCrossEntropyGradient"
      | "cacheWrite"
      | "cacheCopy"
      | "concatenate"
      | "positions"
      | "gather"
      | "scatterAdd"
      | "random"
    )
>;

const templates: { readonly [O in TemplateOp]: (kernel: TemplateKernel, use: Use) => Emission[] } = {
  matmul(kernel, { rounds, reserve, lanes }) {
    const { dtype } = kernel.node.inputs[1];
    return isBlocked(dtype) ? emitBlockMatmul(kernel, dtype, reserve) : emitMatmul(kernel, rounds, lanes);
  },
  embedding: emitEmbedding,
  embeddingGradient: (kernel, { reserve }) => emitEmbeddingGradient(kernel, reserve),
  rope: emitRope,
  attention: (kernel, { rounds, workgroupBytes }) => emitAttention(kernel, rounds, workgroupBytes),
  attentionGradient: (kernel, { rounds, workgroupBytes, reserve }) =>
    emitAttentionGradient(kernel, rounds, workgroupBytes, reserve),
  linearCrossEntropy: (kernel, { rounds, reserve, lanes }) => emitCrossEntropy(kernel, rounds, reserve, lanes),
  linearCrossEntropyGradient: (kernel, { rounds, reserve, lanes }) => emitCrossEntropy(kernel, rounds, reserve, lanes),
  cacheWrite: emitCacheWrite,
  cacheCopy: emitCacheCopy,
  concatenate: emitConcatenate,
  positions: emitPositions,
  gather: emitGather,
  scatterAdd: emitScatterAdd,
  random: emitRandom,
};

/** Kernels with equal text are emitted once; their launches differ in places. */
export function emitProgram(graph: CompiledGraph, traits: Traits): Emitted {
  const kernels = new Map<string, { readonly name: string; readonly number: number }>();
  const variables = new Map(graph.memory.variables.map((buffer, i) => [buffer, i] as const));
  let scratchWords = 0;
  const placeOf = (memory: Memory): Place => {
    if (memory.kind === "slice") return { ...placeOf(memory.of), plus: 4 * memory.from };
    if (memory.kind === "scratch") return { kind: "scratch", at: 4 * memory.at };
    if (memory.kind === "variable") return { kind: "variable", at: variables.get(memory) as number };
    return { kind: "arena", at: graph.memory.offsets.get(memory as Buffer) as number };
  };
  const launchesOf = (kernel: Kernel): Launch[] => {
    let used = 0;
    const reserve = (floats: number): Scratch => {
      const at = used;
      used += Math.ceil(floats / 64) * 64;
      scratchWords = Math.max(scratchWords, used);
      return { kind: "scratch", dtype: "f32", at };
    };
    return emissionsOf(kernel, graph.dtype === "bf16", reserve, traits).map((emission) => {
      const known = kernels.get(emission.text) ?? { name: `${emission.stem}_${kernels.size}`, number: kernels.size };
      kernels.set(emission.text, known);
      return { kernel: known.number, places: emission.operands.map(placeOf), workgroups: emission.workgroups };
    });
  };
  const entries = Object.fromEntries([...graph.runs].map(([name, list]) => [name, list.flatMap(launchesOf)] as const));
  return {
    entries,
    kernels: [...kernels].map(([text, { name }]) => ({ name, text })),
    scratchBytes: 4 * scratchWords,
  };
}

function emissionsOf(kernel: Kernel, inBf16: boolean, reserve: Reserve, traits: Traits): Emission[] {
  if (kernel.kind === "loop") return emitLoop(kernel.body, reserve);
  const emit = templates[kernel.node.op as TemplateOp];
  if (!emit) throw new Error(`${kernel.node.op} has no template`);
  return emit(kernel, { ...traits, reserve, rounds: inBf16 && multipliesInBf16(kernel.node) });
}
