/**
 * @file Matrix products without workgroup memory: the lanes of a subgroup load neighbouring elements and exchange them. A subgroup has a
 * tile of its own, so nothing waits at a barrier. On SwiftShader, where a load costs as much as six multiply-adds, this takes half of
 * the time of `matmul.ts`.
 */
import { type Emission, KernelText, THREADS } from "../kernel.js";
import { finishLines, type Matrix, type Product } from "./product.js";

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

/** The largest of 8, 4, 2 and 1 that is at most `most`. */
const sizeFor = (most: number) => [8, 4, 2].find((size) => size <= most) ?? 1;

/** Rows and columns of a subgroup's tile, the statements of `count` steps along K from `k` on, and what turns sums into results. */
interface Scheme {
  readonly TM: number;
  readonly TN: number;
  readonly columns: number;
  readonly steps: (count: number) => string[];
  readonly finish: readonly string[];
}

/** Returns null for products whose operands would be read with strides. */
export function emitSubgroupProduct(product: Product, lanes: number): Emission | null {
  const { M, N, K, a, b, to, accumulate, epilogue, rounds } = product;
  const text = new KernelText();
  const round = (x: string, isA: boolean) => (rounds === true || (rounds === "b" && !isA) ? `round_bf16(${x})` : x);
  const load = (isA: boolean, row: string, column: string) => {
    const { memory, rowStride, columnStride }: Matrix = isA ? a : b;
    return round(text.load(memory, `(${row}) * ${rowStride}u + (${column}) * ${columnStride}u`), isA);
  };
  let scheme: Scheme;
  if (b.columnStride === 1) scheme = columnsPerLane(product, lanes, load);
  else if (a.columnStride === 1 && b.rowStride === 1) scheme = depthPerLane(product, lanes, load);
  else return null;
  const { TM, TN, columns, steps, finish } = scheme;
  const blocksN = Math.ceil(N / columns);
  const tiles = Math.ceil(M / TM) * blocksN;
  const perWorkgroup = THREADS / lanes;
  const sums = range(TM).flatMap((i) => range(TN).map((j) => `c${i}_${j}`));
  const whole = Math.floor(K / lanes) * lanes;
  const lines = [
    `let lane = tid % ${lanes}u;`,
    // A tile behind the last one computes copies of the last rows, and stores nothing.
    `let tile = block * ${perWorkgroup}u + tid / ${lanes}u;`,
    `let m0 = (tile / ${blocksN}u) * ${TM}u;`,
    `let n0 = (tile % ${blocksN}u) * ${columns}u;`,
    ...range(TM).map((i) => `let row${i} = min(m0 + ${i}u, ${M - 1}u);`),
    ...sums.map((sum) => `var ${sum} = 0.0f;`),
    `for (var k = 0u; k < ${whole}u; k += ${lanes}u) {`,
    ...indent(steps(lanes)),
    "}",
    ...(whole < K ? ["{", `  let k = ${whole}u;`, ...indent(steps(K - whole)), "}"] : []),
    `var sums = array<f32, ${TM * TN}>(${sums.join(", ")});`,
    ...finish,
  ];
  return text.emission("matmul", Math.ceil(tiles / perWorkgroup), lines, {
    functions: [
      {
        head: "fn finish(r: u32, c: u32, sum: f32)",
        lines: finishLines(text, { M, N, to, accumulate, epilogue }),
      },
    ],
  });
}

type Load = (isA: boolean, row: string, column: string) => string;

/** Each lane has columns of its own, and all rows of the tile: a lane's elements of A are broadcast to the others. */
function columnsPerLane({ M, N, a }: Product, lanes: number, load: Load): Scheme {
  const [TM, TN] = [sizeFor(M), sizeFor(N / lanes)];
  const column = (j: number) => `min(n0 + lane + ${j * lanes}u, ${N - 1}u)`;
  const alongK = a.columnStride === 1;
  return {
    ...{ TM, TN, columns: TN * lanes },
    steps: (count) => [
      // Lanes beyond the last element load the last one; it is not broadcast.
      ...(alongK
        ? range(TM).map((i) => `let w${i} = ${load(true, `row${i}`, `k + min(lane, ${count - 1}u)`)};`)
        : range(count).flatMap((u) =>
            range(Math.ceil(TM / lanes)).map(
              (i) => `let w${u}_${i} = ${load(true, `min(m0 + ${i * lanes}u + lane, ${M - 1}u)`, `k + ${u}u`)};`,
            ),
          )),
      ...range(count).flatMap((u) => [
        ...range(TN).map((j) => `let b${u}_${j} = ${load(false, `k + ${u}u`, column(j))};`),
        ...range(TM).map((i) => {
          const from = alongK ? `w${i}, ${u}u` : `w${u}_${Math.floor(i / lanes)}, ${i % lanes}u`;
          return `let a${u}_${i} = subgroupBroadcast(${from});`;
        }),
        ...range(TM).flatMap((i) =>
          range(TN).map((j) => {
            const before = u === 0 ? `c${i}_${j}` : `t${u - 1}_${i}_${j}`;
            return `let t${u}_${i}_${j} = fma(a${u}_${i}, b${u}_${j}, ${before});`;
          }),
        ),
      ]),
      ...range(TM).flatMap((i) => range(TN).map((j) => `c${i}_${j} = t${count - 1}_${i}_${j};`)),
    ],
    finish: [
      `for (var e = 0u; e < ${TM * TN}u; e++) { finish(m0 + e / ${TN}u, n0 + lane + (e % ${TN}u) * ${lanes}u, sums[e]); }`,
    ],
  };
}

/** Each lane has every `lanes`-th element along K, of all rows and columns of the tile; the lanes' sums are added up at the end. */
function depthPerLane({ M, N }: Product, lanes: number, load: Load): Scheme {
  const [TM, TN] = [sizeFor(M), sizeFor(N)];
  return {
    ...{ TM, TN, columns: TN },
    steps: (count) => {
      const depth = count === lanes ? "k + lane" : `k + min(lane, ${count - 1}u)`;
      const value = (x: string) => (count === lanes ? x : `select(0.0f, ${x}, lane < ${count}u)`);
      return [
        ...range(TM).map((i) => `let a${i} = ${value(load(true, `row${i}`, depth))};`),
        ...range(TN).map((j) => `let b${j} = ${value(load(false, depth, `min(n0 + ${j}u, ${N - 1}u)`))};`),
        ...range(TM).flatMap((i) => range(TN).map((j) => `c${i}_${j} = fma(a${i}, b${j}, c${i}_${j});`)),
      ];
    },
    finish: [
      `for (var e = 0u; e < ${TM * TN}u; e++) {`,
      "  let part = sums[e];",
      `  sums[e] = ${range(lanes)
        .map((lane) => `subgroupBroadcast(part, ${lane}u)`)
        .join(" + ")};`,
      "}",
      `for (var e = lane; e < ${TM * TN}u; e += ${lanes}u) { finish(m0 + e / ${TN}u, n0 + e % ${TN}u, sums[e]); }`,
    ],
  };
}
