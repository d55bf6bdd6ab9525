/**
 * @file Decides which products round their operands to bf16.
 *
 * With dtype `bf16`, matrix products, attention and the fused head and loss round their operands to bf16 (nearest, ties
 * to even) and accumulate in fp32. Everything else stays in fp32: parameters, tensors in memory, norms, softmax,
 * losses, the optimizer. Products of a few rows are bound by reading weights and gain nothing, so they stay in fp32, except
 * batch-invariant ones: a row's result must not depend on the number of rows. Products of stored weights have their own kernels.
 */
import { isOp, type Node } from "../tensor/index.js";

export type ComputeDType = "fp32" | "bf16";

/** Up to this many rows or columns, a product is bound by memory. */
const FEW = 8;

/** Whether this operation multiplies in bf16 in a program of dtype bf16. */
export function multipliesInBf16(node: Node): boolean {
  if (isOp(node, "matmul") && node.inputs[1].dtype !== "f32") return false;
  if (isOp(node, "matmul") && node.attributes.batchInvariant) return true;
  if (isOp(node, "matmul")) return node.outputs[0].shape.every((dimension) => dimension > FEW);
  if (isOp(node, "attention") || isOp(node, "attentionGradient")) return node.inputs[0].shape[1] > FEW;
  return isOp(node, "linearCrossEntropy") || isOp(node, "linearCrossEntropyGradient");
}
