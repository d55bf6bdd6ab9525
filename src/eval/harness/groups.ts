/** @file Aggregates the results of a group's tasks as lm-eval does: means weighted by documents or not, with their errors. */
import type { LoadedTask, TaskGroup } from "./registry.js";
import { groupValue, pooledError, unweightedError } from "./standard-errors.js";

/**
 * Results of one task or group: `acc,none` and `acc_stderr,none` by metric and filter, `sample_len` in documents. A standard
 * error without a value is "N/A".
 */
export type MetricResults = Readonly<Record<string, unknown>>;

/** Returns the tasks of a group and of the groups within it. */
export function tasksOf(group: TaskGroup): readonly LoadedTask[] {
  return group.children.flatMap((child) => ("isGroup" in child ? tasksOf(child) : [child]));
}

/**
 * Returns the results of a group. A metric that no task has is left out; tasks without it do not count.
 * @param results of tasks, by name
 */
export function groupResults(group: TaskGroup, results: ReadonlyMap<string, MetricResults>): MetricResults {
  const made: Record<string, unknown> = { alias: group.alias ?? group.name, name: group.name };
  if (group.aggregates.length === 0) return made;
  const leaves = tasksOf(group).flatMap(({ name }): MetricResults[] => {
    const result = results.get(name);
    return result === undefined ? [] : [result];
  });
  made.sample_len = leaves.reduce((sum, result) => sum + sizeOf(result), 0);
  const counts: Record<string, number> = {};
  for (const { metric, filters, weightBySize } of group.aggregates) {
    for (const filter of filters ?? filtersOf(metric, leaves)) {
      const key = `${metric},${filter}`;
      const errorKey = `${metric}_stderr,${filter}`;
      const having = leaves.filter((result) => typeof result[key] === "number");
      if (having.length === 0) continue;
      const sizes = having.map(sizeOf);
      const values = having.map((result) => result[key] as number);
      made[key] = groupValue(values, sizes, weightBySize);
      counts[key] = sizes.reduce((sum, size) => sum + size, 0);
      const errors = having.map((result) => result[errorKey]).filter((error) => typeof error === "number");
      const hasErrors = errors.length === having.length;
      made[errorKey] = !hasErrors ? "N/A" : weightBySize ? pooledError(errors, sizes) : unweightedError(errors);
    }
  }
  if (Object.keys(counts).length > 0) made.sample_count = counts;
  return made;
}

function sizeOf(result: MetricResults): number {
  return typeof result.sample_len === "number" ? result.sample_len : 0;
}

/** Returns the filters under which any task has a metric, sorted. */
function filtersOf(metric: string, leaves: readonly MetricResults[]): string[] {
  const start = `${metric},`;
  const keys = leaves.flatMap((result) => Object.keys(result).filter((key) => key.startsWith(start)));
  return [...new Set(keys.map((key) => key.slice(start.length)))].sort();
}
