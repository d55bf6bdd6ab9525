/** @file Summarises results of `quern eval` or lm-eval: tasks beside chance, and the aggregates that they allow. */
import type { z } from "zod";
import { checkOptions } from "../../options.js";
import { type BlimpSummary, blimpSummary } from "./blimp.js";
import { type CentredMean, chatCore, coreLike } from "./centred-means.js";
import { type MmluSummary, mmluSummaries } from "./mmlu.js";
import { type ModelResults, readModelResults, type Score } from "./results-file.js";
import { summaryOptions } from "./summary-options.js";
import { chanceOf } from "./task-chance.js";

export type SummaryOptions = z.input<typeof summaryOptions> & { readonly signal?: AbortSignal };

/** A metric of a task or group. */
export interface TaskSummary extends Score {
  readonly task: string;
  readonly is_group: boolean;
  /** Accuracy of guessing; null if unknown, or if the metric is no accuracy. */
  readonly chance: number | null;
  /** Whether the interval lies above chance; null without either. */
  readonly above_chance: boolean | null;
}

export interface ModelSummary {
  readonly model: string;
  readonly files: readonly string[];
  readonly chat_core: CentredMean | null;
  readonly core_like: CentredMean | null;
  readonly blimp: BlimpSummary | null;
  readonly mmlu: readonly MmluSummary[];
  readonly tasks: readonly TaskSummary[];
}

/** Metrics for which the chance level of the answers holds. */
const ACCURACIES = new Set(["acc", "acc_norm", "acc_bytes", "exact_match", "pass@1"]);

/**
 * Summarises the results of each file or folder.
 * @throws QuernError for a file without results, or a folder without files of them
 */
export async function evaluationSummary({ signal, ...given }: SummaryOptions): Promise<readonly ModelSummary[]> {
  const { results } = checkOptions(summaryOptions, given);
  const models: ModelSummary[] = [];
  for (const path of results) {
    for (const found of await readModelResults(path, signal)) models.push(summaryOf(found));
  }
  return models;
}

/** Returns the summary of one model. */
export function summaryOf(results: ModelResults): ModelSummary {
  return {
    model: results.model,
    files: results.files,
    chat_core: chatCore(results),
    core_like: coreLike(results),
    blimp: blimpSummary(results),
    mmlu: mmluSummaries(results),
    tasks: [...results.scores].flatMap(([task, scores]) => {
      const known = chanceOf(results, task);
      return scores.map((score) => {
        const chance = ACCURACIES.has(score.metric) ? (known ?? null) : null;
        const above_chance = chance === null || score.lower === null ? null : score.lower > chance;
        return { task, is_group: results.groups.has(task), ...score, chance, above_chance };
      });
    }),
  };
}
