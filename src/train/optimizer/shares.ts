/**
 * @file Divides the optimizer's work and state among ranks (ZeRO: Rajbhandari et al., arXiv:1910.02054). AdamW treats every number
 * alone, so each of its parameters is cut into equal ranges: whichever gradients are summed, all ranks have the same work. Muon needs
 * whole matrices: each goes to the rank that has the fewest numbers so far, the largest first.
 */
import { sizeOf } from "../../tensor/index.js";
import { type OptimizerOptions, type Updated, usesMuon } from "./optimizer.js";

/** Consecutive numbers of a parameter that one rank updates. */
export interface Piece {
  /** Name of the parameter. */
  readonly name: string;
  /** First number, a multiple of `ALIGNED`, and how many. */
  readonly from: number;
  readonly length: number;
  /** Rank. */
  readonly owner: number;
}

/** Pieces begin at multiples of this many floats, a cache line. */
const ALIGNED = 16;

/** Returns the pieces of all ranks: every number of every parameter once, in the order of the parameters. A rank may have none. */
export function shareOut(parameters: readonly Updated[], options: OptimizerOptions, size: number): readonly Piece[] {
  const owners = shareMatrices(
    parameters.filter((parameter) => usesMuon(parameter, options)),
    size,
  );
  return parameters.flatMap((parameter): Piece[] => {
    const { name } = parameter;
    const length = lengthOf(parameter);
    const owner = owners.get(name);
    if (owner !== undefined) return [{ name, from: 0, length, owner }];
    /** First number that belongs to rank `k` or a later one. */
    const cut = (k: number) =>
      k === size ? length : Math.min(length, Math.round((length * k) / size / ALIGNED) * ALIGNED);
    const pieces = Array.from({ length: size }, (_, k) => {
      const from = cut(k);
      return { name, from, length: cut(k + 1) - from, owner: k };
    });
    return pieces.filter((piece) => piece.length > 0);
  });
}

const lengthOf = ({ variable }: Updated) => sizeOf(variable.shape);

function shareMatrices(matrices: readonly Updated[], size: number): ReadonlyMap<string, number> {
  const sums = new Array<number>(size).fill(0);
  const owners = new Map<string, number>();
  for (const matrix of [...matrices].sort((a, b) => lengthOf(b) - lengthOf(a))) {
    const owner = sums.indexOf(Math.min(...sums));
    owners.set(matrix.name, owner);
    sums[owner] += lengthOf(matrix);
  }
  return owners;
}
