/** @file Launches of matrix products, which compute their epilogue on each finished element. */
import type { Buffer, LoopBody, TemplateKernel } from "../../compiler/index.js";
import { BLOCKS, isBlocked, isOp, type Node } from "../../tensor/index.js";
import type { ProductShape } from "./cublaslt.js";
import { type InRegister, neededBy, storeLine, valueLine } from "./expressions.js";
import { type Argument, type Arithmetic, aligned, type Pointers, type Step, stepOf, typeOf } from "./step.js";

/** Sides of the tiles in templates/gemm.h. */
const TILE = 64;
const MMA_TILE = 128;
/** A product with fewer tiles than this is split along K. */
const WANTED_TILES = 128;
/** Each part of a split product has at least this many columns of K. */
const LEAST_DEPTH = 512;

/** Where a matrix is, and the type of its elements. */
export interface Matrix {
  readonly type: string;
  readonly at: (use: Pointers) => string;
  /** The same as an argument. */
  readonly place: Argument;
}

/** A matrix in a buffer, from byte `bytes` on. */
export const matrixOf = (buffer: Buffer, bytes = 0): Matrix => ({
  type: typeOf(buffer.dtype),
  at: (use) => use.to(buffer, { bytes }),
  place: { buffer, bytes },
});

/** A matrix in scratch. */
export const scratchMatrix = (type: "float" | "qn_bf16", bytes: number, size: number): Matrix => ({
  type,
  at: (use) => use.scratch(type, bytes, (type === "float" ? 4 : 2) * size),
  place: { buffer: null, bytes },
});

export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly how: Arithmetic;
  /** Set if a finished element is only stored, or added to what is stored. */
  readonly into?: { readonly to: Matrix; readonly adds: boolean };
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
  const { M, N, K, a, b, transposeA, transposeB, how, finish, scratch = 0 } = product;
  const { bf16 } = how;
  if (how.fp8) return fp8Steps(product);
  const fast = bf16 ? librarySteps(product) : null;
  if (fast) return fast;
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
  const { depth, parts } = splitOf(grid, K, 32);
  const run = (use: Pointers) =>
    `qn_gemm_bf16<${layout}>(${M}, ${N}, ${K}, ${depth}, ${a.at(use)}, ${b.at(use)}, finish);`;
  return splitSteps({ M, N, grid, parts, finish, at: scratch }, run);
}

/** Blocks that look for the largest element of an operand, each with at least this many elements. */
const MAX_SEARCHERS = 256;
const LEAST_SEARCHED = 4096;
/** A row of an operand in e4m3 is padded to a multiple of a tile's depth. */
const DEPTH_FP8 = 64;

/** A product in e4m3: each operand is scaled, rounded and laid out along K in scratch. */
function fp8Steps({ M, N, K, a, b, transposeA, transposeB, finish, scratch = 0 }: Product): Step[] {
  const words = (Math.ceil(K / DEPTH_FP8) * DEPTH_FP8) / 4;
  let end = scratch;
  const reserve = (bytes: number) => {
    const at = end;
    end = aligned(end + bytes);
    return at;
  };
  const steps: Step[] = [];
  const quantised = ({ at }: Matrix, rows: number, isAlongK: boolean) => {
    const searchers = Math.min(MAX_SEARCHERS, Math.ceil((rows * K) / LEAST_SEARCHED));
    const [largestAt, inverseAt, toAt] = [reserve(4 * searchers), reserve(4), reserve(4 * rows * words)];
    const largest = (use: Pointers) => use.scratch("float", largestAt, 4 * searchers);
    const inverse = (use: Pointers) => use.scratch("float", inverseAt, 4);
    const to = (use: Pointers) => use.scratch("unsigned", toAt, 4 * rows * words);
    steps.push(
      stepOf("largest", [searchers], 256, (use) => `qn_largest(${rows * K}, ${at(use)}, ${largest(use)});`),
      stepOf("round_e4m3", [Math.ceil(words / 32), Math.ceil(rows / 32)], 256, (use) => {
        const given = `${rows}, ${K}, ${words}, ${searchers}, ${at(use)}`;
        return `qn_round_to_e4m3<${isAlongK}>(${given}, ${largest(use)}, ${to(use)}, ${inverse(use)});`;
      }),
    );
    return { inverse, to };
  };
  const x = quantised(a, M, !transposeA);
  const y = quantised(b, N, transposeB);
  const grid = [Math.ceil(N / MMA_TILE), Math.ceil(M / MMA_TILE)];
  const { depth, parts } = splitOf(grid, words * 4, DEPTH_FP8);
  const run = (use: Pointers) =>
    `qn_gemm_e4m3(${M}, ${N}, ${words}, ${depth / 4}, ${x.to(use)}, ${y.to(use)}, ${x.inverse(use)}, ${y.inverse(use)}, finish);`;
  return [...steps, ...splitSteps({ M, N, grid, parts, finish, at: end }, run)];
}

/** Columns of K per part, and the number of parts, of a product in tiles. */
function splitOf([x, y]: readonly number[], K: number, multiple: number) {
  const wanted = Math.min(Math.floor(WANTED_TILES / (x * y)), Math.floor(K / LEAST_DEPTH));
  const depth = wanted > 1 ? Math.ceil(K / wanted / multiple) * multiple : K;
  return { depth, parts: Math.ceil(K / depth) };
}

/** A product in tiles: one launch, or one for the parts along K and one that adds them. `at` is free scratch. */
function splitSteps(
  {
    M,
    N,
    grid,
    parts,
    finish,
    at,
  }: Pick<Product, "M" | "N" | "finish"> & {
    readonly grid: readonly number[];
    readonly parts: number;
    readonly at: number;
  },
  run: (use: Pointers) => string,
): Step[] {
  if (parts === 1) return [stepOf("gemm", grid, 256, (use) => `${lambda(finish(use), M * N)}\n${run(use)}`)];
  const sums = (use: Pointers) => use.scratch("float", at, 4 * parts * M * N);
  return [
    stepOf("gemm_part", [...grid, parts], 256, (use) => {
      const store = `${sums(use)}[((qn_long)blockIdx.z * ${M} + r) * ${N} + c] = z;`;
      return `${lambda(store, M * N)}\n${run(use)}`;
    }),
    stepOf("gemm_parts", [Math.ceil((M * N) / 256)], 256, (use) => {
      return `${lambda(finish(use), M * N)}\nqn_gemm_parts(${M}, ${N}, ${parts}, ${sums(use)}, finish);`;
    }),
  ];
}

/** Sides from which on a product is worth the launches that convert its operands. */
const LEAST_SIDE = 128;
/** Elements of a row that make its length a multiple of cuBLASLt's alignment. */
const ROW = 8;

/**
 * A product by cuBLASLt: operands in fp32 are first rounded to bf16 in scratch. What is more than a stored result gets the finished
 * elements from scratch in another launch. Returns null if the library is not there, or does not compute it.
 */
function librarySteps(product: Product & { readonly bias?: Argument & { readonly dtype: string } }): Step[] | null {
  const { M, N, K, transposeA, transposeB, how, finish, into, bias, scratch = 0 } = product;
  if (!how.library || [M, N, K].some((side) => side < LEAST_SIDE || side % ROW !== 0)) return null;
  const [a, b] = [product.a, product.b];
  if ([a, b].some(({ type }) => type !== "float" && type !== "qn_bf16")) return null;
  let end = scratch;
  const reserve = (bytes: number) => {
    const at = end;
    end = aligned(end + bytes);
    return at;
  };
  const steps: Step[] = [];
  const rounded = ({ type, at, place }: Matrix, size: number): Argument => {
    if (type === "qn_bf16") return place;
    const to = scratchMatrix("qn_bf16", reserve(2 * size), size);
    steps.push(
      stepOf(
        "round_bf16",
        [Math.ceil(size / 4 / 256)],
        256,
        (use) => `qn_round_to_bf16(${size}, ${at(use)}, ${to.at(use)});`,
      ),
    );
    return to.place;
  };
  const operands = [rounded(a, M * K), rounded(b, K * N)];
  const to = into?.to ?? scratchMatrix("float", reserve(4 * M * N), M * N);
  const output = to.type === "qn_bf16" ? "bf16" : "f32";
  const shape: ProductShape = {
    ...{ M, N, K, transposeA, transposeB, output },
    adds: into?.adds ?? false,
    bias: bias !== undefined,
  };
  const vectors = bias ? [bias.dtype === output ? bias : rounded(matrixOf(bias.buffer as Buffer, bias.bytes), N)] : [];
  const algorithm = how.library(shape);
  if (algorithm === null) return null;
  const workspace: Argument = { buffer: null, bytes: reserve(algorithm.workspace) };
  steps.push({ product: shape, algorithm, arguments: [...operands, to.place, workspace, ...vectors], scratch: end });
  if (!into) {
    steps.push(
      stepOf("finish", [Math.ceil((M * N) / 256)], 256, (use) => {
        return `${lambda(finish(use), M * N)}\nqn_gemm_parts(${M}, ${N}, 1, ${to.at(use)}, finish);`;
      }),
    );
  }
  return steps;
}

/** Where a product is stored if its epilogue does nothing else than to add a vector to each row. */
interface Plain {
  readonly into: NonNullable<Product["into"]>;
  readonly bias?: Argument & { readonly dtype: string };
}

function plainOf({ node, results, accumulate, epilogue, inBlocks }: TemplateKernel): Plain | null {
  const [M, N] = node.outputs[0].shape;
  const raw = results[0] as Buffer;
  if (!epilogue) {
    if (inBlocks || (raw.dtype !== "f32" && (raw.dtype !== "bf16" || accumulate[0]))) return null;
    return { into: { to: matrixOf(raw), adds: accumulate[0] } };
  }
  const { values, results: stored } = epilogue;
  const [only] = stored;
  if (stored.length !== 1 || only.kind !== "store" || accumulate[0]) return null;
  const { buffer, offset, rows, columnStride } = only.access;
  const isDense =
    offset === 0 && columnStride === 1 && rows.length === 1 && rows[0].divide === 1 && rows[0].stride === N && M > 1;
  // Otherwise the product itself is stored, too.
  const isOnlyStore = inBlocks || buffer === raw;
  if (!isDense || !isOnlyStore || (rows[0].modulo !== 0 && rows[0].modulo !== M)) return null;
  if (buffer.dtype !== "f32" && buffer.dtype !== "bf16") return null;
  const into = { to: matrixOf(buffer), adds: false };
  const isRaw = (i: number) => {
    const value = values[i];
    return value.op === "load" && value.access.buffer === raw;
  };
  if (isRaw(only.value)) return { into };
  const sum = values[only.value];
  if (sum.op !== "add") return null;
  const [i, j] = sum.operands;
  if (isRaw(i) === isRaw(j)) return null;
  const vector = values[isRaw(i) ? j : i];
  if (vector.op !== "load" || vector.access.rows.length > 0 || vector.access.columnStride !== 1) return null;
  const { buffer: from, offset: first } = vector.access;
  if ((from.dtype !== "f32" && from.dtype !== "bf16") || first % ROW !== 0) return null;
  const bytes = first * (from.dtype === "f32" ? 4 : 2);
  return { into, bias: { buffer: from, bytes, dtype: from.dtype } };
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

export function matmulSteps(kernel: TemplateKernel, how: Arithmetic): Step[] {
  const { bf16 } = how;
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
  // The library's order of sums may depend on the number of rows.
  const own = batchInvariant ? { ...how, library: null } : how;
  const product: Product = { M, N, K, a: matrixOf(a), b: matrixOf(b), transposeA, transposeB, how: own, finish };
  const plain = bf16 && own.library ? plainOf(kernel) : null;
  return (plain && librarySteps({ ...product, ...plain })) ?? productSteps(product);
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
