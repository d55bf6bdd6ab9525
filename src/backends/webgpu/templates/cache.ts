/** @file Caches of keys and values: rows written at a position, and rows copied from slot to slot. */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { DTYPE_BYTES, isOp, optionalInput } from "../../../tensor/index.js";
import { type Emission, KernelText, THREADS, threadsOver } from "../kernel.js";
import { int8Scale } from "./block-formats.js";
import { rowIndex } from "./rows.js";

export function emitCacheWrite(kernel: TemplateKernel): Emission[] {
  const { node, operands, operandViews, results } = kernel;
  if (!isOp(node, "cacheWrite")) throw new Error("unreachable");
  const [slots, S, G, D] = node.inputs[0].shape;
  const [B, T] = node.inputs[1].shape;
  const width = G * D;
  const x = operands[1] as Buffer;
  const view = operandViews[1] ?? { offset: 0, stride: width };
  const cache = results[0] as Buffer;
  const text = new KernelText();
  const rows = optionalInput(node, "rows");
  const inBlocks = node.inputs[0].dtype === "q8_0";
  const items = inBlocks ? width / 32 : width;
  const lines = [
    `let i = block * ${THREADS}u + tid;`,
    `if (i >= ${B * T * items}u) { return; }`,
    `let b = i / ${T * items}u;`,
    `let t = (i / ${items}u) % ${T}u;`,
    `let item = i % ${items}u;`,
    `let slot = ${rows < 0 ? "i32(b)" : text.load(operands[rows] as Buffer, "b")};`,
    `let at = ${rowIndex(kernel, 2, text, "b")} + i32(t);`,
    `if (slot < 0 || slot >= ${slots} || at < 0 || at >= ${S}) { return; }`,
    `let source = ${view.offset}u + (b * ${T}u + t) * ${view.stride}u + item${inBlocks ? " * 32u" : ""};`,
    `let place = (u32(slot) * ${S}u + u32(at)) * ${items}u + item;`,
    ...(inBlocks ? blockLines(text, x, cache) : [text.store(cache, "place", text.load(x, "source"))]),
  ];
  return [text.emission("cache_write", threadsOver(B * T * items), lines)];
}

/** Writes one block of q8_0, in units of 16 bits, because blocks of 34 bytes share words. */
function blockLines(text: KernelText, x: Buffer, cache: Buffer): string[] {
  const k = text.number(cache);
  const put = (unit: string, bits: string) =>
    `st_part$${k}(o${k} + (17u * place + ${unit}) / 2u, 16u * ((17u * place + ${unit}) & 1u), 0xffffu, ${bits});`;
  const quant = (i: string) => `(u32(i32(round(${text.load(x, `source + ${i}`)} * inverse))) & 0xffu)`;
  return [
    ...int8Scale(32, (i) => text.load(x, `source + ${i}`)),
    put("0u", "f32_to_f16(scale)"),
    `for (var k = 0u; k < 16u; k++) { ${put("1u + k", `${quant("2u * k")} | (${quant("2u * k + 1u")} << 8u)`)} }`,
  ];
}

/** A thread per unit of 16 bits (or of 32, for f32) of a slot copies it for every pair of slots, in their order. */
export function emitCacheCopy({ node, operands, results }: TemplateKernel): Emission[] {
  const [slots, S, G, D] = node.inputs[0].shape;
  const [R] = node.inputs[1].shape;
  const { dtype } = node.inputs[0];
  const unit = dtype === "f32" ? 4 : 2;
  const rowUnits = (G * D * DTYPE_BYTES[dtype]) / unit;
  const cache = results[0] as Buffer;
  const [, from, to, lengths] = operands as readonly Buffer[];
  const text = new KernelText();
  const k = text.number(cache);
  const move =
    unit === 4
      ? text.storeWord(cache, "there", text.word(cache, "here"))
      : `st_part$${k}(o${k} + there / 2u, 16u * (there & 1u), 0xffffu, half_of(${text.word(cache, "here / 2u")}, here));`;
  const lines = [
    `let i = block * ${THREADS}u + tid;`,
    `if (i >= ${S * rowUnits}u) { return; }`,
    `for (var r = 0u; r < ${R}u; r++) {`,
    `  let source = ${text.load(from, "r")};`,
    `  let goal = ${text.load(to, "r")};`,
    `  if (source < 0 || source >= ${slots} || goal < 0 || goal >= ${slots}) { continue; }`,
    `  if (i32(i / ${rowUnits}u) >= ${text.load(lengths, "r")}) { continue; }`,
    `  let here = u32(source) * ${S * rowUnits}u + i;`,
    `  let there = u32(goal) * ${S * rowUnits}u + i;`,
    `  ${move}`,
    "}",
  ];
  return [text.emission("cache_copy", threadsOver(S * rowUnits), lines)];
}
