/** @file Functions of tasks that answer questions about a text in their own words: CoQA, QASPER and XQuAD. */
import { QuernError } from "../../../errors.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import {
  answerOf,
  flatMapping,
  listIn,
  type NamedFunctions,
  objectIn,
  ofDocument,
  requiredAt,
  textIn,
  textsIn,
} from "./fields.js";
import { answerF1, exactAnswer, normalizedAnswer, sharedWordsF1 } from "./squad-answers.js";

/** The story and the conversation up to the last question. */
function conversation(document: TaskDocument): string {
  const questions = listIn(objectIn(document, "questions"), "input_text");
  const answers = listIn(objectIn(document, "answers"), "input_text").slice(0, -1);
  let text = `${textIn(document, "story")}\n\n`;
  for (let i = 0; i < Math.max(questions.length, answers.length); i++) {
    const answer = answers[i] ?? null;
    text += `Q: ${textOf(questions[i] ?? null)}\n\n`;
    text += answer === null ? "A:" : `A: ${textOf(answer)}\n\n`;
  }
  return text;
}

const turnsOf = (document: TaskDocument): number => listIn(objectIn(document, "questions"), "input_text").length;

/** The answers to the last of some questions: the first annotator's, and others that differ from it. */
function lastAnswers(document: TaskDocument, turns: number): readonly string[] {
  const last = turns - 1;
  const answers = [requiredAt(textsIn(objectIn(document, "answers"), "input_text"), last, "the list of answers")];
  const others = document.additional_answers;
  if (others === null || others === undefined) return answers;
  const byAnnotator = objectIn(document, "additional_answers");
  for (const key of Object.keys(byAnnotator)) {
    const other = requiredAt(textsIn(objectIn(byAnnotator, key), "input_text"), last, "a list of additional answers");
    if (!answers.some((answer) => answer.toLowerCase() === other.toLowerCase())) answers.push(other);
  }
  return answers;
}

/**
 * Returns the mean of the best score against all right answers but one, each left out in turn: people, who are compared with
 * the others' answers, and models are measured alike.
 */
function leaveOneOut(golds: readonly string[], score: (gold: string) => number): number {
  if (golds.length === 1) return score(golds[0]!);
  const scores = golds.map(score);
  let sum = 0;
  for (const left of scores.keys()) sum += Math.max(...scores.filter((_, i) => i !== left));
  return sum / golds.length;
}

/** Exact match and F1 of the answer's first line to the last of some questions. */
export function conversationScores(
  document: TaskDocument,
  turns: number,
  results: readonly TaskResult[],
): { readonly em: number; readonly f1: number } {
  const golds = lastAnswers(document, turns);
  const answer = stripped(answerOf(results)).split("\n")[0]!;
  return {
    em: leaveOneOut(golds, (gold) => exactAnswer(gold, answer)),
    f1: leaveOneOut(golds, (gold) => answerF1(gold, answer)),
  };
}

/** The answer of one annotator to a question about a paper, and its kind. */
function qasperAnswer(given: unknown): readonly [answer: string, kind: string] {
  const { unanswerable, yes_no, free_form_answer, extractive_spans } = given as TaskDocument;
  if (unanswerable === true) return ["unanswerable", "unanswerable"];
  if (yes_no === true) return ["yes", "bool"];
  if (typeof free_form_answer === "string" && free_form_answer !== "") return [free_form_answer, "free form answer"];
  if (Array.isArray(extractive_spans) && extractive_spans.length > 0) {
    return [extractive_spans.map(textOf).join(", "), "extractive_spans"];
  }
  if (yes_no === false) return ["no", "bool"];
  throw new QuernError("an answer of the document is neither yes, no, text, a span nor unanswerable");
}

/** One document per answer of a kind. */
function qasperQuestions(wanted: string): TaskFunction {
  return flatMapping((document) => {
    const qas = objectIn(document, "qas");
    const lists = listIn(qas, "answers") as readonly TaskDocument[];
    const pairs = listIn(qas, "question").slice(0, lists.length);
    return pairs.flatMap((question, i) =>
      listIn(lists[i]!, "answer").flatMap((given) => {
        const [answer, kind] = qasperAnswer(given);
        if (kind !== wanted) return [];
        return [{ title: document.title, abstract: document.abstract, question, answer, answer_type: kind }];
      }),
    );
  });
}

export const READING_FUNCTIONS: NamedFunctions = [
  ["coqa/utils.doc_to_text", ofDocument(conversation)],
  ["coqa/utils.doc_to_target", ofDocument((document) => lastAnswers(document, turnsOf(document)))],
  [
    "coqa/utils.process_results",
    {
      takes: "results",
      run: (document, results) => conversationScores(document, turnsOf(document), results),
    },
  ],
  ["qasper/utils.process_docs_bool", qasperQuestions("bool")],
  ["qasper/utils.process_docs_freeform", qasperQuestions("free form answer")],
  [
    "qasper/metrics.f1_abstractive",
    {
      takes: "predictions",
      run: ({ references, predictions }) =>
        sharedWordsF1(normalizedAnswer(textOf(references[0])), normalizedAnswer(textOf(predictions[0]))),
    },
  ],
  [
    "xquad/utils.process_results_qa",
    {
      takes: "results",
      run: (document, results) => {
        const gold = requiredAt(textsIn(objectIn(document, "answers"), "text"), 0, "the list of answers");
        const answer = answerOf(results);
        return { f1: answerF1(gold, answer), exact_match: exactAnswer(gold, answer) };
      },
    },
  ],
];
