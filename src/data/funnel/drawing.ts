/** @file What the pages that tell of documents are drawn with: figures, bars, the funnel, one style. */

/** A step as it is drawn. */
export interface DrawnStep {
  readonly step: string;
  readonly documents: { readonly in: number; readonly kept: number; readonly dropped: number; readonly edited: number };
  /** Dropped, by reason. */
  readonly reasons: Readonly<Record<string, { readonly documents: number }>>;
}

/** A page of sections, a single file that asks for nothing from anywhere. Empty sections are left out. */
export function page(title: string, subtitle: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Quern</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escapeHtml(title)}</h1><p>${escapeHtml(subtitle)}</p></header>
${sections.filter((section) => section !== "").join("\n")}
</body>
</html>
`;
}

export const figure = (name: string, value: string, note = "") =>
  `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}${note === "" ? "" : ` · ${escapeHtml(note)}`}</span></div>`;

/** A number out of a file that may be anything: what is none is NaN, and stands so in the page. */
export const asNumber = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

export const count = (value: number) => asNumber(value).toLocaleString("en-US");

const WIDTH = 720;
const ROW = 46;

/** A bar a step, as wide as the documents that came to it; what it dropped hatched at the right, joined to the next bar. */
export function funnelPicture(steps: readonly DrawnStep[]): string {
  const first = Math.max(1, steps[0]?.documents.in ?? 0);
  const wide = (documents: number) => (WIDTH * asNumber(documents)) / first;
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

export function bar(name: string, value: number, of: number, kind: string): string {
  const width = asNumber(of) === 0 ? 0 : (100 * asNumber(value)) / asNumber(of);
  return `<div><span>${escapeHtml(name)}</span><i class="${kind}" style="width:${width.toFixed(2)}%"></i><em>${count(value)}</em></div>`;
}

export function escapeHtml(text: unknown): string {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
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
