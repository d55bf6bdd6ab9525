/** @file Where the elements of a tensor lie, seen from a loop over another shape that it broadcasts to. */
import { type Node, type Shape, sizeOf } from "../tensor/index.js";
import type { Access, Buffer, RowTerm } from "./kernels.js";

/** A loop's index space: the last dimension is the column, all before it are rows. */
export interface Space {
  readonly rows: number;
  readonly columns: number;
}

export function spaceOf(shape: Shape): Space {
  const columns = shape[shape.length - 1] ?? 1;
  return { rows: sizeOf(shape) / columns, columns };
}

/** Contiguous strides, 0 for dimensions of 1, which never move. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = shape[axis] === 1 ? 0 : stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Row terms for dimensions (outermost first) with these strides; neighbours that move as one become one. */
export function rowTerms(dimensions: Shape, strides: readonly number[]): RowTerm[] {
  const terms: RowTerm[] = [];
  let divide = 1;
  let open: { divide: number; size: number; stride: number } | null = null;
  const close = () => {
    if (open && open.stride !== 0) terms.push({ divide: open.divide, modulo: open.size, stride: open.stride });
  };
  for (let axis = dimensions.length - 1; axis >= 0; axis--) {
    const size = dimensions[axis];
    if (size === 1) continue;
    if (open && strides[axis] === open.stride * open.size) open.size *= size;
    else {
      close();
      open = { divide, size, stride: strides[axis] };
    }
    divide *= size;
  }
  close();
  // The outermost index needs no remainder.
  return terms.map((term) => (term.divide * term.modulo === divide ? { ...term, modulo: 0 } : term));
}

/** Where a tensor's elements lie in a buffer that holds a larger one. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Output `output` of a split, in the buffer of what was split. */
export function layoutOfPiece({ attributes, inputs, outputs }: Node<"split">, output: number): Layout {
  const whole = inputs[0].shape;
  const { axis, sizes } = attributes;
  const start = sizes.slice(0, output).reduce((total, size) => total + size, 0);
  const { shape } = outputs[output];
  const strides = stridesOf(whole).map((stride, i) => (shape[i] === 1 ? 0 : stride));
  return { offset: start * sizeOf(whole.slice(axis + 1)), strides };
}

/** What was transposed, seen along the axes of the result. */
export function layoutOfTranspose({ attributes, inputs }: Node<"transpose">): Layout {
  const strides = stridesOf(inputs[0].shape);
  return { offset: 0, strides: attributes.axes.map((axis) => strides[axis]) };
}

/** Reads a buffer that holds a tensor of shape `from`, or a larger one, in a loop over `shape`, with broadcasting. */
export function accessOf(buffer: Buffer, from: Shape, shape: Shape, layout?: Layout): Access {
  const own = layout?.strides ?? stridesOf(from);
  const strides = [...new Array<number>(shape.length - from.length).fill(0), ...own];
  return {
    buffer,
    offset: layout?.offset ?? 0,
    rows: rowTerms(shape.slice(0, -1), strides.slice(0, -1)),
    columnStride: strides[strides.length - 1] ?? 0,
  };
}

/** Element (r, c) is r · columns + c. */
export function isIdentity(access: Access, { rows, columns }: Space): boolean {
  return access.offset === 0 && isRows(access, rows, columns) && (access.columnStride === 1 || columns === 1);
}

/** One element a row, in order. */
export function isRowIdentity(access: Access, { rows, columns }: Space): boolean {
  return access.offset === 0 && isRows(access, rows, 1) && (access.columnStride === 0 || columns === 1);
}

function isRows(access: Access, rows: number, stride: number): boolean {
  if (rows === 1) return access.rows.length === 0;
  const [term] = access.rows;
  return access.rows.length === 1 && term.divide === 1 && term.modulo === 0 && term.stride === stride;
}
