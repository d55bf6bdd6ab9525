/** Made-up runs: choices, two contexts, generated answers with two filters, and whole texts. */
import { createHash } from "node:crypto";
import type { EvaluationRun, EvaluationSample } from "../../../src/eval/index.js";

const hash = (text: string) => createHash("sha256").update(text).digest("hex");

/** A sample with the hashes of lm-eval. */
export function sampleOf(
  doc_id: number,
  requests: readonly (readonly unknown[])[],
  resps: readonly (readonly unknown[])[],
  values: Readonly<Record<string, unknown>>,
  {
    target = "0",
    filter = "none",
    filtered = resps.map(([first]) => first),
  }: { target?: unknown; filter?: string; filtered?: readonly unknown[] } = {},
): EvaluationSample {
  return {
    doc_id,
    doc: { id: doc_id },
    target,
    arguments: Object.fromEntries(
      requests.map((list, i) => [`gen_args_${i}`, Object.fromEntries(list.map((item, j) => [`arg_${j}`, item]))]),
    ),
    resps,
    filtered_resps: filtered,
    filter,
    metrics: Object.keys(values),
    doc_hash: hash(`document ${doc_id}`),
    prompt_hash: hash(String(requests[0][0])),
    target_hash: hash(String(target)),
    ...values,
  };
}

/** A number in [0, 1) that depends on its arguments alone. */
export const draw = (...of: readonly unknown[]) => Number.parseInt(hash(JSON.stringify(of)).slice(0, 8), 16) / 2 ** 32;

const EXAMPLE = "Question: What grinds corn?\nAnswer: a quern\n\n";

function choices(seed: number): EvaluationSample[] {
  return Array.from({ length: 40 }, (_, i) => {
    const prompt = `${EXAMPLE}Question: What is number ${i}?${seed === 2 && i === 3 ? " Think!" : ""}\nAnswer:`;
    const texts = [` the mill ${i}`, " a stone", " ein Mühlstein 🌾"];
    const right = i % 3;
    const scores = texts.map((_, c) => -10 * draw(seed, "choice", i, c) - (c === right ? 0 : 2));
    const best = (values: readonly number[]) => values.indexOf(Math.max(...values));
    return sampleOf(
      i,
      texts.map((text) => [prompt, text]),
      scores.map((score) => [[String(score), score > -1 ? "True" : "False"]]),
      {
        acc: Number(best(scores) === right),
        acc_norm: Number(best(scores.map((score, c) => score / ([...texts[c]].length - 1))) === right),
      },
      { target: String(right) },
    );
  });
}

function contexts(seed: number): EvaluationSample[] {
  return Array.from({ length: 10 }, (_, i) => {
    const scores = [0, 1].map((c) => -5 * draw(seed, "contexts", i, c));
    const right = i % 2;
    return sampleOf(
      i,
      ["Anna", "Anton"].map((name) => [`Anna met Anton ${i} times because ${name}`, " asked for it."]),
      scores.map((score) => [[String(score), "False"]]),
      { acc: Number((scores[0] >= scores[1] ? 0 : 1) === right) },
      { target: "asked for it." },
    );
  });
}

function answers(seed: number): EvaluationSample[] {
  return Array.from({ length: 12 }, (_, i) => {
    const right = draw(seed, "answer", i) < 0.6;
    const text = ` <b>bold</b> & so ${right ? i : i + 1}\u0001.`;
    return ["strict", "flexible"].map((filter) => {
      const found = filter === "strict" && i % 4 === 0 ? "[invalid]" : String(right ? i : i + 1);
      return sampleOf(
        i,
        [[`Say ${i}`, { until: ["\n"], do_sample: false }]],
        [[text]],
        { exact_match: Number(found === String(i)), f1: right ? 1 : draw(seed, "f1", i) },
        { target: String(i), filter, filtered: [found] },
      );
    });
  }).flat();
}

function texts(seed: number): EvaluationSample[] {
  return Array.from({ length: 8 }, (_, i) => {
    const text = `A text of some words, number ${i}. `.repeat(1 + (i % 3));
    const score = -text.length * (0.8 + 0.1 * draw(seed, "text", i) - 0.05 * seed);
    return sampleOf(i, [[text]], [[String(score)]], { bits_per_byte: [score, text.length] }, { target: text });
  });
}

const mean = (samples: readonly EvaluationSample[], metric: string, filter = "none") => {
  const values = samples.filter((sample) => sample.filter === filter).map((sample) => Number(sample[metric]));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
};

/** Two runs differ in `seed`; of the second, document 3 of "questions" has another prompt, and "texts" lacks document 7. */
export function madeRun(seed: number): EvaluationRun {
  const samples = new Map<string, readonly EvaluationSample[]>([
    ["questions", choices(seed)],
    ["names", contexts(seed)],
    ["numbers", answers(seed)],
    ["texts", texts(seed).slice(0, seed === 2 ? 7 : 8)],
  ]);
  const of = (task: string) => samples.get(task) as readonly EvaluationSample[];
  const acc = { questions: mean(of("questions"), "acc"), names: mean(of("names"), "acc") };
  const bits = of("texts").map(({ bits_per_byte }) => bits_per_byte as [number, number]);
  const sum = (at: 0 | 1) => bits.reduce((total, pair) => total + pair[at], 0);
  const results = {
    both: {
      alias: "both",
      sample_len: 50,
      "acc,none": (40 * acc.questions + 10 * acc.names) / 50,
      "acc_stderr,none": 0.06,
    },
    questions: {
      alias: "questions",
      sample_len: 40,
      "acc,none": acc.questions,
      "acc_stderr,none": 0.07,
      "acc_norm,none": mean(of("questions"), "acc_norm"),
      "acc_norm_stderr,none": 0.07,
    },
    names: { alias: "names", sample_len: 10, "acc,none": acc.names, "acc_stderr,none": "N/A" },
    numbers: {
      alias: "numbers",
      sample_len: 12,
      "exact_match,strict": mean(of("numbers"), "exact_match", "strict"),
      "exact_match_stderr,strict": 0.1,
      "exact_match,flexible": mean(of("numbers"), "exact_match", "flexible"),
      "exact_match_stderr,flexible": 0.1,
      "f1,strict": mean(of("numbers"), "f1", "strict"),
      "f1_stderr,strict": 0.05,
    },
    texts: { alias: "texts", sample_len: bits.length, "bits_per_byte,none": -sum(0) / sum(1) / Math.LN2 },
  };
  return {
    name: `run ${seed}`,
    results: {
      results,
      group_subtasks: { both: ["questions", "names"] },
      configs: {
        questions: { output_type: "multiple_choice", target_delimiter: " " },
        names: { output_type: "multiple_choice" },
        numbers: { output_type: "generate_until", metric_list: [{ metric: "f1", aggregation: "mean" }] },
        texts: { output_type: "loglikelihood_rolling" },
      },
      versions: { questions: 1, names: 1, numbers: seed, texts: 1 },
      "n-shot": { questions: 1, names: 0, numbers: 0, texts: 0 },
      higher_is_better: { questions: { acc: true, acc_norm: true }, texts: { bits_per_byte: false } },
      "n-samples": {},
      config: { model: `model <${seed}>`, limit: null },
    },
    samples,
  };
}
