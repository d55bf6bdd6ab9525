/** @file The page of a fit: the law, the isoFLOP picture, residuals, the frontier with the runs on it, predictions with bands. */
import {
  figure,
  figures,
  type LogSeries,
  page,
  paragraph,
  renderLogChart,
  section,
  shortNumber,
  table,
} from "../../pages/index.js";
import { kaplanLoss, parametricLoss, powerAt } from "../../train/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import type { FittedLaw } from "./approaches.js";
import { accuracyAt } from "./downstream.js";
import { type FitResult, optimalRow } from "./fit-result.js";
import type { Interval } from "./uncertainty.js";

const COLORS = ["a", "b", "c", "d"] as const;
/** Budgets drawn in the isoFLOP picture. */
const DRAWN_BUDGETS = 7;
/** Runs within this factor of a drawn budget are shown with it. */
const NEAR = 1.3;

const digits = (value: number) => (value >= 1e5 ? shortNumber(value) : Number(value.toPrecision(4)).toString());
const between = (interval: Interval | null | undefined) =>
  interval ? `${digits(interval[0])} to ${digits(interval[1])}` : "";

/** Returns the HTML document. */
export function lawReport(result: FitResult, fitted: FittedLaw, runs: readonly ScalingRun[]): string {
  const { approach, range, optimal, warnings, exponents } = result;
  const largest = optimal.filter(({ extrapolated }) => !extrapolated).at(-1) ?? optimal[0];
  return page({
    title: "Scaling law",
    subtitle: `${approach} fit of ${result.runs} runs, ${shortNumber(range.flops[0])} to ${shortNumber(range.flops[1])} FLOPs`,
    conclusion:
      `With ${shortNumber(largest.flops)} FLOPs, ${shortNumber(largest.params)} params and ${shortNumber(largest.tokens)} tokens are best ` +
      `(${digits(largest.tokens_per_param)} tokens per parameter): a loss of ${largest.loss.toFixed(3)} nats per token.`,
    sections: [
      figures([
        figure("runs", String(result.runs), result.excluded.length === 0 ? "" : `${result.excluded.length} left out`),
        figure("params grow with compute to the power", exponents.a.toFixed(3), between(result.intervals?.a)),
        figure("tokens grow with compute to the power", exponents.b.toFixed(3), between(result.intervals?.b)),
        ...(result.objective === null ? [] : [figure("objective", result.objective.toPrecision(6))]),
      ]),
      ...warnings.map((warning) => paragraph(warning, "warning")),
      section("The law", constantsTable(result), hoffmannLine(result)),
      section(
        "Loss over size at equal compute",
        paragraph("Dots are runs near a budget, lines the fit, crosses its minima.", "small"),
        isoFlopPicture(result, fitted, runs),
      ),
      section(
        "Residuals",
        paragraph("log loss − log prediction; a trend shows that the form is wrong there.", "small"),
        residualCharts(fitted, runs),
      ),
      section(
        "The frontier",
        paragraph("The best size and token count for a budget, with 95 % bands, and the runs.", "small"),
        frontierCharts(result, fitted, runs),
      ),
      section("Predictions", predictionTable(result)),
      section("Learning rate and batch", tuningCharts(result, runs)),
      section("Accuracy over loss", downstreamChart(result, runs)),
      section("Repeated data", repeatedLine(result)),
      section("Data", dataTable(result)),
      section("Left out", excludedTable(result)),
    ],
  });
}

function constantsTable(result: FitResult): string {
  const { kaplan, without_embeddings: without } = result;
  const rows: [name: string, value: number | null, other: number | null][] = [
    ...(["A", "B", "E", "alpha", "beta"] as const).map(
      (key) => [key, result[key], without?.[key] ?? null] as [string, number | null, number | null],
    ),
    ...Object.entries(kaplan ?? {}).map(([key, value]) => [key, value, null] as [string, number, null]),
    ["a", result.exponents.a, without?.exponents.a ?? null],
    ["b", result.exponents.b, without?.exponents.b ?? null],
  ];
  return table({
    label: "Constants of the law",
    columns: [
      { name: "constant", kind: "text" },
      { name: "value" },
      { name: "95 % interval (bootstrap)" },
      { name: "standard error" },
      { name: "95 % interval (Hessian)" },
      { name: "without embeddings" },
    ],
    rows: rows
      .filter(([, value]) => value !== null)
      .map(([name, value, other]) => [
        name,
        digits(value as number),
        between(result.intervals?.[name]),
        result.standard_errors?.[name] === undefined ? "" : digits(result.standard_errors[name]),
        between(result.hessian_intervals?.[name]),
        other === null ? "" : digits(other),
      ]),
  });
}

function hoffmannLine({ hoffmann }: FitResult): string {
  if (hoffmann === null) return "";
  const p = hoffmann.p < 1e-300 ? "below 1e-300" : hoffmann.p.toExponential(1);
  return paragraph(
    `The constants that Hoffmann et al. published (A ${hoffmann.A}, B ${hoffmann.B}, E ${hoffmann.E}, α ${hoffmann.alpha}, β ${hoffmann.beta}) are ` +
      `${hoffmann.rejected ? "rejected for" : "consistent with"} these runs (χ² ${hoffmann.statistic.toFixed(1)}, 5 degrees of freedom, p ${p}).`,
    "small",
  );
}

/** L(N) at C FLOPs; null where the form does not say. */
function curveOf(result: FitResult, fitted: FittedLaw, flops: number): ((params: number) => number) | null {
  const { constants, kaplan, budgets } = fitted;
  if (constants !== null) return (params) => parametricLoss(constants, params, flops / (6 * params));
  if (kaplan !== null) return (params) => kaplanLoss(kaplan, params, flops / (6 * params));
  const budget = budgets.find((each) => each.flops === flops);
  if (result.approach !== "isoflop" || budget === undefined) return null;
  const { vertex, lowest, curvature } = budget.parabola;
  return (params) => lowest + curvature * (Math.log(params) - vertex) ** 2;
}

function isoFlopPicture(result: FitResult, fitted: FittedLaw, runs: readonly ScalingRun[]): string {
  const inside = result.optimal.filter(({ extrapolated }) => !extrapolated);
  const stride = Math.max(1, Math.ceil(inside.length / DRAWN_BUDGETS));
  const shown = inside.filter((_, i) => i % stride === 0);
  const series = shown.flatMap(({ flops, params, loss }, i): LogSeries[] => {
    const color = COLORS[i % COLORS.length];
    const label = `${shortNumber(flops)} FLOPs`;
    const near = runs.filter((run) => run.flops < flops * NEAR && run.flops > flops / NEAR);
    const curve = curveOf(result, fitted, flops);
    const sizes = [params, ...near.map((run) => run.params)];
    const [low, high] = [Math.min(...sizes) / 1.5, Math.max(...sizes) * 1.5];
    const line = Array.from({ length: 41 }, (_, k) => low * (high / low) ** (k / 40));
    return [
      { label, color, kind: "points", points: near.map((run) => [run.params, run.loss] as const), unnamed: true },
      ...(curve === null
        ? []
        : [
            {
              ...{ label: `${label}, fit`, color, unnamed: true, note: shortNumber(flops) },
              kind: "line" as const,
              points: line.map((x) => [x, curve(x)] as const),
            },
          ]),
      { label: `${label}, optimum`, color, kind: "cross", points: [[params, loss]], unnamed: true },
    ];
  });
  return renderLogChart({ title: "IsoFLOP curves", series, xLabel: "params", yLabel: "loss, nats per token" });
}

function residualCharts({ residuals }: FittedLaw, runs: readonly ScalingRun[]): string {
  if (residuals.length !== runs.length) return "";
  const chart = (title: string, key: "params" | "tokens", color: LogSeries["color"]) =>
    renderLogChart({
      ...{ title, xLabel: key, yLabel: "log residual", zeroLine: true },
      series: [
        { label: "runs", color, kind: "points", points: runs.map((run, i) => [run[key], residuals[i]] as const) },
      ],
    });
  return `<div class="columns">${chart("Residuals over size", "params", "a")}${chart("Residuals over tokens", "tokens", "c")}</div>`;
}

function frontierCharts(result: FitResult, fitted: FittedLaw, runs: readonly ScalingRun[]): string {
  const { range } = result;
  const [low, high] = [range.flops[0], range.flops[1] * 100];
  const rows = Array.from({ length: 31 }, (_, i) => optimalRow(low * (high / low) ** (i / 30), fitted, range));
  const chart = (
    title: string,
    yLabel: string,
    color: LogSeries["color"],
    of: (row: (typeof rows)[number]) => number,
    band: (row: (typeof rows)[number]) => Interval | null,
    run: ((run: ScalingRun) => number) | null,
    logY: boolean,
  ) =>
    renderLogChart({
      ...{ title, yLabel, xLabel: "training FLOPs", logY, extrapolatedFrom: range.flops[1] },
      series: [
        ...(run === null
          ? []
          : [
              {
                ...{ label: "runs", color: "b" as const, kind: "points" as const },
                points: runs.map((each) => [each.flops, run(each)] as const),
              },
            ]),
        { label: "optimum", color, kind: "line", points: rows.map((row) => [row.flops, of(row)] as const) },
        ...(fitted.budgets.length === 0 || title !== "Params"
          ? []
          : [
              {
                ...{ label: "minima", color: "c" as const, kind: "cross" as const },
                points: fitted.budgets.map(({ flops, parabola }) => [flops, Math.exp(parabola.vertex)] as const),
              },
            ]),
      ],
      bands: [
        {
          ...{ label: "95 %", color },
          points: rows.flatMap((row) => {
            const interval = band(row);
            return interval === null ? [] : [[row.flops, ...interval] as const];
          }),
        },
      ],
    });
  const charts = [
    chart(
      "Params",
      "params",
      "a",
      (row) => row.params,
      (row) => row.params_interval,
      (run) => run.params,
      true,
    ),
    chart(
      "Tokens",
      "tokens",
      "a",
      (row) => row.tokens,
      (row) => row.tokens_interval,
      (run) => run.tokens,
      true,
    ),
    chart(
      "Tokens per parameter",
      "tokens / params",
      "d",
      (row) => row.tokens_per_param,
      (row) => row.tokens_per_param_interval,
      null,
      true,
    ),
    chart(
      "Loss",
      "nats per token",
      "a",
      (row) => row.loss,
      (row) => row.loss_interval,
      (run) => run.loss,
      false,
    ),
  ];
  // Two by two: the columns of one row of four would be too narrow to read.
  return [charts.slice(0, 2), charts.slice(2)].map((two) => `<div class="columns">${two.join("\n")}</div>`).join("\n");
}

function predictionTable({ optimal, bits_per_byte_per_nat: bits }: FitResult): string {
  return table({
    label: "Optimal size, tokens and loss by budget",
    columns: [
      { name: "FLOPs", kind: "text" },
      { name: "params" },
      { name: "95 %" },
      { name: "tokens" },
      { name: "95 %" },
      { name: "tokens per param" },
      { name: "95 %" },
      { name: "loss" },
      { name: "95 %" },
      { name: "bits per byte" },
      { name: "", kind: "text" },
    ],
    rows: optimal.map((row) => [
      shortNumber(row.flops),
      digits(row.params),
      between(row.params_interval),
      digits(row.tokens),
      between(row.tokens_interval),
      digits(row.tokens_per_param),
      between(row.tokens_per_param_interval),
      row.loss.toFixed(4),
      between(row.loss_interval),
      bits === null ? "" : (bits * row.loss).toFixed(3),
      row.extrapolated ? "extrapolated" : "",
    ]),
  });
}

function tuningCharts({ learning_rate, batch }: FitResult, runs: readonly ScalingRun[]): string {
  const charts = (
    [
      ["Learning rate", "peak learning rate", "learningRate", learning_rate],
      ["Batch", "tokens per step", "batch", batch],
    ] as const
  ).map(([title, yLabel, key, fit]) => {
    if (fit === null) return "";
    const flops = fit.points.map((point) => point.flops);
    const ends = [Math.min(...flops), Math.max(...flops) * 10];
    return renderLogChart({
      ...{ title, yLabel, xLabel: "training FLOPs", logY: true, extrapolatedFrom: Math.max(...flops) },
      series: [
        {
          ...{ label: "runs", color: "b", kind: "points" },
          points: runs.flatMap((run) => (run[key] === null ? [] : [[run.flops, run[key]] as const])),
        },
        { label: "best", color: "a", kind: "cross", points: fit.points.map((point) => [point.flops, point.value]) },
        { label: "fit", color: "a", kind: "line", points: ends.map((x) => [x, powerAt(fit, x)] as const) },
      ],
    });
  });
  return charts.every((chart) => chart === "") ? "" : `<div class="columns">${charts.join("\n")}</div>`;
}

function downstreamChart({ downstream }: FitResult, runs: readonly ScalingRun[]): string {
  if (downstream === null) return "";
  const points = runs.flatMap(({ loss, accuracy }) => (accuracy === null ? [] : [[loss, accuracy] as const]));
  const losses = points.map(([loss]) => loss);
  const [low, high] = [Math.min(...losses) * 0.9, Math.max(...losses)];
  return renderLogChart({
    ...{
      title: downstream.task === null ? "Accuracy" : `Accuracy of ${downstream.task}`,
      xLabel: "loss, nats per token",
      yLabel: "accuracy",
    },
    series: [
      { label: "runs", color: "b", kind: "points", points },
      {
        ...{ label: "sigmoid", color: "a", kind: "line" },
        points: Array.from({ length: 41 }, (_, i) => {
          const loss = low * (high / low) ** (i / 40);
          return [loss, accuracyAt(downstream, loss)] as const;
        }),
      },
    ],
  });
}

function repeatedLine({ repeated }: FitResult): string {
  if (repeated === null) return "";
  const size = repeated.R_N === null ? "" : ` and of excess params after ${repeated.R_N.toFixed(1)}`;
  return paragraph(
    `${repeated.runs} runs repeat their data, up to ${repeated.most_epochs.toFixed(1)} epochs. The value of a repetition decays to 1/e after ` +
      `${repeated.R_D.toFixed(1)} repetitions${size} (Muennighoff et al. found 15.4 and 5.3).`,
  );
}

function dataTable({ range }: FitResult): string {
  return table({
    label: "Range of the data",
    columns: [{ name: "", kind: "text" }, { name: "smallest" }, { name: "largest" }],
    rows: Object.entries(range).map(([name, [low, high]]) => [name, digits(low), digits(high)]),
  });
}

function excludedTable({ excluded }: FitResult): string {
  return table({
    label: "Runs left out",
    columns: [
      { name: "run", kind: "text" },
      { name: "reason", kind: "text" },
    ],
    rows: excluded.map(({ run, reason }) => [run, reason]),
  });
}
