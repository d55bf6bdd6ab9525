/**
 * @file Task files and documents for bench/eval.ts. Made-up documents have the lengths of ARC-easy's, PIQA's, OpenBookQA's and
 * MMLU's; with a real model and `QUERN_SHARED`, the documents are theirs. Quern and lm-eval read the same files.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomStream } from "../src/model/index.js";
import { loadTokenizer } from "../src/tokenizer/index.js";

export interface EvalTasks {
  /** Folder of the YAML files. */
  readonly folder: string;
  readonly zeroShot: readonly string[];
  readonly fiveShot: readonly string[];
}

/** Documents of each task: about 1,000 requests without shots, 400 with five. */
const DOCUMENTS = { arc: 125, piqa: 125, openbook: 62, letters: 100 };
const SHOTS = 5;

const TASKS = {
  arc: { text: '"Question: {{question}}\\nAnswer:"', choice: '"{{choices}}"', target: '"{{answer}}"' },
  piqa: { text: '"Question: {{question}}\\nAnswer:"', choice: '"{{choices}}"', target: '"{{answer}}"' },
  openbook: { text: "question", choice: '"{{choices}}"', target: '"{{answer}}"' },
  letters: {
    text: '"{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"',
    choice: "",
    target: '"{{answer}}"',
  },
} as const;
type TaskName = keyof typeof TASKS;

interface Row {
  readonly question: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

/**
 * Writes task files with their documents.
 * @param model a Hugging Face folder
 * @param benchmarks folder of real data sets; null makes documents up
 */
export async function writeEvalTasks(scratch: string, model: string, benchmarks: string | null): Promise<EvalTasks> {
  const folder = join(scratch, "tasks");
  mkdirSync(folder, { recursive: true });
  const made = benchmarks === null ? await madeUpRows(model) : realRows(benchmarks);
  for (const [name, { rows, shots, labels }] of Object.entries(made)) {
    const { text, choice, target } = TASKS[name as TaskName];
    const path = (split: string) => join(folder, `${name}-${split}.jsonl`);
    for (const [split, list] of [
      ["test", rows],
      ["dev", shots],
    ] as const) {
      writeFileSync(path(split), list.map((row) => `${JSON.stringify(row)}\n`).join(""));
    }
    writeFileSync(
      join(folder, `${name}.yaml`),
      [
        `task: bench_${name}`,
        "dataset_path: json",
        `dataset_kwargs: {data_files: {test: "${path("test")}", dev: "${path("dev")}"}}`,
        "test_split: test",
        "fewshot_split: dev",
        "fewshot_config: {sampler: first_n}",
        "output_type: multiple_choice",
        `doc_to_text: ${text}`,
        `doc_to_choice: ${choice === "" ? JSON.stringify(labels) : choice}`,
        `doc_to_target: ${target}`,
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]",
        "",
      ].join("\n"),
    );
  }
  return { folder, zeroShot: ["bench_arc", "bench_piqa", "bench_openbook"], fiveShot: ["bench_letters"] };
}

type Made = Record<
  TaskName,
  { readonly rows: readonly Row[]; readonly shots: readonly Row[]; readonly labels: readonly string[] }
>;

/** Words that are one token each, so that lengths in words are lengths in tokens. */
async function madeUpRows(model: string): Promise<Made> {
  const tokenizer = await loadTokenizer(model);
  const words: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize && words.length < 4000; id++) {
    const text = tokenizer.has(id) ? tokenizer.decode([id]) : "";
    if (/^ [a-z]{2,}$/.test(text)) words.push(text.slice(1));
  }
  const random = randomStream(1, "bench eval");
  let drawn = 0;
  const draw = (count: number) => Math.floor(random.uniform(drawn++) * count);
  const text = (least: number, most: number) =>
    Array.from({ length: least + draw(most - least + 1) }, () => words[draw(words.length)]).join(" ");
  const rows = (
    count: number,
    question: readonly [number, number],
    choices: number,
    choice: readonly [number, number],
  ) =>
    Array.from(
      { length: count },
      (): Row => ({
        question: text(...question),
        choices: Array.from({ length: choices }, () => text(...choice)),
        answer: draw(choices),
      }),
    );
  const task = (name: TaskName, ...sizes: readonly [readonly [number, number], number, readonly [number, number]]) => ({
    rows: rows(DOCUMENTS[name], ...sizes),
    shots: rows(SHOTS, ...sizes),
    labels: words.slice(0, 4),
  });
  return {
    arc: task("arc", [10, 40], 4, [1, 9]),
    piqa: task("piqa", [3, 15], 2, [8, 32]),
    openbook: task("openbook", [4, 20], 4, [1, 6]),
    letters: task("letters", [20, 100], 4, [3, 15]),
  };
}

/** The first documents of the real data sets. */
function realRows(benchmarks: string): Made {
  const read = (path: string) =>
    readFileSync(join(benchmarks, path), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  const listed = ({ question, question_stem, choices, answerKey }: Record<string, never>): Row => {
    const { text, label } = choices as unknown as { text: string[]; label: string[] };
    return { question: question ?? question_stem, choices: text, answer: label.indexOf(answerKey) };
  };
  const first = (name: TaskName, rows: readonly Row[]) => ({
    rows: rows.slice(0, DOCUMENTS[name]),
    shots: rows.slice(-SHOTS),
    labels: ["A", "B", "C", "D"],
  });
  const subject = "cais/mmlu/high_school_biology";
  return {
    arc: first("arc", read("allenai/ai2_arc/ARC-Easy/test.jsonl").map(listed)),
    openbook: first("openbook", read("allenai/openbookqa/main/test.jsonl").map(listed)),
    piqa: first(
      "piqa",
      read("baber/piqa/validation.jsonl").map(({ goal, sol1, sol2, label }) => ({
        question: goal,
        choices: [sol1, sol2],
        answer: Number(label),
      })),
    ),
    letters: {
      ...first("letters", read(`${subject}/test.jsonl`)),
      shots: read(`${subject}/dev.jsonl`).slice(0, SHOTS),
    },
  };
}
