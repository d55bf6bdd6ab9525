/**
 * @file Stores intermediate tensors in bf16 where bf16 products read them.
 *
 * A product rounds its operands anyway, so a tensor that only products read keeps its bits in half of the memory. Two kinds of
 * tensors are rounded although others read them too, as autocast does in PyTorch: the output of a linear layer (a product
 * with a weight, plus vectors), and a gradient whose sum over the rows is a bias's gradient. Variables, their gradients, the residual
 * stream and whatever a loop computes for other loops stay fp32.
 */
import { isOp, type Node } from "../tensor/index.js";
import { multipliesInBf16 } from "./compute-dtype.js";
import type { Access, Buffer, Kernel, LoopBody, LoopResult, LoopValue, TemplateKernel } from "./kernels.js";

/**
 * Longest K of products whose result needs no memory of its own: the epilogue reads each finished block from the worker's
 * scratch. `gemm_tiles.h` sums longer ones in several passes.
 */
const LONGEST_IN_BLOCKS = 1280;
/** Distance between the rows of such a block, QN_TILED_COLUMNS in `gemm_tiles.h`. */
const BLOCK_STRIDE = 64;

/** Who reads a buffer: products (and attention), sums over the rows, other loops. */
type Reader = "product" | "sum" | "loop";

interface Use {
  readonly readers: Set<Reader>;
  readonly writers: Set<Kernel>;
  /** Whether it is the output of a linear layer. */
  linear: boolean;
  /** False if a reader or writer cannot use bf16. */
  possible: boolean;
}

/** Returns the kernels of an entry with fewer bytes to store. */
export function narrow(kernels: readonly Kernel[]): Kernel[] {
  const uses = usesOf(kernels);
  const narrowed = new Map<Buffer, Buffer>();
  for (const [buffer, { readers, writers, linear, possible }] of uses) {
    if (!possible || buffer.kind !== "temporary" || buffer.dtype !== "f32" || writers.size !== 1) continue;
    if (linear ? readers.size > 0 : readers.has("product") && !readers.has("loop")) {
      narrowed.set(buffer, { ...buffer, dtype: "bf16" });
    }
  }
  return kernels.map((kernel) => rewrite(kernel, narrowed));
}

function usesOf(kernels: readonly Kernel[]): Map<Buffer, Use> {
  const uses = new Map<Buffer, Use>();
  const of = (buffer: Buffer): Use => {
    const use = uses.get(buffer) ?? { readers: new Set(), writers: new Set(), linear: false, possible: true };
    uses.set(buffer, use);
    return use;
  };
  for (const kernel of kernels) {
    const raw = kernel.kind === "template" ? kernel.results[0] : null;
    if (kernel.kind === "template") {
      kernel.operands.forEach((buffer, i) => {
        if (typeof buffer === "number") return;
        if (roundsOperand(kernel, i)) of(buffer).readers.add("product");
        else of(buffer).possible = false;
      });
      kernel.results.forEach((buffer, i) => {
        if (buffer === null) return;
        of(buffer).writers.add(kernel);
        if (!canNarrowResult(kernel, i)) of(buffer).possible = false;
        else if (i === 0 && isLinear(kernel)) of(buffer).linear = true;
      });
    }
    const body = kernel.kind === "loop" ? kernel.body : kernel.epilogue;
    if (!body) continue;
    const loads = loadsOf(body);
    body.values.forEach((value, i) => {
      // An epilogue reads the product's block, not what is stored of it.
      if (value.op !== "load" || value.access.buffer === raw) return;
      of(value.access.buffer).readers.add(isOnlySummed(body, i) ? "sum" : "loop");
    });
    for (const result of body.results) {
      if (result.kind !== "store") {
        of(result.buffer).possible = false;
        continue;
      }
      const use = of(result.access.buffer);
      use.writers.add(kernel);
      const others = [...loads[result.value]].filter((i) => (body.values[i] as Load).access.buffer !== raw);
      const isOfLayer = kernel.kind === "template" && isLinear(kernel) && loads[result.value].size > others.length;
      if (isOfLayer && others.every((i) => isVector(body, i))) use.linear = true;
      else if (result.access.buffer === raw) use.linear = false;
    }
  }
  return uses;
}

type Load = Extract<LoopValue, { op: "load" }>;

/** For each value of a body, the loads that it depends on. */
function loadsOf({ values }: LoopBody): ReadonlySet<number>[] {
  const loads: Set<number>[] = [];
  values.forEach((value, i) => {
    const operands = value.op === "load" || value.op === "literal" ? [] : value.operands;
    loads.push(new Set(value.op === "load" ? [i] : operands.flatMap((operand) => [...loads[operand]])));
  });
  return loads;
}

/** Whether a load reads one row for all rows, like a bias. */
function isVector({ values }: LoopBody, i: number): boolean {
  return (values[i] as Load).access.rows.length === 0;
}

function isOnlySummed({ values, results }: LoopBody, i: number): boolean {
  const isOperand = values.some((value) => value.op !== "load" && value.op !== "literal" && value.operands.includes(i));
  return !isOperand && results.every((result) => result.value !== i || result.kind === "columnSum");
}

/** Whether tiles multiply this product. */
function isTiled(node: Node): node is Node<"matmul"> {
  return isOp(node, "matmul") && multipliesInBf16(node) && !node.attributes.batchInvariant;
}

/** Whether a product multiplies by a weight: x · wᵀ, or the gradient of x. */
function isLinear({ node, operands }: TemplateKernel): boolean {
  const [, weight] = operands;
  return isTiled(node) && !node.attributes.transposeA && typeof weight === "object" && weight.kind === "variable";
}

function depthOf(node: Node<"matmul">): number {
  return node.inputs[0].shape[node.attributes.transposeA ? 0 : 1];
}

/** Whether attention reads whole sequences from the entry's own buffers, and multiplies pairs along the head width. */
function isWholeAttention(node: Node): boolean {
  const [B, , , D] = node.inputs[0].shape;
  if (!multipliesInBf16(node) || D % 2 !== 0 || node.inputs[1].dtype !== "f32") return false;
  if (isOp(node, "attentionGradient")) return true;
  const position = isOp(node, "attention") ? node.inputs[3].node : null;
  return position !== null && isOp(position, "literal") && node.inputs[1].shape[0] === B;
}

/** Whether a large operation rounds this operand to bf16, and can read it rounded. */
function roundsOperand({ node }: TemplateKernel, i: number): boolean {
  if (isTiled(node)) return node.inputs[i].shape[1] % 2 === 0;
  if (isOp(node, "attention")) return i < 3 && isWholeAttention(node);
  // Output and its gradient (3 and 5) are multiplied with each other in fp32; PyTorch's are rounded, too.
  return isOp(node, "attentionGradient") && [0, 1, 2, 3, 5].includes(i) && isWholeAttention(node);
}

/** Whether a large operation can round this result. */
function canNarrowResult({ node, accumulate }: TemplateKernel, i: number): boolean {
  if (isTiled(node)) return depthOf(node) <= LONGEST_IN_BLOCKS && !accumulate[0];
  if (isOp(node, "attention")) return i === 0 && isWholeAttention(node);
  if (isOp(node, "attentionGradient")) return isWholeAttention(node);
  return isOp(node, "rope");
}

function rewrite(kernel: Kernel, narrowed: ReadonlyMap<Buffer, Buffer>): Kernel {
  const now = <T extends Buffer | number | null>(buffer: T): T =>
    (typeof buffer === "object" && buffer !== null && (narrowed.get(buffer) as T)) || buffer;
  const access = (before: Access): Access => ({ ...before, buffer: now(before.buffer) });
  const bodyOf = (body: LoopBody): LoopBody => ({
    ...body,
    values: body.values.map((value) => (value.op === "load" ? { ...value, access: access(value.access) } : value)),
    results: body.results.map((result) =>
      result.kind === "store" ? { ...result, access: access(result.access) } : result,
    ),
  });
  if (kernel.kind === "loop") return { ...kernel, body: bodyOf(kernel.body) };
  const [raw] = kernel.results;
  const isRounded = isTiled(kernel.node) && raw !== null && narrowed.has(raw);
  const whole = isRounded ? inBlocks(kernel, raw) : kernel;
  return {
    ...whole,
    operands: whole.operands.map(now),
    results: whole.results.map(now),
    epilogue: whole.epilogue && bodyOf(whole.epilogue),
  };
}

/** A product whose epilogue reads its blocks from scratch, and stores what was stored in `raw`. */
function inBlocks(kernel: TemplateKernel, raw: Buffer): TemplateKernel {
  const [rows, columns] = kernel.node.outputs[0].shape;
  const block: Buffer = { ...raw, size: 0 };
  const stored: Access = {
    buffer: raw,
    offset: 0,
    rows: rows === 1 ? [] : [{ divide: 1, modulo: 0, stride: columns }],
    columnStride: 1,
  };
  const load: LoopValue = { op: "load", access: stored, varies: true, stage: 0 };
  const isOfProduct = (value: LoopValue) => value.op === "load" && value.access.buffer === raw;
  const body = kernel.epilogue ?? { rows, columns, values: [], results: [] };
  const values = body.values.some(isOfProduct) ? body.values : [...body.values, load];
  const isStored = body.results.some((result) => result.kind === "store" && result.access.buffer === raw);
  const store: LoopResult = { kind: "store", value: values.findIndex(isOfProduct), access: stored };
  const inBlock: Access = {
    ...stored,
    buffer: block,
    rows: stored.rows.map((row) => ({ ...row, stride: BLOCK_STRIDE })),
  };
  const epilogue: LoopBody = {
    ...body,
    values: values.map((value) => (isOfProduct(value) ? { ...load, access: inBlock } : value)),
    results: isStored ? body.results : [...body.results, store],
  };
  return { ...kernel, inBlocks: true, results: [block], epilogue };
}
