/** @file Functions of tasks that complete a sentence: WinoGrande, XWinograd, COPA in many languages, and HellaSwag. */
import { QuernError } from "../../../errors.js";
import { capitalized, stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import {
  choiceIn,
  lowered,
  mapped,
  type NamedFunctions,
  numberIn,
  ofDocument,
  textIn,
  textsIn,
  withoutLast,
} from "./fields.js";
import { macroF1 } from "./macro-f1.js";

/** The blank of a WinoGrande sentence. */
function blankOf(document: TaskDocument): number {
  const at = textIn(document, "sentence").indexOf("_");
  if (at < 0) throw new QuernError("the sentence of the document has no blank _");
  return at;
}

/** The choices are what stands before the blank with each option, so `doc_to_text` is the number of the right one. */
const FILLED_BLANK: Readonly<Record<string, TaskFunction>> = {
  doc_to_text: ofDocument((document) => choiceIn({ "1": 0, "2": 1 }, document, "answer")),
  doc_to_target: ofDocument((document) => stripped(textIn(document, "sentence").slice(blankOf(document) + 1))),
  doc_to_choice: ofDocument((document) => {
    const start = textIn(document, "sentence").slice(0, blankOf(document));
    return [start + textIn(document, "option1"), start + textIn(document, "option2")];
  }),
};

/** Removes the marks that WikiHow's articles left in HellaSwag. */
export const cleaned = (text: string): string =>
  stripped(text)
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");

/** The premise without its full stop, and the word that asks for cause or effect. */
function premise(connectors: { readonly cause: string; readonly effect: string }): TaskFunction {
  return ofDocument((document) => {
    const connector = choiceIn(connectors, document, "question");
    return `${withoutLast(stripped(textIn(document, "premise")))} ${connector}`;
  });
}

/** "because" and "therefore" in XCOPA's languages. */
const CONNECTORS: Readonly<Record<string, readonly [cause: string, effect: string]>> = {
  et: ["sest", "seetõttu"],
  ht: ["poukisa", "donk sa"],
  id: ["karena", "maka"],
  it: ["perché", "quindi"],
  qu: ["imataq", "chaymi"],
  sw: ["kwa sababu", "kwa hiyo"],
  ta: ["காரணமாக", "எனவே"],
  th: ["เพราะ", "ดังนั้น"],
  tr: ["çünkü", "bu yüzden"],
  vi: ["bởi vì", "vì vậy"],
  zh: ["因为", "所以"],
};

const loweredChoices = ofDocument((document) => ["choice1", "choice2"].map((key) => lowered(textIn(document, key))));

/** KoBEST asks in Korean. */
const KOBEST: Readonly<Record<string, TaskFunction>> = {
  copa_doc_to_text: ofDocument((document) => {
    const question = stripped(textIn(document, "question"));
    const connector = choiceIn({ 원인: "왜냐하면", 결과: "그래서" }, { question }, "question");
    return `${textOf(document.premise)}  ${connector}`;
  }),
  copa_doc_to_target: ofDocument((document) =>
    textOf(document[numberIn(document, "label") === 0 ? "alternative_1" : "alternative_2"]),
  ),
  copa_doc_to_choice: ofDocument((document) => [textOf(document.alternative_1), textOf(document.alternative_2)]),
  sentineg_doc_to_text: ofDocument((document) => `문장: ${textOf(document.sentence)} 긍부정:`),
  wic_doc_to_text: ofDocument(
    ({ context_1, context_2, word }) =>
      `문장1: ${textOf(context_1)} 문장2: ${textOf(context_2)} 두 문장에서 ${textOf(word)}가 같은 뜻으로 쓰였나?`,
  ),
  hellaswag_process_doc: mapped((document) => ({
    query: `문장: ${textOf(document.context)}`,
    choices: [1, 2, 3, 4].map((i) => document[`ending_${i}`]),
    gold: numberIn(document, "label"),
  })),
};

/** HellaSwag without the marks of its source. */
export const hellaswag = mapped((document) => ({
  query: cleaned(
    `${textIn(document, "activity_label")}: ${textIn(document, "ctx_a")} ${capitalized(textIn(document, "ctx_b"))}`,
  ),
  choices: textsIn(document, "endings").map(cleaned),
  gold: numberIn(document, "label"),
}));

const entries = (module: string, functions: Readonly<Record<string, TaskFunction>>) =>
  Object.entries(functions).map(([name, value]) => [`${module}.${name}`, value] as const);

export const COMPLETION_FUNCTIONS: NamedFunctions = [
  ...entries("winogrande/preprocess_winogrande", FILLED_BLANK),
  ...entries("xwinograd/utils", FILLED_BLANK),
  ...entries("kobest/utils", KOBEST),
  ["kobest/utils.macro_f1_score", { takes: "items", run: (items) => macroF1(items) }],
  ["copa/utils.doc_to_text", premise({ cause: "because", effect: "therefore" })],
  [
    "copa/utils.doc_to_target",
    ofDocument((document) => ` ${lowered(textIn(document, Number(document.label) === 0 ? "choice1" : "choice2"))}`),
  ],
  [
    "copa/utils.doc_to_choice",
    ofDocument((document) => ["choice1", "choice2"].map((key) => ` ${lowered(textIn(document, key))}`)),
  ],
  ...Object.entries(CONNECTORS).map(
    ([language, [cause, effect]]) => [`xcopa/utils.doc_to_text_${language}`, premise({ cause, effect })] as const,
  ),
  ["xcopa/utils.doc_to_choice", loweredChoices],
  ["copal_id/utils.doc_to_text_id", premise({ cause: CONNECTORS.id![0], effect: CONNECTORS.id![1] })],
  ["copal_id/utils.doc_to_choice", loweredChoices],
  ["hellaswag/utils.process_docs", hellaswag],
  ["icelandic_winogrande/preprocess_winogrande.doc_to_text", FILLED_BLANK.doc_to_text!],
  ["icelandic_winogrande/preprocess_winogrande.doc_to_choice", FILLED_BLANK.doc_to_choice!],
  [
    "icelandic_winogrande/preprocess_winogrande.doc_to_target",
    ofDocument((document) => {
      const rest = stripped(textIn(document, "sentence").slice(blankOf(document) + 1));
      return rest === "." ? rest : ` ${rest}`;
    }),
  ],
];
