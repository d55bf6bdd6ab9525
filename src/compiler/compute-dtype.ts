/**
 * @file Decides which products round their operands to bf16.
 *
 * With dtype `bf16`, matrix products, attention and the fused head and loss round their operands to bf16 (nearest, ties
 * to even) and accumulate in fp32. Everything else stays in fp32: parameters, tensors in memory, norms, softmax,
 * losses, the optimizer. Products of a few rows are bound by reading weights and gain nothing, so they stay in fp32, except
 * batch-invariant ones: a row's result must not depend on the number of rows. Products of stored weights have their own kernels.
 *
 * With dtype `fp8`, the matrix products that would be in bf16 round their operands to e4m3 instead, except batch-invariant ones
 * (Micikevicius et al., arXiv:2209.05433). Each operand is first multiplied by a power of two that brings its largest element to between
 * 224 and 448, the largest e4m3; gradients, too. Attention and the head stay in bf16.
 */
import { isOp, type Node } from "../tensor/index.js";

export type ComputeDType = "fp32" | "bf16" | "fp8";

/** Up to this many rows or columns, a product is bound by memory. */
const FEW = 8;

/** The dtype of this operation's products in a program of this dtype. */
export function productDType(node: Node, dtype: ComputeDType): ComputeDType {
  if (dtype === "fp32" || !multipliesInBf16(node)) return "fp32";
  return dtype === "fp8" && isOp(node, "matmul") && !node.attributes.batchInvariant ? "fp8" : "bf16";
}

/** Whether this operation multiplies in bf16 in a program of dtype bf16. */
export function multipliesInBf16(node: Node): boolean {
  if (isOp(node, "matmul") && node.inputs[1].dtype !== "f32") return false;
  if (isOp(node, "matmul") && node.attributes.batchInvariant) return true;
  if (isOp(node, "matmul")) return node.outputs[0].shape.every((dimension) => dimension > FEW);
  if (isOp(node, "attention") || isOp(node, "attentionGradient")) return node.inputs[0].shape[1] > FEW;
  return isOp(node, "linearCrossEntropy") || isOp(node, "linearCrossEntropyGradient");
}
