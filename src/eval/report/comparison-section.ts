/** @file The section of the report about another run: paired tests, settings that differ, documents that cannot be compared. */
import { type Cell, count, escapeHtml, folded, paragraph, section, table } from "../../pages/index.js";
import type { MetricComparison, RunComparison } from "./compare-runs.js";
import { type EvaluationRun, modelNameOf } from "./evaluation-run.js";
import { MOST_ROWS, number, signed } from "./results-section.js";

/** Ids in a list of the page; the filter shows all. */
const MOST_IDS = 40;

/** Returns the section. */
export function comparisonSection(comparison: RunComparison, run: EvaluationRun, against: EvaluationRun): string {
  const { tests } = comparison;
  const small = tests.filter(({ p_value }) => p_value < 0.05).length;
  const byChance = (tests.length * 0.05).toFixed(tests.length < 100 ? 1 : 0);
  return section(
    `Against ${modelNameOf(against)}`,
    paragraph(`The other run is ${comparison.against}.`, "small"),
    paragraph(
      tests.length === 0
        ? "No metric could be compared."
        : `${small} of ${tests.length} differences have a p-value below .05. Between equal models about ${byChance} would.`,
    ),
    ...testTables(comparison, run),
    paragraph(
      "Only documents that both runs saw with the same prompts count, so values may differ from the table above. Values of 0 and 1: McNemar's exact test " +
        "and the interval of Bonett and Price. Other means: paired t. Metrics that are no means: percentile bootstrap over documents.",
      "small",
    ),
    obstacles(comparison),
    untested(comparison),
    settings(run, against),
  );
}

/** In longer tables the tasks of groups are folded. */
function testTables(comparison: RunComparison, run: EvaluationRun): string[] {
  const { tests } = comparison;
  const inner = new Set(Object.values(run.results.group_subtasks).flat());
  const outer = tests.filter(({ task }) => !inner.has(task));
  if (tests.length <= MOST_ROWS || outer.length === 0 || outer.length === tests.length) {
    return [testTable("Differences from the other run", tests, comparison)];
  }
  return [
    testTable("Differences from the other run", outer, comparison),
    folded(
      `All ${count(tests.length)} differences, with the tasks of groups`,
      testTable("All differences from the other run", tests, comparison),
    ),
  ];
}

function testTable(label: string, tests: readonly MetricComparison[], { flipped, confidence }: RunComparison): string {
  return table({
    label,
    columns: [
      { name: "task", kind: "text" },
      { name: "metric", kind: "text" },
      { name: "documents" },
      { name: "this run" },
      { name: "other run" },
      { name: "difference" },
      { name: `${confidence * 100} % interval` },
      { name: "p" },
      { name: "better" },
      { name: "worse" },
      { name: "test", kind: "text" },
    ],
    rows: tests.map((test) => {
      const [better, worse] = test.higher_is_better === false ? [test.fell, test.rose] : [test.rose, test.fell];
      const isListed = flipped[test.task]?.[test.metric] !== undefined;
      return [
        test.task,
        test.metric,
        count(test.documents),
        number(test.value),
        number(test.against),
        { html: difference(test) },
        `${signed(test.lower)} to ${signed(test.upper)}`,
        pValue(test.p_value),
        changed(test, better, isListed ? "gained" : undefined),
        changed(test, worse, isListed ? "lost" : undefined),
        test.test,
      ];
    }),
  });
}

/** A difference that the interval keeps apart from 0 is bold. */
function difference({ difference, lower, upper }: MetricComparison): string {
  const text = escapeHtml(signed(difference));
  return lower > 0 || upper < 0 ? `<b>${text}</b>` : text;
}

export function pValue(p: number): string {
  if (p < 1e-4) return p === 0 ? "0" : p.toExponential(0);
  return p.toFixed(p < 0.01 ? 4 : 3);
}

/** A number of documents, which shows them when they can be listed. */
function changed({ task, metric }: MetricComparison, documents: number, change: "gained" | "lost" | undefined): Cell {
  if (change === undefined || documents === 0) return count(documents);
  return { html: filterButton(count(documents), { task, judge: metric, change }) };
}

function filterButton(text: string, filter: Readonly<Record<string, string>>): string {
  return `<button type="button" class="link" data-filter="${escapeHtml(JSON.stringify(filter))}">${escapeHtml(text)}</button>`;
}

const REASONS = { document: "another document", prompt: "another prompt", choices: "other choices" } as const;

function obstacles({ not_comparable, unmatched, only_in_run, only_in_against }: RunComparison): string {
  const rows = Object.entries(not_comparable).flatMap(([task, reasons]) =>
    Object.entries(reasons).map(([reason, ids]): Cell[] => [
      task,
      REASONS[reason as keyof typeof REASONS],
      { html: filterButton(count(ids.length), { task, change: "obstacle" }) },
      ids.slice(0, MOST_IDS).join(", ") + (ids.length > MOST_IDS ? " …" : ""),
    ]),
  );
  const lines = [
    ...Object.entries(unmatched).map(
      ([task, { run, against }]) =>
        `${task}: ${count(run)} documents only in this run, ${count(against)} only in the other.`,
    ),
    ...(only_in_run.length === 0 ? [] : [`Only this run has samples of ${only_in_run.join(", ")}.`]),
    ...(only_in_against.length === 0 ? [] : [`Only the other run has samples of ${only_in_against.join(", ")}.`]),
  ];
  return [
    rows.length === 0 ? "" : "<h3>Not comparable</h3>",
    table({
      label: "Documents that cannot be compared",
      columns: [
        { name: "task", kind: "text" },
        { name: "because of", kind: "text" },
        { name: "documents" },
        { name: "ids", kind: "text" },
      ],
      rows,
    }),
    ...lines.map((line) => paragraph(line, "small")),
  ].join("");
}

function untested({ untested }: RunComparison): string {
  if (untested.length === 0) return "";
  return folded(
    `${untested.length === 1 ? "1 metric" : `${untested.length} metrics`} without a test`,
    table({
      label: "Metrics without a test",
      columns: [
        { name: "task", kind: "text" },
        { name: "metric", kind: "text" },
        { name: "why", kind: "text" },
      ],
      rows: untested.map(({ task, metric, reason }) => [task, metric, reason]),
    }),
  );
}

/** Settings of both runs that differ, by their names in `results.json`. */
export function settingsThatDiffer(
  run: EvaluationRun,
  against: EvaluationRun,
): readonly (readonly [name: string, ours: string, theirs: string])[] {
  const rows: [string, string, string][] = [];
  const text = (value: unknown) =>
    value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const compare = (name: string, ours: unknown, theirs: unknown) => {
    if (text(ours) !== text(theirs)) rows.push([name, text(ours), text(theirs)]);
  };
  for (const key of ["model_name", "system_instruction", "fewshot_as_multiturn", "chat_template_sha", "max_length"]) {
    compare(key, run.results[key] ?? undefined, against.results[key] ?? undefined);
  }
  const keys = new Set([...Object.keys(run.results.config), ...Object.keys(against.results.config)]);
  for (const key of keys) compare(`config.${key}`, run.results.config[key], against.results.config[key]);
  for (const key of ["n-shot", "versions"] as const) {
    for (const task of Object.keys(run.results[key])) {
      if (Object.hasOwn(against.results[key], task))
        compare(`${key} of ${task}`, run.results[key][task], against.results[key][task]);
    }
  }
  return rows;
}

function settings(run: EvaluationRun, against: EvaluationRun): string {
  const rows = settingsThatDiffer(run, against).map((row) =>
    row.map((cell) => (cell.length > 200 ? `${cell.slice(0, 199)}…` : cell)),
  );
  if (rows.length === 0) return "";
  return folded(
    rows.length === 1 ? "1 setting differs" : `${rows.length} settings differ`,
    table({
      label: "Settings that differ",
      columns: [
        { name: "setting", kind: "text" },
        { name: "this run", kind: "text" },
        { name: "other run", kind: "text" },
      ],
      rows,
    }),
  );
}
