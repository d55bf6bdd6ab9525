/** @file Functions of tasks with a choice of answers: GPQA, ArabicMMLU, AGIEval, MuSR, MMLU-SR, ARC. */
import { QuernError } from "../../../errors.js";
import { pythonLiteral } from "../python-literal.js";
import { PythonRandom } from "../python-random.js";
import { PythonRegex } from "../python-regex.js";
import { codePoints } from "../python-text.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { isTruthy, mapped, type NamedFunctions, ofDocument, textIn, textsIn, valueIn } from "./fields.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

const BRACKETS = new PythonRegex("\\[.*?\\]");

function gpqaText(document: TaskDocument, key: string, isLeaderboard: boolean): string {
  if (document[key] === null) return " ";
  const text = stripped(textIn(document, key)).replaceAll(" [title]", ". ");
  return (isLeaderboard ? BRACKETS.sub("", text) : text).replaceAll("  ", " ");
}

/**
 * GPQA (Rein et al. 2023): shuffles the right answer among the wrong ones. lm-eval's generator is Python's own, whose default
 * seed there is 0; the variant with examples has its own, 42. Both start again with each call here.
 */
function gpqaDocuments(given: { readonly seed: number; readonly isLeaderboard: boolean; readonly hasList: boolean }) {
  return {
    takes: "documents",
    run: (documents) => {
      const random = new PythonRandom(given.seed);
      return documents.map((document) => {
        const keys = ["Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer"];
        const choices = keys.map((key) => gpqaText(document, key, given.isLeaderboard));
        const right = choices[3];
        random.shuffle(choices);
        const [choice1, choice2, choice3, choice4] = choices;
        const answer = `(${LETTERS[choices.indexOf(right)]})`;
        return { ...document, choice1, choice2, choice3, choice4, ...(given.hasList && { choices }), answer };
      });
    },
  } satisfies TaskFunction;
}

const LEVELS: Readonly<Record<string, string>> = {
  Primary: "primary school",
  Middle: "middle school",
  High: "high school",
  Univ: "university",
  Prof: "professional",
};

/** ArabicMMLU (Koto et al. 2024): a prompt in English with level and country where they are known. */
function arabicPrompt(document: TaskDocument): string {
  const [level, country, context] = ["Level", "Country", "Context"].map((key) => valueIn(document, key));
  let about = `${textOf(valueIn(document, "Subject"))} question`;
  if (isTruthy(level)) {
    const name = textOf(level);
    if (!Object.hasOwn(LEVELS, name)) throw new QuernError(`the level of the document is ${name}, which is unknown`);
    about += ` for ${LEVELS[name]}`;
  }
  if (isTruthy(country)) about += ` in ${textOf(country)}`;
  const question = textOf(valueIn(document, "Question"));
  const options: string[] = [];
  for (const [i, letter] of [..."ABCDE"].entries()) {
    const option = valueIn(document, `Option ${i + 1}`);
    if (!isTruthy(option)) break;
    options.push(`${letter}. ${textOf(option)}`);
  }
  const asked = isTruthy(context) ? `${textOf(context)}\n\n${question}` : question;
  return `This is a ${about}. Select the correct answer!\n\nQuestion: ${asked}\n${options.join("\n")}\n\nAnswer:`;
}

/** The first of the greatest, `np.argmax`; NaN is greatest. */
function indexOfGreatest(values: readonly number[]): number {
  const unknown = values.findIndex(Number.isNaN);
  return unknown >= 0 ? unknown : values.indexOf(Math.max(...values));
}

/** AGIEval (Zhong et al. 2023): several answers may be right. */
const severalRight: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const scores = results.map((result) => {
      if (typeof result === "object" && result !== null && "logLikelihood" in result) return result.logLikelihood;
      throw new QuernError("AGIEval needs the log-likelihood of each choice");
    });
    const gold = valueIn(document, "gold");
    if (!Array.isArray(gold)) throw new QuernError("the document has no list gold of right answers");
    const right = new Set(gold.map(Number));
    const lengths = textsIn(document, "choices").map(codePoints);
    return {
      acc: Number(right.has(indexOfGreatest(scores))),
      acc_norm: Number(right.has(indexOfGreatest(scores.map((score, i) => score / lengths[i])))),
    };
  },
};

function musrPrompt(document: TaskDocument): string {
  const choices = pythonLiteral(textIn(document, "choices"));
  if (!Array.isArray(choices)) throw new QuernError("choices of the document is no list");
  const lines = choices.map((choice, i) => `${i + 1} - ${textOf(choice)}\n`);
  return `${textOf(document.narrative)}\n\n${textOf(document.question)}\n\n${lines.join("")}\nAnswer:`;
}

/** MMLU-SR (Wang et al. 2024): columns without a header; a missing choice is empty. */
const replacedSymbols = mapped((document) => ({
  choices: [1, 2, 3, 4].map((i) => valueIn(document, `choice${i}`) ?? ""),
  answer: stripped(document.answer === null ? "" : textIn(document, "answer")),
}));

const lettersOfOptions = (document: TaskDocument): readonly string[] => {
  const { options } = document;
  if (Array.isArray(options) && options.length <= LETTERS.length) return [...LETTERS.slice(0, options.length)];
  throw new QuernError("the document needs options, a list of at most 26");
};

const arc: TaskFunction = {
  takes: "documents",
  run: (documents) =>
    documents.flatMap((document) => {
      const choices = valueIn(document, "choices") as Readonly<Record<string, unknown>> | null;
      if (!Array.isArray(choices?.label)) throw new QuernError("the document has no choices with labels");
      if (choices.label.length !== 4) return [];
      const key = textIn(document, "answerKey");
      const answerKey = /^[ABCD]$/.test(key) ? key : "ABCD".at(Number(key) - 1);
      if (answerKey === undefined) throw new QuernError(`answerKey of the document is ${key}, not a letter or 1 to 4`);
      return [{ ...document, choices: { ...choices, label: ["A", "B", "C", "D"] }, answerKey }];
    }),
};

export const MULTIPLE_CHOICE_FUNCTIONS: NamedFunctions = [
  ...["cot_n_shot", "cot_zeroshot", "generative", "zeroshot", "n_shot"].map(
    (folder) =>
      [
        `gpqa/${folder}/utils.process_docs`,
        gpqaDocuments({
          seed: folder === "n_shot" ? 42 : 0,
          isLeaderboard: false,
          hasList: !["zeroshot", "n_shot"].includes(folder),
        }),
      ] as const,
  ),
  ["leaderboard/gpqa/utils.process_docs", gpqaDocuments({ seed: 0, isLeaderboard: true, hasList: false })],
  ["arabicmmlu/utils.doc_to_text", ofDocument(arabicPrompt)],
  [
    "arabicmmlu/utils.doc_to_choice",
    ofDocument((document) => [..."ABCDE"].filter((_, i) => isTruthy(valueIn(document, `Option ${i + 1}`)))),
  ],
  ["agieval/utils.process_results_mcqa", severalRight],
  ["leaderboard/musr/utils.doc_to_text", ofDocument(musrPrompt)],
  [
    "leaderboard/mmlu_pro/utils.doc_to_text",
    ofDocument((document) => {
      const options = document.options as readonly unknown[];
      const lines = lettersOfOptions(document).map((letter, i) => `${letter}. ${textOf(options[i])}\n`);
      return `${textOf(valueIn(document, "question"))}\n${lines.join("")}Answer:`;
    }),
  ],
  ["leaderboard/mmlu_pro/utils.doc_to_choice", ofDocument(lettersOfOptions)],
  ...["answer_only", "question_and_answer", "question_only"].map(
    (folder) => [`mmlusr/${folder}/utils.process_docs`, replacedSymbols] as const,
  ),
  ["instruct/arc_challenge/utils.process_docs", arc],
];
