/** @file Emits the values of a loop's body in CUDA C++: one line per value, for one or four neighbouring columns. */
import type { Access, Buffer, LoopBody, LoopValue } from "../../compiler/index.js";
import { type BinaryOp, isFloat, type NumberDType, type UnaryOp } from "../../tensor/index.js";
import type { Pointers } from "./step.js";

type Expression = (...operands: string[]) => string;
const call =
  (name: string): Expression =>
  (...operands) =>
    `${name}(${operands.join(", ")})`;
const infix =
  (operator: string): Expression =>
  (a, b) =>
    `${a} ${operator} ${b}`;

const expressions: { readonly [O in UnaryOp | BinaryOp | "where"]: Expression } = {
  again: (x) => x,
  neg: (x) => `-${x}`,
  exp: call("expf"),
  log: call("logf"),
  sqrt: call("sqrtf"),
  rsqrt: call("rsqrtf"),
  abs: call("fabsf"),
  tanh: call("tanhf"),
  sigmoid: call("qn_sigmoid"),
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: infix("/"),
  minimum: call("qn_minimum"),
  maximum: call("qn_maximum"),
  less: (a, b) => `${a} < ${b} ? 1.0f : 0.0f`,
  equal: (a, b) => `${a} == ${b} ? 1.0f : 0.0f`,
  where: (condition, a, b) => `${condition} != 0.0f ? ${a} : ${b}`,
};

/** A literal that parses to exactly this float. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return "QN_NAN";
  if (!Number.isFinite(value)) return value > 0 ? "QN_INFINITY" : "(-QN_INFINITY)";
  const text = Math.fround(value).toString();
  const float = `${/[.e]/.test(text) ? text : `${text}.0`}f`;
  return value < 0 || Object.is(value, -0) ? `(${float})` : float;
}

function castText(from: NumberDType, to: NumberDType, x: string): string {
  if (!isFloat(to)) {
    if (isFloat(from)) return to === "u8" ? `qn_u8_of_float(${x})` : `qn_int_of_float(${x})`;
    return to === "u8" ? `qn_u8_of_int((int)${x})` : `(int)${x}`;
  }
  const float = isFloat(from) ? x : `(float)${x}`;
  return to === "f32" ? float : `qn_round_${to}(${float})`;
}

/** An element's type in registers: numbers are floats, indices and bytes are integers. */
function registerType(value: LoopValue): "float" | "int" {
  if (value.op === "load") return isFloat(value.access.buffer.dtype as NumberDType) ? "float" : "int";
  if (value.op === "cast") return isFloat(value.to) ? "float" : "int";
  return "float";
}

/** Type of a loop's indices: int, unless a buffer or the loop has more elements than it counts. */
export function indexType({ rows, columns, values, results }: LoopBody): "int" | "qn_long" {
  const buffers = [
    ...values.flatMap((value) => (value.op === "load" ? [value.access.buffer] : [])),
    ...results.map((result) => (result.kind === "store" ? result.access.buffer : result.buffer)),
  ];
  return Math.max(rows * columns, ...buffers.map(({ size }) => size)) < 2 ** 31 - 4096 ? "int" : "qn_long";
}

/** Index of the element at row r and column c. */
function indexText({ offset, rows, columnStride }: Access): string {
  const terms = rows.map(({ divide, modulo, stride }) => {
    const divided = divide === 1 ? "r" : `r / ${divide}`;
    const row = modulo === 0 ? divided : `${divided} % ${modulo}`;
    return stride === 1 ? row : `${row} * ${stride}`;
  });
  const column = columnStride === 0 ? [] : [columnStride === 1 ? "c" : `c * ${columnStride}`];
  const all = [...(offset > 0 ? [`${offset}`] : []), ...terms, ...column];
  return all.join(" + ") || "0";
}

/** Whether four neighbouring columns are one aligned piece of memory, or one element for all. */
function isAligned({ offset, rows, columnStride }: Access, columns: number): boolean {
  if (columnStride === 0) return true;
  return columnStride === 1 && columns % 4 === 0 && offset % 4 === 0 && rows.every(({ stride }) => stride % 4 === 0);
}

/** How many neighbouring columns a thread computes at once: 4 if all accesses allow it. */
export function lanesOf({ columns, values, results }: LoopBody): 1 | 4 {
  const accesses = [
    ...values.flatMap((value) => (value.op === "load" ? [value.access] : [])),
    ...results.flatMap((result) => (result.kind === "store" ? [result.access] : [])),
  ];
  return columns % 4 === 0 && accesses.every((access) => isAligned(access, columns)) ? 4 : 1;
}

/** A place that is in a register instead of memory: the result of a product, which its epilogue reads. */
export interface InRegister {
  readonly buffer: Buffer;
  readonly text: string;
}

/**
 * The line that computes value i in the scope of its row r (and column c, if it varies). A varying value is an array of `lanes`
 * elements.
 */
export function valueLine(body: LoopBody, i: number, use: Pointers, lanes: number, known?: InRegister): string {
  const value = body.values[i];
  const type = registerType(value);
  const isArray = value.varies;
  if (value.op === "load") {
    const { access } = value;
    if (known && access.buffer === known.buffer)
      return isArray ? `const float v${i}[1] = {${known.text}};` : `const float v${i} = ${known.text};`;
    const at = `${use.to(access.buffer)} + (${indexText(access)})`;
    if (!isArray) return `const ${type} v${i} = qn_load(${at});`;
    if (access.columnStride === 0) throw new Error("a value that varies is loaded from one element");
    return `${type} v${i}[${lanes}]; qn_load_lanes<${lanes}>(${at}, v${i});`;
  }
  if (value.op === "literal") return `const float v${i} = ${floatText(value.value)};`;
  const operands = value.operands.map((operand) => (body.values[operand].varies ? `v${operand}[j]` : `v${operand}`));
  if (value.op === "rowSum" || value.op === "rowMax") throw new Error("a reduction is computed by its loop");
  const text = value.op === "cast" ? castText(value.from, value.to, operands[0]) : expressions[value.op](...operands);
  if (!isArray) return `const ${type} v${i} = ${text};`;
  return `${type} v${i}[${lanes}]; QN_LANES(${lanes}) v${i}[j] = ${text};`;
}

/** The line that stores a value. */
export function storeLine(body: LoopBody, value: number, access: Access, use: Pointers, lanes: number): string {
  const at = `${use.to(access.buffer)} + (${indexText(access)})`;
  const isInteger = !isFloat(access.buffer.dtype as NumberDType);
  const { varies } = body.values[value];
  const typed = (x: string) => (isInteger ? `(int)${x}` : x);
  if (access.columnStride === 0 || !varies) {
    const one = varies ? `v${value}[0]` : `v${value}`;
    if (access.columnStride === 0) return `qn_store(${at}, ${typed(one)});`;
    return `QN_LANES(${lanes}) qn_store(${at} + j, ${typed(one)});`;
  }
  if (registerType(body.values[value]) === "int" || !isInteger) return `qn_store_lanes<${lanes}>(${at}, v${value});`;
  return `QN_LANES(${lanes}) qn_store(${at} + j, ${typed(`v${value}[j]`)});`;
}

/** The varying values that these values need, in order. */
export function neededBy(
  { values }: LoopBody,
  roots: readonly number[],
  isWanted: (value: LoopValue) => boolean,
): number[] {
  const needed = new Set<number>();
  const visit = (i: number): void => {
    const value = values[i];
    if (!isWanted(value) || needed.has(i)) return;
    needed.add(i);
    if (value.op !== "load" && value.op !== "literal") value.operands.forEach(visit);
  };
  roots.forEach(visit);
  return [...needed].sort((a, b) => a - b);
}
