/**
 * @file Finds whether votes determine ratings. Ratings are comparable if votes connect all models, and finite if each model
 * can reach each other model by a chain of wins and ties (Ford, "Solution of a ranking problem from binary comparisons", 1957).
 */
import type { Comparisons } from "./comparisons.js";

/** Whether the comparisons with a positive weight connect the models. */
export interface Connection {
  /** (M) number of each model's group, ignoring who won. */
  readonly groups: Int32Array;
  readonly groupCount: number;
  /** (M) number of each model's class: models that reach each other by wins and ties. */
  readonly classes: Int32Array;
  readonly classCount: number;
}

/** Finds groups and classes. @param weights (C); default: the counts */
export function connectionOf(comparisons: Comparisons, weights: Float64Array = comparisons.count): Connection {
  const { M, first, second, outcome } = comparisons;
  const from: number[] = [];
  const to: number[] = [];
  for (let c = 0; c < outcome.length; c++) {
    if (weights[c] === 0) continue;
    if (outcome[c] > 0) {
      from.push(first[c]);
      to.push(second[c]);
    }
    if (outcome[c] < 1) {
      from.push(second[c]);
      to.push(first[c]);
    }
  }
  const forward = edgesOf(M, from, to);
  const backward = edgesOf(M, to, from);
  const groups = label(
    M,
    Array.from({ length: M }, (_, m) => m),
    [forward, backward],
  );
  // Kosaraju's algorithm: search backward in reverse order of finishing a forward search.
  const order = finishOrder(M, forward).reverse();
  const classes = label(M, order, [backward]);
  return { groups: groups.labels, groupCount: groups.count, classes: classes.labels, classCount: classes.count };
}

/** Edges in compressed rows: those of m are `ends[starts[m] … starts[m + 1])`. */
interface Edges {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

function edgesOf(M: number, from: readonly number[], to: readonly number[]): Edges {
  const starts = new Int32Array(M + 1);
  for (const m of from) starts[m + 1] += 1;
  for (let m = 0; m < M; m++) starts[m + 1] += starts[m];
  const at = starts.slice(0, M);
  const ends = new Int32Array(from.length);
  for (let e = 0; e < from.length; e++) ends[at[from[e]]++] = to[e];
  return { starts, ends };
}

/** Labels each model with the number of the first search, in the given order, that reaches it. */
function label(M: number, order: readonly number[], edges: readonly Edges[]): { labels: Int32Array; count: number } {
  const labels = new Int32Array(M).fill(-1);
  let count = 0;
  for (const root of order) {
    if (labels[root] >= 0) continue;
    const stack = [root];
    labels[root] = count;
    while (stack.length > 0) {
      const m = stack.pop() as number;
      for (const { starts, ends } of edges) {
        for (let e = starts[m]; e < starts[m + 1]; e++) {
          if (labels[ends[e]] >= 0) continue;
          labels[ends[e]] = count;
          stack.push(ends[e]);
        }
      }
    }
    count += 1;
  }
  return { labels, count };
}

/** The models in the order in which a depth-first search leaves them. */
function finishOrder(M: number, { starts, ends }: Edges): number[] {
  const next = starts.slice(0, M);
  const seen = new Uint8Array(M);
  const order: number[] = [];
  for (let root = 0; root < M; root++) {
    if (seen[root]) continue;
    seen[root] = 1;
    const stack = [root];
    while (stack.length > 0) {
      const m = stack[stack.length - 1];
      if (next[m] === starts[m + 1]) {
        order.push(m);
        stack.pop();
        continue;
      }
      const end = ends[next[m]++];
      if (seen[end]) continue;
      seen[end] = 1;
      stack.push(end);
    }
  }
  return order;
}

/** Returns the models of each label, the largest set first. */
export function membersOf(labels: Int32Array, count: number, models: readonly string[]): string[][] {
  const sets = Array.from({ length: count }, (): string[] => []);
  labels.forEach((label, m) => void sets[label].push(models[m]));
  return sets.sort((a, b) => b.length - a.length);
}

/**
 * Describes the classes that never lost to, or never won against, a model outside them, for which no finite rating has the
 * largest likelihood.
 */
export function separations(
  comparisons: Comparisons,
  { classes, classCount }: Connection,
  models: readonly string[],
): string[] {
  const { first, second, outcome, count } = comparisons;
  const won = new Uint8Array(classCount);
  const lost = new Uint8Array(classCount);
  for (let c = 0; c < outcome.length; c++) {
    const [a, b] = [classes[first[c]], classes[second[c]]];
    if (a === b || count[c] === 0) continue;
    // Between classes all votes go one way, without ties.
    const [winner, loser] = outcome[c] === 1 ? [a, b] : [b, a];
    won[winner] = 1;
    lost[loser] = 1;
  }
  return Array.from({ length: classCount }, (_, label) => {
    const names = models.filter((_, m) => classes[m] === label);
    const against = names.length === 1 ? "" : " against the others";
    if (won[label] && !lost[label]) return `${listed(names)} won every vote${against}`;
    return lost[label] && !won[label] ? `${listed(names)} lost every vote${against}` : "";
  }).filter((line) => line !== "");
}

/** At most five names. */
export const listed = (names: readonly string[]): string =>
  names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
