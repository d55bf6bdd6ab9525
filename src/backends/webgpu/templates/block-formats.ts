/**
 * @file WGSL that reads ggml's blocks (tensor/block-formats.ts has the layouts), and products with weights in blocks, whose left operand
 * is rounded to int8 first. Weights keep ggml's rows in memory.
 */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { BLOCKS, type BlockDType } from "../../../tensor/index.js";
import { type Emission, KernelText, type Scratch, THREADS, threadsOver } from "../kernel.js";
import type { Reserve } from "../loop.js";
import { finishLines } from "./product.js";

/** Values with a common scale. */
export const groupOf = (dtype: BlockDType) => (dtype === "q6_k" ? 16 : 32);

/** The quant of value k from nibbles at byte `at + first`, with a fifth bit from the 4 bytes at `at + high`. */
const nibble = (first: number, offset: number, high?: number) => `
  let low = (block_byte(o, at + ${first}u + (k & 15u)) >> (4u * (k >> 4u))) & 15u;
  ${high === undefined ? "let bit = 0u;" : `let bit = (block_byte(o, at + ${high}u + (k >> 3u)) >> (k & 7u)) & 1u;`}
  return i32(low | (bit << 4u)) - ${offset};`;

const signed = (byte: string) => `(i32(${byte} << 24u) >> 24u)`;

/** The scale and minimum of group g of q4_k and q5_k: 6 bits each. */
const SCALES = {
  scale: `
  if (g < 4u) { return i32(block_byte(o, at + 4u + g) & 63u); }
  return i32((block_byte(o, at + 8u + g) & 15u) | ((block_byte(o, at + g) >> 6u) << 4u));`,
  minimum: `
  if (g < 4u) { return i32(block_byte(o, at + 8u + g) & 63u); }
  return i32((block_byte(o, at + 8u + g) >> 4u) | ((block_byte(o, at + 4u + g) >> 6u) << 4u));`,
};

interface Format {
  /** Byte of d, and of dmin or of −m. */
  readonly d: number;
  readonly dmin?: number;
  readonly isNegative?: true;
  readonly quant: string;
  readonly scale?: string;
  readonly minimum?: string;
}

const FORMATS: { readonly [D in BlockDType]: Format } = {
  q8_0: { d: 0, quant: `return ${signed("block_byte(o, at + 2u + k)")};` },
  q4_0: { d: 0, quant: nibble(2, 8) },
  q4_1: { d: 0, dmin: 2, isNegative: true, quant: nibble(4, 0), minimum: "return 1;" },
  q5_0: { d: 0, quant: nibble(6, 16, 2) },
  q5_1: { d: 0, dmin: 2, isNegative: true, quant: nibble(8, 0, 4), minimum: "return 1;" },
  q4_k: {
    ...{ d: 0, dmin: 2, ...SCALES },
    quant: "return i32((block_byte(o, at + 16u + 32u * (k >> 6u) + (k & 31u)) >> (4u * ((k >> 5u) & 1u))) & 15u);",
  },
  q5_k: {
    ...{ d: 0, dmin: 2, ...SCALES },
    quant: `
  let low = (block_byte(o, at + 48u + 32u * (k >> 6u) + (k & 31u)) >> (4u * ((k >> 5u) & 1u))) & 15u;
  return i32(low | (((block_byte(o, at + 16u + (k & 31u)) >> (k >> 5u)) & 1u) << 4u));`,
  },
  q6_k: {
    d: 208,
    quant: `
  let run = (k >> 5u) & 3u;
  let low = block_byte(o, at + 64u * (k >> 7u) + 32u * (run & 1u) + (k & 31u)) >> select(4u, 0u, run < 2u);
  let high = block_byte(o, at + 128u + 32u * (k >> 7u) + (k & 31u)) >> (2u * run);
  return i32((low & 15u) | ((high & 3u) << 4u)) - 32;`,
    scale: `return ${signed("block_byte(o, at + 192u + g)")};`,
  },
};

/**
 * Functions that read the blocks of operand `k`: `o` is the tensor's first word, `at` a block's first byte. `block{k}_value(o, i)` is
 * value i of the tensor.
 */
export function blockFunctions(dtype: BlockDType, k: number): string {
  return functionsOf(dtype, `ld$${k}`).replaceAll("block_", `block${k}_`);
}

function functionsOf(dtype: BlockDType, ld: string): string {
  const { values, bytes } = BLOCKS[dtype];
  const { d, dmin, isNegative, quant, scale = "return 1;", minimum = "return 0;" } = FORMATS[dtype];
  const half = (byte: number) => `f16_to_f32(block_byte(o, at + ${byte}u) | (block_byte(o, at + ${byte + 1}u) << 8u))`;
  return `
fn block_byte(o: u32, at: u32) -> u32 { return (${ld}(o + at / 4u) >> (8u * (at & 3u))) & 0xffu; }
fn block_d(o: u32, at: u32) -> f32 { return ${half(d)}; }
fn block_dmin(o: u32, at: u32) -> f32 { return ${dmin === undefined ? "0.0f" : `${isNegative ? "-" : ""}${half(dmin)}`}; }
fn block_quant(o: u32, at: u32, k: u32) -> i32 { ${quant.trim()} }
fn block_scale(o: u32, at: u32, g: u32) -> i32 { ${scale.trim()} }
fn block_minimum(o: u32, at: u32, g: u32) -> i32 { ${minimum.trim()} }
fn block_value(o: u32, i: u32) -> f32 {
  let at = (i / ${values}u) * ${bytes}u;
  let k = i % ${values}u;
  let g = k / ${groupOf(dtype)}u;
  return block_d(o, at) * f32(block_scale(o, at, g) * block_quant(o, at, k)) - block_dmin(o, at) * f32(block_minimum(o, at, g));
}`;
}

/**
 * Statements that round `block` values from element `first` of x to int8: they declare `scale`, the f32 by which quants are multiplied,
 * and `inverse`, by which values are multiplied.
 */
export function int8Scale(block: number, load: (index: string) => string): string[] {
  return [
    "var largest = 0.0f;",
    `for (var k = 0u; k < ${block}u; k++) { largest = maximum(largest, abs(${load("k")})); }`,
    // The scale of blocks of 32 is stored as f16.
    `let scale = ${block === 32 ? "f16_to_f32(f32_to_f16(largest / 127.0f))" : "largest / 127.0f"};`,
    // Blocks of smaller values become 0: the inverse of their scale might be infinite.
    "var inverse = 0.0f;",
    "if (largest > 1e-30f) { inverse = 127.0f / largest; }",
  ];
}

/** a (M,K) · bᵀ with b (N,K) in blocks: rounds a, then multiplies integers, group by group. */
export function emitBlockMatmul(kernel: TemplateKernel, dtype: BlockDType, reserve: Reserve): Emission[] {
  const { node, operands, results, accumulate, epilogue } = kernel;
  const [M, N] = node.outputs[0].shape;
  const K = node.inputs[0].shape[1];
  const { values: block, bytes } = BLOCKS[dtype];
  const group = groupOf(dtype);
  const blocks = K / block;
  const [a, b] = operands as readonly Buffer[];
  const quants = reserve((M * K) / 4);
  const scales = reserve(M * blocks);
  const text = new KernelText();
  const number = text.number(b);
  const lines = [
    `let i = block * ${THREADS}u + tid;`,
    `if (i >= ${M * N}u) { return; }`,
    `let m = i / ${N}u;`,
    `let n = i % ${N}u;`,
    "var total = 0.0f;",
    `for (var j = 0u; j < ${blocks}u; j++) {`,
    `  let at = (n * ${blocks}u + j) * ${bytes}u;`,
    "  var products = 0;",
    "  var sums = 0;",
    `  for (var g = 0u; g < ${block / group}u; g++) {`,
    "    var product = 0;",
    "    var sum = 0;",
    `    for (var k = g * ${group}u; k < (g + 1u) * ${group}u; k++) {`,
    `      let packed = ${text.word(quants, `(m * ${K}u + j * ${block}u + k) / 4u`)};`,
    "      let x = i32(packed << (24u - 8u * (k & 3u))) >> 24u;",
    `      product += block${number}_quant(o${number}, at, k) * x;`,
    "      sum += x;",
    "    }",
    `    products += block${number}_scale(o${number}, at, g) * product;`,
    `    sums += block${number}_minimum(o${number}, at, g) * sum;`,
    "  }",
    `  let scale = ${text.load(scales, `m * ${blocks}u + j`)};`,
    `  total += scale * (block${number}_d(o${number}, at) * f32(products) - block${number}_dmin(o${number}, at) * f32(sums));`,
    "}",
    "finish(m, n, total);",
  ];
  const finish = finishLines(text, { M, N, to: results[0] as Buffer, accumulate: accumulate[0], epilogue });
  return [
    roundToInt8(a, M * blocks, block, quants, scales),
    text.emission("linear_blocks", threadsOver(M * N), lines, {
      declarations: blockFunctions(dtype, number),
      functions: [{ head: "fn finish(r: u32, c: u32, sum: f32)", lines: finish }],
    }),
  ];
}

/** A thread per block of x: four int8 in a word of `quants`, and the block's scale. */
function roundToInt8(x: Buffer, blocks: number, block: number, quants: Scratch, scales: Scratch): Emission {
  const text = new KernelText();
  const load = (k: string) => text.load(x, `i * ${block}u + ${k}`);
  const lines = [
    `let i = block * ${THREADS}u + tid;`,
    `if (i >= ${blocks}u) { return; }`,
    ...int8Scale(block, load),
    text.store(scales, "i", "scale"),
    `for (var w = 0u; w < ${block / 4}u; w++) {`,
    "  var packed = 0u;",
    "  for (var k = 0u; k < 4u; k++) {",
    `    packed |= (u32(i32(round(${load("4u * w + k")} * inverse))) & 0xffu) << (8u * k);`,
    "  }",
    `  ${text.storeWord(quants, `i * ${block / 4}u + w`, "packed")}`,
    "}",
  ];
  return text.emission("round_to_int8", threadsOver(blocks), lines);
}
