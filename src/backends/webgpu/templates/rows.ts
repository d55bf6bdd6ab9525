/** @file Operations that move rows and elements: embedding and its gradient, rotary positions, gather, scatter, random numbers. */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { isBlocked, isOp, sizeOf } from "../../../tensor/index.js";
import { type Emission, KernelText, THREADS, threadsOver } from "../kernel.js";
import type { Reserve } from "../loop.js";
import { blockFunctions } from "./block-formats.js";

/** A kernel with a thread per item `i` of `count`. */
function perItem(stem: string, text: KernelText, count: number, lines: readonly string[], declarations = ""): Emission {
  const body = [`let i = block * ${THREADS}u + tid;`, `if (i >= ${count}u) { return; }`, ...lines];
  return text.emission(stem, threadsOver(count), body, { declarations });
}

/** The i32 of row `b` of an index operand: a literal, one for all rows, or one per row. */
export function rowIndex({ operands, node }: TemplateKernel, i: number, text: KernelText, b: string): string {
  const value = operands[i];
  if (typeof value === "number") return `${value}`;
  return text.load(value, node.inputs[i].shape.length === 0 ? "0u" : b);
}

const last = (shape: readonly number[]) => shape[shape.length - 1];

export function emitEmbedding({ node, operands, results }: TemplateKernel): Emission[] {
  const [V, C] = node.inputs[0].shape;
  const [table, ids] = operands as readonly Buffer[];
  const text = new KernelText();
  const { dtype } = node.inputs[0];
  const place = `u32(id) * ${C}u + i % ${C}u`;
  const value = isBlocked(dtype)
    ? `block${text.number(table)}_value(o${text.number(table)}, ${place})`
    : text.load(table, place);
  const lines = [
    `let id = ${text.load(ids, `i / ${C}u`)};`,
    "var value = 0.0f;",
    `if (id >= 0 && id < ${V}) { value = ${value}; }`,
    text.store(results[0] as Buffer, "i", "value"),
  ];
  const declarations = isBlocked(dtype) ? blockFunctions(dtype, text.number(table)) : "";
  return [perItem("embedding", text, sizeOf(node.outputs[0].shape), lines, declarations)];
}

/**
 * Adds up the rows of each id in the order of n, without atomics: the first occurrence of an id walks along the chain of the others.
 */
export function emitEmbeddingGradient(kernel: TemplateKernel, reserve: Reserve): Emission[] {
  const { node, operands, results, accumulate } = kernel;
  const [V, C] = node.outputs[0].shape;
  const N = sizeOf(node.inputs[0].shape);
  const [ids, d] = operands as readonly Buffer[];
  const table = results[0] as Buffer;
  const clear = new KernelText();
  const link = new KernelText();
  const chain = reserve(2 * N);
  const find = [
    `let id = ${link.load(ids, "i")};`,
    "var next = i + 1u;",
    `while (next < ${N}u && ${link.load(ids, "next")} != id) { next++; }`,
    "var before = i;",
    `while (before > 0u && ${link.load(ids, "before - 1u")} != id) { before--; }`,
    link.storeWord(chain, "i", "next"),
    link.storeWord(chain, `${N}u + i`, "select(0u, 1u, before == 0u)"),
  ];
  const add = new KernelText();
  const sum = [
    `let id = ${add.load(ids, "block")};`,
    `if (id < 0 || id >= ${V} || ${add.word(chain, `${N}u + block`)} == 0u) { return; }`,
    `for (var c = tid; c < ${C}u; c += ${THREADS}u) {`,
    "  var total = 0.0f;",
    `  for (var n = block; n < ${N}u; n = ${add.word(chain, "n")}) { total += ${add.load(d, `n * ${C}u + c`)}; }`,
    `  let at = u32(id) * ${C}u + c;`,
    `  ${add.store(table, "at", accumulate[0] ? `${add.load(table, "at")} + total` : "total")}`,
    "}",
  ];
  return [
    ...(accumulate[0] ? [] : [perItem("clear", clear, V * C, [clear.store(table, "i", "0.0f")])]),
    perItem("link_ids", link, N, find),
    add.emission("embedding_gradient", N, sum),
  ];
}

export function emitRope(kernel: TemplateKernel): Emission[] {
  const { node, operands, operandViews, results, resultViews } = kernel;
  if (!isOp(node, "rope")) throw new Error("unreachable");
  const [B, T, H, D] = node.inputs[0].shape;
  const P = node.inputs[1].shape[0];
  const [x, cosines, sines] = operands as readonly Buffer[];
  const text = new KernelText();
  const half = D / 2;
  const from = operandViews[0] ?? { offset: 0, stride: H * D };
  const to = resultViews[0] ?? { offset: 0, stride: H * D };
  const y = results[0] as Buffer;
  const lines = [
    `let d = i % ${half}u;`,
    `let h = (i / ${half}u) % ${H}u;`,
    `let row = i / ${half * H}u;`,
    `let at = ${rowIndex(kernel, 3, text, `row / ${T}u`)} + i32(row % ${T}u);`,
    `let angle = u32(clamp(at, 0, ${P - 1})) * ${half}u + d;`,
    `let cosine = ${text.load(cosines, "angle")};`,
    `let sine = ${node.attributes.inverse ? "-" : ""}${text.load(sines, "angle")};`,
    `let source = ${from.offset}u + row * ${from.stride}u + h * ${D}u + d;`,
    `let target_ = ${to.offset}u + row * ${to.stride}u + h * ${D}u + d;`,
    `let first = ${text.load(x, "source")};`,
    `let second = ${text.load(x, `source + ${half}u`)};`,
    text.store(y, "target_", "first * cosine - second * sine"),
    text.store(y, `target_ + ${half}u`, "second * cosine + first * sine"),
  ];
  return [perItem("rope", text, B * T * H * half, lines)];
}

export function emitGather({ node, operands, results }: TemplateKernel): Emission[] {
  const [V, K] = [0, 1].map((i) => last(node.inputs[i].shape));
  const [x, ids] = operands as readonly Buffer[];
  const text = new KernelText();
  const lines = [
    `let id = ${text.load(ids, "i")};`,
    "var value = 0.0f;",
    `if (id >= 0 && id < ${V}) { value = ${text.load(x, `(i / ${K}u) * ${V}u + u32(id)`)}; }`,
    text.store(results[0] as Buffer, "i", "value"),
  ];
  return [perItem("gather", text, sizeOf(node.outputs[0].shape), lines)];
}

/** A thread per row adds its values one after the other. */
export function emitScatterAdd({ node, operands, results }: TemplateKernel): Emission[] {
  const K = last(node.inputs[0].shape);
  const size = last(node.outputs[0].shape);
  const [ids, values] = operands as readonly Buffer[];
  const to = results[0] as Buffer;
  const [clear, text] = [new KernelText(), new KernelText()];
  const lines = [
    `for (var k = 0u; k < ${K}u; k++) {`,
    `  let id = ${text.load(ids, `i * ${K}u + k`)};`,
    `  if (id < 0 || id >= ${size}) { continue; }`,
    `  let at = i * ${size}u + u32(id);`,
    `  ${text.store(to, "at", `${text.load(to, "at")} + ${text.load(values, `i * ${K}u + k`)}`)}`,
    "}",
  ];
  return [
    perItem("clear", clear, sizeOf(node.outputs[0].shape), [clear.store(to, "i", "0.0f")]),
    perItem("scatter_add", text, sizeOf(node.inputs[0].shape) / K, lines),
  ];
}

export function emitPositions(kernel: TemplateKernel): Emission[] {
  const { shape } = kernel.node.outputs[0];
  const text = new KernelText();
  const start = rowIndex(kernel, 0, text, `i / ${sizeOf(shape.slice(1))}u`);
  const lines = [text.store(kernel.results[0] as Buffer, "i", `${start} + i32(i % ${last(shape)}u)`)];
  return [perItem("positions", text, sizeOf(shape), lines)];
}

export function emitRandom(kernel: TemplateKernel): Emission[] {
  const { node, results } = kernel;
  if (!isOp(node, "random")) throw new Error("unreachable");
  const text = new KernelText();
  const [seed, step] = [0, 1].map((i) => {
    const value = kernel.operands[i];
    return typeof value === "number" ? `${value >>> 0}u` : `u32(${rowIndex(kernel, i, text, "0u")})`;
  });
  const size = sizeOf(node.attributes.shape);
  const lines = [
    `let words = philox(vec4<u32>(i, 0u, ${step}, ${node.attributes.stream >>> 0}u), vec2<u32>(${seed}, 0u));`,
    "for (var k = 0u; k < 4u; k++) {",
    `  if (4u * i + k < ${size}u) { ${text.store(results[0] as Buffer, "4u * i + k", "f32(words[k] >> 8u) * 5.9604644775390625e-8f")} }`,
    "}",
  ];
  return [perItem("random", text, Math.ceil(size / 4), lines)];
}

export function emitConcatenate({ node, operands, results }: TemplateKernel): Emission[] {
  if (!isOp(node, "concatenate")) throw new Error("unreachable");
  const { axis } = node.attributes;
  const stride = sizeOf(node.outputs[0].shape.slice(axis));
  const to = results[0] as Buffer;
  let offset = 0;
  return node.inputs.flatMap((x, i) => {
    const width = sizeOf(x.shape.slice(axis));
    const start = offset;
    offset += width;
    // An operand written in place needs no copy.
    if (operands[i] === to) return [];
    const text = new KernelText();
    const at = `(i / ${width}u) * ${stride}u + ${start}u + i % ${width}u`;
    return [perItem("concatenate", text, sizeOf(x.shape), [text.store(to, at, text.load(operands[i] as Buffer, "i"))])];
  });
}
