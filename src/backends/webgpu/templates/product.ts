/** @file What all kernels of matrix products share: the operands, and the epilogue. */
import type { Buffer, LoopBody } from "../../../compiler/index.js";
import type { KernelText, Memory } from "../kernel.js";
import { BodyText } from "../loop.js";

/** A matrix in memory: element (row, column) is at row · rowStride + column · columnStride. */
export interface Matrix {
  readonly memory: Memory;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** (M,K) · (K,N) → (M,N), contiguous in `to`. */
export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly to: Memory;
  readonly accumulate: boolean;
  readonly epilogue?: LoopBody | null;
  /** Whether operands are rounded to bf16: both, or only b. */
  readonly rounds: boolean | "b";
}

/** Stores one element `sum` of a product at (r, c), after its epilogue. */
export function finishLines(
  text: KernelText,
  product: Pick<Product, "M" | "N" | "to" | "accumulate" | "epilogue">,
): string[] {
  const { M, N, to, accumulate, epilogue } = product;
  const at = `r * ${N}u + c`;
  const stores = epilogue?.results ?? [];
  // What the epilogue stores in the product's own buffer replaces it.
  const replaced = stores.some((result) => result.kind === "store" && result.access.buffer === to);
  const code = epilogue ? new BodyText(epilogue, text, new Map([[to as Buffer, "whole"]])) : null;
  return [
    `if (r >= ${M}u || c >= ${N}u) { return; }`,
    `let whole = ${accumulate ? `${text.load(to, at)} + sum` : "sum"};`,
    ...(code
      ? code.lines(
          stores.map(({ value }) => value),
          "r",
          "c",
          new Set(),
        )
      : []),
    ...(replaced ? [] : [text.store(to, at, "whole")]),
    ...(code
      ? code.stores(
          stores.map((_, i) => i),
          "r",
          "c",
        )
      : []),
  ];
}
