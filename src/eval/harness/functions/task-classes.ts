/**
 * @file Tasks that are a Python class in lm-eval, as the keys that a task file would have for the same: SQuAD 2.0, and completions
 * that must contain a value (SQuAD, FDA and SWDE, Arora et al. 2024).
 */
import { basename, dirname } from "node:path";
import { QuernError } from "../../../errors.js";
import { aggregate } from "../aggregations.js";
import { escapePattern, PythonRegex } from "../python-regex.js";
import { stripped } from "../python-values.js";
import { FunctionReference, type YamlMapping, type YamlValue } from "../python-yaml.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import { type NamedFunctions, objectIn, ofDocument, textIn, textsIn } from "./fields.js";
import { answerF1, exactAnswer, normalizedAnswer } from "./squad-answers.js";

interface TaskClass {
  readonly keys: Readonly<Record<string, YamlValue>>;
  /** Its methods, which the keys name as functions. */
  readonly methods: Readonly<Record<string, TaskFunction>>;
  /** Metrics; a method of the same name aggregates each. */
  readonly metrics: readonly string[];
  /** Texts whose log-likelihood after the prompt is also asked for. */
  readonly continuations: readonly string[];
}

const UNANSWERABLE = "unanswerable";

/** What SQuAD 2.0's metrics read of a document: as lm-eval, the answer beside the reference. */
type SquadItem = readonly [
  {
    readonly id: unknown;
    readonly prediction_text: string;
    /** The probability that the model gives to "unanswerable". */
    readonly no_answer_probability: number;
  },
  { readonly id: unknown; readonly answers: TaskDocument },
];

function squadItem({ id, answers }: TaskDocument, [answer, likelihood]: readonly TaskResult[]): SquadItem {
  const isScored = typeof likelihood === "object" && likelihood !== null && "logLikelihood" in likelihood;
  if (typeof answer !== "string" || !isScored) {
    throw new QuernError(`SQuAD 2.0 needs a generated answer and the log-likelihood of ${UNANSWERABLE}`);
  }
  const probability = Math.exp(likelihood.logLikelihood);
  const reference = { id, answers: objectIn({ answers }, "answers") };
  return [{ id, prediction_text: answer, no_answer_probability: probability }, reference];
}

/** The right answers; none if the text does not answer the question. */
const goldsOf = ([, { answers }]: SquadItem): readonly string[] => textsIn(answers, "text");
const hasAnswer = (item: SquadItem): boolean => goldsOf(item).length > 0;

/** The best score against the right answers that have words; against no answer if there are none. */
function bestScore(item: SquadItem, score: Score): number {
  const present = goldsOf(item).filter((gold) => normalizedAnswer(gold) !== "");
  return Math.max(...(present.length === 0 ? [""] : present).map((gold) => score(gold, item[0].prediction_text)));
}

type Score = typeof exactAnswer;

/** The mean in percent; 0 without such questions, as lm-eval has no entry for them. */
function meanScore(score: Score, which: (item: SquadItem) => boolean): TaskFunction {
  return {
    takes: "items",
    run: (items) => {
      const chosen = (items as readonly SquadItem[]).filter(which);
      const sum = chosen.reduce((total, item) => total + bestScore(item, score), 0);
      return chosen.length === 0 ? 0 : (100 * sum) / chosen.length;
    },
  };
}

/**
 * The score in percent at the best threshold, above which the probability of "unanswerable" means no answer. It starts from
 * no answer everywhere.
 */
function thresholdScore(score: Score): TaskFunction {
  return {
    takes: "items",
    run: (items) => {
      // The metric of Hugging Face keeps the probabilities in float32, which makes ties.
      const order = (items as readonly SquadItem[])
        .map((item) => [Math.fround(item[0].no_answer_probability), item] as const)
        .sort(([a], [b]) => a - b);
      let sum = order.filter(([, item]) => !hasAnswer(item)).length;
      let best = sum;
      for (const [, item] of order) {
        if (hasAnswer(item)) sum += bestScore(item, score);
        else if (item[0].prediction_text !== "") sum--;
        best = Math.max(best, sum);
      }
      return (100 * best) / order.length;
    },
  };
}

/** Metrics of SQuAD 2.0, and how each is aggregated. */
const SQUAD_METRICS: Readonly<Record<string, TaskFunction>> = {
  exact: meanScore(exactAnswer, () => true),
  f1: meanScore(answerF1, () => true),
  HasAns_exact: meanScore(exactAnswer, hasAnswer),
  HasAns_f1: meanScore(answerF1, hasAnswer),
  NoAns_exact: meanScore(exactAnswer, (item) => !hasAnswer(item)),
  NoAns_f1: meanScore(answerF1, (item) => !hasAnswer(item)),
  best_exact: thresholdScore(exactAnswer),
  best_f1: thresholdScore(answerF1),
};

const SQUAD2: TaskClass = {
  keys: {
    dataset_path: "lighteval/squad_v2",
    training_split: "train",
    validation_split: "validation",
    generation_kwargs: { until: ["\n"] },
    should_decontaminate: true,
    doc_to_decontamination_query: "context",
    metadata: { version: 3 },
  },
  methods: {
    doc_to_text: ofDocument((document) => {
      const [title, context, question] = ["title", "context", "question"].map((key) => textIn(document, key));
      return `Title: ${title}\n\nBackground: ${context}\n\nQuestion: ${question}\n\nAnswer:`;
    }),
    doc_to_target: ofDocument((document) => ` ${textsIn(objectIn(document, "answers"), "text")[0] ?? UNANSWERABLE}`),
    process_results: {
      takes: "results",
      run: (document, results) => {
        const item = squadItem(document, results);
        return Object.fromEntries(Object.keys(SQUAD_METRICS).map((metric) => [metric, item]));
      },
    },
    ...SQUAD_METRICS,
  },
  metrics: Object.keys(SQUAD_METRICS),
  continuations: [` ${UNANSWERABLE}`],
};

/** Whether the generated text contains the value, in upper or lower case. */
function containsValue(path: string, generation: Readonly<Record<string, YamlValue>> | null): TaskClass {
  return {
    keys: {
      dataset_path: path,
      dataset_name: "default",
      validation_split: "validation",
      ...(generation === null ? {} : { generation_kwargs: generation }),
      metadata: { version: 1 },
    },
    methods: {
      doc_to_text: ofDocument((document) => stripped(textIn(document, "text"))),
      doc_to_target: ofDocument((document) => stripped(textIn(document, "value"))),
      process_results: {
        takes: "results",
        run: (document, [answer]) => {
          if (typeof answer !== "string") throw new QuernError("the answer is not text");
          const value = new PythonRegex(escapePattern(stripped(textIn(document, "value"))), { ignoreCase: true });
          return { contains: Number(value.search(answer) !== null) };
        },
      },
      // The class takes NumPy's mean, for which lm-eval has no standard error.
      contains: { takes: "items", run: (items) => aggregate("mean", items) },
    },
    metrics: ["contains"],
    continuations: [],
  };
}

const FEW_TOKENS = { until: ["\n"], max_gen_toks: 48 };

/** By folder, module and class. */
const CLASSES: Readonly<Record<string, TaskClass>> = {
  "squadv2/task.SQuAD2": SQUAD2,
  // The class asks for 48 tokens, but lm-eval's defaults come before.
  "squad_completion/task.SQUADCompletion": containsValue("hazyresearch/based-squad", null),
  "fda/task.FDA": containsValue("hazyresearch/based-fda", FEW_TOKENS),
  "swde/task.SWDE": containsValue("hazyresearch/based-swde-v2", FEW_TOKENS),
};

/** A class as a task file. */
export interface ClassKeys {
  readonly keys: YamlMapping;
  readonly continuations: readonly string[];
}

/**
 * Returns the keys of the task file that does what a class does; undefined for a class that only Python runs. Other keys of
 * its file are not read, as in lm-eval.
 */
export function keysOfClass({ file, name }: FunctionReference): ClassKeys | undefined {
  const found = CLASSES[`${basename(dirname(file))}/${name}`];
  if (found === undefined) return undefined;
  const method = (each: string): FunctionReference => new FunctionReference(file, `${name}.${each}`);
  const keys = {
    ...found.keys,
    output_type: "generate_until",
    doc_to_text: method("doc_to_text"),
    doc_to_target: method("doc_to_target"),
    process_results: method("process_results"),
    metric_list: found.metrics.map((metric) => ({ metric, aggregation: method(metric), higher_is_better: true })),
  };
  return { keys, continuations: found.continuations };
}

export const CLASS_FUNCTIONS: NamedFunctions = Object.entries(CLASSES).flatMap(([name, { methods }]) =>
  Object.entries(methods).map(([method, value]) => [`${name.replace(".", "/")}.${method}`, value] as const),
);
