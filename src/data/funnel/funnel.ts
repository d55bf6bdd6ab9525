/**
 * @file The funnel: the counts of a run at each step, summed over its tasks. Every total is checked. A wrong total is a bug in
 * Quern and is always reported.
 */
import { ReadLog, type ReadReport } from "../../documents/index.js";
import type { Step } from "../filters/filter.js";
import { type Amount, addTo, type Flow, mergeCounts, newCounts, type StepCounts } from "./counts.js";
import type { TaskManifest } from "./manifest.js";

export interface Amounts {
  readonly documents: number;
  readonly bytes: number;
  readonly words: number;
}

export interface InOut {
  readonly in: Amounts;
  readonly out: Amounts;
}

export interface FunnelStep {
  readonly step: string;
  readonly documents: { readonly in: number; readonly kept: number; readonly dropped: number; readonly edited: number };
  readonly bytes: StepFlow;
  readonly words: StepFlow;
  /** Dropped documents by reason. */
  readonly reasons: Readonly<Record<string, Amounts>>;
  /** Number of edits or findings in kept documents by kind, as named by the step. */
  readonly edits: Readonly<Record<string, number>>;
  readonly languages: Readonly<Record<string, InOut>>;
  readonly domains: Readonly<Record<string, InOut>>;
  readonly sources: Readonly<Record<string, InOut>>;
}

/** `in = out + dropped + cut − added`. */
export interface StepFlow {
  readonly in: number;
  readonly out: number;
  readonly dropped: number;
  readonly cut: number;
  readonly added: number;
}

export interface Funnel {
  readonly version: 1;
  readonly recipe: string;
  readonly inputs: readonly string[];
  readonly tasks: number;
  /** Records read. */
  readonly read: number;
  /** Number of inputs skipped before the first step, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** The same with files, rows and the places of what was skipped. */
  readonly reading: ReadReport;
  readonly steps: readonly FunnelStep[];
  readonly output: Amounts;
  /** Steps that unexpectedly changed nothing. */
  readonly idle: readonly string[];
  /** Totals that do not add up, in words; empty unless Quern has a bug. */
  readonly faults: readonly string[];
}

/** Sums the counts of all tasks of a run. */
export function makeFunnel(
  manifests: readonly TaskManifest[],
  plan: {
    readonly recipe: string;
    readonly inputs: readonly string[];
    readonly steps: readonly Step[];
    readonly unread: ReadReport;
  },
): Funnel {
  const sums = ["extract", ...plan.steps.map(({ name }) => name)].map(newCounts);
  const log = new ReadLog();
  log.merge(plan.unread);
  const written: [number, number, number] = [0, 0, 0];
  let read = 0;
  for (const manifest of manifests) {
    read += manifest.read;
    manifest.steps.forEach((counts, index) => {
      mergeCounts(sums[index], counts);
    });
    log.merge(manifest.report);
    for (const { path, documents } of manifest.files)
      if (path.startsWith("documents/")) addTo(written, [documents, 0, 0]);
  }
  const last = sums[sums.length - 1];
  const expected = new Map(plan.steps.map(({ name, expectsChange }) => [name, expectsChange !== false]));
  return {
    version: 1,
    recipe: plan.recipe,
    inputs: plan.inputs,
    tasks: manifests.length,
    read,
    skipped: log.report.skipped,
    reading: log.report,
    steps: sums.map(toStep),
    output: amounts(last.out),
    idle: sums.filter((sum) => expected.get(sum.name) && sum.in[0] > 0 && isIdle(sum)).map(({ name }) => name),
    faults: [
      ...faultsOf(sums, read),
      ...(written[0] === last.out[0] ? [] : [`${written[0]} documents were written, but ${last.out[0]} kept`]),
    ],
  };
}

const isIdle = ({ dropped, edited, edits }: StepCounts) =>
  dropped[0] === 0 && edited === 0 && Object.keys(edits).length === 0;

const UNITS = ["documents", "bytes", "words"] as const;

/** Checks every total and returns a sentence for each one that does not add up. */
export function faultsOf(steps: readonly StepCounts[], read: number): string[] {
  const faults: string[] = [];
  const check = (isRight: boolean, fault: string) => {
    if (!isRight) faults.push(fault);
  };
  steps.forEach((step, index) => {
    const before = index === 0 ? undefined : steps[index - 1];
    UNITS.forEach((unit, i) => {
      const { name } = step;
      const rest = step.out[i] + step.dropped[i] + step.cut[i] - step.added[i];
      check(step.in[i] === rest, `${name}: ${step.in[i]} ${unit} in, but out + dropped + cut − added is ${rest}`);
      check(
        sum(Object.values(step.reasons), i) === step.dropped[i],
        `${name}: ${unit} by reason do not sum to those dropped`,
      );
      for (const kind of ["languages", "domains", "sources"] as const) {
        const flows = Object.values(step[kind]);
        check(
          sum(
            flows.map((flow) => flow.in),
            i,
          ) === step.in[i],
          `${name}: ${unit} in by ${kind} do not sum to those in`,
        );
        check(
          sum(
            flows.map((flow) => flow.out),
            i,
          ) === step.out[i],
          `${name}: ${unit} out by ${kind} do not sum to those out`,
        );
      }
      if (before !== undefined)
        check(before.out[i] === step.in[i], `${name}: ${unit} in differ from those out of ${before.name}`);
    });
  });
  check(
    steps.length === 0 || steps[0].in[0] === read,
    `${read} documents were read, but ${steps[0]?.in[0]} entered the first step`,
  );
  return faults;
}

const sum = (list: readonly Amount[], index: number) => list.reduce((total, amount) => total + amount[index], 0);

const amounts = ([documents, bytes, words]: Amount): Amounts => ({ documents, bytes, words });

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : a > b ? 1 : 0);

function toStep(counts: StepCounts): FunnelStep {
  const flow = (index: number): StepFlow => ({
    in: counts.in[index],
    out: counts.out[index],
    dropped: counts.dropped[index],
    cut: counts.cut[index],
    added: counts.added[index],
  });
  return {
    step: counts.name,
    documents: { in: counts.in[0], kept: counts.out[0], dropped: counts.dropped[0], edited: counts.edited },
    bytes: flow(1),
    words: flow(2),
    reasons: sorted(counts.reasons, amounts),
    edits: sorted(counts.edits, (count) => count),
    languages: sorted(counts.languages, inOut),
    domains: sorted(counts.domains, inOut),
    sources: sorted(counts.sources, inOut),
  };
}

const inOut = (flow: Flow): InOut => ({ in: amounts(flow.in), out: amounts(flow.out) });

function sorted<T, U>(table: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(
    Object.entries(table)
      .sort(byName)
      .map(([name, value]) => [name, change(value)]),
  );
}
