/**
 * @file Writes WGSL for loops of fused element-wise operations and reductions, and for the epilogues of matrix products.
 *
 * Three kernels cover all loops. Elements: a thread per element, and sums of everything per workgroup. Rows: a workgroup
 * per row, for reductions along rows. Columns: a thread per column of a chunk of rows, for sums over the rows. Sums of workgroups are
 * stored, and added up in a fixed order by a second kernel, so that results have the same bits in every run.
 */
import { type Access, type Buffer, flatten, type LoopBody, type LoopValue } from "../../compiler/index.js";
import { type BinaryOp, isFloat, type NumberDType, type UnaryOp } from "../../tensor/index.js";
import { type Emission, KernelText, type Memory, type Scratch, THREADS, threadsOver, wgslFloat } from "./kernel.js";
import { workgroupReduction } from "./library.js";

/** At most this many partial sums; the threads of the second kernel add them up one by one. */
const MAX_PARTIAL_SUMS = 64;
/** Rows that a thread of a sum over the rows adds up at least. */
const CHUNK_ROWS = 16;

type Expression = (...operands: string[]) => string;
const call =
  (name: string): Expression =>
  (...operands) =>
    `${name}(${operands.join(", ")})`;
const infix =
  (operator: string): Expression =>
  (a, b) =>
    `${a} ${operator} ${b}`;

/** WGSL expression of each element-wise operation. */
const expressions: { readonly [O in UnaryOp | BinaryOp | "where"]: Expression } = {
  again: (x) => x,
  neg: (x) => `-${x}`,
  exp: call("exp"),
  log: call("log"),
  sqrt: call("sqrt"),
  rsqrt: call("inverseSqrt"),
  abs: call("abs"),
  tanh: call("tanh_exact"),
  sigmoid: call("sigmoid"),
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: infix("/"),
  minimum: call("minimum"),
  maximum: call("maximum"),
  less: (a, b) => `select(0.0f, 1.0f, ${a} < ${b})`,
  equal: (a, b) => `select(0.0f, 1.0f, ${a} == ${b})`,
  where: (condition, a, b) => `select(${b}, ${a}, ${condition} != 0.0f)`,
};

/** Floats are f32 and integers are i32, whatever their dtype in memory. */
function castTo(from: NumberDType, to: NumberDType, x: string): string {
  if (isFloat(from) && isFloat(to)) return roundTo(to, x);
  if (isFloat(from)) return to === "u8" ? `i32_to_u8(f32_to_i32(${x}))` : `f32_to_i32(${x})`;
  if (isFloat(to)) return roundTo(to, `f32(${x})`);
  return to === "u8" ? `i32_to_u8(${x})` : x;
}

const roundTo = (to: NumberDType, x: string) =>
  to === "bf16" ? `round_bf16(${x})` : to === "f16" ? `f16_to_f32(f32_to_f16(${x}))` : x;

/** Index of the element at row `r`, column `c`. */
export function indexOf({ offset, rows, columnStride }: Access, r: string, c: string): string {
  const terms = rows.map(({ divide, modulo, stride }) => {
    const divided = divide === 1 ? r : `${r} / ${divide}u`;
    const wrapped = modulo === 0 ? divided : `(${divided}) % ${modulo}u`;
    return stride === 1 ? `(${wrapped})` : `(${wrapped}) * ${stride}u`;
  });
  if (offset > 0) terms.unshift(`${offset}u`);
  if (columnStride !== 0) terms.push(columnStride === 1 ? c : `${c} * ${columnStride}u`);
  return terms.length === 0 ? "0u" : terms.join(" + ");
}

/** Writes the values of a body as `let` statements. */
export class BodyText {
  readonly #isInteger: readonly boolean[];

  /** @param given expressions for elements that are not loaded, by buffer: a finished product in registers */
  constructor(
    readonly body: LoopBody,
    readonly text: KernelText,
    readonly given: ReadonlyMap<Buffer, string> = new Map(),
  ) {
    const isInteger: boolean[] = [];
    body.values.forEach((value, i) => {
      if (value.op === "load") isInteger[i] = !isFloat(value.access.buffer.dtype);
      else if (value.op === "cast") isInteger[i] = !isFloat(value.to);
      else if (value.op === "literal") isInteger[i] = this.#isIntegerLiteral(i);
      else isInteger[i] = false;
    });
    this.#isInteger = isInteger;
  }

  /** A literal has the type that its users expect. */
  #isIntegerLiteral(i: number): boolean {
    const { values, results } = this.body;
    return (
      values.some((value) => value.op === "cast" && value.operands[0] === i && !isFloat(value.from)) ||
      results.some((result) => result.value === i && result.kind === "store" && !isFloat(result.access.buffer.dtype))
    );
  }

  /** Statements for the wanted values and all that they need, except those in `done`, to which they are added. */
  lines(wanted: readonly number[], r: string, c: string, done: Set<number>): string[] {
    const needed = new Set<number>();
    const need = (i: number): void => {
      if (done.has(i) || needed.has(i)) return;
      needed.add(i);
      const value = this.body.values[i];
      if (value.op !== "load" && value.op !== "literal") value.operands.forEach(need);
    };
    wanted.forEach(need);
    const order = [...needed].sort((a, b) => a - b);
    for (const i of order) done.add(i);
    return order.map((i) => `let v${i} = ${this.#compute(this.body.values[i], i, r, c)};`);
  }

  #compute(value: LoopValue, i: number, r: string, c: string): string {
    switch (value.op) {
      case "load":
        return this.given.get(value.access.buffer) ?? this.text.load(value.access.buffer, indexOf(value.access, r, c));
      case "literal":
        return this.#isInteger[i] ? `i32(${Math.trunc(value.value)})` : wgslFloat(value.value);
      case "cast":
        return castTo(value.from, value.to, `v${value.operands[0]}`);
      case "rowSum":
      case "rowMax":
        throw new Error("a reduction along a row is not computed per element");
      default:
        return expressions[value.op](...value.operands.map((operand) => `v${operand}`));
    }
  }

  /** Statements that store results, whose values are known. */
  stores(results: readonly number[], r: string, c: string): string[] {
    return results.map((i) => {
      const result = this.body.results[i];
      if (result.kind !== "store") throw new Error("a sum is not stored per element");
      return this.text.store(result.access.buffer, indexOf(result.access, r, c), `v${result.value}`);
    });
  }
}

/** Reserves scratch of f32 for the launches of one operation. */
export type Reserve = (floats: number) => Scratch;

/** Writes the kernels of a loop. */
export function emitLoop(original: LoopBody, reserve: Reserve): Emission[] {
  const body = flatten(original);
  if (body.results.length === 0) return [];
  if (body.values.some(({ op }) => op === "rowSum" || op === "rowMax")) return rowLoop(body, reserve);
  if (body.results.some(({ kind }) => kind === "columnSum")) return columnLoop(body, reserve);
  return elementLoop(body, reserve);
}

const indices = <T>(list: readonly T[], chosen: (item: T, i: number) => boolean): number[] =>
  list.flatMap((item, i) => (chosen(item, i) ? [i] : []));

/** The second kernel: adds up `parts` partial sums of `width` numbers in order. */
function combine(parts: number, width: number, from: Scratch, to: Memory, accumulate: boolean): Emission {
  const text = new KernelText();
  const body = [
    `let c = block * ${THREADS}u + tid;`,
    `if (c >= ${width}u) { return; }`,
    "var total = 0.0f;",
    `for (var part = 0u; part < ${parts}u; part++) { total += ${text.load(from, `part * ${width}u + c`)}; }`,
    text.store(to, "c", accumulate ? `${text.load(to, "c")} + total` : "total"),
  ];
  return text.emission("combine", threadsOver(width), body);
}

/** Sums of everything per thread, then per workgroup; returns the statements and the kernels that add up the rest. */
function fullSums(body: LoopBody, text: KernelText, parts: number, reserve: Reserve) {
  const sums = indices(body.results, ({ kind }) => kind === "fullSum");
  const partial = sums.map(() => reserve(parts));
  return {
    sums,
    declare: sums.map((i) => `var s${i} = 0.0f;`),
    add: sums.map((i) => `s${i} += v${body.results[i].value};`),
    store: sums.flatMap((i, k) => [
      `let whole${i} = sum_up(s${i}, tid);`,
      `if (tid == 0u) { ${text.store(partial[k], "block", `whole${i}`)} }`,
    ]),
    combines: sums.map((i, k) => {
      const result = body.results[i] as { readonly buffer: Buffer; readonly accumulate: boolean };
      return combine(parts, 1, partial[k], result.buffer, result.accumulate);
    }),
  };
}

function elementLoop(body: LoopBody, reserve: Reserve): Emission[] {
  const { rows, columns, results } = body;
  const size = rows * columns;
  const text = new KernelText();
  const code = new BodyText(body, text);
  const threads = size > 1 << 16 ? 256 : THREADS;
  const summed = results.some(({ kind }) => kind === "fullSum");
  const place = rows === 1 ? ["let r = 0u;", "let c = i;"] : [`let r = i / ${columns}u;`, `let c = i % ${columns}u;`];
  const wanted = results.map(({ value }) => value);
  const stores = indices(results, ({ kind }) => kind === "store");
  if (!summed) {
    const lines = [
      `let i = block * ${threads}u + tid;`,
      `if (i >= ${size}u) { return; }`,
      ...place,
      ...code.lines(wanted, "r", "c", new Set()),
      ...code.stores(stores, "r", "c"),
    ];
    return [text.emission("elements", threadsOver(size, threads), lines, { threads })];
  }
  const parts = Math.min(MAX_PARTIAL_SUMS, threadsOver(size, threads));
  const chunk = Math.ceil(size / parts / threads) * threads;
  const sums = fullSums(body, text, parts, reserve);
  const lines = [
    ...sums.declare,
    `let end = min(${size}u, (block + 1u) * ${chunk}u);`,
    `for (var i = block * ${chunk}u + tid; i < end; i += ${threads}u) {`,
    ...indent([...place, ...code.lines(wanted, "r", "c", new Set()), ...sums.add, ...code.stores(stores, "r", "c")]),
    "}",
    ...sums.store,
  ];
  const declarations = workgroupReduction("sum_up", "sum", threads);
  return [text.emission("elements", parts, lines, { threads, declarations }), ...sums.combines];
}

/** The chunks of rows that workgroups take, if some of their sums are added up afterwards. */
function chunksOf(rows: number, least: number): { readonly parts: number; readonly chunk: number } {
  const chunk = Math.max(least, Math.ceil(rows / MAX_PARTIAL_SUMS));
  return { chunk, parts: Math.ceil(rows / chunk) };
}

function columnLoop(body: LoopBody, reserve: Reserve): Emission[] {
  const { rows, columns, results } = body;
  const text = new KernelText();
  const code = new BodyText(body, text);
  const { chunk, parts } = chunksOf(rows, CHUNK_ROWS);
  const blocks = threadsOver(columns);
  const wanted = results.map(({ value }) => value);
  const columnSums = indices(results, ({ kind }) => kind === "columnSum");
  const partial = columnSums.map(() => reserve(parts * columns));
  const sums = fullSums(body, text, parts * blocks, reserve);
  const lines = [
    `let c = (block % ${blocks}u) * ${THREADS}u + tid;`,
    `let part = block / ${blocks}u;`,
    `let end = min(${rows}u, (part + 1u) * ${chunk}u);`,
    ...columnSums.map((i) => `var s${i} = 0.0f;`),
    ...sums.declare,
    `if (c < ${columns}u) {`,
    `  for (var r = part * ${chunk}u; r < end; r++) {`,
    ...indent(
      indent([
        ...code.lines(wanted, "r", "c", new Set()),
        ...columnSums.map((i) => `s${i} += v${results[i].value};`),
        ...sums.add,
        ...code.stores(
          indices(results, ({ kind }) => kind === "store"),
          "r",
          "c",
        ),
      ]),
    ),
    "  }",
    ...columnSums.map((i, k) => `  ${text.store(partial[k], `part * ${columns}u + c`, `s${i}`)}`),
    "}",
    ...sums.store,
  ];
  const declarations = sums.sums.length > 0 ? workgroupReduction("sum_up", "sum", THREADS) : "";
  return [
    text.emission("columns", parts * blocks, lines, { declarations }),
    ...columnCombines(body, columnSums, parts, partial),
    ...sums.combines,
  ];
}

function columnCombines(
  body: LoopBody,
  sums: readonly number[],
  parts: number,
  partial: readonly Scratch[],
): Emission[] {
  return sums.map((i, k) => {
    const result = body.results[i] as { readonly buffer: Buffer; readonly accumulate: boolean };
    return combine(parts, body.columns, partial[k], result.buffer, result.accumulate);
  });
}

/** Threads for a row: no more than it has columns, so that short rows waste little. */
const rowThreads = (columns: number) => [32, 64, 128].find((threads) => columns <= 2 * threads) ?? 256;

function rowLoop(body: LoopBody, reserve: Reserve): Emission[] {
  const { rows, columns, values, results } = body;
  const text = new KernelText();
  const code = new BodyText(body, text);
  const threads = rowThreads(columns);
  const columnSums = indices(results, ({ kind }) => kind === "columnSum");
  const addsUp = results.some(({ kind }) => kind !== "store");
  const { chunk, parts } = addsUp ? chunksOf(rows, 1) : { chunk: 1, parts: rows };
  const partial = columnSums.map(() => reserve(parts * columns));
  const sums = fullSums(body, text, parts, reserve);
  const stages = Math.max(0, ...values.map(({ stage }) => stage));
  const perRow = new Set<number>();

  const stageLines = (stage: number): string[] => {
    // Values that are the same along the row, in order: those of reductions are known already.
    const constant = indices(values, (value) => !value.varies && value.stage === stage);
    const rowValues = code.lines(
      constant.filter((i) => !perRow.has(i)),
      "r",
      "0u",
      perRow,
    );
    const rowStores = indices(
      results,
      (result) => result.kind === "store" && result.access.columnStride === 0 && values[result.value].stage === stage,
    );
    const inColumns = indices(
      results,
      (result) =>
        !(result.kind === "store" && result.access.columnStride === 0) && values[result.value].stage === stage,
    );
    const reductions = indices(values, (value) => isReduction(value) && value.stage === stage + 1);
    const operandOf = (i: number) => (values[i] as { readonly operands: readonly number[] }).operands[0];
    const wanted = [...inColumns.map((i) => results[i].value), ...reductions.map(operandOf)];
    const stores = inColumns.filter((i) => results[i].kind === "store");
    const loop = [
      ...reductions.map((i) => `var t${i} = ${values[i].op === "rowSum" ? "0.0f" : "-infinity()"};`),
      `for (var c = tid; c < ${columns}u; c += ${threads}u) {`,
      ...indent([
        ...code.lines(wanted, "r", "c", new Set(perRow)),
        ...reductions.map((i) =>
          values[i].op === "rowSum" ? `t${i} += v${operandOf(i)};` : `t${i} = maximum(t${i}, v${operandOf(i)});`,
        ),
        ...inColumns.flatMap((i) => {
          if (results[i].kind === "fullSum") return [`s${i} += v${results[i].value};`];
          if (results[i].kind !== "columnSum") return [];
          const at = `block * ${columns}u + c`;
          const sum = partial[columnSums.indexOf(i)];
          return [text.store(sum, at, `select(${text.load(sum, at)}, 0.0f, r == first) + v${results[i].value}`)];
        }),
        ...code.stores(stores, "r", "c"),
      ]),
      "}",
      ...reductions.map((i) => `let v${i} = ${values[i].op === "rowSum" ? "sum_up" : "top_of"}(t${i}, tid);`),
    ];
    for (const i of reductions) perRow.add(i);
    return [
      ...rowValues,
      ...(rowStores.length > 0 ? ["if (tid == 0u) {", ...indent(code.stores(rowStores, "r", "0u")), "}"] : []),
      ...(wanted.length > 0 ? loop : []),
    ];
  };

  const lines = [
    ...sums.declare,
    `let first = block * ${chunk}u;`,
    `let end = min(${rows}u, first + ${chunk}u);`,
    "for (var r = first; r < end; r++) {",
    ...indent(Array.from({ length: stages + 1 }, (_, stage) => stageLines(stage)).flat()),
    "}",
    ...sums.store,
  ];
  const usesSum = sums.sums.length > 0 || values.some(({ op }) => op === "rowSum");
  const declarations = [
    ...(usesSum ? [workgroupReduction("sum_up", "sum", threads)] : []),
    ...(values.some(({ op }) => op === "rowMax") ? [workgroupReduction("top_of", "max", threads)] : []),
  ].join("\n");
  return [
    text.emission("rows", parts, lines, { threads, declarations }),
    ...columnCombines(body, columnSums, parts, partial),
    ...sums.combines,
  ];
}

const isReduction = ({ op }: LoopValue) => op === "rowSum" || op === "rowMax";

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
