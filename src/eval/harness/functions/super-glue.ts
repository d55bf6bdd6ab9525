/** @file Functions of SuperGLUE (Wang et al. 2019): CommitmentBank, MultiRC, ReCoRD and the Winograd schemas, also as T5 asked them. */
import { QuernError } from "../../../errors.js";
import { f1Statistic } from "../label-statistics.js";
import { compareCodePoints } from "../python-json.js";
import { splitWords } from "../python-text.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import { detokenized } from "./detokenized.js";
import {
  answerOf,
  flatMapping,
  likelihoodsOf,
  mapped,
  type NamedFunctions,
  numberIn,
  ofDocument,
  requiredAt,
  textIn,
  textsIn,
} from "./fields.js";
import { macroF1 } from "./macro-f1.js";
import { answerF1, exactAnswer, normalizedAnswer, sharedWordsF1 } from "./squad-answers.js";

const HIGHLIGHT = "\n@highlight\n";
const HIGHLIGHT_AFTER_MARK = /([.?!"'])\n@highlight\n/g;

/** The query with an entity in place of its gap. */
const filled = (document: TaskDocument, entity: string): string =>
  `  - ${textIn(document, "query")}`.replaceAll("@placeholder", () => entity);

const sortedSet = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort(compareCodePoints);

/** Exact match and F1 of the entity that the model prefers, against the right answer that it fits best. */
function entityScores(document: TaskDocument, results: readonly TaskResult[]): Readonly<Record<string, number>> {
  const likelihoods = likelihoodsOf(results);
  const best = likelihoods.indexOf(Math.max(...likelihoods));
  const entity = requiredAt(textsIn(document, "entities"), best, "the list of entities");
  const answers = textsIn(document, "answers");
  if (answers.length === 0) throw new QuernError("the document has no answers");
  return {
    f1: Math.max(...answers.map((answer) => answerF1(answer, entity))),
    em: Math.max(...answers.map((answer) => exactAnswer(answer, entity))),
  };
}

/** One document per answer. */
const perAnswer = flatMapping((document) => textsIn(document, "answers").map((answers) => ({ ...document, answers })));

/** "GROUP_TEXT" */
function grouped(reference: string): readonly [group: string, text: string] {
  const parts = reference.split("_");
  if (parts.length === 2) return [parts[0]!, parts[1]!];
  throw new QuernError(`the reference ${reference} must be a group, an underscore and an answer`);
}

/** Normalised answers and references of each question, from pairs of answer and "QUESTION_REFERENCE". */
function byQuestion(items: readonly unknown[]): { readonly answers: string[]; readonly references: string[] }[] {
  const questions = new Map<string, { answers: string[]; references: string[] }>();
  for (const item of items as readonly (readonly [string, string])[]) {
    const [group, reference] = grouped(item[1]);
    const question = questions.get(group) ?? { answers: [], references: [] };
    questions.set(group, question);
    question.answers.push(normalizedAnswer(item[0]));
    question.references.push(normalizedAnswer(reference));
  }
  return [...questions.values()];
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The pair of answer and reference as they are; the aggregation reads them. */
const passed: TaskFunction = {
  takes: "predictions",
  run: ({ references, predictions }) => [predictions[0], references[0]],
};

const BOOLEANS = ["False", "True"];

/** The answer to a MultiRC question and whether it is right. Another answer counts as wrong. */
function multircPair(given: { readonly references: readonly unknown[]; readonly predictions: readonly unknown[] }) {
  const parts = textOf(given.references[0]).split("_");
  const right = BOOLEANS.indexOf(parts.at(-1)!);
  if (right < 0) throw new QuernError(`the reference ${textOf(given.references[0])} ends with neither True nor False`);
  const answer = BOOLEANS.indexOf(textOf(given.predictions[0]));
  return { answer: answer < 0 ? 1 - right : answer, right };
}

const CB_LABELS = ["entailment", "contradiction", "neutral"];

/** The text with the pronoun between asterisks; `span2_index` counts words. */
function markedPronoun(document: TaskDocument): string {
  const text = textIn(document, "text");
  const pronoun = textIn(document, "span2_text");
  const before = splitWords(text).slice(0, numberIn(document, "span2_index")).join(" ");
  const after = Array.from(text).slice(Array.from(before).length + Array.from(pronoun).length + 1);
  return detokenized(`${before} *${pronoun}*${after.join("")}`);
}

/** Parts of two texts of the data set whose index does not point at their pronoun, and the parts with the pronoun marked. */
const MISPLACED: readonly (readonly [part: string, marked: string])[] = [
  ['. "Good for him," he said. ', '. "Good for X ," he said.'],
  [" might want to use it , but really for now, ", " might want to use X , but really for now, "],
];

/** The text with the pronoun between asterisks, as T5 asked; here `span2_index` counts what single spaces part. */
function t5Pronoun(document: TaskDocument): string {
  const text = textIn(document, "text");
  const pronoun = textIn(document, "span2_text");
  const words = text.split(" ");
  const at = numberIn(document, "span2_index");
  if (!(at > 0 && at < words.length)) {
    throw new QuernError(`span2_index ${at} of the document is not within its ${words.length} words, after the first`);
  }
  const [part, marked] = MISPLACED.find(([each]) => text.includes(each)) ?? [];
  if (part === undefined && words[at] !== pronoun) {
    throw new QuernError(`word ${at} of the document is ${words[at]}, not its pronoun ${pronoun}`);
  }
  const around = [words.slice(0, at), ["X"], words.slice(at + 1)].map((few) => few.join(" "));
  const asked = part === undefined ? around.join(" ") : text.replace(part, () => marked!);
  return `wsc: ${asked.replaceAll(" X ", () => ` *${pronoun}* `)}`;
}

const DETERMINERS = new Set(
  "a an few her his each every many much my our some that the their these this those which whose your".split(" "),
);

/** Whether the answer names the right noun: one has all words of the other, and both or neither have an apostrophe. */
function namesNoun(answer: string, noun: string): boolean {
  const [given, right] = [answer, noun].map((text) =>
    stripped(text)
      .toLowerCase()
      .split(" ")
      .filter((word) => !DETERMINERS.has(word))
      .join(" "),
  );
  if (given!.includes("'") !== right!.includes("'")) return false;
  const [a, b] = [given!.split(" "), right!.split(" ")];
  return a.every((word) => b.includes(word)) || b.every((word) => a.includes(word));
}

export const SUPER_GLUE_FUNCTIONS: NamedFunctions = [
  ["cb/aggregate.cb_multi_fi", { takes: "items", run: (items) => macroF1(items, [0, 1, 2]) }],
  [
    "cb/t5_utils.mean_3class_f1",
    {
      takes: "predictions",
      run: ({ references, predictions }) => {
        const right = CB_LABELS.indexOf(textOf(references[0]));
        if (right < 0)
          throw new QuernError(`the reference ${textOf(references[0])} is none of ${CB_LABELS.join(", ")}`);
        return [Math.max(0, CB_LABELS.indexOf(textOf(predictions[0]))), right];
      },
    },
  ],
  ["cb/t5_utils.agg_mean_3class_f1", { takes: "items", run: (items) => macroF1(items, [0, 1, 2]) }],
  [
    "multirc/t5_utils.f1",
    {
      takes: "predictions",
      run: (given) => {
        const { answer, right } = multircPair(given);
        return [answer, right];
      },
    },
  ],
  [
    "multirc/t5_utils.agg_f1",
    { takes: "items", run: (items) => f1Statistic([[0, 1], ...items])(Uint32Array.from(items, (_, i) => i + 1)) },
  ],
  [
    "multirc/t5_utils.em",
    {
      takes: "predictions",
      run: (given) => {
        const { answer, right } = multircPair(given);
        return [grouped(textOf(given.references[0]))[0], answer, right];
      },
    },
  ],
  [
    "multirc/t5_utils.agg_em",
    {
      takes: "items",
      run: (items) => {
        const questions = new Map<string, boolean>();
        for (const [group, answer, right] of items as readonly (readonly [string, number, number])[]) {
          questions.set(group, (questions.get(group) ?? true) && answer === right);
        }
        return meanOf([...questions.values()].map(Number));
      },
    },
  ],
  [
    "record/util.process_docs",
    mapped((document) => ({
      entities: sortedSet(textsIn(document, "entities")),
      answers: sortedSet(textsIn(document, "answers")),
    })),
  ],
  [
    "record/util.doc_to_text",
    ofDocument((document) => {
      const [passage, ...highlights] = stripped(textIn(document, "passage")).split(HIGHLIGHT);
      return `${passage}\n\n${highlights.map((each) => `  - ${each}.\n`).join("")}`;
    }),
  ],
  [
    "record/util.doc_to_target",
    ofDocument((document) => filled(document, requiredAt(textsIn(document, "answers"), 0, "the list of answers"))),
  ],
  [
    "record/util.doc_to_choice",
    ofDocument((document) => textsIn(document, "entities").map((each) => filled(document, each))),
  ],
  ["record/util.process_results", { takes: "results", run: entityScores }],
  ["record/t5_utils.process_docs", perAnswer],
  [
    "record/t5_utils.doc_to_text",
    ofDocument((document) => {
      const passage = textIn(document, "passage").replace(HIGHLIGHT_AFTER_MARK, "$1 ").replaceAll(HIGHLIGHT, ". ");
      const entities = textsIn(document, "entities").join(", ");
      return `record query: ${textIn(document, "query")} entities: ${entities} passage: ${passage}`;
    }),
  ],
  ["record/t5_utils.em", passed],
  ["record/t5_utils.f1", passed],
  [
    "record/t5_utils.squad_em_agg",
    {
      takes: "items",
      run: (items) =>
        meanOf(
          byQuestion(items).flatMap(({ answers, references }) =>
            answers.map((answer) => Number(references.includes(answer))),
          ),
        ),
    },
  ],
  [
    "record/t5_utils.squad_f1_agg",
    {
      takes: "items",
      // Of the first answer only: the model answers each copy of a question alike.
      run: (items) =>
        meanOf(
          byQuestion(items).map(({ answers, references }) =>
            Math.max(...references.map((reference) => sharedWordsF1(reference, answers[0]!))),
          ),
        ),
    },
  ],
  [
    "wsc/preprocess_wsc.default_doc_to_text",
    ofDocument((document) => {
      const [noun, pronoun] = [textIn(document, "span1_text"), textIn(document, "span2_text")];
      const question = `In the passage above, does the pronoun "*${pronoun}*" refer to "*${noun}*"?`;
      return `Passage: ${markedPronoun(document)}\nQuestion: ${question}\nAnswer:`;
    }),
  ],
  ["wsc/t5_utils.doc_to_text", ofDocument(t5Pronoun)],
  [
    "wsc/t5_utils.process_results",
    {
      takes: "results",
      run: (document, results) => ({
        accuracy: Number(
          namesNoun(answerOf(results), textIn(document, "span1_text")) === (numberIn(document, "label") === 1),
        ),
      }),
    },
  ],
];
