/** @file `reportEvaluation()`: makes the report of a finished evaluation, by Quern or lm-eval, and compares it with another. */
import type { z } from "zod";
import { withOutput, writeFileAtomic } from "../../documents/index.js";
import { checkOptions, type NameOption } from "../../options.js";
import { openTokenizer } from "../../tokenizer/index.js";
import { compareRuns, type RunComparison } from "./compare-runs.js";
import type { EvaluationRun } from "./evaluation-run.js";
import { readRun } from "./read-run.js";
import { evaluationReport } from "./report.js";
import { evaluationReportOptions } from "./report-options.js";
import { tokenPieces } from "./token-lengths.js";

export type ReportEvaluationOptions = z.input<typeof evaluationReportOptions> & {
  readonly signal?: AbortSignal;
  readonly named?: NameOption;
};

export interface EvaluationReport {
  readonly run: EvaluationRun;
  readonly comparison?: RunComparison;
  readonly html?: string;
}

/**
 * Reads a finished evaluation and, with `html`, writes its report.
 * @throws QuernError if a folder has no results or they are not in lm-eval's layout
 */
export async function reportEvaluation({
  signal,
  named,
  ...given
}: ReportEvaluationOptions): Promise<EvaluationReport> {
  const { html, force, ...o } = checkOptions(evaluationReportOptions, given, named);
  const work = async (): Promise<EvaluationReport> => {
    const run = await readRun(o.run, { signal });
    const against = o.against === undefined ? undefined : await readRun(o.against, { signal });
    const comparison = against && compareRuns(run, against);
    const made = { run, ...(comparison && { comparison }) };
    if (html === undefined) return made;
    const pieces = o.tokenizer === undefined ? undefined : tokenPieces(await openTokenizer(o.tokenizer, { signal }));
    await writeFileAtomic(html, evaluationReport(run, { pieces, against, comparison }));
    return { ...made, html };
  };
  if (html === undefined) return work();
  const inputs = [o.run, ...(o.against === undefined ? [] : [o.against])];
  return withOutput({ verb: "eval report", out: html, inputs, force }, work);
}
