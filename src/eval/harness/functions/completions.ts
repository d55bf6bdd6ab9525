/** @file Functions of tasks that complete a sentence: WinoGrande, COPA and HellaSwag. */
import { QuernError } from "../../../errors.js";
import { capitalized, stripped } from "../python-values.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";

function textIn(document: TaskDocument, key: string): string {
  const value = document[key];
  if (typeof value === "string") return value;
  throw new QuernError(`the document has no text ${key}`);
}

function choiceIn<T>(choices: Readonly<Record<string, T>>, document: TaskDocument, key: string): T {
  const value = String(document[key]);
  if (Object.hasOwn(choices, value)) return choices[value];
  throw new QuernError(`${key} of the document must be ${Object.keys(choices).join(" or ")}, not ${value}`);
}

/** The blank of a WinoGrande sentence. */
function blankOf(document: TaskDocument): number {
  const at = textIn(document, "sentence").indexOf("_");
  if (at < 0) throw new QuernError("the sentence of the document has no blank _");
  return at;
}

const lowered = (choice: string): string => choice.slice(0, 1).toLowerCase() + choice.slice(1);

/** Removes the marks that WikiHow's articles left in HellaSwag. */
const cleaned = (text: string): string =>
  stripped(text)
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");

export const COMPLETION_FUNCTIONS: readonly (readonly [string, TaskFunction])[] = [
  [
    "winogrande/preprocess_winogrande.doc_to_text",
    { takes: "document", run: (document) => choiceIn({ "1": 0, "2": 1 }, document, "answer") },
  ],
  [
    "winogrande/preprocess_winogrande.doc_to_target",
    { takes: "document", run: (document) => stripped(textIn(document, "sentence").slice(blankOf(document) + 1)) },
  ],
  [
    "winogrande/preprocess_winogrande.doc_to_choice",
    {
      takes: "document",
      run: (document) => {
        const start = textIn(document, "sentence").slice(0, blankOf(document));
        return [start + textIn(document, "option1"), start + textIn(document, "option2")];
      },
    },
  ],
  [
    "copa/utils.doc_to_text",
    {
      takes: "document",
      run: (document) => {
        const connector = choiceIn({ cause: "because", effect: "therefore" }, document, "question");
        // Without the full stop.
        return `${Array.from(stripped(textIn(document, "premise")))
          .slice(0, -1)
          .join("")} ${connector}`;
      },
    },
  ],
  [
    "copa/utils.doc_to_target",
    {
      takes: "document",
      run: (document) => ` ${lowered(textIn(document, Number(document.label) === 0 ? "choice1" : "choice2"))}`,
    },
  ],
  [
    "copa/utils.doc_to_choice",
    {
      takes: "document",
      run: (document) => ["choice1", "choice2"].map((key) => ` ${lowered(textIn(document, key))}`),
    },
  ],
  [
    "hellaswag/utils.process_docs",
    {
      takes: "documents",
      run: (documents) =>
        documents.map((document) => ({
          ...document,
          query: cleaned(
            `${textIn(document, "activity_label")}: ${textIn(document, "ctx_a")} ${capitalized(textIn(document, "ctx_b"))}`,
          ),
          choices: (document.endings as readonly string[]).map(cleaned),
          gold: Number(document.label),
        })),
    },
  ],
];
