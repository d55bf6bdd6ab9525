/** @file Bar charts: labelled bars, the funnel of a cleaning run, a histogram. Each shows its numbers as text or as a table. */
import { escapeHtml } from "./html.js";
import { asNumber, count, percent } from "./numbers.js";
import { type Cell, numbersBehind } from "./table.js";

/** A key figure with its name. */
export const figure = (name: string, value: string, note = "") =>
  `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}${note === "" ? "" : ` · ${escapeHtml(note)}`}</span></div>`;

/** A row of key figures. */
export const figures = (items: readonly string[]) =>
  items.length === 0 ? "" : `<section class="figures">${items.join("")}</section>`;

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** The value as text; default: as a count. */
  readonly shown?: string;
  /** Explains the name. */
  readonly note?: string;
  readonly kind?: "kept" | "dropped" | "own" | "best" | "other";
}

/** Bars with their names and values; full length is `of`. They need no table, because the values are shown. */
export function bars(items: readonly Bar[], of: number): string {
  if (items.length === 0) return "";
  const rows = items.map(({ name, value, shown = count(value), note, kind = "kept" }) => {
    const width = asNumber(of) > 0 ? Math.min(100, (100 * asNumber(value)) / asNumber(of)) : 0;
    const gloss = note === undefined ? "" : `<small>${escapeHtml(note)}</small>`;
    return `<div class="bar"><span class="name">${escapeHtml(name)}${gloss}</span><span class="track"><i class="${kind}" style="width:${width.toFixed(2)}%"></i></span><span class="value">${escapeHtml(shown)}</span></div>`;
  });
  return `<div class="bars">${rows.join("")}</div>`;
}

/** A step of a funnel. */
export interface FunnelBar {
  readonly step: string;
  readonly documents: { readonly in: number; readonly kept: number; readonly dropped: number; readonly edited: number };
}

/** One bar per step: documents kept, then documents dropped. Its width is the share of documents that reached the step. */
export function funnelPicture(steps: readonly FunnelBar[]): string {
  const first = Math.max(1, asNumber(steps[0]?.documents.in ?? 0));
  const rows = steps.map(({ step, documents }) => {
    const share = (documents: number) => (100 * asNumber(documents)) / first;
    const changes = [
      ...(documents.dropped === 0 ? [] : [`−${count(documents.dropped)}`]),
      ...(documents.edited === 0 ? [] : [`~${count(documents.edited)}`]),
    ];
    const part = (kind: string, width: number, label: string) =>
      width > 0 ? `<i class="${kind}" style="width:${width.toFixed(2)}%">${label}</i>` : "";
    // A narrow bar has no room for a label, so its share is shown next to it.
    const [kept, dropped] = [share(documents.kept), share(documents.dropped)];
    const text = percent(asNumber(documents.kept) / first);
    const inside = kept >= 14 ? text : "";
    const beside = inside === "" ? `<span class="beside">${text}</span>` : "";
    return `<li><span class="step">${escapeHtml(step)}</span><span class="change">${changes.join(" ")}</span><span class="flow">${part("kept", kept, inside)}${part("dropped", dropped, "")}${beside}</span></li>`;
  });
  const legend = `<p class="legend"><span class="key kept">kept, % of the first step</span><span class="key dropped">dropped (−)</span><span>edited (~)</span></p>`;
  const numbers: Cell[][] = steps.map(({ step, documents }) => [
    step,
    ...[documents.in, documents.kept, documents.dropped, documents.edited].map(count),
  ]);
  const columns = ["step", "in", "kept", "dropped", "edited"].map((name, i) => ({
    name,
    kind: i === 0 ? ("text" as const) : ("number" as const),
  }));
  return `${legend}<ol class="funnel" aria-label="Documents left after each step">${rows.join("\n")}</ol>${numbersBehind({ label: "Documents by step", columns, rows: numbers })}`;
}

const [WIDTH, HEIGHT] = [380, 150];

/** A histogram of scores from 0 to 1 in equal bins. Bins below the threshold `least` are coloured as dropped. */
export function histogram(label: string, parts: readonly number[], least: number | null): string {
  const most = Math.max(1, ...parts.map(asNumber));
  const wide = WIDTH / parts.length;
  const isDropped = (i: number) => least !== null && (i + 1) / parts.length <= least;
  const rects = parts.map((value, i) => {
    const height = (HEIGHT * asNumber(value)) / most;
    return `<rect class="${isDropped(i) ? "dropped" : "kept"}" x="${(i * wide + 0.5).toFixed(1)}" y="${(HEIGHT - height).toFixed(1)}" width="${(wide - 1).toFixed(1)}" height="${height.toFixed(1)}"/>`;
  });
  const line =
    least === null
      ? ""
      : `<path class="limit" d="M${(least * WIDTH).toFixed(1)} 0V${HEIGHT}"/><text class="tick" x="${(least * WIDTH + 4).toFixed(1)}" y="12">${least.toFixed(3)}</text>`;
  const axis = [0, 0.25, 0.5, 0.75, 1].map(
    (at) =>
      `<text class="tick" x="${at * WIDTH}" y="${HEIGHT + 16}" text-anchor="${at === 0 ? "start" : at === 1 ? "end" : "middle"}">${at}</text>`,
  );
  const rows = parts.flatMap((value, i) =>
    value === 0 ? [] : [[`${(i / parts.length).toFixed(2)} to ${((i + 1) / parts.length).toFixed(2)}`, count(value)]],
  );
  const columns = [{ name: "score", kind: "text" as const }, { name: "documents" }];
  return `<figure class="chart"><svg viewBox="0 0 ${WIDTH} ${HEIGHT + 22}" role="img" aria-label="${escapeHtml(label)}">${rects.join("")}${line}${axis.join("")}</svg>${numbersBehind({ label, columns, rows })}</figure>`;
}
