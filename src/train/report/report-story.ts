/** @file Sections of a run's report: bits per byte, samples during training, the reasons of the plan, fusion. */
import {
  type Bar,
  bars,
  count,
  escapeHtml,
  markedHtml,
  numbersBehind,
  paragraph,
  percent,
  plainNumber,
  renderChart,
  section,
  size,
  table,
  textHtml,
} from "../../pages/index.js";
import type { HeldOutResult, MetricsLine, RunRecord, RunResult } from "../run/run-record.js";
import type { FusionSavings } from "./fusion.js";

const BASELINES = [
  ["5-gram", "ngram_bits_per_byte"],
  ["xz -9e", "xz_bits_per_byte"],
  ["brotli", "brotli_bits_per_byte"],
  ["gzip -9", "gzip_bits_per_byte"],
] as const;

/** Returns one sentence on which baselines the model beats; empty without a result. */
export function summarizeResult(result: RunResult | undefined): string {
  const own = result?.bits_per_byte;
  if (result === undefined || own === undefined) return "";
  const known = BASELINES.flatMap(([name, key]) => {
    const value = result[key];
    return typeof value === "number" ? [{ name, value }] : [];
  });
  const list = (names: readonly string[]) =>
    names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  const worse = known.filter(({ value }) => value <= own).map(({ name }) => name);
  const better = known.filter(({ value }) => value > own).map(({ name }) => name);
  const score = `${own.toFixed(3)} bits per byte on held-out text`;
  if (known.length === 0) return `${score}.`;
  if (worse.length === 0) return `${score}: better than ${list(better)}.`;
  if (better.length > 0) return `${score}: better than ${list(better)}, worse than ${list(worse)}.`;
  const tokens = result.ngram_training_tokens;
  const why = tokens !== undefined && tokens < 1e6 ? ": the training text is too small" : ": it needs longer training";
  return `${score}: worse than ${list(worse)}${why}.`;
}

/** Renders bits per byte of the model, compressors and an n-gram model, in total and by source. */
export function renderBitsPerByte(result: RunResult | undefined): string {
  if (result?.bits_per_byte === undefined) return "";
  const bytes = result.heldout_bytes;
  const on = bytes === undefined ? "" : ` of ${count(bytes)} held-out bytes`;
  const tokens = result.ngram_training_tokens;
  const ngram =
    result.ngram_bits_per_byte === undefined
      ? ""
      : ` The 5-gram model (modified Kneser–Ney) learned from the same tokens${tokens === undefined ? "" : ` (${count(tokens)})`}.`;
  const sources = (result.sources ?? []).map(
    (each) =>
      `<div><h3>${escapeHtml(each.source)}, ${plainNumber(each.heldout_bytes ?? 0)} bytes</h3>${comparison(each)}</div>`,
  );
  return section(
    "Bits per byte",
    paragraph(`Bits per byte${on}; lower is better.${ngram}`),
    comparison(result),
    sources.length === 0 ? "" : `<div class="columns">${sources.join("")}</div>`,
  );
}

/** Renders sorted bars, the best first and marked. */
function comparison(result: HeldOutResult): string {
  const rows = [["this model", "bits_per_byte"] as const, ...BASELINES]
    .flatMap(([name, key]) => {
      const value = result[key];
      return typeof value === "number" ? [{ name, value, own: key === "bits_per_byte" }] : [];
    })
    .sort((a, b) => a.value - b.value);
  const most = Math.max(...rows.map(({ value }) => value));
  const items = rows.map(
    ({ name, value, own }, i): Bar => ({
      name,
      value,
      shown: `${value.toFixed(3)}${i === 0 && rows.length > 1 ? " best" : ""}`,
      kind: own ? "own" : i === 0 ? "best" : "other",
    }),
  );
  return bars(items, most);
}

/** Renders continuations of the same prompt at several steps of training. */
export function renderLearning(metrics: readonly MetricsLine[]): string {
  const rows = metrics.flatMap(({ step, samples }) =>
    (samples ?? []).map(({ prompt, text }) => [`step ${count(step)}`, { html: continued(prompt, text) }]),
  );
  const columns = [
    { name: "", kind: "text" as const },
    { name: "", kind: "text" as const },
  ];
  return section(
    "While it learned",
    table({ label: "Samples by step", columns, rows }).replace(/<thead>.*?<\/thead>/, ""),
  );
}

/** Renders completions of the policy with their rewards: a column for each evaluation, a row for each prompt. */
export function renderRollouts(metrics: readonly MetricsLine[]): string {
  const lines = metrics.filter(({ rollouts = [] }) => rollouts.length > 0);
  const shown = lines.length <= MAX_ROLLOUT_COLUMNS ? lines : [lines[0], ...lines.slice(1 - MAX_ROLLOUT_COLUMNS)];
  const prompts = [...new Set(shown.flatMap(({ rollouts = [] }) => rollouts.map(({ prompt }) => prompt)))];
  const columns = [
    { name: "prompt", kind: "text" as const },
    ...shown.flatMap(({ step }) => [
      { name: `step ${count(step)}`, kind: "text" as const },
      { name: "reward", kind: "number" as const },
    ]),
  ];
  const rows = prompts.map((prompt) => [
    { html: `<span class="prompt">${textHtml(prompt)}</span>` },
    ...shown.flatMap(({ rollouts = [] }) => {
      const own = rollouts.find((rollout) => rollout.prompt === prompt);
      return own === undefined ? ["", ""] : [{ html: textHtml(own.text) }, String(Number(own.reward.toPrecision(3)))];
    }),
  ]);
  return section("Completions and their rewards", table({ label: "Completions and their rewards", columns, rows }));
}

const MAX_ROLLOUT_COLUMNS = 4;

/** Renders a shaded prompt and its continuation. */
export const continued = (prompt: string, text: string) =>
  `<span class="prompt">${textHtml(prompt)}</span>${textHtml(text)}`;

/** Renders examples of post-training; the learned tokens are marked. */
export function renderPreview(previews: NonNullable<RunRecord["preview"]>): string {
  if (previews.length === 0) return "";
  const shown = previews.map(({ example, part, tokens }) => {
    let text = "";
    const spans: [start: number, end: number][] = [];
    for (const token of tokens) {
      const [start, end] = [text.length, text.length + token.text.length];
      const before = spans.at(-1);
      if (token.learned && before?.[1] === start) before[1] = end;
      else if (token.learned) spans.push([start, end]);
      text += token.text;
    }
    const title = `example ${count(example)}${part === "text" ? "" : `, ${part}`}`;
    return `<div><h3>${escapeHtml(title)}</h3><p class="sample" tabindex="0">${markedHtml(text, spans)}</p></div>`;
  });
  return section("Examples, with what is learned marked", ...shown);
}

/** Renders what the steps of a run with rollouts spent their time on. */
export function renderTimeShares(shares: RunResult["time_shares"]): string {
  if (shares === undefined) return "";
  const rows = Object.entries(shares).map(([name, share]) => [name, percent(share, 0)]);
  const columns = [{ name: "part of a step", kind: "text" as const }, { name: "share of the time" }];
  return section("Time", table({ label: "Parts of a step", columns, rows }));
}

/** Renders how often a reward model is right where it gives its choice a probability. */
export function renderCalibration(result: RunResult | undefined): string {
  const bins = (result?.reliability ?? []).filter(({ pairs }) => pairs > 0);
  if (bins.length === 0) return "";
  const error = result?.calibration_error;
  const points = bins.flatMap(({ confidence, accuracy }) =>
    confidence === undefined || accuracy === undefined ? [] : [[100 * confidence, 100 * accuracy] as const],
  );
  return section(
    "Calibration on held-out pairs",
    paragraph(
      "A calibrated reward model ranks as many pairs right as it expects to." +
        (error === undefined ? "" : ` On average, this one is wrong by ${percent(error)}.`),
    ),
    renderChart({
      title: "Pairs that are ranked right, %",
      xLabel: "probability that the model gives its choice, %",
      format: (value) => value.toFixed(0),
      series: [
        { label: "this model", color: "a", points, marks: true },
        { label: "perfectly calibrated", color: "d", points: points.map(([x]) => [x, x] as const) },
      ],
    }),
    numbersBehind({
      label: "Pairs by probability",
      columns: [{ name: "probability", kind: "text" }, { name: "pairs" }, { name: "ranked right" }],
      rows: bins.map(({ from, to, pairs, accuracy }) => [
        `${percent(from, 0)} to ${percent(to, 0)}`,
        count(pairs),
        accuracy === undefined ? "" : percent(accuracy),
      ]),
    }),
  );
}

/** Renders each derived setting of the plan with its reason. */
export function renderReasons(plan: RunRecord["plan"]): string {
  const reasons = plan?.reasons;
  if (plan === undefined || typeof reasons !== "object" || reasons === null) return "";
  const rows = Object.entries(reasons).map(([name, reason]) => [name, plannedValue(plan, name), String(reason)]);
  const columns = [
    { name: "setting", kind: "text" as const },
    { name: "value" },
    { name: "reason", kind: "text" as const },
  ];
  return section("The plan and its reasons", table({ label: "The plan and its reasons", columns, rows }));
}

/** Finds a setting by name in the plan, its model, schedule or optimizer. */
function plannedValue(plan: Readonly<Record<string, unknown>>, name: string): string {
  const places = [plan, plan.model, plan.schedule, plan.optimizer] as (Readonly<Record<string, unknown>> | undefined)[];
  for (const place of places) {
    const value = typeof place === "object" ? place?.[name] : undefined;
    if (typeof value === "number") return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)));
    if (typeof value === "string" || typeof value === "boolean") return String(value);
  }
  return "";
}

/** Renders the costs of a training step with and without fusion. */
export function renderFusion(fusion: FusionSavings | undefined): string {
  if (fusion === undefined) return "";
  const { fused, unfused } = fusion;
  const row = (what: string, before: number, after: number, write: (value: number) => string) => {
    const saved = 1 - after / before;
    return [what, write(before), write(after), saved > 0.0005 ? `−${(100 * saved).toFixed(0)} %` : ""];
  };
  const rows = [
    row("kernels launched", unfused.launches, fused.launches, count),
    row("memory traffic", unfused.bytes, fused.bytes, size),
    row("memory allocated", fusion.unfused_arena_bytes, fusion.arena_bytes, size),
    row("floating-point operations", unfused.flops, fused.flops, plainNumber),
  ];
  const columns = [{ name: "", kind: "text" as const }, { name: "unfused" }, { name: "fused" }, { name: "saved" }];
  const kernels = fusion.kernels.map(({ what, launches, bytes }) => [what, count(launches), size(bytes)]);
  return section(
    "What fusion saved",
    paragraph(
      "A training step with one kernel per operation, and as it ran. Fusion turns chains of operations into one loop, or merges them into the matrix product before them.",
    ),
    table({ label: "A step unfused and fused", columns, rows }),
    numbersBehind({
      label: "The kernels with most memory traffic",
      columns: [{ name: "kernel", kind: "text" }, { name: "launches" }, { name: "memory traffic" }],
      rows: kernels,
    }).replace("The numbers", "The kernels with most memory traffic"),
  );
}
