/**
 * @file Functions of exams and of questions with given answers: RACE, MathQA, MedQA, MedMCQA, PubMedQA, LogiQA, WebQuestions,
 * MNLI, ETHICS, BIG-bench and arithmetic.
 */
import { QuernError } from "../../../errors.js";
import { compareCodePoints } from "../python-json.js";
import { pythonLiteral } from "../python-literal.js";
import { PythonRandom } from "../python-random.js";
import { PythonRegex } from "../python-regex.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument } from "../task-function.js";
import {
  choiceIn,
  keeping,
  listIn,
  mapped,
  type NamedFunctions,
  numberIn,
  ofDocument,
  requiredAt,
  textIn,
  textsIn,
} from "./fields.js";

const LETTERS: Readonly<Record<string, number>> = { A: 0, B: 1, C: 2, D: 3 };

interface RaceProblem {
  readonly question: string;
  readonly options: readonly string[];
  /** Of the right option. */
  readonly answer: number;
}

/** The problems of an article, which RACE gives as a Python literal. At least one. */
function raceProblems(document: TaskDocument): readonly RaceProblem[] {
  const problems = pythonLiteral(textIn(document, "problems"));
  if (!Array.isArray(problems) || problems.length === 0) throw new QuernError("problems of the document is no list");
  return problems.map((given: unknown) => {
    const problem = given instanceof Map ? (Object.fromEntries(given) as TaskDocument) : {};
    return {
      question: textIn(problem, "question"),
      options: textsIn(problem, "options"),
      answer: choiceIn(LETTERS, problem, "answer"),
    };
  });
}

const BLANK_AT_END = "  _  .";

/** The article, its first problems with their answers, and the last problem's question. */
function racePrompt(document: TaskDocument): string {
  const problems = raceProblems(document);
  const solved = problems.slice(0, -1).map(({ question, options, answer }) => {
    const option = requiredAt(options, answer, "the list of options");
    if (!question.endsWith(BLANK_AT_END)) return `Question: ${question}\nAnswer: ${option}\n`;
    return `${question.slice(0, 1 - BLANK_AT_END.length)}${option}\n`;
  });
  return `Article: ${textIn(document, "article")}\n\n${solved.join("")}${problems.at(-1)!.question}`;
}

const MATHQA_OPTION = new PythonRegex("[abcd] \\) .*?, |e \\) .*?$");

/** "A. …" to the end of the options, one per line. */
function lettered(options: readonly unknown[]): string {
  return options.map((option, i) => `${"ABCD"[i]}. ${textOf(option)}\n`).join("");
}

const optionsAt = (document: TaskDocument, keys: readonly string[]): string =>
  lettered(keys.map((key) => document[key] ?? null));

/** The accepted answers, sorted; an answer that starts with the one before it adds nothing. */
function webAnswers(document: TaskDocument): readonly string[] {
  const kept: string[] = [];
  for (const answer of [...textsIn(document, "answers")].sort(compareCodePoints)) {
    if (kept.length === 0 || !answer.startsWith(kept.at(-1)!)) kept.push(answer);
  }
  if (kept.length === 0) throw new QuernError("the document has no answers");
  return kept;
}

/** Which of two scenarios comes first: shuffled with the better one as seed. */
function isBetterFirst(document: TaskDocument): boolean {
  const order = [0, 1];
  new PythonRandom(textIn(document, "activity")).shuffle(order);
  return order[0] === 0;
}

/** A Korean exam's question with its text and five options. */
function koreanQuestion(document: TaskDocument): string {
  const options = [1, 2, 3, 4, 5].map((i) => `(${i}) ${textOf(document[`option#${i}`] ?? null)}`).join("\n");
  const [context, question] = [textOf(document.context ?? null), textOf(document.question ?? null)];
  return (
    `다음을 읽고 정답으로 알맞은 것을 고르시요.\n### Context: ${context}\n### Question: ${question}\n### Options:\n` +
    `${options}\n### Answer: 주어진 문제의 정답은`
  );
}

/** Four options, and a fifth and sixth if there are any. */
function taiwaneseOptions(document: TaskDocument): TaskDocument {
  const letters = ["A", "B", "C", "D", ...["E", "F"].filter((letter) => (document[letter] ?? "") !== "")];
  const gold = letters.indexOf(textIn(document, "answer"));
  if (gold < 0) throw new QuernError(`the answer ${textIn(document, "answer")} is none of ${letters.join(", ")}`);
  return { questions: document.question, choices: letters.map((letter) => document[letter]), goal: gold };
}

export const EXAM_FUNCTIONS: NamedFunctions = [
  ["race/preprocess_race.doc_to_text", ofDocument(racePrompt)],
  ["race/preprocess_race.doc_to_target", ofDocument((document) => raceProblems(document).at(-1)!.answer)],
  [
    "race/preprocess_race.doc_to_choice",
    ofDocument((document) => {
      const { options } = raceProblems(document).at(-1)!;
      return [0, 1, 2, 3].map((i) => requiredAt(options, i, "the list of options"));
    }),
  ],
  [
    "mathqa/utils.doc_to_choice",
    ofDocument((document) =>
      MATHQA_OPTION.findAll(textIn(document, "options")).map((found) =>
        (found as string).slice(4).replace(/[ ,]+$/, ""),
      ),
    ),
  ],
  [
    "medqa/preprocess_medqa.doc_to_text",
    ofDocument((document) => {
      const options = optionsAt(document, ["ending0", "ending1", "ending2", "ending3"]);
      return `Question: ${textOf(document.sent1)}\n${options}Answer:`;
    }),
  ],
  ["medqa/preprocess_medqa.doc_to_target", ofDocument(({ label }) => label)],
  [
    "medmcqa/utils_medmcqa.doc_to_text",
    ofDocument((document) => {
      const options = optionsAt(document, ["opa", "opb", "opc", "opd"]);
      return `Question: ${textIn(document, "question")}\nChoices:\n${options}Answer:`;
    }),
  ],
  [
    "pubmedqa/preprocess_pubmedqa.doc_to_text",
    ofDocument((document) => {
      const contexts = textsIn(document, "CONTEXTS").join("\n");
      return `Abstract: ${contexts}\nQuestion: ${textOf(document.QUESTION)}\nAnswer:`;
    }),
  ],
  [
    "logiqa/utils_logiqa.doc_to_text",
    ofDocument((document) => {
      const options = lettered(listIn(document, "options").slice(0, 4));
      const question = textIn(document, "question");
      return `Passage: ${textIn(document, "context")}\nQuestion: ${question}\nChoices:\n${options}Answer:`;
    }),
  ],
  [
    "logiqa/utils_logiqa.doc_to_target",
    ofDocument((document) =>
      choiceIn({ a: 0, b: 1, c: 2, d: 3 }, { label: stripped(textIn(document, "label")) }, "label"),
    ),
  ],
  [
    "logiqa2/utils_logiqa2.doc_to_text",
    ofDocument((document) => {
      const options = lettered(listIn(document, "options").slice(0, 4));
      return `Passage: ${textIn(document, "text")}\nQuestion: ${textIn(document, "question")}\n${options}Answer:`;
    }),
  ],
  ["webqs/utils.doc_to_choice", ofDocument(webAnswers)],
  ["webqs/utils.doc_to_target", ofDocument((document) => [...webAnswers(document).keys()])],
  [
    "mnli/utils.doc_to_text",
    ofDocument((document) => {
      const hypothesis = stripped(textIn(document, "hypothesis"));
      const stop = hypothesis.endsWith(".") ? "" : ".";
      return `${textOf(document.premise)}\nQuestion: ${hypothesis}${stop} True, False or Neither?\nAnswer:`;
    }),
  ],
  [
    "hendrycks_ethics/utils.doc_to_text",
    ofDocument((document) => {
      const scenarios = [textIn(document, "activity"), textOf(document.baseline)];
      const [first, second] = isBetterFirst(document) ? scenarios : scenarios.reverse();
      return `Scenario 1: ${first}\nScenario 2: ${second}\nQuestion: Is Scenario 1 preferable?\nAnswer:`;
    }),
  ],
  ["hendrycks_ethics/utils.doc_to_target", ofDocument((document) => Number(isBetterFirst(document)))],
  [
    "bigbench/utils.filter_multiple_choice",
    keeping((document) => listIn(document, "multiple_choice_targets").length > 0),
  ],
  [
    "arithmetic/utils.process_docs",
    mapped((document) => ({
      context: stripped(textIn(document, "context"))
        .replaceAll("\n\n", "\n")
        .replaceAll("Q:", "Question:")
        .replaceAll("A:", "Answer:"),
    })),
  ],
  [
    "csatqa/utils.process_docs",
    mapped((document) => ({
      question: koreanQuestion(document),
      choices: [1, 2, 3, 4, 5].map((i) => `(${i})`),
      gold: numberIn(document, "gold") - 1,
    })),
  ],
  ["tmlu/default/utils.process_docs", mapped(taiwaneseOptions)],
];
