/** @file How much of a mix each group of documents is, and how often its documents are seen for that. */
import { QuernError } from "../../errors.js";

/** What a group has and is wanted for. */
export interface GroupSize {
  readonly name: string;
  readonly bytes: number;
}

/** The name in a table of weights for all groups that it does not name, together. */
export const OTHER_GROUPS = "(others)";

/**
 * Shares of the mix that add up to 1. With weights, theirs; else by size to the power of 1 / temperature: 1 leaves the
 * proportions, more evens them out (Devlin 2018; Conneau et al. 2019).
 *
 * @throws QuernError for weights that sum to nothing, name no group, or leave one out
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
  const strange = Object.keys(weights).filter((name) => name !== OTHER_GROUPS && !known.has(name));
  if (strange.length > 0) {
    throw new QuernError(
      `there is a weight for ${list(strange)}, but no such documents; there are ${list([...known])}`,
      {
        exitCode: 2,
      },
    );
  }
  const rest = groups.filter(({ name }) => !Object.hasOwn(weights, name));
  if (rest.length > 0 && !Object.hasOwn(weights, OTHER_GROUPS)) {
    throw new QuernError(
      `there is no weight for ${list(rest.map(({ name }) => name))}; give one, or one for "${OTHER_GROUPS}" together (0 leaves them out)`,
      { exitCode: 2 },
    );
  }
  // Those without a weight of their own share one by their sizes.
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return groups.map(({ name, bytes }) =>
    Object.hasOwn(weights, name) ? weights[name] : (weights[OTHER_GROUPS] * bytes) / restBytes,
  );
}

const list = (names: readonly string[]) =>
  names.length > 5 ? `${names.slice(0, 5).join(", ")} … (${names.length})` : names.join(", ");

/**
 * How often each group is seen so that the mix has `total` bytes in these shares and no group is seen more than `most`
 * times; what a group that is capped lacks, the others give in proportion. The mix is smaller where all are capped.
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
