/** @file Competition mathematics: MATH (Hendrycks et al. 2021) with three graders, AIME, and AGIEval's open questions. */
import { QuernError } from "../../../errors.js";
import { textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import { mapped, type NamedFunctions, ofDocument, textIn, valueIn } from "./fields.js";
import { isSameLatex } from "./latex-algebra.js";
import { agievalAnswer, boxContent, isSameForm, lastBox, minervaAnswer, minervaForm } from "./math-answers.js";
import { verifyAnswer } from "./math-verify.js";
import { LEADERBOARD_EXAMPLES, MINERVA_EXAMPLES } from "./minerva-examples.js";

const INVALID = "[invalidanswer]";

function responseIn(results: readonly TaskResult[]): string {
  const [response] = results;
  if (typeof response === "string") return response;
  throw new QuernError("the result is no text, but must be a solution");
}

/** The answer in the box of the document's solution. */
function boxedAnswer(document: TaskDocument): string {
  const answer = boxContent(lastBox(textIn(document, "solution")));
  if (answer === null) throw new QuernError("the solution of the document has no \\boxed{…}");
  return answer;
}

/** What stands between the first and the last dollar; the whole response if there are not two. */
function betweenDollars(response: string): string {
  const [first, last] = [response.indexOf("$"), response.lastIndexOf("$")];
  return first === last ? response : response.slice(first + 1, last);
}

const solved = (answerOf: (document: TaskDocument) => string) => (document: TaskDocument) => ({
  problem: valueIn(document, "problem"),
  solution: textIn(document, "solution"),
  answer: answerOf(document),
});

const prompt = ofDocument((document) => `Problem:\n${textIn(document, "problem")}\n\nSolution:`);

const minervaResults: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const response = responseIn(results);
    const answer = minervaForm((minervaAnswer(response) ?? INVALID).trim());
    const right = textIn(document, "answer");
    return {
      exact_match: Number((answer !== "" && answer === right) || isSameLatex(answer, right)),
      math_verify: Number(verifyAnswer(textIn(document, "solution"), response, { isLatexGold: false })),
    };
  },
};

/** The Open LLM Leaderboard keeps the hardest level. A box that cannot be read is an answer of its own there. */
const leaderboardDocuments: TaskFunction = {
  takes: "documents",
  run: (documents) =>
    documents
      .filter((document) => valueIn(document, "level") === "Level 5")
      .map((document) => ({
        ...document,
        ...solved((each) => boxContent(lastBox(textIn(each, "solution"))) ?? INVALID)(document),
      })),
};

const leaderboardResults: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const response = responseIn(results);
    const frozen = { isFrozen: true };
    const answer = minervaForm((minervaAnswer(response) ?? INVALID).trim(), frozen);
    const right = minervaForm(textIn(document, "answer"), frozen);
    const isSame = answer !== INVALID && (answer.trim() === right.trim() || isSameLatex(answer, right));
    return {
      exact_match: Number(verifyAnswer(textIn(document, "solution"), response, { isLatexGold: true })),
      exact_match_original: Number(isSame),
    };
  },
};

const hendrycksResults: TaskFunction = {
  takes: "results",
  run: (document, results) => ({
    exact_match: Number(isSameForm(betweenDollars(responseIn(results)), boxedAnswer(document))),
  }),
};

const aimeResults: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const response = responseIn(results);
    const key = Object.keys(document).find((name) => name.toLowerCase() === "answer");
    if (key === undefined) throw new QuernError("the document has no field answer");
    const answer = boxContent(lastBox(response)) ?? betweenDollars(response);
    return { exact_match: Number(isSameForm(answer, textOf(document[key]))) };
  },
};

const agievalResults: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const gold = valueIn(document, "answer");
    if (gold === null) return { acc: 0 };
    const [given, right] = [agievalAnswer(responseIn(results)), agievalAnswer(textOf(gold))];
    if (given === null || right === null) return { acc: Number(given === right) };
    return { acc: Number(isSameForm(given, right, { keepsSlashes: true })) };
  },
};

export const COMPETITION_MATH_FUNCTIONS: NamedFunctions = [
  ["minerva_math/utils.doc_to_text", prompt],
  ["minerva_math/utils.process_docs", mapped(solved((document) => minervaForm(boxedAnswer(document))))],
  ["minerva_math/utils.list_fewshot_samples", { takes: "nothing", run: () => MINERVA_EXAMPLES }],
  ["minerva_math/utils.process_results", minervaResults],
  ["leaderboard/math/utils.doc_to_text", prompt],
  ["leaderboard/math/utils.process_docs", leaderboardDocuments],
  ["leaderboard/math/utils.list_fewshot_samples", { takes: "nothing", run: () => LEADERBOARD_EXAMPLES }],
  ["leaderboard/math/utils.process_results", leaderboardResults],
  ["hendrycks_math/utils.process_docs", mapped(solved(boxedAnswer))],
  ["hendrycks_math/utils.process_results", hendrycksResults],
  ["aime/utils.process_results", aimeResults],
  ["agieval/utils.process_results", agievalResults],
];
