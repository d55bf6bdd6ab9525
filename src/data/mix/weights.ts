/** @file Computes the share of each group in a mix and how often its documents are repeated. */
import { QuernError } from "../../errors.js";

/** Name and size of a group. */
export interface GroupSize {
  readonly name: string;
  readonly bytes: number;
}

/** Key in a table of weights for the total of all groups that the table does not name. */
export const OTHER_GROUPS = "(others)";

/**
 * Returns the groups' shares of the mix, which sum to 1. They are proportional to the weights or, without weights, to
 * size^(1 / temperature). Temperature 1 keeps the proportions; higher ones even them out (Devlin 2018; Conneau et al.
 * 2019).
 *
 * @throws QuernError if the weights sum to 0, name an unknown group, or omit a group
 */
export function sharesOf(
  groups: readonly GroupSize[],
  { weights, temperature = 1 }: { readonly weights?: Readonly<Record<string, number>>; readonly temperature?: number },
): number[] {
  const wanted = weights === undefined ? groups.map(({ bytes }) => bytes ** (1 / temperature)) : named(groups, weights);
  const sum = wanted.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0) || !Number.isFinite(sum)) {
    throw new QuernError(
      `the weights of ${list(groups.map(({ name }) => name))} sum to ${sum}; there is nothing to mix`,
      {
        exitCode: 2,
      },
    );
  }
  return wanted.map((weight) => weight / sum);
}

function named(groups: readonly GroupSize[], weights: Readonly<Record<string, number>>): number[] {
  const known = new Set(groups.map(({ name }) => name));
  const unknown = Object.keys(weights).filter((name) => name !== OTHER_GROUPS && !known.has(name));
  if (unknown.length > 0) {
    throw new QuernError(
      `there is a weight for ${list(unknown)}, but no such group; the groups are ${list([...known])}`,
      {
        exitCode: 2,
      },
    );
  }
  const rest = groups.filter(({ name }) => !Object.hasOwn(weights, name));
  if (rest.length > 0 && !Object.hasOwn(weights, OTHER_GROUPS)) {
    throw new QuernError(
      `there is no weight for ${list(rest.map(({ name }) => name))}; add one, or add a weight for "${OTHER_GROUPS}" (0 leaves them out)`,
      { exitCode: 2 },
    );
  }
  // Groups that the table does not name share the common weight in proportion to their sizes.
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return groups.map(({ name, bytes }) =>
    Object.hasOwn(weights, name) ? weights[name] : (weights[OTHER_GROUPS] * bytes) / restBytes,
  );
}

const list = (names: readonly string[]) =>
  names.length > 5 ? `${names.slice(0, 5).join(", ")} … (${names.length})` : names.join(", ");

/**
 * Returns how often each group is repeated so that the mix has `total` bytes in these shares. No group is repeated more than
 * `most` times; the other groups make up for a capped one in proportion. If all are capped, the mix is smaller than `total`.
 */
export function epochsOf(
  groups: readonly GroupSize[],
  shares: readonly number[],
  total: number,
  most: number,
): number[] {
  const epochs = groups.map(() => 0);
  let free = groups.map((_, i) => i).filter((i) => shares[i] > 0);
  let left = total;
  for (;;) {
    const sum = free.reduce((all, i) => all + shares[i], 0);
    const over = free.filter((i) => (left * shares[i]) / sum > most * groups[i].bytes);
    for (const i of over) {
      epochs[i] = most;
      left -= most * groups[i].bytes;
    }
    free = free.filter((i) => !over.includes(i));
    if (over.length > 0) continue;
    for (const i of free) epochs[i] = (left * shares[i]) / sum / groups[i].bytes;
    return epochs;
  }
}
