/**
 * @file The funnel as one page that a person reads: what came in, what each step took and why, with examples, and pages
 * beside the text that was found in them. The page is a single file, asks for nothing from anywhere, and is the same for
 * the same run.
 */
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
    `<section><h2>The funnel</h2>${picture(steps)}</section>`,
    `<section><h2>In numbers</h2>${numbers(steps)}</section>`,
    ...steps.map((step) =>
      stepSection(
        step,
        shown.filter((sample) => sample.step === step.step),
      ),
    ),
    `<section><h2>What is left</h2>${breakdowns(steps.at(-1))}</section>`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The funnel of ${escapeHtml(funnel.recipe)} · Quern</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>The funnel of ${escapeHtml(funnel.recipe)}</h1><p>${funnel.inputs.map(escapeHtml).join(", ")} · ${funnel.tasks} tasks</p></header>
${sections.filter((section) => section !== "").join("\n")}
</body>
</html>
`;
}

const figure = (name: string, value: string, note = "") =>
  `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}${note === "" ? "" : ` · ${escapeHtml(note)}`}</span></div>`;

const count = (value: number) => value.toLocaleString("en-US");

function notes(funnel: Funnel): string {
  const lines: string[] = [];
  const skipped = Object.entries(funnel.skipped);
  if (skipped.length > 0) {
    const list = skipped.map(([reason, times]) => `${escapeHtml(reason)} (${count(times)})`).join(", ");
    lines.push(`<p>Left out before the first step: ${list}.</p>`);
  }
  if (funnel.idle.length > 0) {
    lines.push(
      `<p class="warning">Changed nothing: ${funnel.idle.map(escapeHtml).join(", ")}. Is that what you expect?</p>`,
    );
  }
  for (const fault of funnel.faults) lines.push(`<p class="warning">Does not add up: ${escapeHtml(fault)}</p>`);
  return lines.length === 0 ? "" : `<section>${lines.join("")}</section>`;
}

const WIDTH = 720;
const ROW = 46;

/** A bar a step, as wide as the documents that came to it; what it dropped hatched at the right, joined to the next bar. */
function picture(steps: readonly FunnelStep[]): string {
  const first = Math.max(1, steps[0]?.documents.in ?? 0);
  const wide = (documents: number) => (WIDTH * documents) / first;
  const rows = steps.map(({ step, documents, reasons }, index) => {
    const y = index * ROW;
    const kept = wide(documents.kept);
    const all = wide(documents.in);
    const why = Object.entries(reasons)
      .sort((a, b) => b[1].documents - a[1].documents)
      .map(([reason, { documents: times }]) => `${reason}: ${count(times)}`)
      .join("\n");
    const left = ((WIDTH - all) / 2).toFixed(1);
    const title = `${step}: ${count(documents.in)} in, ${count(documents.kept)} kept${why === "" ? "" : `\n${why}`}`;
    const drop = all - kept;
    const keptLeft = ((WIDTH - kept) / 2).toFixed(1);
    const next = `M${left} ${y + 24}L${keptLeft} ${y + ROW}H${((WIDTH + kept) / 2).toFixed(1)}L${((WIDTH + all) / 2).toFixed(1)} ${y + 24}Z`;
    return `<g><title>${escapeHtml(title)}</title>
<rect class="kept" x="${left}" y="${y}" width="${Math.max(kept, 0.5).toFixed(1)}" height="24"/>
<rect class="dropped" x="${(Number(left) + kept).toFixed(1)}" y="${y}" width="${drop.toFixed(1)}" height="24"/>
<path class="neck" d="${next}"/>
<text x="${WIDTH + 14}" y="${y + 16}">${escapeHtml(step)}</text>
<text class="small" x="${WIDTH + 180}" y="${y + 16}">${documents.dropped === 0 ? "" : `−${count(documents.dropped)}`}${documents.edited === 0 ? "" : ` ~${count(documents.edited)}`}</text></g>`;
  });
  const last = steps.at(-1)?.documents.kept ?? 0;
  const end = `<text class="small" x="${WIDTH / 2}" y="${steps.length * ROW + 16}" text-anchor="middle">${count(last)} documents</text>`;
  return `<svg viewBox="0 0 ${WIDTH + 280} ${steps.length * ROW + 24}" role="img" aria-label="Documents left after each step">${rows.join("")}${end}</svg>`;
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

function bar(name: string, value: number, of: number, kind: string): string {
  const width = of === 0 ? 0 : (100 * value) / of;
  return `<div><span>${escapeHtml(name)}</span><i class="${kind}" style="width:${width.toFixed(2)}%"></i><em>${count(value)}</em></div>`;
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

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `:root{color-scheme:light dark;--line:#8884;--kept:#3b7d5c;--dropped:#c9785a;--back:#8881}
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .4rem}h3{font-size:1rem;margin:.6rem 0}
header p,.small{color:#888;font-size:.85rem}.figures{display:flex;gap:2.5rem;flex-wrap:wrap;margin:1.2rem 0}
.figures b{display:block;font-size:1.5rem}.figures span{color:#888}.warning{border-left:4px solid var(--dropped);padding-left:.8rem}
svg{width:100%;height:auto}svg text{font:14px system-ui,sans-serif;fill:currentColor}svg .small{fill:#888;font-size:13px}
.kept{fill:var(--kept);background:var(--kept)}.dropped{fill:var(--dropped);background:var(--dropped)}.neck{fill:var(--kept);opacity:.18}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right}tbody th{text-align:left}
.bars div{display:flex;align-items:center;gap:.6rem;font-size:.85rem}.bars span{width:16rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bars i{height:.7rem;min-width:2px;max-width:22rem}.bars em{font-style:normal;color:#888}
details{margin:.5rem 0}summary{cursor:pointer}article{margin:.6rem 0;border:1px solid var(--line);border-radius:6px;padding:.3rem .7rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;max-height:22rem;overflow:auto;background:var(--back);padding:.6rem;margin:.3rem 0;font-size:.8rem}
.pair{display:flex;gap:.8rem}.pair>*{flex:1;min-width:0}iframe{border:1px solid var(--line);height:22rem;background:#fff}
@media(max-width:700px){.pair{flex-direction:column}}`;
