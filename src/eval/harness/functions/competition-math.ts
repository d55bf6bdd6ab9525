/** @file Competition mathematics: MATH (Hendrycks et al. 2021) with three graders, AIME, AGIEval's open questions, HRM8K. */
import { QuernError } from "../../../errors.js";
import { pythonText } from "../../../tokenizer/index.js";
import { strip } from "../python-text.js";
import { textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";
import { mapped, type NamedFunctions, ofDocument, textIn, valueIn } from "./fields.js";
import { isSameLatex } from "./latex-algebra.js";
import {
  agievalAnswer,
  boxContent,
  hendrycksForm,
  isSameForm,
  lastBox,
  minervaAnswer,
  minervaForm,
} from "./math-answers.js";
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

const FLOAT =
  /^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?|inf|infinity|nan)$/i;

/** A number as HRM8K (Ko et al. 2025) writes it: 5.0 and 5e0 are 5. */
function plainNumber(value: unknown): string {
  const text = strip(textOf(value));
  if (!FLOAT.test(text)) return text;
  const special = /^([+-]?)(inf|nan)/i.exec(text);
  if (special !== null) return special[2].toLowerCase() === "nan" ? "nan" : `${special[1].replace("+", "")}inf`;
  const number = Number(text.replaceAll("_", ""));
  if (Number.isInteger(number)) return String(BigInt(number));
  return Number.isFinite(number) ? pythonText(number) : number > 0 ? "inf" : "-inf";
}

const hrmResults: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const right = agievalAnswer(plainNumber(valueIn(document, "answer")));
    const given = agievalAnswer(responseIn(results));
    if (given === null || right === null) return { exact_match: Number(given === right) };
    const forms = [given, right].map((answer) => hendrycksForm(answer, { keepsSlashes: true }));
    const [one, other] = forms;
    return { exact_match: Number(one === null || other === null ? given === right : plainNumber(one) === other) };
  },
};

/** The Korean and the English version of a question, with the wanted form of the answer. */
const HRM_PROMPTS: Readonly<Record<string, (document: TaskDocument, isChoice: boolean) => string>> = {
  default: (document, isChoice) =>
    "주어진 문제를 풀어보세요.\n문제를 푼 후, " +
    (isChoice
      ? "주어진 선택지 (1, 2, 3, 4) 중 최종 선택지를 다음 형식으로 작성하세요"
      : "최종 답변을 다음과 같은 형식으로 작성하세요") +
    `: $\\boxed{N}$.\n\n문제: ${strip(textIn(document, "question"))}\n답변:`,
  en: (document, isChoice) =>
    `Solve the given question.\nAfter solving the problem, state your final ${
      isChoice ? "choice among the choices (1, 2, 3, 4)" : "answer"
    } in the following format: $\\boxed{N}$.\n\nQuestion: ${strip(textIn(document, "original"))}\nAnswer:`,
};

const hrmFunctions = (folder: string): NamedFunctions => [
  [`hrm8k/${folder}/utils.doc_to_text`, ofDocument((document) => HRM_PROMPTS[folder](document, false))],
  [`hrm8k/${folder}/utils.doc_to_text_mmmlu`, ofDocument((document) => HRM_PROMPTS[folder](document, true))],
  [`hrm8k/${folder}/utils.doc_to_target`, ofDocument((document) => plainNumber(valueIn(document, "answer")))],
  [`hrm8k/${folder}/utils.process_results`, hrmResults],
];

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
  ...Object.keys(HRM_PROMPTS).flatMap(hrmFunctions),
];
