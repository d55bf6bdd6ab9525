/**
 * @file The layout of weights in blocks for the kernels of `templates/blocks.h`, and the conversion from and to ggml's rows.
 *
 * Rows are in groups of 16, the last one filled up with zeros. A group has a section per field of the blocks. In a section, the
 * rows alternate: unit u of block b of row r is at unit · ((b · units + u) · 16 + r).
 */
import { BLOCKS, type BlockDType, bytesOf, isBlocked, type TensorType } from "../../tensor/index.js";

const GROUP_ROWS = 16;

/** Part of a block: its first byte, the bytes of a unit, and its number of units. */
interface Field {
  readonly offset: number;
  readonly unit: 1 | 2 | 4;
  readonly units: number;
  /** Whether its bits are reordered (`alignedBit`). */
  readonly bits?: true;
}

/**
 * The place of ggml's bit i of q5_0 and q5_1 in the kernels' word: bit 4 of value 16·half + 4·u + j, whose low bits are in
 * byte j of unit u. In byte j, one shift then brings the bits of a unit's four bytes to their places.
 */
const alignedBit = (i: number) => 8 * (i & 3) + 2 * ((i >> 2) & 3) + (i >> 4);

const FIELDS: { readonly [D in BlockDType]: readonly Field[] } = {
  q8_0: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 4, units: 8 },
  ],
  q4_0: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 4, units: 4 },
  ],
  q4_1: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 2, units: 1 },
    { offset: 4, unit: 4, units: 4 },
  ],
  q5_0: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 4, units: 1, bits: true },
    { offset: 6, unit: 4, units: 4 },
  ],
  q5_1: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 2, units: 1 },
    { offset: 4, unit: 4, units: 1, bits: true },
    { offset: 8, unit: 4, units: 4 },
  ],
  q4_k: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 2, units: 1 },
    { offset: 4, unit: 1, units: 12 },
    { offset: 16, unit: 4, units: 32 },
  ],
  q5_k: [
    { offset: 0, unit: 2, units: 1 },
    { offset: 2, unit: 2, units: 1 },
    { offset: 4, unit: 1, units: 12 },
    { offset: 16, unit: 4, units: 8 },
    { offset: 48, unit: 4, units: 32 },
  ],
  q6_k: [
    { offset: 208, unit: 2, units: 1 },
    { offset: 192, unit: 1, units: 16 },
    { offset: 0, unit: 4, units: 32 },
    { offset: 128, unit: 4, units: 16 },
  ],
};

/** Whether a tensor is a matrix in blocks. Caches in blocks keep ggml's layout. */
export const isRearranged = ({ dtype, shape }: TensorType): boolean => isBlocked(dtype) && shape.length === 2;

/** Returns the bytes of a tensor in the kernels' layout. */
export function storedBytes(type: TensorType): number {
  if (!isRearranged(type)) return bytesOf(type);
  const [rows, width] = type.shape;
  return bytesOf({ dtype: type.dtype, shape: [Math.ceil(rows / GROUP_ROWS) * GROUP_ROWS, width] });
}

/**
 * Copies bytes between ggml's rows and the kernels' layout.
 * @param rows ggml's bytes of a matrix of this type
 * @param groups `storedBytes` bytes
 * @param direction to the kernels' layout, or from it
 */
export function rearrange(
  dtype: BlockDType,
  width: number,
  rows: Uint8Array,
  groups: Uint8Array,
  direction: "to groups" | "to rows",
): void {
  const { values, bytes } = BLOCKS[dtype];
  const blocks = width / values;
  const rowBytes = blocks * bytes;
  const fill = direction === "to groups";
  for (let first = 0, at = 0; first < rows.length; first += GROUP_ROWS * rowBytes) {
    for (const { offset, unit, units, bits } of FIELDS[dtype]) {
      for (let b = 0; b < blocks; b++) {
        for (let u = 0; u < units; u++) {
          let row = first + b * bytes + offset + u * unit;
          for (let r = 0; r < GROUP_ROWS; r++, row += rowBytes) {
            const exists = row < rows.length;
            if (bits === true) {
              if (fill) writeWord(groups, at, exists ? toAligned(wordAt(rows, row)) : 0);
              else if (exists) writeWord(rows, row, fromAligned(wordAt(groups, at)));
              at += 4;
              continue;
            }
            for (let i = 0; i < unit; i++, at++) {
              if (fill) groups[at] = exists ? rows[row + i] : 0;
              else if (exists) rows[row + i] = groups[at];
            }
          }
        }
      }
    }
  }
}

const wordAt = (bytes: Uint8Array, at: number) =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = word >> (8 * i);
}

function toAligned(word: number): number {
  let aligned = 0;
  for (let i = 0; i < 32; i++) aligned |= ((word >>> i) & 1) << alignedBit(i);
  return aligned;
}

function fromAligned(aligned: number): number {
  let word = 0;
  for (let i = 0; i < 32; i++) word |= ((aligned >>> alignedBit(i)) & 1) << i;
  return word;
}
