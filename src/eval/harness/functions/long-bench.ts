/** @file Functions of LongBench (Bai et al. 2024), its questions, classes, counts and retrieval; and of EQ-Bench (Paech 2023). */
import { QuernError } from "../../../errors.js";
import { pythonLiteral } from "../python-literal.js";
import { PythonRegex } from "../python-regex.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import { answerOf, type NamedFunctions, numberIn, textIn, textsIn } from "./fields.js";
import { normalizedAnswer, sharedWordsF1 } from "./squad-answers.js";

type Score = (answer: string, gold: string, document: TaskDocument) => number;

/** The best score against the right answers, under two names. */
function best(name: string, score: Score): TaskFunction {
  return {
    takes: "results",
    run: (document, results) => {
      const answer = stripped(answerOf(results));
      const value = Math.max(0, ...textsIn(document, "answers").map((gold) => score(answer, gold, document)));
      return { score: value, [`${name}_score`]: value };
    },
  };
}

const NUMBERS = new PythonRegex("\\d+");

/** The share of an answer's numbers that are the right one. */
function numberShare(answer: string, right: string): number {
  const numbers = NUMBERS.findAll(answer);
  return numbers.length === 0 ? 0 : numbers.filter((number) => number === right).length / numbers.length;
}

/** The share of an answer's numbers that are the number of the right paragraph. */
function paragraphShare(pattern: string): Score {
  const paragraph = new PythonRegex(pattern);
  return (answer, gold) => {
    const right = paragraph.search(gold)?.groups[1];
    if (right === undefined || right === null) throw new QuernError(`the right answer ${gold} names no paragraph`);
    return numberShare(answer, right);
  };
}

/** One by the number of classes that the answer names, if the right one is among them; a part of its name does not count. */
function classShare(answer: string, gold: string, document: TaskDocument): number {
  const named = textsIn(document, "all_classes").filter((name) => answer.includes(name));
  // As in lm-eval, the class after one that is taken out is not looked at.
  for (let i = 0; i < named.length; i++) {
    if (gold.includes(named[i]!) && named[i] !== gold) named.splice(named.indexOf(named[i]!), 1);
  }
  return named.includes(gold) ? 1 / named.length : 0;
}

const EMOTION = new PythonRegex("(\\w+):\\s+(\\d+)");

/** How near the intensities of four emotions are to the reference, up to 100; 0 is as good as chance. */
function emotions(document: TaskDocument, results: readonly TaskResult[]): Readonly<Record<string, number>> {
  const literal = pythonLiteral(textIn(document, "reference_answer_fullscale"));
  if (!(literal instanceof Map)) throw new QuernError("reference_answer_fullscale of the document is no dict");
  const reference = Object.fromEntries(literal as ReadonlyMap<string, unknown>);
  const given = new Map(EMOTION.findAll(answerOf(results)) as [string, string][]);
  const wanted = [1, 2, 3, 4].map(
    (i) => [textOf(reference[`emotion${i}`]), numberIn(reference, `emotion${i}_score`)] as const,
  );
  const isComplete =
    given.size === 4 && [...given.keys()].every((name) => wanted.some(([emotion]) => emotion === name));
  if (!isComplete) return { eqbench: 0, percent_parseable: 0 };
  let distance = 0;
  for (const [name, intensity] of given) {
    for (const [emotion, right] of wanted) {
      if (emotion !== name) continue;
      const difference = Math.abs(Number(intensity) - right);
      // Small differences weigh less, along an S.
      if (difference > 5) distance += difference;
      else if (difference > 0) distance += 6.5 / (1 + Math.E ** (-1.2 * (difference - 4)));
    }
  }
  return { eqbench: (10 - distance * 0.7477) * 10, percent_parseable: 100 };
}

export const LONG_BENCH_FUNCTIONS: NamedFunctions = [
  [
    "longbench/metrics.get_qa_f1_with_score",
    best("qa_f1", (answer, gold) => sharedWordsF1(normalizedAnswer(gold), normalizedAnswer(answer))),
  ],
  ["longbench/metrics.get_count_with_score", best("count", numberShare)],
  ["longbench/metrics.get_retrieval_with_score", best("retrieval", paragraphShare("Paragraph (\\d+)"))],
  ["longbench/metrics.get_retrieval_zh_with_score", best("retrieval_zh", paragraphShare("段落(\\d+)"))],
  ["longbench/metrics.get_classification_with_score", best("classification", classShare)],
  ["eq_bench/utils.calculate_score_fullscale", { takes: "results", run: emotions }],
];
