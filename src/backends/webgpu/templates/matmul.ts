/**
 * @file Matrix products. A workgroup computes a tile of the result: it loads slices of both operands into workgroup memory, and each
 * thread adds up a small tile in registers. Every element adds its products in the order of k, so its bits do not depend on the tile.
 */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { isOp } from "../../../tensor/index.js";
import { type Emission, KernelText } from "../kernel.js";
import { finishLines, type Matrix, type Product } from "./product.js";
import { emitSubgroupProduct } from "./subgroup-matmul.js";

/** Rows and columns of a workgroup's and of a thread's tile, and the depth of a slice. */
export interface Tile {
  readonly BM: number;
  readonly BN: number;
  readonly BK: number;
  readonly TM: number;
  readonly TN: number;
}

const TILES = {
  large: { BM: 64, BN: 64, BK: 16, TM: 8, TN: 8 },
  small: { BM: 32, BN: 32, BK: 16, TM: 4, TN: 4 },
  flat: { BM: 4, BN: 64, BK: 32, TM: 4, TN: 1 },
} as const satisfies Record<string, Tile>;

function tileOf(M: number, N: number): Tile {
  if (M <= 4) return TILES.flat;
  return M >= 128 && N >= 128 ? TILES.large : TILES.small;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** @param lanes of a subgroup, if the kernel may exchange values within one */
export function emitProduct(product: Product, lanes: number | null): Emission {
  return (lanes === null ? null : emitSubgroupProduct(product, lanes)) ?? emitTiles(product);
}

function emitTiles(product: Product, tile: Tile = tileOf(product.M, product.N)): Emission {
  const { M, N, K, a, b, to, accumulate, epilogue, rounds } = product;
  const { BM, BN, BK, TM, TN } = tile;
  const text = new KernelText();
  const across = BN / TN;
  const threads = (BM / TM) * across;
  const [blocksM, blocksN] = [Math.ceil(M / BM), Math.ceil(N / BN)];
  const round = (x: string, isA: boolean) => (rounds === true || (rounds === "b" && !isA) ? `round_bf16(${x})` : x);
  const at = ({ rowStride, columnStride }: Matrix, row: string, column: string) =>
    `${row} * ${rowStride}u + ${column} * ${columnStride}u`;
  /** Loads a slice of `size` × BK; neighbouring threads take neighbouring elements in memory. */
  const slice = (name: string, matrix: Matrix, size: number, first: string, limit: number, isA: boolean) => {
    const alongK = (isA ? matrix.columnStride : matrix.rowStride) === 1;
    const [i, k] = alongK ? [`x / ${BK}u`, `x % ${BK}u`] : [`x % ${size}u`, `x / ${size}u`];
    const [row, column] = isA ? ["outer", "inner"] : ["inner", "outer"];
    return [
      `for (var x = tid; x < ${size * BK}u; x += ${threads}u) {`,
      `  let i = ${i};`,
      `  let k = ${k};`,
      `  let outer = ${first} + i;`,
      "  let inner = slice + k;",
      "  var value = 0.0f;",
      `  if (outer < ${limit}u && inner < ${K}u) { value = ${round(text.load(matrix.memory, at(matrix, row, column)), isA)}; }`,
      `  ${name}[k * ${size}u + i] = value;`,
      "}",
    ];
  };
  const sums = range(TM).flatMap((i) => range(TN).map((j) => `c${i}_${j}`));
  const lines = [
    `let m0 = (block / ${blocksN}u) * ${BM}u;`,
    `let n0 = (block % ${blocksN}u) * ${BN}u;`,
    `let tm = (tid / ${across}u) * ${TM}u;`,
    `let tn = tid % ${across}u;`,
    ...sums.map((sum) => `var ${sum} = 0.0f;`),
    `for (var slice = 0u; slice < ${K}u; slice += ${BK}u) {`,
    ...slice("tile_a", a, BM, "m0", M, true).map((line) => `  ${line}`),
    ...slice("tile_b", b, BN, "n0", N, false).map((line) => `  ${line}`),
    "  workgroupBarrier();",
    `  for (var k = 0u; k < ${BK}u; k++) {`,
    ...range(TM).map((i) => `    let a${i} = tile_a[k * ${BM}u + tm + ${i}u];`),
    // A thread's columns are apart by the number of threads, so that neighbours read and write neighbours.
    ...range(TN).map((j) => `    let b${j} = tile_b[k * ${BN}u + tn + ${j * across}u];`),
    ...range(TM).flatMap((i) => range(TN).map((j) => `    c${i}_${j} = fma(a${i}, b${j}, c${i}_${j});`)),
    "  }",
    "  workgroupBarrier();",
    "}",
    // A loop over an array, because some compilers would take seconds for as many copies of the epilogue.
    `var sums = array<f32, ${TM * TN}>(${sums.join(", ")});`,
    `for (var e = 0u; e < ${TM * TN}u; e++) { finish(m0 + tm + e / ${TN}u, n0 + tn + (e % ${TN}u) * ${across}u, sums[e]); }`,
  ];
  const finish = finishLines(text, { M, N, to, accumulate, epilogue });
  return text.emission("matmul", blocksM * blocksN, lines, {
    threads,
    declarations: `var<workgroup> tile_a: array<f32, ${BM * BK}>;\nvar<workgroup> tile_b: array<f32, ${BN * BK}>;`,
    functions: [{ head: "fn finish(r: u32, c: u32, sum: f32)", lines: finish }],
  });
}

/** The product of a kernel of dtype f32, bf16 or f16. */
export function emitMatmul(
  { node, operands, results, accumulate, epilogue }: TemplateKernel,
  rounds: boolean,
  lanes: number | null,
): Emission[] {
  if (!isOp(node, "matmul")) throw new Error("unreachable");
  const { transposeA, transposeB } = node.attributes;
  const [M, N] = node.outputs[0].shape;
  const K = node.inputs[0].shape[transposeA ? 0 : 1];
  const a = { memory: operands[0] as Buffer, rowStride: transposeA ? 1 : K, columnStride: transposeA ? M : 1 };
  const b = { memory: operands[1] as Buffer, rowStride: transposeB ? 1 : N, columnStride: transposeB ? K : 1 };
  return [emitProduct({ M, N, K, a, b, to: results[0] as Buffer, accumulate: accumulate[0], epilogue, rounds }, lanes)];
}
