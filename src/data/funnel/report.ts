/**
 * @file The funnel as one page that a person reads: what came in, what each step took and why, with examples, and pages
 * beside the text that was found in them. The page is a single file, asks for nothing from anywhere, and is the same for
 * the same run.
 */
import { readLines } from "../../documents/index.js";
import { bar, count, escapeHtml, figure, funnelPicture, page } from "./drawing.js";
import type { Funnel, FunnelStep } from "./funnel.js";
import { type Sample, take } from "./samples.js";
import { size } from "./table.js";

/** The report of a run; of the samples the first of each kind are shown. */
export function renderReport(funnel: Funnel, samples: readonly Sample[]): string {
  const counts = new Map<string, number>();
  const shown = samples.filter(({ step, verdict, reason }) => take(counts, step, verdict, reason));
  const steps = funnel.steps.filter(
    ({ step, documents }) => step !== "extract" || documents.edited + documents.dropped > 0,
  );
  const first = steps[0]?.documents.in ?? 0;
  const share = first === 0 ? "" : `${((100 * funnel.output.documents) / first).toFixed(1)} %`;
  const sections = [
    `<section class="figures">${figure("documents in", count(first))}${figure("kept", count(funnel.output.documents), share)}${figure("text out", size(funnel.output.bytes))}${figure("words out", count(funnel.output.words))}</section>`,
    notes(funnel),
    `<section><h2>The funnel</h2>${funnelPicture(steps)}</section>`,
    `<section><h2>In numbers</h2>${numbers(steps)}</section>`,
    ...steps.map((step) =>
      stepSection(
        step,
        shown.filter((sample) => sample.step === step.step),
      ),
    ),
    `<section><h2>What is left</h2>${breakdowns(steps.at(-1))}</section>`,
  ];
  const title = `The funnel of ${funnel.recipe}`;
  return page(title, `${funnel.inputs.join(", ")} · ${funnel.tasks} tasks`, sections);
}

function notes(funnel: Funnel): string {
  const lines: string[] = [];
  for (const line of readLines(funnel.reading)) lines.push(`<p>${escapeHtml(line)}</p>`);
  if (funnel.idle.length > 0) {
    lines.push(
      `<p class="warning">Changed nothing: ${funnel.idle.map(escapeHtml).join(", ")}. Is that what you expect?</p>`,
    );
  }
  for (const fault of funnel.faults) lines.push(`<p class="warning">Does not add up: ${escapeHtml(fault)}</p>`);
  return lines.length === 0 ? "" : `<section>${lines.join("")}</section>`;
}

function numbers(steps: readonly FunnelStep[]): string {
  const rows = steps.map(
    ({ step, documents, bytes, words }) =>
      `<tr><th>${escapeHtml(step)}</th>${[documents.in, documents.kept, documents.dropped, documents.edited].map(cell).join("")}${[bytes.in, bytes.out, bytes.dropped, bytes.cut, bytes.added].map(cell).join("")}${[words.in, words.out, words.dropped, words.cut, words.added].map(cell).join("")}</tr>`,
  );
  return `<div class="wide"><table><thead><tr><th rowspan="2">step</th><th colspan="4">documents</th><th colspan="5">bytes</th><th colspan="5">words</th></tr>
<tr><th>in</th><th>kept</th><th>dropped</th><th>edited</th><th>in</th><th>out</th><th>dropped</th><th>cut</th><th>added</th><th>in</th><th>out</th><th>dropped</th><th>cut</th><th>added</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table></div><p class="small">At every step: documents in = kept + dropped; in = out + dropped + cut − added.</p>`;
}

const cell = (value: number) => `<td>${count(value)}</td>`;

function stepSection({ step, documents, reasons, edits }: FunnelStep, samples: readonly Sample[]): string {
  const why = Object.entries(reasons).sort((a, b) => b[1].documents - a[1].documents);
  const changes = Object.entries(edits).sort((a, b) => b[1] - a[1]);
  const bars = why.map(([reason, amount]) => bar(reason, amount.documents, documents.in, "dropped"));
  const edited = changes.map(([reason, times]) => `${escapeHtml(reason)} ${count(times)}`).join(", ");
  const groups = (["dropped", "edited", "kept"] as const).map((verdict) => {
    const own = samples.filter((sample) => sample.verdict === verdict);
    if (own.length === 0) return "";
    return `<details><summary>${own.length} ${verdict}</summary>${own.map(renderSample).join("")}</details>`;
  });
  return `<section><h2>${escapeHtml(step)}</h2>
<p class="small">${count(documents.in)} in, ${count(documents.kept)} kept, ${count(documents.dropped)} dropped, ${count(documents.edited)} edited</p>
${bars.length === 0 ? "" : `<div class="bars">${bars.join("")}</div>`}${edited === "" ? "" : `<p>Edited or found: ${edited}</p>`}${groups.join("")}</section>`;
}

function renderSample({ reason, id, url, text, edited, html }: Sample): string {
  const head = `<p class="small">${reason === undefined ? "" : `<b>${escapeHtml(reason)}</b> · `}${escapeHtml(id)}${url === undefined ? "" : ` · ${escapeHtml(url)}`}</p>`;
  if (html !== undefined) {
    return `<article>${head}<div class="pair">${frame(html)}<pre>${escapeHtml(edited ?? "")}</pre></div></article>`;
  }
  if (edited === undefined) return `<article>${head}<pre>${escapeHtml(text)}</pre></article>`;
  return `<article>${head}<div class="pair"><pre>${escapeHtml(text)}</pre><pre>${escapeHtml(edited)}</pre></div></article>`;
}

/** The page as it was, without its scripts and without leave to fetch anything. */
function frame(html: string): string {
  const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`;
  return `<iframe sandbox loading="lazy" title="the page" srcdoc="${escapeHtml(policy + html)}"></iframe>`;
}

function breakdowns(step: FunnelStep | undefined): string {
  if (step === undefined) return "";
  const list = (title: string, flows: FunnelStep["languages"]) => {
    const rows = Object.entries(flows)
      .filter(([, flow]) => flow.out.documents > 0)
      .sort((a, b) => b[1].out.documents - a[1].out.documents || (a[0] < b[0] ? -1 : 1));
    const bars = rows.slice(0, 12).map(([name, flow]) => bar(name, flow.out.documents, step.documents.kept, "kept"));
    const more =
      rows.length > bars.length ? `<p class="small">and ${rows.length - bars.length} more, in funnel.json</p>` : "";
    return `<div><h3>${title}</h3><div class="bars">${bars.join("")}</div>${more}</div>`;
  };
  return `<div class="pair">${list("Languages", step.languages)}${list("Domains", step.domains)}${list("Sources", step.sources)}</div>`;
}
