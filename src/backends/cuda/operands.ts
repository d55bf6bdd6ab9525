/** @file Operands of large operations as expressions: parts of rows, one number per row, optional arrays. */
import type { Buffer, RowView, TemplateKernel } from "../../compiler/index.js";
import type { Pointers } from "./step.js";

/** A pointer and the distance of its rows in elements. */
export function viewed(use: Pointers, buffer: Buffer, view: RowView | null, stride: number): string {
  return `${use.to(buffer, { elements: view?.offset ?? 0 })}, ${view?.stride ?? stride}LL`;
}

/** A `qn_rows` of an i32 operand: one number per row, or one for all rows. */
export function rowIndex({ node, operands }: TemplateKernel, i: number, use: Pointers): string {
  const value = operands[i];
  if (typeof value === "number") return `qn_rows{0, 0, ${value}}`;
  return `qn_rows{${use.to(value)}, ${node.inputs[i].shape.length}, 0}`;
}

/** A pointer to an optional operand's integers, or null. */
export function idsOrNull({ operands }: TemplateKernel, i: number, use: Pointers): string {
  return i < 0 ? "(const int *)0" : use.to(operands[i] as Buffer);
}
