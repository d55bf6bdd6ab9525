/** @file Splits reductions into the forms that kernels support: over a row, over columns, over everything, or over one axis. */
import { type Node, type Op, sameShape, sizeOf, type Tensor } from "../tensor/index.js";

/** Traces an operation, or returns an equal one that was traced before. */
export type Trace = <O extends Op>(
  op: O,
  inputs: readonly Tensor[],
  attributes: Node<O>["attributes"],
) => readonly Tensor[];

/**
 * Rewrites a reduction as one over the last axis, over all but the last (sums), over everything (sums), or over one axis at a
 * time.
 */
export function reduceByParts(op: "sum" | "max", x: Tensor, axes: readonly number[], trace: Trace): Tensor {
  const result = x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension));
  const real = axes.filter((axis) => x.shape[axis] > 1);
  if (real.length === 0) return sameShape(x.shape, result) ? x : trace("reshape", [x], { shape: result })[0];
  const last = x.shape.length - 1;
  const rest = x.shape.map((_, axis) => axis).filter((axis) => x.shape[axis] > 1 && !real.includes(axis));
  const whole = rest.length === 0;
  const columns = rest.length === 1 && rest[0] === last;
  if (real.length === 1 || (op === "sum" && (whole || columns))) return trace(op, [x], { axes: real })[0];
  // Reduce the last axis first, which is fastest; then the others one by one.
  const first = real.includes(last) ? last : real[0];
  const smaller = reduceByParts(op, x, [first], trace);
  return reduceByParts(
    op,
    smaller,
    real.filter((axis) => axis !== first),
    trace,
  );
}

/** The kind of loop that a reduction needs, after `simplify`. */
export function reductionKind(node: Node<"sum" | "max">): "row" | "column" | "full" | "strided" {
  const x = node.inputs[0].shape;
  const { axes } = node.attributes;
  const last = x.length - 1;
  const real = axes.filter((axis) => x[axis] > 1);
  const kept = x.flatMap((dimension, axis) => (dimension > 1 && !real.includes(axis) ? [axis] : []));
  if (real.length === 1 && real[0] === last) return "row";
  // Blocks are combined by adding, so a maximum across rows needs the strided loop.
  if (node.op === "sum" && kept.length === 0 && sizeOf(x) > 1) return "full";
  if (node.op === "sum" && kept.length === 1 && kept[0] === last) return "column";
  return "strided";
}
