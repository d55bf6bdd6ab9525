/** @file The prompts of MMLU-Pro (Wang et al. 2024) and MMLU-ProX (Xuan et al. 2025), whose examples reason before they answer. */
import { QuernError } from "../../../errors.js";
import { PythonRegex } from "../python-regex.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument } from "../task-function.js";
import { type NamedFunctions, ofDocument, textIn, textsIn, valueIn } from "./fields.js";
import { PROX_WORDS } from "./prox-words.js";

const LETTERS = "ABCDEFGHIJKLMNOP";
const START = "A: Let's think step by step.";
/** MMLU-Pro has ten options, MMLU-Pro+ up to sixteen. */
const PRO_OPTIONS = 10;

/** Question and options, and the start of the answer. */
function proPrompt(document: TaskDocument, isPlus: boolean): string {
  const options = textsIn(document, "options");
  if (isPlus && options.length > LETTERS.length) {
    throw new QuernError(`the document has ${options.length} options; letters are there for ${LETTERS.length}`);
  }
  const lines = options
    .slice(0, isPlus ? options.length : PRO_OPTIONS)
    .map((option, i) => `${LETTERS[i]}. ${stripped(option)}\n`);
  return `Question:\n${textIn(document, "question")}\nOptions:\n${lines.join("")}Answer: Let's think step by step.`;
}

const proTarget = ofDocument((document) => textIn(document, "cot_content").replaceAll(`${START} `, ""));

const LLAMA_ANSWER = new PythonRegex("The answer is \\(([A-Z])\\)\\.");

function proxPrompt(document: TaskDocument, language: string, hasAnswer: boolean): string {
  const { question, options, start, given } = PROX_WORDS[language];
  let prompt = `${question}\n${textIn(document, "question")}\n${options}\n`;
  for (let i = 0; i < PRO_OPTIONS; i++) {
    const option = valueIn(document, `option_${i}`);
    if (option !== null) prompt += `${LETTERS[i]}. ${textOf(option)}\n`;
  }
  if (!hasAnswer) return prompt + start;
  return `${prompt}${textIn(document, "cot_content").replaceAll(given, start)}\n\n`;
}

export const CHAIN_OF_THOUGHT_FUNCTIONS: NamedFunctions = [
  ...["mmlu_pro", "mmlu-pro-plus"].flatMap((folder): NamedFunctions => {
    const prompt = ofDocument((document) => proPrompt(document, folder !== "mmlu_pro"));
    return [
      [`${folder}/utils.doc_to_text`, prompt],
      [`${folder}/utils.fewshot_to_text`, prompt],
      [`${folder}/utils.fewshot_to_target`, proTarget],
    ];
  }),
  [
    "instruct/mmlu_pro/utils.fewshot_to_text",
    ofDocument((document) => {
      const content = textIn(document, "cot_content");
      const reasoning = stripped(content.startsWith(START) ? content.slice(START.length) : content);
      return LLAMA_ANSWER.sub("The best answer is \\1.", reasoning);
    }),
  ],
  ...Object.keys(PROX_WORDS).flatMap(
    (language): NamedFunctions => [
      [`mmlu_prox/${language}/utils.doc_to_text`, ofDocument((document) => proxPrompt(document, language, false))],
      [`mmlu_prox/${language}/utils.fewshot_to_text`, ofDocument((document) => proxPrompt(document, language, true))],
    ],
  ),
];
