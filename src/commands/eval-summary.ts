import { summaryOptions } from "../eval/aggregates/summary-options.js";
import type { Estimate, ModelSummary } from "../eval/index.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Summarise results.json files of quern eval or lm-eval: each task beside the accuracy of guessing, and the means that " +
    "the tasks allow. BLiMP is given by phenomenon, MMLU by category and subject. ChatCORE is nanochat's mean of six " +
    "benchmarks, centred so that guessing scores 0. CORE-like is the same over those of CORE's 22 tasks that lm-eval has. " +
    "Each has a standard error and a 95 % interval. A mean with missing tasks says how many it has.",
  options: summaryOptions,
  positional: ["results"],
  examples: ["quern eval summary results/", "quern eval summary base/results.json chat/results.json --json"],
  async run(options, { signal, print }) {
    const { BLIMP_PHENOMENA, evaluationSummary } = await import("../eval/index.js");
    const models = await evaluationSummary({ ...options, signal });
    for (const [i, model] of models.entries()) {
      if (i > 0) print();
      print(`${model.model}  (${model.files.join(", ")})`);
      for (const line of tableOf(model, Object.values(BLIMP_PHENOMENA).flat())) print(line);
    }
    return { models };
  },
});

type Row = readonly [name: string, of: string, value: string, error: string, interval: string, chance: string];

const number = (value: number | null | undefined) => (value === null || value === undefined ? "" : value.toFixed(4));

function rowOf(name: string, of: string, given: Estimate, chance?: number | null, note = ""): Row {
  const { value, standard_error, lower, upper } = given;
  const interval = lower === null ? "" : `${number(lower)} – ${number(upper)}`;
  const beside = chance === null || chance === undefined ? "" : `${number(chance)}${note}`;
  return [name, of, number(value), number(standard_error), interval, beside];
}

/** One row per mean, its parts indented below, then the tasks that are no part of them. */
function tableOf({ chat_core, core_like, blimp, mmlu, tasks }: ModelSummary, paradigms: readonly string[]): string[] {
  const rows: Row[] = [["", "tasks", "value", "error", "95 % interval", "chance"]];
  const share = ({ tasks: n, of }: { readonly tasks: number; readonly of: number }) => `${n} of ${of}`;
  for (const [name, mean] of [
    ["ChatCORE", chat_core],
    ["CORE-like", core_like],
  ] as const) {
    if (mean === null) continue;
    rows.push(rowOf(name, share(mean), mean, 0));
    for (const part of mean.parts)
      rows.push(rowOf(`  ${part.name} (${part.task} ${part.metric})`, "", part.centred, 0));
  }
  if (blimp !== null) {
    rows.push(rowOf("BLiMP", share(blimp.overall), blimp.overall, blimp.chance));
    for (const [name, mean] of Object.entries(blimp.phenomena))
      rows.push(rowOf(`  ${name}`, share(mean), mean, blimp.chance));
  }
  for (const { variant, metric, overall, categories, subjects, chance } of mmlu) {
    rows.push(rowOf(`${variant} (${metric})`, share(overall), overall, chance));
    for (const [name, mean] of Object.entries(categories)) rows.push(rowOf(`  ${name}`, share(mean), mean, chance));
    for (const [name, score] of Object.entries(subjects)) rows.push(rowOf(`  ${name}`, "", score, chance));
  }
  const shown = new Set([
    ...(blimp === null ? [] : ["blimp", ...paradigms.map((name) => `blimp_${name}`)]),
    ...mmlu.flatMap(({ variant, categories, subjects }) => [
      variant,
      ...[...Object.keys(categories), ...Object.keys(subjects)].map((name) => `${variant}_${name}`),
    ]),
  ]);
  for (const { task, metric, filter, documents, chance, above_chance, ...score } of tasks) {
    if (shown.has(task)) continue;
    rows.push(rowOf(`${task} (${metric},${filter})`, "", score, chance, above_chance === false ? " not above" : ""));
  }
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 || i > 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}
