/**
 * @file A corpus as one page that a person reads: the funnel from the first document to the last token, duplicates side by
 * side, texts along the scale of quality, evaluation sets that were found, the mix as a picture, the shards.
 */
import type { ShardsHeader } from "../../tokenizer/index.js";
import { asNumber, bar, count, escapeHtml, figure, funnelPicture, page } from "../funnel/drawing.js";
import { size } from "../funnel/table.js";
import type { MixResult } from "../mix/mix.js";
import type { CheckedCorpusRecipe } from "./corpus-recipe.js";
import type { QualityScores, Shown } from "./examples.js";
import type { CorpusStory, DuplicateStage } from "./story.js";

/** The report of a corpus. The same for the same run. */
export function renderCorpusReport(told: CorpusStory, recipe: CheckedCorpusRecipe, inputs: readonly string[]): string {
  const { steps, mix, shards, quality, contamination, duplicates } = told;
  const first = steps[0]?.documents.in ?? 0;
  const last = steps.at(-1)?.documents.kept ?? 0;
  const share = first === 0 ? "" : `${((100 * last) / first).toFixed(1)} %`;
  const figures = [
    figure("documents in", count(first)),
    figure("kept", count(last), share),
    figure("text in the mix", size(mix.bytesWritten)),
    ...(shards === null
      ? []
      : [figure("training tokens", count(shards.train.tokens)), figure("held out", count(shards.heldout.tokens))]),
  ];
  return page(`The corpus ${recipe.name ?? ""}`.trim(), inputs.join(", "), [
    `<section class="figures">${figures.join("")}</section>`,
    `<section><h2>The funnel</h2>${funnelPicture(steps)}<p class="small">Cleaning by itself, with examples of each step: <code>clean/report.html</code></p></section>`,
    `<section><h2>In numbers</h2>${numbers(told)}</section>`,
    ...duplicates.map(duplicateSection),
    quality === null ? "" : qualitySection(quality),
    contamination === null ? "" : contaminationSection(contamination),
    `<section><h2>The mix</h2>${mixPicture(mix, recipe)}${mixTable(mix)}</section>`,
    shards === null ? "" : `<section><h2>Shards</h2>${shardsTable(shards)}</section>`,
  ]);
}

function numbers({ steps }: CorpusStory): string {
  const rows = steps.map(({ step, documents, bytes }) => {
    const cells = [documents.in, documents.kept, documents.dropped, documents.edited, bytes.in, bytes.out];
    return `<tr><th>${escapeHtml(step)}</th>${cells.map(cell).join("")}</tr>`;
  });
  const head = ["documents in", "kept", "dropped", "edited", "bytes in", "bytes out"];
  return `<div class="wide"><table><thead><tr><th>step</th>${head.map((name) => `<th>${name}</th>`).join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

const cell = (value: number) => `<td>${count(value)}</td>`;
const percent = (share: number) => `${(100 * asNumber(share)).toFixed(1)} %`;

function duplicateSection({ by, clusters, pieces, pairs }: DuplicateStage): string {
  const what =
    pieces > 0 ? `${count(pieces)} pieces cut, ${count(clusters)} of them different` : `${count(clusters)} clusters`;
  const shown = pairs.map(
    ({ reason, left, right }) =>
      `<article><p class="small"><b>${escapeHtml(reason)}</b></p><div class="pair">${text(left, "removed or cut")}${text(right, "stays")}</div></article>`,
  );
  const examples =
    shown.length === 0
      ? ""
      : `<details open><summary>${shown.length} side by side</summary>${shown.join("")}</details>`;
  return `<section><h2>Duplicates by ${escapeHtml(by)}</h2><p class="small">${what}</p>${examples}</section>`;
}

const text = ({ id, url, text: words }: Shown, role: string) =>
  `<div><p class="small">${role}: ${escapeHtml(id)}${url === undefined ? "" : ` · ${escapeHtml(url)}`}</p><pre>${escapeHtml(words)}</pre></div>`;

const [WIDTH, HEIGHT] = [720, 180];

/** Bars by score, those below the line in the colour of what is dropped. */
function qualitySection({ histogram, least, documents, kept, examples }: QualityScores): string {
  const most = Math.max(1, ...histogram);
  const wide = WIDTH / histogram.length;
  const bars = histogram.map((value, i) => {
    const height = (HEIGHT * value) / most;
    const dropped = least !== null && (i + 1) / histogram.length <= least;
    const [from, to] = [i / histogram.length, (i + 1) / histogram.length];
    return `<rect class="${dropped ? "dropped" : "kept"}" x="${(i * wide + 1).toFixed(1)}" y="${(HEIGHT - height).toFixed(1)}" width="${(wide - 2).toFixed(1)}" height="${height.toFixed(1)}"><title>${from.toFixed(2)} to ${to.toFixed(2)}: ${count(value)}</title></rect>`;
  });
  const line =
    least === null
      ? ""
      : `<path d="M${(least * WIDTH).toFixed(1)} 0V${HEIGHT}" stroke="currentColor" stroke-dasharray="4 3"/><text class="small" x="${(least * WIDTH + 4).toFixed(1)}" y="12">${least.toFixed(3)}</text>`;
  const axis = [0, 0.25, 0.5, 0.75, 1].map(
    (at) =>
      `<text class="small" x="${at * WIDTH}" y="${HEIGHT + 16}" text-anchor="${at === 0 ? "start" : at === 1 ? "end" : "middle"}">${at}</text>`,
  );
  const shown = examples.map(
    ({ score, id, text: words }) =>
      `<article><p class="small"><b>${asNumber(score).toFixed(3)}</b> · ${escapeHtml(id)}</p><pre>${escapeHtml(words)}</pre></article>`,
  );
  return `<section><h2>Quality</h2><p class="small">${count(kept)} of ${count(documents)} documents kept${least === null ? "" : `, those from ${least.toFixed(3)} on`}</p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT + 22}" role="img" aria-label="Documents by quality">${bars.join("")}${line}${axis.join("")}</svg>
<details><summary>${shown.length} along the scale</summary>${shown.join("")}</details></section>`;
}

function contaminationSection(benchmarks: NonNullable<CorpusStory["contamination"]>): string {
  const rows = benchmarks.map(
    ({ name, examples, tooShort, found, documents }) =>
      `<tr><th>${escapeHtml(name)}</th>${[examples, tooShort, found, documents].map(cell).join("")}</tr>`,
  );
  return `<section><h2>Evaluation sets</h2><div class="wide"><table><thead><tr><th>set</th><th>examples</th><th>too short</th><th>found</th><th>in documents</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>
<p class="small">By example: <code>decontaminate/contamination.jsonl</code></p></section>`;
}

const COLOURS = ["#3b7d5c", "#c9785a", "#4f73a6", "#b59a3c", "#7d5c94", "#5a9aa0", "#a65a78", "#7a8450"];
const MOST_GROUPS = COLOURS.length;

/** What there was and what became of it: two bars, parted by group, with bands between them. */
function mixPicture({ groups, bytes }: MixResult, recipe: CheckedCorpusRecipe): string {
  const shown = [...groups].sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1)).slice(0, MOST_GROUPS);
  let [above, below] = [0, 0];
  const parts = shown.map(({ name, bytes: own, share, epochs }, i) => {
    const [before, after] = [(WIDTH * own) / Math.max(1, bytes), WIDTH * share];
    const [x, y] = [above, below];
    above += before;
    below += after;
    const band = `M${x.toFixed(1)} 30H${above.toFixed(1)}L${below.toFixed(1)} 80H${y.toFixed(1)}Z`;
    const label =
      after > 60
        ? `<text class="small" x="${(y + 4).toFixed(1)}" y="124">${escapeHtml(name.slice(0, Math.floor(after / 8)))}</text>`
        : "";
    return `<g><title>${escapeHtml(name)}: ${percent(own / Math.max(1, bytes))} → ${percent(share)}, ${asNumber(epochs).toFixed(2)} epochs</title>
<rect fill="${COLOURS[i]}" x="${x.toFixed(1)}" y="6" width="${before.toFixed(1)}" height="24"/><path fill="${COLOURS[i]}" opacity=".3" d="${band}"/><rect fill="${COLOURS[i]}" x="${y.toFixed(1)}" y="80" width="${after.toFixed(1)}" height="28"/>${label}</g>`;
  });
  const order =
    recipe.mix.order === "quality-last" ? `In ${count(recipe.mix.phases)} phases of rising quality.` : "All shuffled.";
  const more = groups.length > shown.length ? ` The ${shown.length} largest of ${groups.length} groups are drawn.` : "";
  return `<p class="small">Above what there was, below what became of it. ${order}${more}</p><svg viewBox="0 0 ${WIDTH} 130" role="img" aria-label="The mix">${parts.join("")}</svg>`;
}

function mixTable({ groups, unjudged }: MixResult): string {
  const rows = groups.map(
    ({ name, documents, bytes, asked, share, epochs, capped, written, bytesWritten }) =>
      `<tr><th>${escapeHtml(name)}</th>${[documents, bytes].map(cell).join("")}<td>${percent(asked)}</td><td>${percent(share)}</td><td>${asNumber(epochs).toFixed(2)}${capped ? " (capped)" : ""}</td>${[written, bytesWritten].map(cell).join("")}</tr>`,
  );
  const note =
    unjudged === 0 ? "" : `<p class="warning">${count(unjudged)} documents have no quality and count as the worst.</p>`;
  const head = ["documents", "bytes", "asked", "share", "epochs", "documents out", "bytes out"];
  return `${note}<div class="wide"><table><thead><tr><th>group</th>${head.map((name) => `<th>${name}</th>`).join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

function shardsTable(shards: ShardsHeader): string {
  const all = shards.train.tokens + shards.heldout.tokens;
  const bars = [
    bar("training tokens", shards.train.tokens, all, "kept"),
    bar("held-out tokens", shards.heldout.tokens, all, "dropped"),
  ];
  return `<div class="bars">${bars.join("")}</div><p class="small">${count(shards.train.documents)} documents and ${count(shards.heldout.documents)} held out; ${shards.train.files.length + shards.heldout.files.length} files of ${escapeHtml(shards.dtype)}, a vocabulary of ${count(shards.vocabSize)}. <code>quern data where shards POSITION</code> says where a token comes from.</p>`;
}
