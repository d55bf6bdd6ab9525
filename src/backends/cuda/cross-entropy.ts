/**
 * @file Launches of the linear head with its loss, in chunks of rows: a product writes a chunk's logits to scratch, a block per row
 * makes its loss and slopes of them, and two products make the gradients of the slopes.
 */
import type { Buffer, TemplateKernel } from "../../compiler/index.js";
import type { Node } from "../../tensor/index.js";
import { type Matrix, matrixOf, productSteps, scratchMatrix } from "./products.js";
import { type Arithmetic, aligned, type Pointers, type Step, stepOf } from "./step.js";

/** Logits of a chunk at most: .5 GiB in fp32. */
const MAX_LOGITS = 2 ** 27;

interface Sizes {
  readonly N: number;
  readonly C: number;
  readonly V: number;
  /** Rows per chunk, a multiple of 128 if there are several. */
  readonly rows: number;
}

function sizesOf(node: Node): Sizes {
  const [N, C] = node.inputs[0].shape;
  const [V] = node.inputs[1].shape;
  const fitting = Math.max(128, Math.floor(MAX_LOGITS / V / 128) * 128);
  return { N, C, V, rows: Math.min(N, fitting) };
}

/** A chunk: its first row, and the number of its rows. */
interface Chunk {
  readonly first: number;
  readonly count: number;
}

function chunksOf({ N, rows }: Sizes): Chunk[] {
  return Array.from({ length: Math.ceil(N / rows) }, (_, i) => ({
    first: i * rows,
    count: Math.min(rows, N - i * rows),
  }));
}

/** A buffer from a chunk's first row on; a row has `width` elements of four bytes. */
const rowsFrom =
  (buffer: Buffer, { first }: Chunk, width = 1) =>
  (use: Pointers) =>
    use.to(buffer, { bytes: 4 * first * width });

function logitsSteps({ operands }: TemplateKernel, sizes: Sizes, chunk: Chunk, how: Arithmetic): Step[] {
  const { C, V, rows } = sizes;
  const [x, w] = operands as readonly Buffer[];
  return productSteps({
    ...{ M: chunk.count, N: V, K: C, transposeA: false, transposeB: true, how },
    a: matrixOf(x, 4 * chunk.first * C),
    b: matrixOf(w),
    into: { to: scratchMatrix("float", 0, rows * V), adds: false },
    finish: (use) => `${use.scratch("float", 0, 4 * rows * V)}[(qn_long)r * ${V} + c] = z;`,
    scratch: aligned(4 * rows * V),
  });
}

export function crossEntropySteps(kernel: TemplateKernel, how: Arithmetic): Step[] {
  const { node, operands, results } = kernel;
  const sizes = sizesOf(node);
  const statistics = node.outputs.length > 1;
  return chunksOf(sizes).flatMap((chunk) => [
    ...logitsSteps(kernel, sizes, chunk, how),
    stepOf("cross_entropy", [chunk.count], 256, (use) => {
      const logits = use.scratch("float", 0, 4 * sizes.rows * sizes.V);
      const targets = rowsFrom(operands[2] as Buffer, chunk)(use);
      const outputs = results.map((buffer) => rowsFrom(buffer as Buffer, chunk)(use));
      const all = statistics ? outputs : [...outputs, "0", "0", "0"];
      const given = `${sizes.V}, ${logits}, ${targets}, (const float *)0, (const float *)0`;
      return `qn_cross_entropy<${statistics}, false, false>(${given}, ${all.join(", ")}, (float *)0);`;
    }),
  ]);
}

export function crossEntropyGradientSteps(kernel: TemplateKernel, how: Arithmetic): Step[] {
  const { bf16 } = how;
  const { node, operands, results, accumulate } = kernel;
  const sizes = sizesOf(node);
  const { C, V, rows } = sizes;
  const [x, w, targets, dLoss, dEntropy] = operands as readonly (Buffer | undefined)[];
  const [loss, dx, dw, ...statistics] = results;
  const type = bf16 ? "qn_bf16" : "float";
  const logits = (use: Pointers) => use.scratch("float", 0, 4 * rows * V);
  // In fp32 the slopes take the place of the logits; in bf16 they have half of their size.
  const slopesAt = bf16 ? aligned(4 * rows * V) : 0;
  const slopes = scratchMatrix(type, slopesAt, rows * V);
  const scratch = slopesAt + aligned((bf16 ? 2 : 4) * rows * V);
  return chunksOf(sizes).flatMap((chunk) => {
    const part = (buffer: Buffer, width: number): Matrix => matrixOf(buffer, 4 * chunk.first * width);
    const isAdded = accumulate[2] || chunk.first > 0;
    const store = (to: (use: Pointers) => string, width: number, adds: boolean) => (use: Pointers) =>
      `${to(use)}[(qn_long)r * ${width} + c] ${adds ? "+=" : "="} z;`;
    return [
      ...logitsSteps(kernel, sizes, chunk, how),
      stepOf("cross_entropy", [chunk.count], 256, (use) => {
        const at = (buffer: Buffer | null | undefined) => (buffer ? rowsFrom(buffer, chunk)(use) : "0");
        const given = `${V}, ${logits(use)}, ${at(targets)}, ${at(dLoss)}, ${at(dEntropy)}, ${at(loss)}`;
        const outputs = [0, 1, 2].map((i) => at(statistics[i])).join(", ");
        const flags = `${statistics.length > 0}, true, ${dEntropy !== undefined}`;
        return `qn_cross_entropy<${flags}>(${given}, ${outputs}, ${slopes.at(use)});`;
      }),
      ...(dx
        ? productSteps({
            ...{ M: chunk.count, N: C, K: V, transposeA: false, transposeB: false, how, scratch },
            a: slopes,
            b: matrixOf(w as Buffer),
            into: { to: part(dx, C), adds: false },
            finish: store(rowsFrom(dx, chunk, C), C, false),
          })
        : []),
      ...(dw
        ? productSteps({
            ...{ M: V, N: C, K: chunk.count, transposeA: true, transposeB: false, how, scratch },
            a: slopes,
            b: part(x as Buffer, C),
            into: { to: matrixOf(dw), adds: isAdded },
            finish: store((use) => use.to(dw), C, isAdded),
          })
        : []),
    ];
  });
}
