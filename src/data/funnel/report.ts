/**
 * @file The cleaning report as an HTML page: the input, what each step removed and why, with examples, and web pages beside
 * their extracted text. The same run always produces the same page.
 */
import type { ReadReport } from "../../documents/index.js";
import { SKIP_REASONS } from "../../documents/index.js";
import {
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
  MORE_SCRIPT,
  markedHtml,
  page,
  paragraph,
  percent,
  section,
  sideBySide,
  size,
  table,
} from "../../pages/index.js";
import type { Funnel, FunnelStep, StepFlow } from "./funnel.js";
import { glossOf, reasonInWords } from "./reasons.js";
import { chooseSamples, type Sample } from "./samples.js";

/** Settings of each step by name, from which thresholds are shown. */
export type StepSettings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Renders the report of a run as HTML. */
export function renderReport(funnel: Funnel, samples: readonly Sample[], settings: StepSettings = {}): string {
  const shown = chooseSamples(samples);
  const steps = funnel.steps.filter(({ step, documents }) => step !== "extract" || hasWork(documents));
  // Possibly no step is shown, so take the count from the first step of all.
  const first = funnel.steps[0]?.documents.in ?? 0;
  const { output } = funnel;
  const share = first === 0 ? "" : percent(output.documents / first);
  const idle = steps.filter(({ documents }) => !hasWork(documents));
  return page({
    title: `The funnel of ${funnel.recipe}`,
    subtitle: `${funnel.inputs.join(", ")} · ${funnel.tasks} tasks`,
    conclusion: summaryOf(funnel, steps),
    sections: [
      figures([
        figure("documents in", count(first)),
        figure("kept", count(output.documents), share),
        figure("text out", size(output.bytes)),
        figure("words out", count(output.words)),
      ]),
      notes(funnel),
      section("The funnel", steps.length === 0 ? "" : funnelPicture(steps)),
      section(
        "In numbers",
        numbers(steps),
        steps.length === 0
          ? ""
          : paragraph("At every step: in = kept + dropped, and in + added = out + dropped + cut.", "small"),
      ),
      leftOut(funnel.reading),
      ...steps
        .filter(({ documents }) => hasWork(documents))
        .map((step) => stepSection(step, samplesOf(shown, step), settings[step.step] ?? {})),
      idle.length === 0
        ? ""
        : section("Steps that changed nothing", ...idle.map((step) => idleStep(step, samplesOf(shown, step)))),
      section("Remaining documents", breakdowns(steps.at(-1))),
    ],
    scripts: [MORE_SCRIPT],
  });
}

const samplesOf = (samples: readonly Sample[], { step }: FunnelStep) =>
  samples.filter((sample) => sample.step === step);

const hasWork = ({ dropped, edited }: FunnelStep["documents"]) => dropped + edited > 0;

/** Summarizes the run in a sentence: the share kept, and the step that removed most. */
function summaryOf(funnel: Funnel, steps: readonly FunnelStep[]): string {
  const first = funnel.steps[0]?.documents.in ?? 0;
  if (first === 0) return "No document reached the recipe.";
  const kept = `${percent(funnel.output.documents / first)} of ${count(first)} documents were kept`;
  const worst = [...steps].sort((a, b) => b.documents.dropped - a.documents.dropped)[0];
  if ((worst?.documents.dropped ?? 0) === 0) return `${kept}.`;
  return `${kept}; ${worst.step} removed most (${count(worst.documents.dropped)}).`;
}

function notes(funnel: Funnel): string {
  const lines = [
    ...(funnel.idle.length === 0
      ? []
      : [paragraph(`Changed nothing: ${funnel.idle.join(", ")}. Is that expected?`, "warning")]),
    ...funnel.faults.map((fault) => paragraph(`Does not add up: ${fault}`, "warning")),
  ];
  return lines.length === 0 ? "" : `<section>${lines.join("")}</section>`;
}

/** What a user can do about a reason for skipping, if anything. */
const REMEDIES: Readonly<Record<string, string>> = {
  unreadable: "check the file's permissions",
  damaged_gzip: "fetch the file again",
  damaged_zstd: "fetch the file again",
  damaged_archive: "fetch the file again",
  damaged_parquet: "fetch the file again",
  not_utf8: "convert the file to UTF-8",
  no_text: "name the text's key with --text-field",
  not_extracted: "run quern data extract first",
  file_too_long: "split the file",
  line_too_long: "split the line",
  text_too_long: "split the text",
};

/** Renders what was read and a table of what was skipped: reason, count, places, remedy. */
export function leftOut({ read, skipped, skippedAt }: ReadReport): string {
  const rows = Object.entries(skipped).map(([reason, times]): Cell[] => [
    reason,
    SKIP_REASONS[reason]?.meaning ?? "",
    count(times),
    (skippedAt[reason] ?? []).join("; "),
    REMEDIES[reason] ?? "",
  ]);
  const columns: Column[] = [
    { name: "reason", kind: "text" },
    { name: "meaning", kind: "text" },
    { name: "count" },
    { name: "first places", kind: "text" },
    { name: "what to do", kind: "text" },
  ];
  const summary = `Read: ${count(read.files)} files, ${count(read.documents)} documents.`;
  return section(
    rows.length === 0 ? "Read" : "Skipped",
    paragraph(summary),
    table({ label: "What was skipped", columns, rows }),
  );
}

function numbers(steps: readonly FunnelStep[]): string {
  const flow = ({ in: before, out, dropped, cut, added }: StepFlow, write: (value: number) => string) =>
    [before, out, dropped, cut, added].map((value, i) => (value === 0 && i > 1 ? "" : write(value)));
  const rows = steps.map(({ step, documents, bytes, words }): Cell[] => [
    step,
    count(documents.in),
    count(documents.kept),
    ...[documents.dropped, documents.edited].map((value) => (value === 0 ? "" : count(value))),
    ...flow(bytes, (value) => size(value)),
    ...flow(words, count),
  ]);
  const group = (name: string, names: readonly string[]): Column[] =>
    names.map((each) => ({ name: each, group: name }));
  const columns: Column[] = [
    { name: "step", kind: "text" },
    ...group("documents", ["in", "kept", "dropped", "edited"]),
    ...group("text", ["in", "out", "dropped", "cut", "added"]),
    ...group("words", ["in", "out", "dropped", "cut", "added"]),
  ];
  return table({ label: "Documents, text and words by step", columns, rows });
}

function stepSection(
  { step, documents, reasons, edits }: FunnelStep,
  samples: readonly Sample[],
  settings: Readonly<Record<string, unknown>>,
): string {
  const why = Object.entries(reasons).sort((a, b) => b[1].documents - a[1].documents);
  const items = why.map(([name, amount]) => {
    const note = reasonInWords(name, settings);
    return {
      name,
      value: amount.documents,
      shown: `${count(amount.documents)} · ${percent(amount.documents / Math.max(1, documents.in))}`,
      kind: "dropped" as const,
      ...(note === "" ? {} : { note }),
    };
  });
  const changes = Object.entries(edits)
    .sort((a, b) => b[1] - a[1])
    .map(([reason, times]) => `${reason} ${count(times)}`);
  return section(
    step,
    paragraph(
      `${count(documents.in)} in, ${count(documents.kept)} kept, ${count(documents.dropped)} dropped, ${count(documents.edited)} edited`,
      "small",
    ),
    bars(items, documents.in),
    paragraph(changes.length === 0 ? "" : `Edited or found: ${changes.join(", ")}`),
    examples(samples),
  );
}

const idleStep = ({ step, documents }: FunnelStep, samples: readonly Sample[]) =>
  folded(`${escapeHtml(step)}: ${count(documents.in)} documents`, examples(samples) || paragraph("No examples."));

function examples(samples: readonly Sample[]): string {
  const groups = (["dropped", "edited", "kept"] as const).map((verdict) => {
    const own = samples.filter((sample) => sample.verdict === verdict);
    return folded(`${own.length} ${verdict}`, own.map(renderSample).join(""));
  });
  return groups.join("");
}

function renderSample({ reason, id, url, text, edited, html }: Sample): string {
  const why = reason === undefined ? "" : `<b>${escapeHtml(reason)}</b> · `;
  const head = `<p class="small">${why}${escapeHtml(id)}${url === undefined ? "" : ` · ${escapeHtml(url)}`}</p>`;
  if (html !== undefined) {
    const body = `<div>${excerpt(markedHtml(edited ?? "", []))}</div>`;
    return `<article>${head}<div class="pair"><div>${frame(html)}</div>${body}</div></article>`;
  }
  if (edited !== undefined) {
    return `<article>${head}${sideBySide({ title: "before", text }, { title: "after", text: edited })}</article>`;
  }
  const trigger = reason === undefined ? undefined : glossOf(reason)?.trigger;
  return `<article>${head}${excerpt(markedHtml(text, trigger?.(text) ?? []))}</article>`;
}

/** Embeds a page in a sandbox that runs no scripts and fetches nothing. */
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
    const items = rows.slice(0, 12).map(([name, flow]) => ({ name, value: flow.out.documents }));
    const more = rows.length - items.length;
    return `<div><h3>${title}</h3>${bars(items, step.documents.kept)}${paragraph(more > 0 ? `and ${more} more, in funnel.json` : "", "small")}</div>`;
  };
  return `<div class="columns">${list("Languages", step.languages)}${list("Domains", step.domains)}${list("Sources", step.sources)}</div>`;
}
