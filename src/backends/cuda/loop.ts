/**
 * @file Emits a fused loop. Without reductions, a thread computes one element or four neighbours. With reductions, the threads of a
 * warp or block compute a row together: sums over rows and everything go to partial sums, which a second launch adds in order.
 */
import { flatten, type LoopBody, type LoopResult, type LoopValue } from "../../compiler/index.js";
import { indexType, lanesOf, neededBy, storeLine, valueLine } from "./expressions.js";
import { aligned, type Pointers, type Step, stepOf } from "./step.js";

const THREADS = 256;
/** Groups of threads that add up rows: enough to fill a large GPU, and fixed, so that sums have the same order on all GPUs. */
const MAX_GROUPS = 512;
/** Up to this many elements per thread, the sums of a thread's columns are in registers. */
const MAX_REGISTERS = 32;

type Reduction = Extract<LoopValue, { op: "rowSum" | "rowMax" }>;
const isReduction = (value: LoopValue): value is Reduction => value.op === "rowSum" || value.op === "rowMax";

export function loopSteps(body: LoopBody): Step[] {
  const flat = flatten(body);
  const reduces = flat.values.some(isReduction) || flat.results.some(({ kind }) => kind !== "store");
  return reduces ? reducingSteps(flat) : [elementStep(flat)];
}

function elementStep(body: LoopBody): Step {
  const lanes = lanesOf(body);
  const type = indexType(body);
  const { rows, columns, results } = body;
  const work = (rows * columns) / lanes;
  return stepOf("loop", [Math.ceil(work / THREADS)], THREADS, (use) => {
    const needed = neededBy(
      body,
      results.map(({ value }) => value),
      () => true,
    );
    return [
      `const ${type} i = (${type})blockIdx.x * ${THREADS} + threadIdx.x;`,
      `if (i >= ${work}) return;`,
      ...(rows === 1 ? [] : [`const ${type} r = i / ${columns / lanes};`]),
      `const ${type} c = ${rows === 1 ? "i" : `i % ${columns / lanes}`}${lanes > 1 ? ` * ${lanes}` : ""};`,
      "(void)c;",
      ...needed.map((i) => valueLine(body, i, use, lanes)),
      ...results.flatMap((result) =>
        result.kind === "store" ? [storeLine(body, result.value, result.access, use, lanes)] : [],
      ),
    ].join("\n");
  });
}

/** How a loop with reductions is spread over threads. */
interface Spread {
  /** Threads per row, and rows at a time in a block. */
  readonly width: number;
  readonly rowsOfBlock: number;
  readonly lanes: 1 | 4;
  /** Groups of threads, each with every `groups`-th row or, of a single row, a piece. */
  readonly groups: number;
  /** Whether a single row is split into pieces for the groups. */
  readonly splitsColumns: boolean;
  /** Elements that a thread has of a row. */
  readonly perThread: number;
}

function spreadOf(body: LoopBody): Spread {
  const { rows, columns, values, results } = body;
  const lanes = lanesOf(body);
  const sums = results.some(({ kind }) => kind !== "store");
  const splitsColumns = rows === 1 && !values.some(isReduction) && results.every(({ kind }) => kind !== "columnSum");
  if (splitsColumns) {
    const groups = Math.min(MAX_GROUPS, Math.ceil(columns / (THREADS * lanes)));
    return { width: THREADS, rowsOfBlock: 1, lanes, groups, splitsColumns, perThread: columns };
  }
  const width = columns <= 64 * lanes ? 32 : THREADS;
  const rowsOfBlock = THREADS / width;
  const groups = sums ? Math.min(rows, MAX_GROUPS * (width === 32 ? 4 : 1)) : rows;
  return { width, rowsOfBlock, lanes, groups, splitsColumns, perThread: Math.ceil(columns / (width * lanes)) * lanes };
}

function reducingSteps(body: LoopBody): Step[] {
  const spread = spreadOf(body);
  const { groups, width, rowsOfBlock } = spread;
  const sums = body.results.filter((result) => result.kind !== "store");
  const widthOf = ({ kind }: LoopResult) => (kind === "columnSum" ? body.columns : 1);
  const places: number[] = [];
  let scratch = 0;
  for (const sum of sums) {
    places.push(scratch);
    scratch += aligned(4 * groups * widthOf(sum));
  }
  const stem = body.values.some(isReduction) ? "rows" : "sums";
  const partial = (use: Pointers, k: number) => use.scratch("float", places[k], 4 * groups * widthOf(sums[k]));
  return [
    stepOf(stem, [Math.ceil(groups / rowsOfBlock)], width * rowsOfBlock, (use) =>
      new RowCode(body, spread, use, sums, partial).text(),
    ),
    ...sums.map((sum, k) => combineStep(groups, widthOf(sum), sum, (use) => partial(use, k))),
  ];
}

function combineStep(
  parts: number,
  width: number,
  sum: Exclude<LoopResult, { kind: "store" }>,
  partial: (use: Pointers) => string,
): Step {
  const few = width < 64;
  return stepOf("combine", [few ? width : Math.ceil(width / 64)], few ? 32 : 64, (use) => {
    const from = partial(use);
    return `qn_combine${few ? "_few" : ""}<${sum.accumulate}>(${parts}, ${width}, ${from}, ${use.to(sum.buffer)});`;
  });
}

type Sum = Exclude<LoopResult, { kind: "store" }>;

/** Text of the function of a loop with reductions. */
class RowCode {
  readonly #type: string;
  readonly #stages: number;

  constructor(
    readonly body: LoopBody,
    readonly spread: Spread,
    readonly use: Pointers,
    readonly sums: readonly Sum[],
    readonly partial: (use: Pointers, k: number) => string,
  ) {
    this.#type = indexType(body);
    this.#stages = Math.max(0, ...body.values.map(({ stage }) => stage));
  }

  text(): string {
    const { spread } = this;
    const { rows } = this.body;
    const { width, rowsOfBlock, groups } = spread;
    const group = rowsOfBlock === 1 ? "blockIdx.x" : `blockIdx.x * ${rowsOfBlock} + threadIdx.x / ${width}`;
    const lines = [
      ...(width > 32 ? ["QN_SHARED(float, room, 32);", "(void)room;"] : []),
      `const int t = threadIdx.x % ${width}, group = ${group};`,
      ...(groups % rowsOfBlock === 0 ? [] : [`if (group >= ${groups}) return; // a whole warp`]),
      ...this.#accumulators(),
      ...(rows === 1
        ? this.#stageLines()
        : [`for (${this.#type} r = group; r < ${rows}; r += ${groups}) {`, ...indent(this.#stageLines()), "}"]),
      ...this.#partials(),
    ];
    return lines.join("\n");
  }

  /** Whether the sums of this thread's columns are in registers; otherwise in its own columns of the partial sums. */
  get #inRegisters(): boolean {
    return this.spread.perThread <= MAX_REGISTERS;
  }

  #accumulators(): string[] {
    const { columns } = this.body;
    const { perThread, width } = this.spread;
    return this.sums.flatMap((sum, k) => {
      if (sum.kind === "fullSum") return [`float s${k} = 0.0f;`];
      if (this.#inRegisters) return [`float s${k}[${perThread}] = {};`];
      return [
        `float *s${k} = ${this.partial(this.use, k)} + (qn_long)group * ${columns};`,
        ...this.#columnLoop([`QN_LANES(${this.spread.lanes}) s${k}[c + j] = 0.0f;`], width),
      ];
    });
  }

  #partials(): string[] {
    const { columns } = this.body;
    const { width, lanes } = this.spread;
    return this.sums.flatMap((sum, k) => {
      const at = `${this.partial(this.use, k)} + (qn_long)group * ${columns}`;
      if (sum.kind === "fullSum") {
        const total = width > 32 ? `qn_block_sum<${width}>(s${k}, room)` : `qn_warp_sum(s${k})`;
        return [`const float total${k} = ${total};`, `if (t == 0) ${this.partial(this.use, k)}[group] = total${k};`];
      }
      if (!this.#inRegisters) return [];
      return this.#columnLoop([`qn_store_lanes<${lanes}>(${at} + c, s${k} + n);`], width);
    });
  }

  /** A loop over this thread's columns c; n counts its elements. */
  #columnLoop(lines: readonly string[], width: number): string[] {
    const { columns } = this.body;
    const { lanes, splitsColumns, groups, perThread } = this.spread;
    const step = lanes * width;
    if (splitsColumns) {
      return [
        `for (${this.#type} c = ((${this.#type})group * ${width} + t) * ${lanes}; c < ${columns}; c += ${step * groups}) {`,
        ...indent(lines),
        "}",
      ];
    }
    if (this.#inRegisters) {
      return [
        "#pragma unroll",
        `for (int n = 0; n < ${perThread}; n += ${lanes}) {`,
        `  const int c = n * ${width} + t * ${lanes};`,
        `  if (c < ${columns}) {`,
        ...indent(indent(lines)),
        "  }",
        "}",
      ];
    }
    return [`for (int c = t * ${lanes}; c < ${columns}; c += ${step}) {`, ...indent(lines), "}"];
  }

  #stageLines(): string[] {
    return Array.from({ length: this.#stages + 1 }, (_, stage) => this.#stage(stage)).flat();
  }

  #stage(stage: number): string[] {
    const { body, use, spread } = this;
    const { values, results } = body;
    const rowValues = values.flatMap((value, i) => {
      if (value.varies || value.stage !== stage) return [];
      if (!isReduction(value)) return [valueLine(body, i, use, spread.lanes)];
      const kind = value.op === "rowSum" ? "sum" : "maximum";
      const room = spread.width > 32 ? `<${spread.width}>(t${i}, room)` : `(t${i})`;
      return [`const float v${i} = qn_${spread.width > 32 ? "block" : "warp"}_${kind}${room};`];
    });
    const isRow = (result: LoopResult) => result.kind === "store" && result.access.columnStride === 0;
    const now = results.filter(({ value }) => values[value].stage === stage);
    const rowStores = now.flatMap((result) => {
      if (result.kind !== "store" || !isRow(result)) return [];
      const store = `if (t == 0) ${storeLine(body, result.value, result.access, use, spread.lanes)}`;
      if (!values[result.value].varies) return [store];
      // A row of one column whose value varies only in name.
      const lines = neededBy(body, [result.value], (value) => value.varies).map((i) => valueLine(body, i, use, 1));
      return ["{ const int c = 0;", "(void)c;", ...lines, store, "}"];
    });
    const inColumns = now.filter((result) => !isRow(result));
    const reductions = values.flatMap((value, i) => (isReduction(value) && value.stage === stage + 1 ? [i] : []));
    const declared = reductions.map((i) => `float t${i} = ${values[i].op === "rowSum" ? "0.0f" : "-QN_INFINITY"};`);
    if (inColumns.length + reductions.length === 0) return [...rowValues, ...rowStores];
    const operandOf = (i: number) => (values[i] as Reduction).operands[0];
    const roots = [...inColumns.map(({ value }) => value), ...reductions.map(operandOf)];
    const element = (i: number) => (values[i].varies ? `v${i}[j]` : `v${i}`);
    const lanes = `QN_LANES(${spread.lanes})`;
    const lines = [
      ...neededBy(body, roots, (value) => value.varies).map((i) => valueLine(body, i, use, spread.lanes)),
      ...reductions.map((i) =>
        values[i].op === "rowSum"
          ? `${lanes} t${i} += ${element(operandOf(i))};`
          : `${lanes} t${i} = qn_maximum(t${i}, ${element(operandOf(i))});`,
      ),
      ...inColumns.map((result) => {
        if (result.kind === "store") return storeLine(body, result.value, result.access, use, spread.lanes);
        const k = this.sums.indexOf(result);
        if (result.kind === "fullSum") return `${lanes} s${k} += ${element(result.value)};`;
        const at = this.#inRegisters ? `s${k}[n + j]` : `s${k}[c + j]`;
        return `${lanes} ${at} += ${element(result.value)};`;
      }),
    ];
    return [...rowValues, ...rowStores, ...declared, ...this.#columnLoop(lines, spread.width)];
  }
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
