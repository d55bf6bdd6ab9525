/** @file The parts of a run's report that tell a story: the verdict, what it said as it learnt, why its plan, what fusion saved. */

import type { MetricsLine, RunRecord, RunResult, Verdict } from "../run/run-record.js";
import { escapeHtml, plainNumber } from "./chart.js";
import type { FusionSavings } from "./fusion.js";

/** The model beside compressors and an n-gram model: all say how many bits a byte of unseen text costs. */
export function renderVerdict(result: RunResult | undefined): string {
  if (result?.bits_per_byte === undefined) return "";
  const bytes = result.heldout_bytes;
  const note = bytes === undefined ? "" : ` on ${whole(bytes)} bytes that it never trained on`;
  const learnt = result.ngram_training_tokens;
  const ngram =
    result.ngram_bits_per_byte === undefined
      ? ""
      : ` The 5-gram model (modified Kneser–Ney) counts the same tokens${learnt === undefined ? "" : `, ${whole(learnt)} of them`}.`;
  const sources = (result.sources ?? []).map(
    (verdict) =>
      `<div><h3>${escapeHtml(verdict.source)}, ${plainNumber(verdict.heldout_bytes ?? 0)} bytes</h3>${bars(verdict)}</div>`,
  );
  const each = sources.length === 0 ? "" : `<div class="pair">${sources.join("")}</div>`;
  return `<section><h2>Bits per byte</h2><p>What a byte of text costs${note}; less is better.${ngram}</p>${bars(result)}${each}</section>`;
}

function bars(verdict: Verdict): string {
  const rows = [
    { label: "this model", value: verdict.bits_per_byte, own: true },
    { label: "5-gram", value: verdict.ngram_bits_per_byte, own: false },
    { label: "xz -9e", value: verdict.xz_bits_per_byte, own: false },
    { label: "brotli", value: verdict.brotli_bits_per_byte, own: false },
    { label: "gzip -9", value: verdict.gzip_bits_per_byte, own: false },
  ].filter((row): row is { label: string; value: number; own: boolean } => typeof row.value === "number");
  const most = Math.max(...rows.map(({ value }) => value));
  const lines = rows.map(
    ({ label, value, own }) =>
      `<tr><th>${label}</th><td><div class="bar${own ? " own" : ""}" style="width:${((100 * value) / most).toFixed(1)}%"></div></td>` +
      `<td class="number">${value.toFixed(3)}</td></tr>`,
  );
  return `<table class="bars">${lines.join("")}</table>`;
}

/** The same prompt continued again and again while the model learnt. */
export function renderLearning(metrics: readonly MetricsLine[]): string {
  const said = metrics.flatMap(({ step, samples }) => (samples ?? []).map((sample) => ({ step, ...sample })));
  if (said.length === 0) return "";
  const rows = said.map(
    ({ step, prompt, text }) =>
      `<tr><th>step ${whole(step)}</th><td class="said"><b>${escapeHtml(prompt)}</b>${escapeHtml(printable(text))}</td></tr>`,
  );
  return `<section><h2>As it learnt</h2><table class="learning">${rows.join("")}</table></section>`;
}

/** Each number of the plan that was derived, with its reason. */
export function renderReasons(plan: RunRecord["plan"]): string {
  const reasons = plan?.reasons;
  if (plan === undefined || typeof reasons !== "object" || reasons === null) return "";
  const rows = Object.entries(reasons).map(([name, reason]) => {
    const value = plannedValue(plan, name);
    return `<tr><th>${escapeHtml(name)}</th><td class="number">${escapeHtml(value)}</td><td>${escapeHtml(String(reason))}</td></tr>`;
  });
  if (rows.length === 0) return "";
  return `<section><h2>The plan and its reasons</h2><table class="reasons">${rows.join("")}</table></section>`;
}

/** What the plan has under a name: by itself, or in the model, the schedule or the optimizer. */
function plannedValue(plan: Readonly<Record<string, unknown>>, name: string): string {
  const places = [plan, plan.model, plan.schedule, plan.optimizer] as (Readonly<Record<string, unknown>> | undefined)[];
  for (const place of places) {
    const value = typeof place === "object" ? place?.[name] : undefined;
    if (typeof value === "number") return Number.isInteger(value) ? whole(value) : String(Number(value.toPrecision(4)));
    if (typeof value === "string" || typeof value === "boolean") return String(value);
  }
  return "";
}

/** One training step with a kernel for every operation, and as it ran. */
export function renderFusion(fusion: FusionSavings | undefined): string {
  if (fusion === undefined) return "";
  const { fused, unfused } = fusion;
  const rows: [what: string, before: string, after: string, saved: number][] = [
    ["kernels launched", whole(unfused.launches), whole(fused.launches), 1 - fused.launches / unfused.launches],
    ["memory touched", size(unfused.bytes), size(fused.bytes), 1 - fused.bytes / unfused.bytes],
    [
      "memory held",
      size(fusion.unfused_arena_bytes),
      size(fusion.arena_bytes),
      1 - fusion.arena_bytes / fusion.unfused_arena_bytes,
    ],
    [
      "floating-point operations",
      plainNumber(unfused.flops),
      plainNumber(fused.flops),
      1 - fused.flops / unfused.flops,
    ],
  ];
  const lines = rows.map(
    ([what, before, after, saved]) =>
      `<tr><th>${what}</th><td class="number">${before}</td><td class="number">${after}</td>` +
      `<td class="number">${saved > 0.0005 ? `−${(100 * saved).toFixed(0)} %` : ""}</td></tr>`,
  );
  const kernels = fusion.kernels.map(
    ({ what, launches, bytes }) =>
      `<tr><td>${escapeHtml(what)}</td><td class="number">${whole(launches)} ×</td><td class="number">${size(bytes)}</td></tr>`,
  );
  return `<section><h2>What fusion saved</h2><p>A training step with a kernel for every operation, and as it ran: chains of
operations become one loop, or melt into the matrix product before them.</p>
<table class="fusion"><tr><th></th><td class="number">an operation each</td><td class="number">fused</td><td></td></tr>${lines.join("")}</table>
<h3>The kernels that touch most memory</h3><table class="kernels">${kernels.join("")}</table></section>`;
}

/** `1.2 GB`, of 1e9 bytes. */
function size(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, "GB"] : [1e6, "MB"];
  return `${(bytes / unit).toFixed(bytes / unit < 10 ? 1 : 0)} ${name}`;
}

export function whole(value: number): string;
export function whole(value: number | undefined): string | undefined;
export function whole(value: number | undefined): string | undefined {
  return value?.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A model's text with its control characters made visible. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "\ufffd");
}

export const STORY_STYLE = `
.learning, .reasons, .fusion, .kernels { border-collapse: collapse; font-size: .9rem; }
.learning th, .reasons th, .fusion th { text-align: left; font-weight: 500; color: var(--soft); white-space: nowrap; }
.learning th, .learning td, .reasons th, .reasons td, .fusion th, .fusion td, .kernels td { vertical-align: top;
  padding: .35rem 1.2rem .35rem 0; border-top: 1px solid var(--rule); }
.reasons .number, .fusion .number, .kernels .number { width: auto; white-space: nowrap; }
.learning .said { font-family: ui-serif, Georgia, serif; overflow-wrap: anywhere; white-space: pre-wrap; }
.kernels td:first-child { overflow-wrap: anywhere; }
`;
