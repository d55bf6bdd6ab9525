/** @file The accuracy of guessing, so that a result can stand beside it. */
import { BLIMP_CHANCE, BLIMP_PHENOMENA } from "./blimp.js";
import type { ModelResults } from "./results-file.js";

const CHANCE: Readonly<Record<string, number>> = {
  arc_easy: 0.25,
  arc_challenge: 0.25,
  hellaswag: 0.25,
  openbookqa: 0.25,
  mmlu: 0.25,
  piqa: 0.5,
  copa: 0.5,
  winogrande: 0.5,
  wsc273: 0.5,
  boolq: 0.5,
  commonsense_qa: 0.2,
  gsm8k: 0,
  humaneval: 0,
  lambada_openai: 0,
  blimp: BLIMP_CHANCE,
  ...Object.fromEntries(
    Object.values(BLIMP_PHENOMENA)
      .flat()
      .map((paradigm) => [`blimp_${paradigm}`, BLIMP_CHANCE]),
  ),
};

/**
 * Returns the accuracy of choosing among the answers at random: `metadata.chance` of the task, one over a fixed number of
 * choices, or what is known of a common benchmark. That of a group is the mean of its tasks. Undefined if unknown.
 */
export function chanceOf(results: ModelResults, task: string, within: readonly string[] = []): number | undefined {
  const config = results.configs.get(task);
  const metadata = config?.metadata;
  if (
    typeof metadata === "object" &&
    metadata !== null &&
    "chance" in metadata &&
    typeof metadata.chance === "number"
  ) {
    return metadata.chance;
  }
  const choices = config?.output_type === "multiple_choice" ? config.doc_to_choice : undefined;
  if (Array.isArray(choices) && choices.length > 1) return 1 / choices.length;
  if (Object.hasOwn(CHANCE, task)) return CHANCE[task];
  const members = within.includes(task) ? [] : (results.groups.get(task) ?? []);
  const known = members
    .map((name) => chanceOf(results, name, [...within, task]))
    .filter((chance) => chance !== undefined);
  if (known.length === 0 || known.length < members.length) return undefined;
  return known.reduce((sum, chance) => sum + chance, 0) / known.length;
}
