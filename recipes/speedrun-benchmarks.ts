/**
 * @file The benchmarks at the end of the speedrun: minimal pairs of English agreement and one-digit arithmetic, each beside
 * chance, and with them the bits per byte and the judged answers that were measured before.
 */
import {
  arithmeticProblems,
  evaluateTasks,
  type ResultRow,
  resultRows,
  type TaskEvaluation,
  TaskRegistry,
} from "../src/eval/index.js";
import { openModel } from "../src/infer/index.js";
import type { OnProgress } from "../src/progress.js";
import type { ModelScore } from "./speedrun-evaluation.js";
import { splitOf } from "./wordnet-tasks.js";

/** A share, 0 to 1, with its 95 % interval. */
export interface Share {
  readonly value: number;
  readonly interval: readonly [number, number] | null;
  readonly documents: number;
}

export interface BenchmarkRow {
  readonly name: string;
  readonly chance: number;
  /** One per model. */
  readonly shares: readonly Share[];
}

const CHANCE = { agreement: 0.5, arithmetic: 0.1 };

/** Positions of the sums and differences that no lesson and no practice question holds. */
export function heldOutProblems(): readonly number[] {
  return arithmeticProblems().flatMap(({ question }, position) => {
    const [problem] = /\d [+-] \d/.exec(question) ?? [];
    return problem !== undefined && splitOf("arithmetic", problem) === "test" ? [position] : [];
  });
}

/** Runs the benchmarks on models. */
export async function benchmarkSpeedrun(
  models: readonly { readonly name: string; readonly model: string }[],
  calls: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<readonly BenchmarkRow[]> {
  const registry = new TaskRegistry();
  const unseen = heldOutProblems();
  const columns: { readonly all: readonly ResultRow[]; readonly unseen: readonly ResultRow[] }[] = [];
  for (const { name, model: path } of models) {
    await using model = await openModel(path);
    const onProgress: OnProgress = (progress) => calls.onProgress?.({ ...progress, note: name });
    const run = async (
      tasks: readonly string[],
      samples?: Record<string, readonly number[]>,
    ): Promise<TaskEvaluation> => evaluateTasks(model, registry.select(tasks), { ...calls, onProgress, samples });
    columns.push({
      all: resultRows({ name, ...(await run(["agreement", "arithmetic"])) }),
      unseen: resultRows({ name, ...(await run(["arithmetic"], { arithmetic: unseen })) }),
    });
  }
  const row = (
    name: string,
    chance: number,
    of: (column: (typeof columns)[number]) => readonly ResultRow[],
    task: string,
  ) => ({
    name,
    chance,
    shares: columns.map((column): Share => {
      const { value, interval, documents } = of(column).find((each) => each.name === task && each.metric === "acc")!;
      return { value, interval: interval && [interval.lower, interval.upper], documents: documents ?? 0 };
    }),
  });
  const phenomena = columns[0].all.map((each) => each.name).filter((task) => task.startsWith("agreement_"));
  return [
    row("agreement", CHANCE.agreement, ({ all }) => all, "agreement"),
    ...phenomena.map((task) => row(`  ${task.replace(/^agreement_/, "")}`, CHANCE.agreement, ({ all }) => all, task)),
    row("arithmetic", CHANCE.arithmetic, ({ all }) => all, "arithmetic"),
    row("  never in a lesson", CHANCE.arithmetic, (column) => column.unseen, "arithmetic"),
  ];
}

/** Held-out bits per byte of one kind of text, for the base model. */
export interface SourceBits {
  readonly source: string;
  readonly bits_per_byte?: number;
}

/**
 * The speedrun's evaluation as lines of a table: a column per model, and chance.
 * @param names of the models, the base model first
 */
export function benchmarkTable(
  names: readonly string[],
  sources: readonly SourceBits[],
  rows: readonly BenchmarkRow[],
  scores: readonly ModelScore[],
): string[] {
  const percent = (value: number, interval: readonly [number, number] | null) => {
    const ends = interval === null ? "" : ` (${(100 * interval[0]).toFixed(1)} to ${(100 * interval[1]).toFixed(1)})`;
    return `${(100 * value).toFixed(1)}${ends}`;
  };
  const scored = (name: string, of: (score: ModelScore) => { mean: number; low: number; high: number } | null) => {
    const found = scores.find((score) => score.name === name);
    const estimate = found === undefined ? null : of(found);
    return estimate === null ? "–" : percent(estimate.mean, [estimate.low, estimate.high]);
  };
  const cells = [
    ["", ...names, "chance"],
    ...sources.map(({ source, bits_per_byte }) => [
      `bits per byte, ${source}`,
      ...names.map((_, i) => (i === 0 ? (bits_per_byte?.toFixed(3) ?? "–") : "–")),
      "8",
    ]),
    ...rows.map(({ name, chance, shares }) => [
      `${name}, % of ${shares[0].documents}`,
      ...shares.map(({ value, interval }) => percent(value, interval)),
      String(100 * chance),
    ]),
    ["held-out questions, %", ...names.map((name) => scored(name, ({ accuracy }) => accuracy)), "–"],
    ["judged wins against SFT, %", ...names.map((name) => scored(name, ({ win_rate }) => win_rate)), "50"],
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  return cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column] + 2)))
      .join("")
      .trimEnd(),
  );
}
