/**
 * @file The precision pass: which products are made of operands rounded to bf16.
 *
 * Under `bf16` the large products (matrix products, attention, the head with its loss) round their operands to bf16, the
 * nearest with ties to even, and add up in fp32. Everything else stays in fp32: parameters, what lies in memory, norms,
 * softmax, losses, the optimizer. Products for a few rows read their weights once from memory and gain nothing: they
 * stay in fp32 too, and so do batch-invariant ones, whose rows must not know how many they are.
 */
import { isOp, type Node } from "../tensor/index.js";

export type ComputeDType = "fp32" | "bf16";

/** Up to so many rows or columns a product is bound by memory. */
const FEW = 8;

/** Whether this operation multiplies in bf16 when its program computes in bf16. */
export function multipliesInBf16(node: Node): boolean {
  if (isOp(node, "matmul") && node.attributes.batchInvariant) return false;
  if (isOp(node, "matmul")) return node.outputs[0].shape.every((dimension) => dimension > FEW);
  if (isOp(node, "attention") || isOp(node, "attentionGradient")) return node.inputs[0].shape[1] > FEW;
  return isOp(node, "linearCrossEntropy") || isOp(node, "linearCrossEntropyGradient");
}
