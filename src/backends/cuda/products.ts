/** @file Launches of matrix products, which compute their epilogue on each finished element. */
import type { Buffer, LoopBody, TemplateKernel } from "../../compiler/index.js";
import { BLOCKS, isBlocked, isOp, type Node } from "../../tensor/index.js";
import { type InRegister, neededBy, storeLine, valueLine } from "./expressions.js";
import { aligned, type Pointers, type Step, stepOf, typeOf } from "./step.js";

/** Sides of the tiles in templates/gemm.h. */
const TILE = 64;
const MMA_TILE = 128;
/** A product with fewer tiles than this is split along K. */
const WANTED_TILES = 128;
/** Each part of a split product has at least this many columns of K. */
const LEAST_DEPTH = 512;

/** A pointer to a matrix and the type of its elements. */
export interface Matrix {
  readonly type: string;
  readonly at: (use: Pointers) => string;
}

export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bf16: boolean;
  /** Statements that take a finished element `z` at row `r` and column `c`. */
  readonly finish: (use: Pointers) => string;
  /** First free byte of the scratch. */
  readonly scratch?: number;
}

/** Rows and columns are counted by int, unless that is too small for an element's index. */
const lambda = (finish: string, size: number) => {
  const index = size < 2 ** 31 - 4096 ? "int" : "qn_long";
  return `auto finish = [=](${index} r, ${index} c, float z) {\n${finish}\n};`;
};

/** A product of matrices in fp32 or bf16. */
export function productSteps(product: Product): Step[] {
  const { M, N, K, a, b, transposeA, transposeB, bf16, finish, scratch = 0 } = product;
  const layout = `${!transposeA}, ${transposeB}, ${a.type}, ${b.type}`;
  if (!bf16) {
    return [
      stepOf("gemm", [Math.ceil(N / TILE), Math.ceil(M / TILE)], 256, (use) =>
        [lambda(finish(use), M * N), `qn_gemm<${layout}>(${M}, ${N}, ${K}, ${a.at(use)}, ${b.at(use)}, finish);`].join(
          "\n",
        ),
      ),
    ];
  }
  const grid = [Math.ceil(N / MMA_TILE), Math.ceil(M / MMA_TILE)];
  const wanted = Math.min(Math.floor(WANTED_TILES / (grid[0] * grid[1])), Math.floor(K / LEAST_DEPTH));
  const depth = wanted > 1 ? Math.ceil(K / wanted / 32) * 32 : K;
  const parts = Math.ceil(K / depth);
  const run = (use: Pointers) => `(${M}, ${N}, ${K}, ${depth}, ${a.at(use)}, ${b.at(use)}, finish);`;
  if (parts === 1) {
    return [stepOf("gemm", grid, 256, (use) => `${lambda(finish(use), M * N)}\nqn_gemm_bf16<${layout}>${run(use)}`)];
  }
  const sums = (use: Pointers) => use.scratch("float", scratch, 4 * parts * M * N);
  return [
    stepOf("gemm_part", [...grid, parts], 256, (use) => {
      const store = `${sums(use)}[((qn_long)blockIdx.z * ${M} + r) * ${N} + c] = z;`;
      return `${lambda(store, M * N)}\nqn_gemm_bf16<${layout}>${run(use)}`;
    }),
    stepOf("gemm_parts", [Math.ceil((M * N) / 256)], 256, (use) => {
      return `${lambda(finish(use), M * N)}\nqn_gemm_parts(${M}, ${N}, ${parts}, ${sums(use)}, finish);`;
    }),
  ];
}

/** What happens to a finished element of a matrix product: it is stored, and the epilogue is computed. */
function finishOf({ node, results, accumulate, epilogue, inBlocks }: TemplateKernel, use: Pointers): string {
  const [, N] = node.outputs[0].shape;
  const result = results[0] as Buffer;
  const at = () => `${use.to(result)} + (qn_long)r * ${N} + c`;
  const known: InRegister = { buffer: result, text: "sum" };
  const isStored = epilogue?.results.some((each) => each.kind === "store" && each.access.buffer === result);
  return [
    accumulate[0] ? `const float sum = z + qn_load(${at()});` : "const float sum = z;",
    ...(inBlocks || isStored ? [] : [`qn_store(${at()}, sum);`]),
    ...(epilogue ? epilogueLines(epilogue, use, known) : []),
  ].join("\n");
}

function epilogueLines(body: LoopBody, use: Pointers, known: InRegister): string[] {
  const roots = body.results.map(({ value }) => value);
  return [
    ...neededBy(body, roots, () => true).map((i) => valueLine(body, i, use, 1, known)),
    ...body.results.map((result) => {
      if (result.kind !== "store") throw new Error("the epilogue of a product adds nothing up");
      return storeLine(body, result.value, result.access, use, 1);
    }),
  ];
}

export function matmulSteps(kernel: TemplateKernel, bf16: boolean): Step[] {
  const { node, operands } = kernel;
  if (!isOp(node, "matmul")) throw new Error("unreachable");
  const { transposeA, transposeB, batchInvariant } = node.attributes;
  const [M, N] = node.outputs[0].shape;
  const K = node.inputs[0].shape[transposeA ? 0 : 1];
  const [a, b] = operands as readonly Buffer[];
  const finish = (use: Pointers) => finishOf(kernel, use);
  const { dtype } = node.inputs[1];
  if (isBlocked(dtype)) return blockSteps(kernel, M, N, K, finish);
  const isFew = transposeB && !transposeA && (M <= 8 || batchInvariant || dtype !== "f32") && a.dtype === "f32";
  if (isFew) {
    const type = typeOf(b.dtype);
    return [
      stepOf("linear_few", [Math.ceil(N / 8), Math.ceil(M / 8)], 256, (use) =>
        [
          lambda(finish(use), M * N),
          `qn_linear_few<${bf16}, ${type}>(${M}, ${N}, ${K}, ${use.to(a)}, ${use.to(b)}, finish);`,
        ].join("\n"),
      ),
    ];
  }
  const matrix = (buffer: Buffer): Matrix => ({ type: typeOf(buffer.dtype), at: (use) => use.to(buffer) });
  return productSteps({ M, N, K, a: matrix(a), b: matrix(b), transposeA, transposeB, bf16, finish });
}

/** A · Bᵀ with B in blocks: the rows of A are rounded to int8 first. */
function blockSteps(
  { node, operands }: TemplateKernel,
  M: number,
  N: number,
  K: number,
  finish: (use: Pointers) => string,
): Step[] {
  const [a, b] = operands as readonly Buffer[];
  const { dtype } = (node as Node).inputs[1];
  if (!isBlocked(dtype)) throw new Error("unreachable");
  const values = BLOCKS[dtype].values;
  const blocks = (M * K) / values;
  const quants = (use: Pointers) => use.scratch("signed char", 0, M * K);
  const scales = (use: Pointers) => use.scratch("float", aligned(M * K), 4 * blocks);
  return [
    stepOf("round_int8", [Math.ceil(blocks / 8)], 256, (use) => {
      return `qn_round_to_int8<${values}>(${blocks}, ${use.to(a)}, ${quants(use)}, ${scales(use)});`;
    }),
    stepOf("linear_blocks", [Math.ceil(N / 8), Math.ceil(M / 8)], 256, (use) =>
      [
        lambda(finish(use), M * N),
        `qn_linear_blocks<${typeOf(dtype)}>(${M}, ${N}, ${K}, ${quants(use)}, ${scales(use)}, ${use.to(b)}, finish);`,
      ].join("\n"),
    ),
  ];
}
