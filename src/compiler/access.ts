/** @file Computes how a loop addresses a tensor's elements, including broadcasts to the loop's shape. */
import { type Node, type Shape, sizeOf } from "../tensor/index.js";
import type { Access, Buffer, RowTerm } from "./kernels.js";

/** A loop's index space: the last dimension is the column, all others together are rows. */
export interface Space {
  readonly rows: number;
  readonly columns: number;
}

export function spaceOf(shape: Shape): Space {
  const columns = shape[shape.length - 1] ?? 1;
  return { rows: sizeOf(shape) / columns, columns };
}

/** Strides of a contiguous tensor in elements, 0 for dimensions of size 1. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = shape[axis] === 1 ? 0 : stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Row terms for dimensions (outermost first) with these strides; adjacent contiguous dimensions are merged. */
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

/** Offset and strides of a tensor inside the buffer of a larger one. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Layout of output `output` of a split, inside the buffer of the split tensor. */
export function layoutOfPiece({ attributes, inputs, outputs }: Node<"split">, output: number): Layout {
  const whole = inputs[0].shape;
  const { axis, sizes } = attributes;
  const start = sizes.slice(0, output).reduce((total, size) => total + size, 0);
  const { shape } = outputs[output];
  const strides = stridesOf(whole).map((stride, i) => (shape[i] === 1 ? 0 : stride));
  return { offset: start * sizeOf(whole.slice(axis + 1)), strides };
}

/** Layout of a transpose's result inside the buffer of its operand. */
export function layoutOfTranspose({ attributes, inputs }: Node<"transpose">): Layout {
  const strides = stridesOf(inputs[0].shape);
  return { offset: 0, strides: attributes.axes.map((axis) => strides[axis]) };
}

/** Access to a tensor of shape `from` in a loop over `shape`, with broadcasting. `layout` places it inside a larger buffer. */
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

/** Whether element (r, c) is at r · columns + c. */
export function isIdentity(access: Access, { rows, columns }: Space): boolean {
  return access.offset === 0 && isRows(access, rows, columns) && (access.columnStride === 1 || columns === 1);
}

/** Whether row r reads element r. */
export function isRowIdentity(access: Access, { rows, columns }: Space): boolean {
  return access.offset === 0 && isRows(access, rows, 1) && (access.columnStride === 0 || columns === 1);
}

function isRows(access: Access, rows: number, stride: number): boolean {
  if (rows === 1) return access.rows.length === 0;
  const [term] = access.rows;
  return access.rows.length === 1 && term.divide === 1 && term.modulo === 0 && term.stride === stride;
}
