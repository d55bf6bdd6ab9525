/**
 * @file The report of a corpus as an HTML page. It shows the funnel from documents to tokens, duplicates side by side,
 * texts at each level of quality, contaminated documents, the mix and the shards. The same run always produces the same
 * page.
 */
import {
  asNumber,
  bars,
  type Cell,
  type Column,
  count,
  escapeHtml,
  excerpt,
  figure,
  figures,
  folded,
  funnelPicture,
  histogram,
  MORE_SCRIPT,
  markedHtml,
  numbersBehind,
  page,
  paragraph,
  percent,
  section,
  sideBySide,
  size,
  table,
} from "../../pages/index.js";
import type { ShardsHeader } from "../../tokenizer/index.js";
import { leftOut } from "../funnel/report.js";
import type { MixResult } from "../mix/mix.js";
import type { CheckedCorpusRecipe } from "../recipes/corpus-recipe.js";
import type { Excerpt, QualityScores } from "./examples.js";
import type { CorpusSummary, DuplicateStage } from "./summary.js";

/** Renders the report of a corpus as HTML. */
export function renderCorpusReport(
  summary: CorpusSummary,
  recipe: CheckedCorpusRecipe,
  inputs: readonly string[],
): string {
  const { steps, mix, shards, quality, contamination, duplicates, funnel } = summary;
  const first = steps[0]?.documents.in ?? 0;
  const last = steps.at(-1)?.documents.kept ?? 0;
  const share = first === 0 ? "" : percent(last / first);
  return page({
    title: `The corpus ${recipe.name ?? ""}`.trim(),
    subtitle: inputs.join(", "),
    conclusion: summaryOf(first, last, mix, shards),
    sections: [
      figures([
        figure("documents in", count(first)),
        figure("kept", count(last), share),
        figure("text in the mix", size(mix.bytesWritten)),
        ...(shards === null
          ? []
          : [figure("training tokens", count(shards.train.tokens)), figure("held out", count(shards.heldout.tokens))]),
      ]),
      section(
        "The funnel",
        funnelPicture(steps),
        '<p class="small">The cleaning report, with examples of each step: <code>clean/report.html</code></p>',
      ),
      section("In numbers", numbers(summary)),
      leftOut(funnel.reading),
      ...duplicates.map(duplicateSection),
      quality === null ? "" : qualitySection(quality),
      contamination === null ? "" : contaminationSection(contamination),
      section("The mix", mixPicture(mix, recipe), mixTable(mix)),
      shards === null ? "" : shardsSection(shards),
    ],
    scripts: [MORE_SCRIPT],
  });
}

/** Summarizes the corpus in a sentence. */
function summaryOf(first: number, last: number, mix: MixResult, shards: ShardsHeader | null): string {
  if (first === 0) return "No document reached the corpus.";
  const tokens = shards === null ? "" : `, ${count(shards.train.tokens)} training tokens`;
  return `${count(last)} of ${count(first)} documents remain: ${size(mix.bytesWritten)} of text${tokens}.`;
}

function numbers({ steps }: CorpusSummary): string {
  const rows = steps.map(({ step, documents, bytes }): Cell[] => [
    step,
    count(documents.in),
    count(documents.kept),
    ...[documents.dropped, documents.edited].map((value) => (value === 0 ? "" : count(value))),
    size(bytes.in),
    size(bytes.out),
  ]);
  const columns: Column[] = [
    { name: "step", kind: "text" },
    ...["in", "kept", "dropped", "edited"].map((name) => ({ name, group: "documents" })),
    ...["in", "out"].map((name) => ({ name, group: "text" })),
  ];
  return table({ label: "Documents and text by step", columns, rows });
}

function duplicateSection({ by, clusters, pieces, pairs }: DuplicateStage): string {
  const what =
    pieces > 0 ? `${count(pieces)} pieces cut, ${count(clusters)} of them distinct` : `${count(clusters)} clusters`;
  const name = (role: string, { id, url }: Excerpt) => `${role}: ${id}${url === undefined ? "" : ` · ${url}`}`;
  const shown = pairs.map(({ reason, left, right }) => {
    const sides = sideBySide(
      { title: name("removed or cut", left), text: left.text },
      { title: name("kept", right), text: right.text },
    );
    return `<article><p class="small"><b>${escapeHtml(reason)}</b></p>${sides}</article>`;
  });
  return section(
    `Duplicates by ${by}`,
    paragraph(what, "small"),
    folded(`${shown.length} pairs side by side, differences marked`, shown.join(""), true),
  );
}

function qualitySection({ histogram: parts, least, documents, kept, examples }: QualityScores): string {
  const shown = examples.map(
    ({ score, id, text }) =>
      `<article><p class="small"><b>${asNumber(score).toFixed(3)}</b> · ${escapeHtml(id)}</p>${excerpt(markedHtml(text, []))}</article>`,
  );
  const limit = least === null ? "" : `, those with a score of at least ${least.toFixed(3)}`;
  return section(
    "Quality",
    paragraph(`${count(kept)} of ${count(documents)} documents kept${limit}`, "small"),
    histogram("Documents by quality score", parts, least),
    folded(`${shown.length} examples in order of score`, shown.join("")),
  );
}

function contaminationSection(benchmarks: NonNullable<CorpusSummary["contamination"]>): string {
  const rows = benchmarks.map(({ name, examples, tooShort, found, documents }) => [
    name,
    ...[examples, tooShort, found, documents].map(count),
  ]);
  const columns: Column[] = [
    { name: "set", kind: "text" },
    ...["examples", "too short", "found", "documents"].map((name) => ({ name })),
  ];
  return section(
    "Evaluation sets",
    table({ label: "Examples of evaluation sets found in the corpus", columns, rows }),
    '<p class="small">Each example with its documents: <code>decontaminate/contamination.jsonl</code></p>',
  );
}

const COLOURS = ["#2f7656", "#a94f33", "#3f6499", "#8d741f", "#70518a", "#3d7d83", "#94466a", "#65713a"];
const MAX_GROUPS = COLOURS.length;
const WIDTH = 380;

/** Draws the shares before and after mixing: two bars divided by group, with bands between them. */
function mixPicture({ groups, bytes }: MixResult, recipe: CheckedCorpusRecipe): string {
  const shown = [...groups].sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1)).slice(0, MAX_GROUPS);
  let [above, below] = [0, 0];
  const parts = shown.map(({ bytes: own, share }, i) => {
    const [before, after] = [(WIDTH * own) / Math.max(1, bytes), WIDTH * share];
    const [x, y] = [above, below];
    above += before;
    below += after;
    const band = `M${x.toFixed(1)} 28H${above.toFixed(1)}L${below.toFixed(1)} 64H${y.toFixed(1)}Z`;
    return `<g fill="${COLOURS[i]}"><rect x="${x.toFixed(1)}" y="6" width="${before.toFixed(1)}" height="22"/><path opacity=".3" d="${band}"/><rect x="${y.toFixed(1)}" y="64" width="${after.toFixed(1)}" height="22"/></g>`;
  });
  const order =
    recipe.mix.order === "quality-last"
      ? `Ordered in ${count(recipe.mix.phases)} phases of rising quality.`
      : "Shuffled.";
  const more =
    groups.length > shown.length ? ` Only the ${shown.length} largest of ${groups.length} groups are shown.` : "";
  const legend = shown.map(
    ({ name }, i) => `<span><span class="swatch" style="background:${COLOURS[i]}"></span>${escapeHtml(name)}</span>`,
  );
  return `${paragraph(`Top: shares of the text before mixing. Bottom: shares of the mix. ${order}${more}`, "small")}<figure class="chart"><svg viewBox="0 0 ${WIDTH} 92" role="img" aria-label="Shares of the groups before and after mixing">${parts.join("")}</svg></figure><p class="legend">${legend.join("")}</p>`;
}

function mixTable({ groups, unjudged }: MixResult): string {
  const rows = groups.map(({ name, documents, bytes, asked, share, epochs, capped, written, bytesWritten }): Cell[] => [
    name,
    count(documents),
    size(bytes),
    percent(asked),
    percent(share),
    `${asNumber(epochs).toFixed(2)}${capped ? " (limit)" : ""}`,
    count(written),
    size(bytesWritten),
  ]);
  const columns: Column[] = [
    { name: "group", kind: "text" },
    { name: "documents", group: "before" },
    { name: "text", group: "before" },
    { name: "target", group: "share" },
    { name: "actual", group: "share" },
    { name: "epochs" },
    { name: "documents", group: "after" },
    { name: "text", group: "after" },
  ];
  const note =
    unjudged === 0
      ? ""
      : paragraph(`${count(unjudged)} documents have no quality score; they are treated as the worst.`, "warning");
  return note + table({ label: "The mix by group", columns, rows });
}

function shardsSection(shards: ShardsHeader): string {
  const all = shards.train.tokens + shards.heldout.tokens;
  const { train, heldout } = shards;
  return section(
    "Shards",
    bars(
      [
        { name: "training tokens", value: train.tokens },
        { name: "held-out tokens", value: heldout.tokens, kind: "dropped" },
      ],
      all,
    ),
    `<p class="small">${count(train.documents)} documents and ${count(heldout.documents)} held out; ${train.files.length + heldout.files.length} files of ${escapeHtml(shards.dtype)} tokens; vocabulary size ${count(shards.vocabSize)}. <code>quern data where shards POSITION</code> finds the document of a token.</p>`,
    numbersBehind({
      label: "Tokens of the shards",
      columns: [{ name: "part", kind: "text" }, { name: "documents" }, { name: "tokens" }],
      rows: [
        ["training", count(train.documents), count(train.tokens)],
        ["held out", count(heldout.documents), count(heldout.tokens)],
      ],
    }),
  );
}
