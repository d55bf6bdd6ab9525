/**
 * @file A run as one page that a person reads: how far it came, its curves, its samples, what it was made of. The page
 * is a single file; it asks for nothing from anywhere.
 */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import { parseJson, readJsonFile } from "../../json-file.js";
import { checkLine, checkRecord, type MetricsLine, type RunRecord, type RunResult } from "../run/run-record.js";
import { CHART_SCRIPT, escapeHtml, plainNumber, renderChart } from "./chart.js";
import {
  printable,
  renderFusion,
  renderLearning,
  renderReasons,
  renderVerdict,
  STORY_STYLE,
  whole,
} from "./report-story.js";

export type { MetricsLine, RunRecord, RunResult, SourceVerdict, Verdict } from "../run/run-record.js";

/**
 * Reads `run.json` and `metrics.jsonl` of a run folder and writes `report.html` beside them; gives its path. Throws a
 * `QuernError` when the folder holds no run or a line cannot be read.
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

/** The page of a run, as HTML. */
export function renderReport(record: RunRecord, metrics: readonly MetricsLine[], name: string): string {
  const steps = metrics.filter(({ loss }) => loss !== undefined);
  const validations = metrics.filter(({ validation_loss }) => validation_loss !== undefined);
  const sections = [
    renderFigures(record, steps, validations),
    renderVerdict(record.result),
    renderSamples(record.result?.samples ?? []),
    renderCurves(steps, validations),
    renderLearning(metrics),
    renderReasons(record.plan),
    renderFusion(record.result?.fusion),
    renderDetails(record),
  ];
  const made = [
    record.created?.slice(0, 16).replace("T", " "),
    record.version && `Quern ${record.version}`,
    record.git,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(name)} · Quern run</title>
<style>${STYLE}${STORY_STYLE}</style>
</head>
<body>
<header><h1>${escapeHtml(name)}</h1><p>${made
    .filter(Boolean)
    .map((part) => escapeHtml(String(part)))
    .join(" · ")}</p></header>
${sections.filter((section) => section !== "").join("\n")}
<script>${CHART_SCRIPT}</script>
</body>
</html>
`;
}

/** The few numbers that one looks for first. */
function renderFigures(record: RunRecord, steps: readonly MetricsLine[], validations: readonly MetricsLine[]): string {
  const last = steps.at(-1);
  const figures: [value: string | undefined, label: string][] = [
    [fixed(record.result?.bits_per_byte ?? validations.at(-1)?.bits_per_byte, 3), "bits per byte, held out"],
    [fixed(validations.at(-1)?.validation_loss, 3), "validation loss, nats a token"],
    [fixed(last?.loss, 3), "training loss, nats a token"],
    [last && plainNumber(last.step), "steps"],
    [last?.tokens === undefined ? undefined : plainNumber(last.tokens), "tokens"],
    [last?.seconds === undefined ? undefined : minutes(last.seconds), "training time"],
    [whole(median(steps.map(({ tokens_per_second }) => tokens_per_second))), "tokens a second"],
    [percent(median(steps.map(({ peak_share }) => peak_share))), "of the measured peak"],
  ];
  const shown = figures.filter(([value]) => value !== undefined);
  if (shown.length === 0) return "";
  return `<section class="figures">${shown
    .map(([value, label]) => `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`)
    .join("")}</section>`;
}

function renderCurves(steps: readonly MetricsLine[], validations: readonly MetricsLine[]): string {
  const points = (lines: readonly MetricsLine[], key: keyof MetricsLine, factor = 1) =>
    lines.flatMap((line) => {
      const value = line[key];
      return typeof value === "number" ? [[line.step, value * factor] as const] : [];
    });
  const small = { width: 420, height: 240, xLabel: "step" };
  const loss = renderChart({
    title: "Loss, nats a token",
    xLabel: "step",
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
  });
  const others = [
    renderChart({
      ...small,
      title: "Tokens a second",
      fromZero: true,
      series: [{ label: "tokens/s", color: "a", points: points(steps, "tokens_per_second"), smooth: true }],
    }),
    renderChart({
      ...small,
      title: "Share of the measured peak, %",
      fromZero: true,
      format: (value) => value.toFixed(0),
      series: [{ label: "%", color: "c", points: points(steps, "peak_share", 100), smooth: true }],
    }),
    renderChart({
      ...small,
      title: "Learning rate",
      fromZero: true,
      series: [{ label: "rate", color: "a", points: points(steps, "learning_rate") }],
    }),
    renderChart({
      ...small,
      title: "Norm of the gradient, before clipping",
      fromZero: true,
      series: [{ label: "norm", color: "c", points: points(steps, "gradient_norm"), smooth: true }],
    }),
  ].filter((chart) => chart !== "");
  if (loss === "" && others.length === 0) return "";
  return `<section><h2>Training</h2>${loss}<div class="pair">${others.join("")}</div></section>`;
}

function renderSamples(samples: NonNullable<RunResult["samples"]>): string {
  if (samples.length === 0) return "";
  const side = (label: string, prompt: string, text: string | undefined) =>
    text === undefined
      ? ""
      : `<div><h3>${label}</h3><p class="sample"><b>${escapeHtml(prompt)}</b>${escapeHtml(printable(text))}</p></div>`;
  const rows = samples.map(
    ({ prompt, before, after }) =>
      `<div class="pair">${side("before training", prompt, before)}${side("after", prompt, after)}</div>`,
  );
  return `<section><h2>Samples</h2>${rows.join("")}</section>`;
}

function renderDetails(record: RunRecord): string {
  const tables = [
    renderTable("Configuration", { ...record.config, ...(record.seed === undefined ? {} : { seed: record.seed }) }),
    renderTable("Text", record.read === undefined ? {} : { read: record.read, skipped: record.skipped ?? {} }),
    renderTable("Plan", withoutReasons(record.plan)),
    renderTable("Machine", typeof record.machine === "string" ? { machine: record.machine } : record.machine),
  ].filter((table) => table !== "");
  return tables.length === 0 ? "" : `<section class="details">${tables.join("")}</section>`;
}

/** They have a section of their own. */
function withoutReasons(plan: RunRecord["plan"]): RunRecord["plan"] {
  return plan === undefined ? undefined : Object.fromEntries(Object.entries(plan).filter(([key]) => key !== "reasons"));
}

function renderTable(title: string, values: Readonly<Record<string, unknown>> | undefined): string {
  const rows = flatten(values ?? {}).map(
    ([key, value]) => `<tr><th>${escapeHtml(key)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return rows.length === 0 ? "" : `<div><h2>${escapeHtml(title)}</h2><table>${rows.join("")}</table></div>`;
}

/** Nested objects as rows `model.layers`; lists of plain values in one row. */
function flatten(values: Readonly<Record<string, unknown>>, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return [[prefix + key, value.map((each) => shown(each)).join(", ")]];
    if (typeof value === "object") return flatten(value as Record<string, unknown>, `${prefix}${key}.`);
    return [[prefix + key, shown(value)]];
  });
}

function shown(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? whole(value) : String(Number(value.toPrecision(6)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** An untrained model says control characters too, which a page would swallow. */
function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  return known.sort((a, b) => a - b)[Math.floor(known.length / 2)];
}

function fixed(value: number | undefined, digits: number): string | undefined {
  return typeof value === "number" ? value.toFixed(digits) : undefined;
}

function percent(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${Math.round(100 * value)} %`;
}

function minutes(seconds: number): string {
  const rounded = Math.round(seconds);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
  return `${Math.floor(rounded / 3600)} h ${Math.floor((rounded % 3600) / 60)} min`;
}

const STYLE = `
:root { color-scheme: light dark; --paper: #fdfcfa; --ink: #1f2328; --soft: #626b76; --rule: #e3e0da; --panel: #f5f3ee;
  --a: #2563c9; --b: #c2570c; --c: #0f7f6c; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e7e5e0; --soft: #9aa2ad; --rule: #30343b;
  --panel: #1e2127; --a: #79aaf5; --b: #f0a060; --c: #56c4ad; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
header p { margin: .2rem 0 0; color: var(--soft); }
section { margin-top: 2.4rem; }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0 0 .3rem; font-size: .8rem; font-weight: 600; color: var(--soft); }
p { margin: 0 0 .8rem; max-width: 46rem; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; background: var(--rule);
  border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
@media (max-width: 40rem) { .figures { grid-template-columns: repeat(2, 1fr); } }
.figures div { background: var(--panel); padding: .8rem 1rem; }
.figures b { display: block; font-size: 1.45rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: .82rem; }
.bars { width: 100%; max-width: 46rem; border-collapse: collapse; }
.bars th { width: 7rem; text-align: left; font-weight: 500; padding: .25rem 0; }
.bar { height: 1.25rem; border-radius: 4px; background: var(--soft); opacity: .45; }
.bar.own { background: var(--a); opacity: 1; }
.number { width: 4.5rem; text-align: right; font-variant-numeric: tabular-nums; }
.chart { position: relative; margin: 0 0 1.2rem; }
figcaption { display: flex; gap: 1rem; align-items: baseline; font-size: .9rem; margin-bottom: .2rem; }
figcaption b { font-weight: 600; }
.key { color: var(--soft); } .key::before { content: ""; display: inline-block; width: 1rem; height: .2rem; margin-right: .4rem;
  vertical-align: middle; border-radius: 2px; background: currentcolor; }
.key.a::before { background: var(--a); } .key.b::before { background: var(--b); } .key.c::before { background: var(--c); }
svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); } .pointer { stroke: var(--soft); stroke-dasharray: 3 3; }
.tick, .label { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.faint { stroke-width: 1; opacity: .28; }
.line.a { stroke: var(--a); } .line.b { stroke: var(--b); } .line.c { stroke: var(--c); }
.mark.a { fill: var(--a); } .mark.b { fill: var(--b); } .mark.c { fill: var(--c); }
output { position: absolute; right: .8rem; top: 0; padding: .1rem .6rem; border-radius: 6px; background: var(--panel);
  border: 1px solid var(--rule); font-size: .82rem; font-variant-numeric: tabular-nums; white-space: pre; opacity: 0; pointer-events: none; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: .6rem 1.6rem; }
.sample { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 1.2rem; padding: .8rem 1rem; background: var(--panel);
  border: 1px solid var(--rule); border-radius: 10px; font-family: ui-serif, Georgia, serif; }
.details { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.6rem 2.4rem; }
.details table { width: 100%; border-collapse: collapse; font-size: .86rem; }
.details th, .details td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-top: 1px solid var(--rule);
  overflow-wrap: anywhere; }
.details th { font-weight: 500; color: var(--soft); width: 1%; white-space: nowrap; }
.details td { font-variant-numeric: tabular-nums; }
`;
