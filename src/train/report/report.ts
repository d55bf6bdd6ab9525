/**
 * @file The report of a run: one self-contained HTML page with its results, curves, samples and plan.
 */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import { parseJson, readJsonFile } from "../../json-file.js";
import {
  type Cell,
  CHART_SCRIPT,
  count,
  duration,
  figure,
  figures,
  folded,
  page,
  percent,
  plainNumber,
  properties,
  renderChart,
  section,
} from "../../pages/index.js";
import { checkLine, checkRecord, type MetricsLine, type RunRecord, type RunResult } from "../run/run-record.js";
import {
  continued,
  renderBitsPerByte,
  renderCalibration,
  renderFusion,
  renderLearning,
  renderPreview,
  renderReasons,
  renderRollouts,
  renderTimeShares,
  summarizeResult,
} from "./report-story.js";

export type { HeldOutResult, MetricsLine, RunRecord, RunResult, SourceResult } from "../run/run-record.js";

/**
 * Reads `run.json` and `metrics.jsonl` of a run folder and writes `report.html` next to them; returns its path.
 * @throws QuernError if the folder contains no run or a line is invalid
 */
export async function writeReport(runFolder: string): Promise<string> {
  const recordPath = join(runFolder, "run.json");
  const record = checkRecord(await readJsonFile(recordPath), recordPath);
  const metrics = parseMetrics(await readText(join(runFolder, "metrics.jsonl")), join(runFolder, "metrics.jsonl"));
  const path = join(runFolder, "report.html");
  await writeFileAtomic(path, renderReport(record, metrics, basename(resolve(runFolder))));
  return path;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

function parseMetrics(text: string, path: string): MetricsLine[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    // A run that was killed may have left its last line half-written.
    if (line.trim() === "" || (index === lines.length - 1 && !line.endsWith("}"))) return [];
    const where = `${path}, line ${index + 1},`;
    return [checkLine(parseJson(line, where), where)];
  });
}

/** Renders the page of a run as HTML. */
export function renderReport(record: RunRecord, metrics: readonly MetricsLine[], name: string): string {
  const steps = metrics.filter(({ loss }) => loss !== undefined);
  const validations = metrics.filter(({ validation_loss }) => validation_loss !== undefined);
  const made = [
    record.created?.slice(0, 16).replace("T", " "),
    record.version && `Quern ${record.version}`,
    record.git,
  ];
  return page({
    title: name,
    subtitle: made.filter(Boolean).join(" · "),
    conclusion: summarizeResult(record.result),
    sections: [
      renderFigures(record, steps, validations),
      renderBitsPerByte(record.result),
      renderSamples(record.result?.samples ?? []),
      renderCurves(steps, validations),
      renderTimeShares(record.result?.time_shares),
      renderCalibration(record.result),
      renderLearning(metrics),
      renderRollouts(metrics),
      renderData(record),
      renderPreview(record.preview ?? []),
      renderReasons(record.plan),
      renderFusion(record.result?.fusion),
      renderDetails(record),
    ],
    scripts: [CHART_SCRIPT],
  });
}

/** Renders the headline numbers. */
function renderFigures(record: RunRecord, steps: readonly MetricsLine[], validations: readonly MetricsLine[]): string {
  const last = steps.at(-1);
  const rate = median(steps.map(({ tokens_per_second }) => tokens_per_second));
  const share = median(steps.map(({ peak_share }) => peak_share));
  const items: [value: string | undefined, label: string][] = [
    [fixed(record.result?.bits_per_byte ?? validations.at(-1)?.bits_per_byte, 3), "bits per byte, held out"],
    [fixed(validations.at(-1)?.validation_loss, 3), "validation loss, nats per token"],
    [fixed(last?.loss, 3), "training loss, nats per token"],
    [last && plainNumber(last.step), "steps"],
    [last?.tokens === undefined ? undefined : plainNumber(last.tokens), "tokens"],
    [last?.seconds === undefined ? undefined : duration(last.seconds), "training time"],
    [rate === undefined ? undefined : count(rate), "tokens/s"],
    [share === undefined ? undefined : percent(share, 0), "of the measured peak"],
  ];
  return figures(items.flatMap(([value, label]) => (value === undefined ? [] : [figure(label, value)])));
}

function renderCurves(steps: readonly MetricsLine[], validations: readonly MetricsLine[]): string {
  const points = (lines: readonly MetricsLine[], key: keyof MetricsLine, factor = 1) =>
    lines.flatMap((line) => {
      const value = line[key];
      return typeof value === "number" ? [[line.step, value * factor] as const] : [];
    });
  const xLabel = "step";
  const charts = [
    renderChart({
      title: "Loss, nats per token",
      xLabel,
      format: (value) => value.toFixed(2),
      series: [
        { label: "training", color: "a", points: points(steps, "loss"), smooth: true },
        {
          label: "validation",
          color: "b",
          points: points(validations, "validation_loss"),
          marks: validations.length < 60,
        },
      ],
    }),
    renderChart({
      title: "Throughput, tokens/s",
      xLabel,
      fromZero: true,
      series: [{ label: "tokens/s", color: "a", points: points(steps, "tokens_per_second"), smooth: true }],
    }),
    renderChart({
      title: "Share of the measured peak, %",
      xLabel,
      fromZero: true,
      format: (value) => value.toFixed(0),
      series: [{ label: "%", color: "c", points: points(steps, "peak_share", 100), smooth: true }],
    }),
    renderChart({
      title: "Learning rate",
      xLabel,
      fromZero: true,
      series: [{ label: "rate", color: "a", points: points(steps, "learning_rate") }],
    }),
    renderChart({
      title: "Gradient norm, before clipping",
      xLabel,
      fromZero: true,
      series: [
        {
          ...{ label: "norm", color: "c", smooth: true },
          points: [...points(steps, "gradient_norm"), ...points(steps, "grad_norm")],
        },
      ],
    }),
    ...renderMetrics(steps, validations),
  ].filter((chart) => chart !== "");
  return charts.length === 0 ? "" : section("Training", `<div class="columns">${charts.join("")}</div>`);
}

/** Titles of metrics of algorithms other than pretraining; a metric not listed is titled by its name. */
const METRIC_TITLES: Readonly<Record<string, string>> = {
  token_accuracy: "Tokens that greedy decoding gets right",
  entropy: "Entropy, nats per token",
  reward: "Mean reward",
  reward_std: "Standard deviation of the reward",
  margin: "Reward of the better answer above the other's",
  accuracy: "Pairs that are ranked right",
  kl: "KL divergence from the reference (k3), nats per token",
  kl_k1: "KL divergence from the reference (k1), nats per token",
  clip_fraction: "Share of the tokens whose ratio is clipped",
  ratio_max: "Largest probability ratio",
  explained_variance: "Variance of the returns that the value model explains",
  completion_length: "Mean length of a completion, tokens",
  truncated: "Share of the completions that hit the token limit",
  equal_groups: "Share of the groups with equal rewards, which teach nothing",
};

/** Numbers of a line that have charts of their own, or are no curves. */
const CHARTED = new Set([
  ...["step", "loss", "learning_rate", "gradient_norm", "grad_norm", "tokens", "tokens_per_second", "peak_share"],
  ...["seconds", "validation_loss", "perplexity", "bits_per_byte", "rollout_seconds", "scoring_seconds"],
]);

/** A chart of each further metric, with its values on held-out data. */
function renderMetrics(steps: readonly MetricsLine[], validations: readonly MetricsLine[]): string[] {
  const isNumber = (entry: [string, unknown]): entry is [string, number] => typeof entry[1] === "number";
  const numbers = (line: MetricsLine) => Object.entries(line).filter(isNumber);
  const names = new Set(
    steps.flatMap((line) => numbers(line).map(([name]) => name)).filter((name) => !CHARTED.has(name)),
  );
  const points = (lines: readonly MetricsLine[], key: string) =>
    lines.flatMap((line) =>
      numbers(line).flatMap(([name, value]) => (name === key ? [[line.step, value] as const] : [])),
    );
  return [...names].slice(0, MAX_METRICS).map((name) =>
    renderChart({
      title: METRIC_TITLES[name] ?? name.replaceAll("_", " "),
      xLabel: "step",
      format: (value) => String(Number(value.toPrecision(3))),
      series: [
        { label: "training", color: "a", points: points(steps, name), smooth: true },
        {
          ...{ label: "held out", color: "b", marks: validations.length < 60 },
          points: points(validations, `validation_${name}`),
        },
      ],
    }),
  );
}

/** A file may come from anyone: the page stays readable. */
const MAX_METRICS = 40;

function renderSamples(samples: NonNullable<RunResult["samples"]>): string {
  const side = (label: string, prompt: string, text: string | undefined) =>
    text === undefined
      ? ""
      : `<div><h3>${label}</h3><p class="sample" tabindex="0">${continued(prompt, text)}</p></div>`;
  const rows = samples.map(
    ({ prompt, before, after }) =>
      `<div class="pair">${side("before training", prompt, before)}${side("after", prompt, after)}</div>`,
  );
  return section("Samples", ...rows);
}

/** Renders what the run read and skipped. */
function renderData({ read, skipped, data }: RunRecord): string {
  if (read === undefined) return "";
  const rows: [string, Cell][] = [
    ...Object.entries(read).map(([name, value]): [string, Cell] => [`${name} read`, count(value)]),
    ...Object.entries(data ?? {}).map(([name, value]): [string, Cell] => [name.replaceAll("_", " "), shown(value)]),
    ...Object.entries(skipped ?? {}).map(([reason, value]): [string, Cell] => [`skipped: ${reason}`, count(value)]),
  ];
  return section("Data", properties("What was read and skipped", rows));
}

function renderDetails(record: RunRecord): string {
  const part = (title: string, values: Readonly<Record<string, unknown>> | undefined) => {
    const rows = flatten(values ?? {});
    return rows.length === 0 ? "" : folded(`${title} (${rows.length})`, properties(title, rows));
  };
  return section(
    "Settings",
    part("Configuration", { ...record.config, ...(record.seed === undefined ? {} : { seed: record.seed }) }),
    part("Plan", withoutReasons(record.plan)),
    part("Machine", typeof record.machine === "string" ? { machine: record.machine } : record.machine),
  );
}

/** Leaves out the reasons, which have their own section. */
function withoutReasons(plan: RunRecord["plan"]): RunRecord["plan"] {
  return plan === undefined ? undefined : Object.fromEntries(Object.entries(plan).filter(([key]) => key !== "reasons"));
}

/** Flattens nested objects to rows such as `model.layers`; a list becomes one row. */
function flatten(values: Readonly<Record<string, unknown>>, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return [[prefix + key, value.map((each) => shown(each)).join(", ")]];
    if (typeof value === "object") return flatten(value as Record<string, unknown>, `${prefix}${key}.`);
    return [[prefix + key, shown(value)]];
  });
}

function shown(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(6)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  return known.sort((a, b) => a - b)[Math.floor(known.length / 2)];
}

function fixed(value: number | undefined, digits: number): string | undefined {
  return typeof value === "number" ? value.toFixed(digits) : undefined;
}
