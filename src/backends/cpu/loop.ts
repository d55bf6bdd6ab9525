/** @file Emits C for a fused loop: a function for one block of rows and columns, and the call that runs all blocks. */
import type { Access, Buffer, LoopBody, LoopResult, LoopValue } from "../../compiler/index.js";
import { type BinaryOp, isFloat, type NumberDType, type UnaryOp } from "../../tensor/index.js";

/** Elements per block: enough to outweigh scheduling, few enough to spread over cores. */
const BLOCK = 8192;
/** Maximum number of partial sums; the final sum over them is serial. */
const MAX_PARTIAL_SUMS = 64;

type Expression = (...operands: string[]) => string;
const call =
  (name: string): Expression =>
  (...operands) =>
    `${name}(${operands.join(", ")})`;
const infix =
  (operator: string): Expression =>
  (a, b) =>
    `${a} ${operator} ${b}`;

/** C expression of each element-wise operation over vectors. */
const expressions: { readonly [O in UnaryOp | BinaryOp | "where"]: Expression } = {
  again: (x) => x,
  neg: (x) => `-${x}`,
  exp: call("qn_exp"),
  log: call("qn_log"),
  sqrt: call("qn_sqrt"),
  rsqrt: call("qn_rsqrt"),
  abs: call("qn_abs"),
  tanh: call("qn_tanh"),
  sigmoid: call("qn_sigmoid"),
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: infix("/"),
  minimum: call("qn_minimum"),
  maximum: call("qn_maximum"),
  less: (a, b) => `qn_select(${a} < ${b}, qn_splat(1.0f), qn_splat(0.0f))`,
  equal: (a, b) => `qn_select(${a} == ${b}, qn_splat(1.0f), qn_splat(0.0f))`,
  where: (condition, a, b) => `qn_select(${condition} != qn_splat(0.0f), ${a}, ${b})`,
};

/** Casts a value between dtypes: floats are float lanes, integers the bits of an i32 in each lane. */
function castTo(from: NumberDType, to: NumberDType, x: string): string {
  if (!isFloat(from) && !isFloat(to)) return to === "u8" ? `qn_int_to_u8(${x})` : x;
  const float = isFloat(from) ? x : `qn_float_of_int(${x})`;
  return to === "f32" ? float : `qn_to_${to}(${float})`;
}

/** C type of an element in memory, and the suffix of its load and store functions (templates/storage.h). */
const stored: { readonly [D in NumberDType]: { readonly type: string; readonly suffix: string } } = {
  f32: { type: "float", suffix: "" },
  bf16: { type: "unsigned short", suffix: "_bf16" },
  f16: { type: "unsigned short", suffix: "_f16" },
  i32: { type: "int", suffix: "_i32" },
  u8: { type: "unsigned char", suffix: "_u8" },
};

/** Loops access no blocks: shape rules keep them to products and look-ups. */
const storedAs = ({ dtype }: Buffer) => stored[dtype as NumberDType];

/** A C literal that parses to exactly this float. */
export function cFloat(value: number): string {
  if (Number.isNaN(value)) return '__builtin_nanf("")';
  if (!Number.isFinite(value)) return value > 0 ? "QN_INFINITY" : "-QN_INFINITY";
  const text = Math.fround(value).toString();
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** Buffers passed to a piece of emitted code, in order: p[0], p[1], … */
export class Parameters {
  readonly buffers: Buffer[] = [];

  index(buffer: Buffer): number {
    const known = this.buffers.indexOf(buffer);
    return known >= 0 ? known : this.buffers.push(buffer) - 1;
  }
}

export interface EmittedLoop {
  /** C function that runs one block: (context, r0, r1, c0, c1); the context is `float *const *p`. */
  readonly block: (name: string) => string;
  /** Statement that runs all blocks, inside a function with parameter `p`. */
  readonly run: (name: string) => string;
  /** Scratch in floats, for partial sums of blocks. */
  readonly scratch: number;
}

/**
 * Emits a loop.
 * @param parameters numbers of the loop's buffers; an epilogue shares them with its matrix product
 * @param prefetchedRows how many rows ahead matrices are prefetched: blocks of few columns are too short for the hardware's prefetcher
 */
export function emitLoop(body: LoopBody, parameters: Parameters, prefetchedRows = 0): EmittedLoop {
  const { rows, columns, values, results } = body;
  const summed = results.some((result) => result.kind !== "store");
  const least = summed ? Math.ceil((rows * columns) / MAX_PARTIAL_SUMS) : 0;
  const block = Math.max(BLOCK, least);
  const blockRows = Math.min(rows, Math.max(1, Math.ceil(block / columns)));
  // One long row is split into blocks of whole cache lines.
  const splitsColumns = rows === 1 && !values.some((value) => value.op === "rowSum" || value.op === "rowMax");
  const blockColumns = splitsColumns ? Math.min(columns, Math.ceil(block / 64) * 64) : columns;
  const parts = Math.ceil(rows / blockRows) * Math.ceil(columns / blockColumns);
  const part = splitsColumns ? `c0 / ${blockColumns}` : `r0 / ${blockRows}`;

  let scratch = 0;
  const partials = new Map<number, number>();
  results.forEach((result, i) => {
    if (result.kind === "store") return;
    partials.set(i, scratch);
    scratch += parts * (result.kind === "columnSum" ? columns : 1);
  });
  const widthOf = (i: number) => (results[i].kind === "columnSum" ? columns : 1);

  const pointer = ({ buffer, offset }: Access) => `a${parameters.index(buffer)}${offset > 0 ? ` + ${offset}` : ""}`;
  const rowOffset = (access: Access) =>
    access.rows
      .map(({ divide, modulo, stride }) => {
        const divided = divide === 1 ? "r" : `r / ${divide}`;
        return `${modulo === 0 ? divided : `${divided} % ${modulo}`} * ${stride}`;
      })
      .join(" + ") || "0";
  const stages = Math.max(0, ...values.map((value) => value.stage));
  // Registering all buffers first gives them numbers in order of appearance.
  for (const value of values) if (value.op === "load") parameters.index(value.access.buffer);
  for (const result of results) parameters.index(result.kind === "store" ? result.access.buffer : result.buffer);

  const rowStore = (access: Access) => access.columnStride === 0;

  const compute = (value: LoopValue, partial: boolean): string => {
    switch (value.op) {
      case "load": {
        const { access } = value;
        const base = `${pointer(access)} + ${rowOffset(access)}`;
        const { suffix } = storedAs(access.buffer);
        if (access.columnStride === 0) return `qn_splat${suffix}(*(${base}))`;
        if (access.columnStride === 1) {
          return partial ? `qn_load_n${suffix}(${base} + c, n)` : `qn_load${suffix}(${base} + c)`;
        }
        const at = `${base} + c * ${access.columnStride}, ${access.columnStride}`;
        return partial ? `qn_gather_n${suffix}(${at}, n)` : `qn_gather${suffix}(${at})`;
      }
      case "literal":
        return `qn_splat(${cFloat(value.value)})`;
      case "cast":
        return castTo(value.from, value.to, `v${value.operands[0]}`);
      case "rowSum":
      case "rowMax":
        throw new Error("a reduction over a row is not computed in its loop");
      default:
        return expressions[value.op](...value.operands.map((operand) => `v${operand}`));
    }
  };

  /** What this stage's loop over columns computes: results, and reductions that the next stage starts from. */
  const columnWork = (stage: number) => ({
    results: results.flatMap((result, i) => {
      const inColumns = result.kind !== "store" || !rowStore(result.access);
      return inColumns && values[result.value].stage === stage ? [i] : [];
    }),
    reductions: values.flatMap((value, i) =>
      (value.op === "rowSum" || value.op === "rowMax") && value.stage === stage + 1 ? [i] : [],
    ),
  });

  const columnLoop = (stage: number): string[] => {
    const work = columnWork(stage);
    if (work.results.length + work.reductions.length === 0) return [];
    const needed = new Set<number>();
    const need = (i: number): void => {
      const value = values[i];
      if (!value.varies || needed.has(i)) return;
      needed.add(i);
      if (value.op !== "load" && value.op !== "literal") value.operands.forEach(need);
    };
    for (const i of work.results) need(results[i].value);
    for (const i of work.reductions) need((values[i] as { operands: readonly number[] }).operands[0]);
    const order = [...needed].sort((a, b) => a - b);
    const prefetch = (i: number): string[] => {
      const value = values[i];
      if (prefetchedRows === 0 || value.op !== "load" || value.access.columnStride !== 1) return [];
      const { access } = value;
      if (access.buffer.size === 0) return []; // a block in scratch
      if (access.rows.length !== 1 || access.rows[0].divide !== 1 || access.rows[0].modulo !== 0) return [];
      const ahead = prefetchedRows * access.rows[0].stride;
      return [`__builtin_prefetch(${pointer(access)} + ${rowOffset(access)} + c + ${ahead});`];
    };
    const lines = (partial: boolean): string[] => [
      ...(partial ? [] : order.flatMap(prefetch)),
      ...order.map((i) => `vf v${i} = ${compute(values[i], partial)};`),
      ...work.reductions.map((i) => {
        const value = values[i] as Extract<LoopValue, { op: "rowSum" | "rowMax" }>;
        const x = `v${value.operands[0]}`;
        if (value.op === "rowSum") return `t${i} += ${partial ? `qn_first(${x}, n, 0.0f)` : x};`;
        return `t${i} = qn_maximum(t${i}, ${partial ? `qn_first(${x}, n, -QN_INFINITY)` : x});`;
      }),
      ...work.results.map((i) => {
        const result: LoopResult = results[i];
        const x = `v${result.value}`;
        if (result.kind === "store") {
          const at = `${pointer(result.access)} + ${rowOffset(result.access)} + c`;
          const { suffix } = storedAs(result.access.buffer);
          return partial ? `qn_store_n${suffix}(${at}, ${x}, n);` : `qn_store${suffix}(${at}, ${x});`;
        }
        if (result.kind === "fullSum") return `s${i} += ${partial ? `qn_first(${x}, n, 0.0f)` : x};`;
        return partial
          ? `qn_store_n(s${i} + c, qn_load_n(s${i} + c, n) + ${x}, n);`
          : `qn_store(s${i} + c, qn_load(s${i} + c) + ${x});`;
      }),
    ];
    return [
      ...work.reductions.map((i) => `vf t${i} = qn_splat(${values[i].op === "rowSum" ? "0.0f" : "-QN_INFINITY"});`),
      "long c = c0;",
      "for (; c + QN_VL <= c1; c += QN_VL) {",
      ...indent(lines(false)),
      "}",
      "if (c < c1) {",
      "  long n = c1 - c;",
      ...indent(lines(true)),
      "}",
    ];
  };

  const storeOne = (access: Access, x: string): string => {
    const at = `${pointer(access)} + ${rowOffset(access)}`;
    const { suffix } = storedAs(access.buffer);
    return suffix === "" ? `*(${at}) = ${x}[0];` : `qn_store_n${suffix}(${at}, ${x}, 1);`;
  };

  const stageCode = (stage: number): string[] => {
    const rowValues = values.flatMap((value, i) => {
      if (value.varies || value.stage !== stage) return [];
      if (value.op === "rowSum") return [`vf v${i} = qn_splat(qn_sum(t${i}));`];
      if (value.op === "rowMax") return [`vf v${i} = qn_splat(qn_maximum_lanes(t${i}));`];
      return [`vf v${i} = ${compute(value, false)};`];
    });
    const rowStores = results.flatMap((result) =>
      result.kind === "store" && rowStore(result.access) && values[result.value].stage === stage
        ? [storeOne(result.access, `v${result.value}`)]
        : [],
    );
    const loop = columnLoop(stage);
    // Reductions are declared outside the loop's scope, because the next stage needs them.
    const reductions = loop.filter((line) => line.startsWith("vf t"));
    const rest = loop.filter((line) => !line.startsWith("vf t"));
    return [...rowValues, ...rowStores, ...reductions, ...(rest.length > 0 ? ["{", ...indent(rest), "}"] : [])];
  };

  const blockCode = (name: string): string => {
    const p = parameters.buffers;
    const used = p.map((_, i) => i).filter((i) => usesBuffer(body, p[i]));
    const first = `p[${p.length}]`;
    const lines = [
      "float *const *p = context;",
      ...used.map((i) => {
        const { type } = storedAs(p[i]);
        return type === "float" ? `float *a${i} = p[${i}];` : `${type} *a${i} = (${type} *)p[${i}];`;
      }),
      ...[...partials].map(([i, offset]) =>
        results[i].kind === "fullSum"
          ? `vf s${i} = qn_splat(0.0f);`
          : `float *s${i} = ${first} + ${offset} + (${part}) * ${columns}L;`,
      ),
      ...[...partials].flatMap(([i]) =>
        results[i].kind === "columnSum" ? [`for (long c = 0; c < ${columns}; c++) s${i}[c] = 0.0f;`] : [],
      ),
      "for (long r = r0; r < r1; r++) {",
      ...indent(Array.from({ length: stages + 1 }, (_, stage) => stageCode(stage)).flat()),
      "}",
      ...[...partials].flatMap(([i, offset]) =>
        results[i].kind === "fullSum" ? [`${first}[${offset} + ${part}] = qn_sum(s${i});`] : [],
      ),
    ];
    return `static void ${name}(void *context, long r0, long r1, long c0, long c1) {\n${indent(lines).join("\n")}\n}`;
  };

  const run = (name: string): string =>
    [
      `qn_loop(${rows}, ${columns}, ${blockRows}, ${blockColumns}, ${name}, (void *)p);`,
      ...[...partials].map(([i, offset]) => {
        const result = results[i] as { buffer: Buffer; accumulate: boolean };
        const scratchAt = `p[${parameters.buffers.length}] + ${offset}`;
        const out = `p[${parameters.index(result.buffer)}]`;
        return `qn_combine(${parts}, ${widthOf(i)}, ${scratchAt}, ${out}, ${result.accumulate ? 1 : 0});`;
      }),
    ].join("\n  ");

  return { block: blockCode, run, scratch };
}

function usesBuffer(body: LoopBody, buffer: Buffer): boolean {
  return (
    body.values.some((value) => value.op === "load" && value.access.buffer === buffer) ||
    body.results.some((result) => result.kind === "store" && result.access.buffer === buffer)
  );
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
