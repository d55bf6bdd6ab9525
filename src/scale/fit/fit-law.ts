/** @file `quern scale fit`: reads runs, fits a law, says how far to trust it, and writes `law.json` and `report.html`. */
import { join } from "node:path";
import type { z } from "zod";
import { withOutput, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { LAW_FORMAT, lawSchema, type ScalingLaw } from "../../train/index.js";
import { version } from "../../version.js";
import { withEvaluations } from "../run-table/evaluations.js";
import { parseColumns, readRuns } from "../run-table/read-runs.js";
import type { ExcludedRun, RunTable, ScalingRun } from "../run-table/run-table.js";
import { envelopeLaw, type FittedLaw, HOFFMANN, isoFlopLaw, kaplanLaw, parametricLaw } from "./approaches.js";
import { fitDownstream } from "./downstream.js";
import { type CheckedFitOptions, fitOptions } from "./fit-options.js";
import { type FitResult, type OptimalRow, optimalRow, type WithoutEmbeddings } from "./fit-result.js";
import { budgetsOf } from "./iso-flop.js";
import { lawReport } from "./law-report.js";
import type { LogPoints } from "./objective.js";
import { FULL_EPOCHS, fitRepeated } from "./repeated.js";
import { fitTuning, type TuningFit } from "./tuning.js";
import { intervalOf } from "./uncertainty.js";

export type FitOptions = z.input<typeof fitOptions> & {
  /** Starts of the parametric fit: (a, b, e, α, β) with A = exp(a), B = exp(b), E = exp(e). Default: the published 4,500. */
  readonly starts?: readonly Float64Array[];
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

type FitCall = Pick<FitOptions, "signal" | "onProgress" | "starts">;

export const LAW_FILE = "law.json";
export const LAW_REPORT = "report.html";

/** Fewest runs of a parametric fit: one more than its constants. */
const FEWEST_RUNS = 6;

/**
 * Fits a scaling law to runs; with `out`, writes `law.json` and `report.html`.
 * @throws QuernError for a table without the needed columns, too few runs, runs of one size, or a negative exponent
 */
export async function fitScalingLaw({ signal, onProgress, starts, ...given }: FitOptions): Promise<FitResult> {
  const o = checkOptions(fitOptions, given);
  const calls = { signal, onProgress, ...(starts && { starts }) };
  const { out } = o;
  if (out === undefined) return (await fitRuns(o, calls)).result;
  const layout = { writes: (path: string) => path === LAW_FILE || path === LAW_REPORT };
  const request = { verb: "scale fit", out, inputs: [o.runs], layout, force: o.force };
  return withOutput(request, async () => {
    const { result, fitted, runs, law } = await fitRuns(o, calls);
    await writeFileAtomic(join(out, LAW_FILE), `${JSON.stringify(law)}\n`);
    const whole = { ...result, law: join(out, LAW_FILE), report: join(out, LAW_REPORT) };
    await writeFileAtomic(join(out, LAW_REPORT), lawReport(whole, fitted, runs));
    return whole;
  });
}

async function fitRuns(o: CheckedFitOptions, calls: FitCall) {
  const table = await readRuns(o.runs, { columns: parseColumns(o.columns), signal: calls.signal });
  if (o.evals === undefined && (o.task ?? o.metric) !== undefined) {
    throw new QuernError("--task and --metric need --evals, the folder of evaluations", { exitCode: 2 });
  }
  const evaluated =
    o.evals === undefined
      ? null
      : await withEvaluations(table.runs, { evals: o.evals, task: o.task, metric: o.metric, signal: calls.signal });
  const { runs, dropped } = dropHighest(evaluated?.runs ?? table.runs, o.dropHighest);
  const excluded = [...table.excluded, ...dropped];
  requireRuns(table, runs, o.approach);
  const fresh = runs.filter(
    ({ tokens, uniqueTokens }) => uniqueTokens === null || tokens <= FULL_EPOCHS * uniqueTokens,
  );
  const enough = fresh.length >= FEWEST_RUNS;
  const used = enough ? fresh : runs;
  const request = { ...o, ...calls };
  const points = pointsOf(used, "params");
  const fitted = await fitApproach(used, points, request);
  requireGrowth(fitted.frontier);
  const without = await fitWithoutEmbeddings(used, o, calls);
  const { constants } = fitted;
  const repeated = constants === null ? null : fitRepeated(constants, runs);
  const [learningRate, batch] = [fitTuning(runs, "learningRate"), fitTuning(runs, "batch")];
  const sigmoid = fitDownstream(runs, o.chance ?? evaluated?.chance ?? null);
  const downstream = sigmoid && { ...sigmoid, task: evaluated?.task ?? null, metric: evaluated?.metric ?? null };
  const range = rangeOf(used);
  const warnings = [
    ...table.warnings,
    ...(evaluated?.warnings ?? []),
    ...excludedWarning(table.excluded),
    ...(runs.length === fresh.length
      ? []
      : [
          enough
            ? `${runs.length - fresh.length} runs of more than ${FULL_EPOCHS} epochs are left out of the law; repeated data learn less`
            : `${runs.length - fresh.length} runs repeat their data more than ${FULL_EPOCHS} times, which a law of new data does not describe`,
        ]),
    ...fitted.warnings,
    ...rangeWarning(range),
    ...edgeWarnings("learning rate", learningRate),
    ...edgeWarnings("batch", batch),
    ...(runs.some(({ accuracy }) => accuracy !== null) && downstream === null
      ? ["fewer than five runs have an accuracy, so it is not fitted"]
      : []),
  ];
  const result: FitResult = {
    approach: o.approach,
    ...(constants ?? { A: null, B: null, E: null, alpha: null, beta: null }),
    kaplan: fitted.kaplan,
    objective: fitted.objective,
    intervals: fitted.intervals,
    intervals_80: fitted.intervals80,
    hessian_intervals: fitted.hessianIntervals,
    standard_errors: fitted.standardErrors,
    exponents: { a: fitted.frontier.params.exponent, b: fitted.frontier.tokens.exponent },
    optimal: optimalRows(o.approach, used, fitted, range),
    hoffmann: fitted.hoffmann === null ? null : { ...HOFFMANN, ...fitted.hoffmann },
    without_embeddings: without,
    learning_rate: learningRate,
    batch,
    repeated,
    downstream,
    bits_per_byte_per_nat: bitsPerNat(runs),
    range,
    runs: used.length,
    excluded,
    ...{ bootstrap: o.bootstrap, seed: o.seed, warnings, law: null, report: null },
  };
  return { result, fitted, runs: used, law: lawFile(o, result, fitted) };
}

function dropHighest(runs: readonly ScalingRun[], count: number) {
  if (count === 0) return { runs, dropped: [] };
  const ranked = [...runs].sort((a, b) => b.loss - a.loss).slice(0, count);
  const out = new Set(ranked);
  return {
    runs: runs.filter((run) => !out.has(run)),
    dropped: ranked.map(({ run, loss }) => ({
      run,
      reason: `loss ${loss.toPrecision(4)} is one of the ${count} highest`,
    })),
  };
}

function requireRuns({ path }: RunTable, runs: readonly ScalingRun[], approach: CheckedFitOptions["approach"]): void {
  if (runs.length < FEWEST_RUNS) {
    throw new QuernError(
      `${path} has ${runs.length} usable runs, but a fit needs at least ${FEWEST_RUNS}; train more sizes and token counts`,
    );
  }
  const sizes = new Set(runs.map(({ params }) => params));
  if (sizes.size === 1) {
    throw new QuernError(
      `all ${runs.length} runs of ${path} have ${[...sizes][0]} params, which says nothing about size; add runs of at least two other sizes`,
    );
  }
  if (approach !== "parametric" && approach !== "kaplan") return;
  if (new Set(runs.map(({ tokens }) => tokens)).size === 1) {
    throw new QuernError(
      `all ${runs.length} runs of ${path} have ${runs[0].tokens} tokens, which says nothing about data; add runs with at least two other token counts`,
    );
  }
}

/** @throws QuernError if the best params or tokens do not grow with compute */
function requireGrowth(frontier: ScalingLaw["frontier"]): void {
  for (const [what, { exponent }] of Object.entries(frontier)) {
    if (exponent > 0) continue;
    throw new QuernError(
      `the best ${what} grow with compute to the power ${exponent.toPrecision(3)}, but it must be above 0; check that the columns are ` +
        "right, or add budgets, and sizes on both sides of each minimum",
    );
  }
}

/** The logarithms of runs; sizes with or without embeddings. */
export function pointsOf(runs: readonly ScalingRun[], size: "params" | "paramsWithoutEmbeddings"): LogPoints {
  return {
    logN: Float64Array.from(runs, (run) => Math.log(run[size] as number)),
    logD: Float64Array.from(runs, ({ tokens }) => Math.log(tokens)),
    logL: Float64Array.from(runs, ({ loss }) => Math.log(loss)),
  };
}

async function fitApproach(
  runs: readonly ScalingRun[],
  points: LogPoints,
  request: CheckedFitOptions & FitCall,
): Promise<FittedLaw> {
  switch (request.approach) {
    case "parametric":
      return parametricLaw(points, request);
    case "isoflop":
      return isoFlopLaw(runs, request);
    case "envelope":
      return envelopeLaw(runs, request);
    case "kaplan":
      return kaplanLaw(points, request);
    default:
      return request.approach satisfies never;
  }
}

/** The parametric fit over params without embeddings; null if they are unknown, or the exponents are not positive. */
async function fitWithoutEmbeddings(
  runs: readonly ScalingRun[],
  o: CheckedFitOptions,
  calls: FitCall,
): Promise<WithoutEmbeddings | null> {
  const isKnown = runs.every((run) => run.paramsWithoutEmbeddings !== null);
  if (!isKnown || o.approach !== "parametric") return null;
  try {
    const points = pointsOf(runs, "paramsWithoutEmbeddings");
    const { constants, objective, frontier } = await parametricLaw(points, { ...o, ...calls, bootstrap: 0 });
    if (constants === null) return null;
    const exponents = { a: frontier.params.exponent, b: frontier.tokens.exponent };
    return { ...constants, objective: objective as number, exponents };
  } catch (error) {
    if (error instanceof QuernError) return null;
    throw error;
  }
}

function rangeOf(runs: readonly ScalingRun[]): ScalingLaw["range"] {
  const of = (key: "params" | "tokens" | "flops" | "loss"): [number, number] => {
    const values = runs.map((run) => run[key]);
    return [Math.min(...values), Math.max(...values)];
  };
  return { params: of("params"), tokens: of("tokens"), flops: of("flops"), loss: of("loss") };
}

/** The median of bits per byte over nats per token, which one tokenizer and one held-out text determine. */
function bitsPerNat(runs: readonly ScalingRun[]): number | null {
  const ratios = runs.flatMap(({ bitsPerByte, loss }) => (bitsPerByte === null ? [] : [bitsPerByte / loss]));
  ratios.sort((a, b) => a - b);
  return ratios[Math.floor(ratios.length / 2)] ?? null;
}

const NAMED = 8;

function excludedWarning(excluded: readonly ExcludedRun[]): string[] {
  if (excluded.length === 0) return [];
  const named = excluded.slice(0, NAMED).map(({ run, reason }) => `${run} (${reason})`);
  return [`${excluded.length} runs are left out: ${named.join(", ")}${excluded.length > NAMED ? " …" : ""}`];
}

const rangeWarning = ({ flops: [low, high] }: ScalingLaw["range"]): string[] =>
  high < 10 * low
    ? [
        `the data do not determine the fit far: FLOPs span only a factor of ${(high / low).toFixed(1)}; add a budget ten times larger`,
      ]
    : [];

const edgeWarnings = (what: string, fit: TuningFit | null): string[] =>
  (fit?.points ?? [])
    .filter(({ isEdge }) => isEdge)
    .map(
      ({ flops, value }) =>
        `the best ${what} at ${flops.toExponential(1)} FLOPs is at the edge of those tried, ${value.toPrecision(2)}; try values beyond it`,
    );

/** Budgets beyond the data for which optima are shown: the next powers of ten. */
const BEYOND = 3;
/** More budgets than this are no isoFLOP grid. */
const MOST_BUDGETS = 12;

function optimalRows(
  approach: CheckedFitOptions["approach"],
  runs: readonly ScalingRun[],
  fitted: FittedLaw,
  range: ScalingLaw["range"],
): OptimalRow[] {
  if (approach === "isoflop") {
    return fitted.budgets.map(({ flops, parabola }, i) => {
      const params = Math.exp(parabola.vertex);
      const row = optimalRow(flops, fitted, range);
      const drawn = fitted.budgetDraws?.[i];
      const tokens = flops / (6 * params);
      const of = (value: (vertex: number, lowest: number) => number) =>
        drawn === undefined || drawn.length === 0
          ? null
          : intervalOf(
              drawn.map(({ vertex, lowest }) => value(vertex, lowest)),
              0.95,
            );
      return {
        ...row,
        ...{ params, tokens, tokens_per_param: tokens / params, loss: parabola.lowest },
        params_interval: of((vertex) => Math.exp(vertex)),
        tokens_interval: of((vertex) => flops / (6 * Math.exp(vertex))),
        tokens_per_param_interval: of((vertex) => flops / (6 * Math.exp(2 * vertex))),
        loss_interval: of((_, lowest) => lowest),
      };
    });
  }
  const [low, high] = range.flops;
  const budgets = budgetsOf(runs);
  const isGrid = budgets.length <= MOST_BUDGETS && budgets.every(({ runs: group }) => group.length >= 3);
  const powers = (from: number, to: number) =>
    Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => 10 ** (from + i));
  const first = Math.ceil(Math.log10(low));
  const last = Math.ceil(Math.log10(high) + 1e-9);
  const inside = isGrid ? budgets.map(({ flops }) => flops) : powers(first, last - 1);
  return [...inside, ...powers(last, last + BEYOND - 1)].map((flops) => optimalRow(flops, fitted, range));
}

const power = (fit: TuningFit | null) => fit && { coefficient: fit.coefficient, exponent: fit.exponent };

/** The content of `law.json`. */
function lawFile(o: CheckedFitOptions, result: FitResult, fitted: FittedLaw): ScalingLaw {
  const { A, B, E, alpha, beta, without_embeddings: without } = result;
  const law = {
    format: LAW_FORMAT,
    version,
    created: new Date().toISOString(),
    source: o.runs,
    approach: o.approach,
    counting: "all",
    ...{ A, B, E, alpha, beta, kaplan: fitted.kaplan, objective: result.objective, intervals: result.intervals },
    frontier: fitted.frontier,
    frontier_loss: fitted.frontierLoss,
    ...fitted.stored,
    residuals: fitted.residuals,
    range: result.range,
    runs: result.runs,
    excluded: result.excluded,
    bits_per_byte_per_nat: result.bits_per_byte_per_nat,
    learning_rate: power(result.learning_rate),
    batch: power(result.batch),
    downstream: result.downstream,
    repeated: result.repeated,
    without_embeddings: without && {
      ...{ A: without.A, B: without.B, E: without.E, alpha: without.alpha, beta: without.beta },
    },
    warnings: result.warnings,
  };
  const parsed = lawSchema.safeParse(law);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new QuernError(
    `the data do not determine the fit: ${path.join(".")} is beyond what a law can hold (${message}); add runs over a wider range of params and tokens`,
  );
}
