/** @file The report of an evaluation: one self-contained page with results, what changed against another run, and every sample. */
import { join } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { count, figure, figures, page, percent } from "../../pages/index.js";
import { compareRuns, type RunComparison } from "./compare-runs.js";
import { comparisonSection } from "./comparison-section.js";
import { type EvaluationRun, modelNameOf } from "./evaluation-run.js";
import { pageData } from "./page-data.js";
import { type ResultRow, resultRows } from "./result-rows.js";
import { number, resultsSection } from "./results-section.js";
import { SAMPLES_SCRIPT } from "./samples-script.js";
import { samplesSection } from "./samples-section.js";
import type { TokenPieces } from "./token-lengths.js";

export interface EvaluationReportOptions {
  /** Returns the texts of a prompt's tokens; without it the report shows no token borders. */
  readonly pieces?: TokenPieces;
  /** The run to compare with. */
  readonly against?: EvaluationRun;
  /** Its comparison, if it was computed before. */
  readonly comparison?: RunComparison;
}

/** Writes `report.html` into a folder and returns its path. */
export async function writeEvaluationReport(
  folder: string,
  run: EvaluationRun,
  options: EvaluationReportOptions = {},
): Promise<string> {
  const path = join(folder, "report.html");
  await writeFileAtomic(path, evaluationReport(run, options));
  return path;
}

/** Returns the HTML document: below 30 MB, by cutting long texts in the middle if need be, which it then says. */
export function evaluationReport(run: EvaluationRun, options: EvaluationReportOptions = {}): string {
  const { pieces, against } = options;
  const comparison = against === undefined ? undefined : (options.comparison ?? compareRuns(run, against));
  const rows = resultRows(run);
  const data = pageData(run, { pieces, against });
  const tasks = new Set(rows.filter(({ isGroup }) => !isGroup).map(({ name }) => name));
  return page({
    title: `Evaluation of ${modelNameOf(run)}`,
    subtitle: madeBy(run),
    conclusion: conclusionOf(rows, comparison),
    sections: [
      figures([
        figure("tasks", count(tasks.size)),
        figure("documents", count(data.documents), "with samples"),
        ...headlines(rows).map((row) =>
          figure(
            row.metric,
            number(row.value),
            row.chance === null ? row.name : `${row.name}, chance ${number(row.chance)}`,
          ),
        ),
      ]),
      resultsSection(rows),
      comparison === undefined || against === undefined ? "" : comparisonSection(comparison, run, against),
      samplesSection(data, against !== undefined, pieces !== undefined),
    ],
    scripts: data.documents === 0 ? [] : [SAMPLES_SCRIPT],
  });
}

function madeBy({ results }: EvaluationRun): string {
  const { date, config, model_source } = results;
  const when = typeof date === "number" ? new Date(date * 1000).toISOString().slice(0, 16).replace("T", " ") : "";
  const limit = config.limit === undefined || config.limit === null ? "" : `limit ${String(config.limit)}`;
  const source = typeof model_source === "string" ? model_source : "";
  const chat = results.chat_template === undefined || results.chat_template === null ? "" : "chat template";
  return [when, source, limit, chat].filter((part) => part !== "").join(" · ");
}

/** The first metric of groups and of tasks outside of groups, four at most. */
function headlines(rows: readonly ResultRow[]): readonly ResultRow[] {
  const first = rows.filter(({ name, depth }, i) => depth === 0 && rows.findIndex((row) => row.name === name) === i);
  return first.slice(0, 4);
}

function conclusionOf(rows: readonly ResultRow[], comparison: RunComparison | undefined): string {
  if (comparison !== undefined && comparison.tests.length > 0) {
    const sure = comparison.tests.filter(({ lower, upper }) => lower > 0 || upper < 0);
    const better = sure.filter(({ difference, higher_is_better }) => difference > 0 === (higher_is_better !== false));
    return sure.length === 0
      ? `No difference from the other run stands out: all ${comparison.tests.length} intervals contain 0.`
      : `Of ${comparison.tests.length} metrics compared with the other run, better: ${better.length}, worse: ${sure.length - better.length}, within their intervals: ${comparison.tests.length - sure.length}.`;
  }
  const [first] = rows;
  if (first === undefined) return "";
  const { name, metric, value, interval } = first;
  if (interval === null) return `${name} has ${metric} ${number(value)}.`;
  const shown = (part: number) => (interval.kind === "Wilson" ? percent(part) : number(part));
  return `${name} has ${metric} ${shown(value)} (95 % interval ${shown(interval.lower)} to ${shown(interval.upper)}).`;
}
