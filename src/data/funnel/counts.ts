/**
 * @file Counts of each step of the funnel: documents, bytes and words in and out, by reason, language, domain and source.
 * Each task keeps its own counts as plain data; they are summed at the end.
 */

/** Documents, UTF-8 bytes, words. */
export type Amount = readonly [documents: number, bytes: number, words: number];
type MutableAmount = [number, number, number];

/** Amounts that enter and leave a step. */
export interface Flow {
  readonly in: MutableAmount;
  readonly out: MutableAmount;
}

export interface StepCounts {
  readonly name: string;
  readonly in: MutableAmount;
  readonly out: MutableAmount;
  readonly dropped: MutableAmount;
  /** Among kept documents: how many were edited, and what was removed and added (their document count is always 0). */
  edited: number;
  readonly cut: MutableAmount;
  readonly added: MutableAmount;
  readonly reasons: Record<string, MutableAmount>;
  /** Number of edits or findings by kind, as named by the step: lines, e-mails. */
  readonly edits: Record<string, number>;
  readonly languages: Record<string, Flow>;
  readonly domains: Record<string, Flow>;
  readonly sources: Record<string, Flow>;
}

/** Further names of a table are counted as OTHERS, so that a run over the web does not keep every domain. */
export const MOST_NAMES = 1000;
export const OTHERS = "(others)";

const zero = (): MutableAmount => [0, 0, 0];

export function newCounts(name: string): StepCounts {
  return {
    name,
    in: zero(),
    out: zero(),
    dropped: zero(),
    edited: 0,
    cut: zero(),
    added: zero(),
    reasons: table(),
    edits: table(),
    languages: table(),
    domains: table(),
    sources: table(),
  };
}

/** Creates an object without a prototype, since its keys come from the input. */
function table<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}

export function addTo(amount: MutableAmount, [documents, bytes, words]: Amount): void {
  amount[0] += documents;
  amount[1] += bytes;
  amount[2] += words;
}

export function addNamed(amounts: Record<string, MutableAmount>, name: string, amount: Amount): void {
  const key = bounded(amounts, name);
  amounts[key] ??= zero();
  addTo(amounts[key], amount);
}

export function countNamed(counts: Record<string, number>, name: string, count: number): void {
  const key = bounded(counts, name);
  counts[key] = (counts[key] ?? 0) + count;
}

/** Number of names in each table; counting the keys of an object would take time proportional to its size. */
const sizes = new WeakMap<object, number>();

function bounded(names: Record<string, unknown>, name: string): string {
  if (name in names) return name;
  const size = sizes.get(names) ?? Object.keys(names).length;
  if (size >= MOST_NAMES) return OTHERS;
  sizes.set(names, size + 1);
  return name;
}

export function flowOf(flows: Record<string, Flow>, name: string): Flow {
  const key = bounded(flows, name);
  flows[key] ??= { in: zero(), out: zero() };
  return flows[key];
}

/** Adds a task's counts of a step to `sum`. */
export function mergeCounts(sum: StepCounts, part: StepCounts): void {
  for (const key of ["in", "out", "dropped", "cut", "added"] as const) addTo(sum[key], part[key]);
  sum.edited += part.edited;
  for (const [name, amount] of Object.entries(part.reasons)) addNamed(sum.reasons, name, amount);
  for (const [name, count] of Object.entries(part.edits)) countNamed(sum.edits, name, count);
  for (const key of ["languages", "domains", "sources"] as const) {
    for (const [name, flow] of Object.entries(part[key])) {
      const into = flowOf(sum[key], name);
      addTo(into.in, flow.in);
      addTo(into.out, flow.out);
    }
  }
}
