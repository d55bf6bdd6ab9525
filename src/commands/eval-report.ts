import { evaluationReportOptions } from "../eval/report/report-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Make the report of a finished evaluation, by quern eval or lm-eval: one page with every metric and its interval, every " +
    "sample searchable, choices with their log-probabilities, and what changed against another evaluation. Values of 0 and 1 " +
    "are compared by McNemar's exact test, other means by the paired t test, other metrics by a paired bootstrap. Documents " +
    "whose prompts differ are named and left out.",
  options: evaluationReportOptions,
  positional: ["run"],
  examples: [
    "quern eval report results/ --html report.html",
    "quern eval report lm-eval-output/ --against results/ --tokenizer smollm2/ --html report.html",
  ],
  async run(options, { signal, print, named }) {
    const { comparisonTable, evaluationTable, reportEvaluation } = await import("../eval/index.js");
    const { run, comparison, html } = await reportEvaluation({ ...options, signal, named });
    for (const line of evaluationTable(run)) print(line);
    for (const line of comparison === undefined ? [] : comparisonTable(comparison)) print(line);
    if (html !== undefined) print(`${html} shows every sample`);
    return { ...run.results, ...(comparison && { against: comparison }), ...(html !== undefined && { html }) };
  },
});
