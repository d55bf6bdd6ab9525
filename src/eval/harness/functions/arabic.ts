/** @file The Arabic leaderboard's prompts: translated benchmarks, AlGhafa, ArabicMMLU, exams and ACVA. */
import { QuernError } from "../../../errors.js";
import { pythonLiteral } from "../python-literal.js";
import { PythonRandom } from "../python-random.js";
import { PythonRegex } from "../python-regex.js";
import { textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { isTruthy, mapped, type NamedFunctions, textIn, valueIn } from "./fields.js";

const ANSWER = "الإجابة:";
const ABOUT = "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح";
const LETTERS = ["أ", "ب", "ج", "د"];
const YES = "نعم";
const NO = "لا";
const BRACKETS = new PythonRegex("\\[.*?]");
/** The original indents its lines. */
const INDENT = " ".repeat(8);

const field = (document: TaskDocument, key: string): string => textOf(valueIn(document, key));

function letterIndex(document: TaskDocument): number {
  const answer = textIn(document, "answer");
  if (/^[A-Z]$/.test(answer)) return answer.charCodeAt(0) - 65;
  throw new QuernError(`the answer of the document must be a letter, not ${answer}`);
}

const introduction = (document: TaskDocument): string =>
  `${ABOUT} حول ${textIn(document, "subject").replaceAll("_", " ")}. \n\n`;

const optionsOf = (document: TaskDocument): readonly string[] =>
  ["A", "B", "C", "D"].map((key) => field(document, key));

const mmlu = mapped((document) => ({
  query:
    `${introduction(document)}${field(document, "question")}\n` +
    `${optionsOf(document)
      .map((option, i) => `${LETTERS[i]}. ${option}\n`)
      .join("")}${ANSWER}`,
  choices: LETTERS,
  gold: letterIndex(document),
}));

const exams = mapped((document) => ({
  query:
    `${introduction(document)}السؤال: ${field(document, "question")}\n` +
    `${optionsOf(document)
      .map((option, i) => ` ${LETTERS[i]}) ${option}\n`)
      .join("\n")}\n${ANSWER}`,
  choices: LETTERS,
  gold: letterIndex(document),
}));

/** AlGhafa: every other column is a choice. */
const alghafa = mapped((document) => {
  const keys = Object.keys(document).filter((key) => !["query", "label", "__few_shots"].includes(key));
  const choices = keys.map((key) => document[key]);
  const lines = choices.map((choice, i) => `${i}) ${textOf(choice)}\n`);
  const gold = Number(valueIn(document, "label"));
  if (!Number.isInteger(gold))
    throw new QuernError(`the label of the document is ${field(document, "label")}, no integer`);
  return { query: `${ABOUT}\n\nالسؤال: ${field(document, "query")}\n${lines.join("")}${ANSWER}`, choices, gold };
});

const acva = mapped((document) => {
  const choices = ["صح", "خطأ"];
  const gold = choices.indexOf(textIn(document, "answer"));
  if (gold < 0) throw new QuernError(`the answer of the document must be ${choices.join(" or ")}`);
  return { query: `السؤال: ${field(document, "question")}\n${ANSWER}`, choices, gold };
});

const CONNECTORS: Readonly<Record<string, string>> = { cause: "لأن", effect: "لذلك" };

const copa = mapped((document) => {
  const choices = [valueIn(document, "choice1"), valueIn(document, "choice2")];
  const kind = textIn(document, "question");
  if (!Object.hasOwn(CONNECTORS, kind)) throw new QuernError("question of the document must be cause or effect");
  const lines = choices.map((choice, i) => `${i}) ${textOf(choice)}\n`);
  const query = `${field(document, "premise")}، ${CONNECTORS[kind]} :\n${lines.join("")}${ANSWER}`;
  return { query, choices, gold: valueIn(document, "label") };
});

const hellaswag = mapped((document) => {
  const endings = pythonLiteral(textIn(document, "endings"));
  if (!Array.isArray(endings)) throw new QuernError("endings of the document is no list");
  const choices = endings.map((ending) => BRACKETS.sub("", textOf(ending)));
  const asked = "بناء على السياق التالي، اختر النهاية الصحيحة من الاقتراحات التالية";
  const context = BRACKETS.sub("", textIn(document, "ctx"));
  const lines = choices.map((choice, i) => `${i}) ${choice}\n`);
  const query =
    `${asked}\n${INDENT}السياق:\n${INDENT}${context}\n${INDENT}الاقتراحات:\n\n${INDENT}` + `${lines.join("")}${ANSWER}`;
  return { query, choices, gold: valueIn(document, "label") };
});

const toxigen = mapped((document) => {
  const asked = 'هل العبارة التالية تحض على الكراهية؟ قم بالرد بـ"نعم" أو "لا".';
  const toxicity = Number(valueIn(document, "toxicity_ai")) + Number(valueIn(document, "toxicity_human"));
  return {
    query: `${asked}\n${INDENT}العبارة:\n${INDENT}'${field(document, "text")}'\n${INDENT}${ANSWER}\n${INDENT}`,
    choices: [NO, YES],
    gold: Number(toxicity > 5.5),
  };
});

const boolq = mapped((document) => {
  const asked = "بناء على المقطع التالي، أجب عن السؤال ب نعم أو لا";
  const lines = ["المقطع :", field(document, "passage"), "السؤال:", field(document, "question"), ANSWER, ""];
  return {
    query: [asked, ...lines].join(`\n${INDENT}`),
    choices: [YES, NO],
    gold: isTruthy(valueIn(document, "answer")) ? 0 : 1,
  };
});

/** SciQ: the choices are shuffled by Python's own generator, whose seed in lm-eval is 0. */
const sciq: TaskFunction = {
  takes: "documents",
  run: (documents) => {
    const random = new PythonRandom(0);
    return documents.map((document) => {
      const keys = ["distractor1", "distractor2", "distractor3", "correct_answer"];
      const choices = keys.map((key) => valueIn(document, key));
      const right = choices[3];
      random.shuffle(choices);
      const asked = "بناءً على السياق أدناه، اختر الإجابة الصحيحة للسؤال التالي من قائمة الاقتراحات";
      const lines = ["السياق:", field(document, "support"), "السؤال:", field(document, "question")];
      const query = `${[asked, ...lines, "الإجابات المحتملة:"].join("\n    ")}\n\n    `;
      return { ...document, query, choices, gold: choices.indexOf(right) };
    });
  },
};

const FOLDERS: Readonly<Record<string, TaskFunction>> = {
  alghafa,
  arabic_exams: exams,
  arabic_mmlu: mmlu,
  arabic_mt_arc_challenge: alghafa,
  arabic_mt_arc_easy: alghafa,
  arabic_mt_boolq: boolq,
  arabic_mt_copa: copa,
  arabic_mt_hellaswag: hellaswag,
  arabic_mt_mmlu: alghafa,
  arabic_mt_openbook_qa: alghafa,
  arabic_mt_piqa: alghafa,
  arabic_mt_race: alghafa,
  arabic_mt_sciq: sciq,
  arabic_mt_toxigen: toxigen,
  avca: acva,
};

export const ARABIC_FUNCTIONS: NamedFunctions = Object.entries(FOLDERS).flatMap(([folder, run]) =>
  ["", "_light"].map((kind) => [`arabic_leaderboard_${folder}${kind}/utils.process_docs`, run] as const),
);
