/**
 * @file MMLU and other English sets in other languages: Moroccan and Egyptian Arabic (Shang et al. 2024), Greek, Traditional Chinese (Tam
 * et al. 2024), and Okapi's translations (Lai et al. 2023).
 */
import { QuernError } from "../../../errors.js";
import { PythonRegex } from "../python-regex.js";
import { capitalized, stripped, textOf } from "../python-values.js";
import type { TaskDocument } from "../task-function.js";
import { isTruthy, mapped, type NamedFunctions, ofDocument, textIn, textsIn, valueIn } from "./fields.js";

function choicesIn(document: TaskDocument, letters: string): readonly unknown[] {
  const { choices } = document;
  if (Array.isArray(choices) && choices.length <= letters.length) return choices;
  throw new QuernError(`the document needs choices, a list of at most ${letters.length}`);
}

/** Choices with a letter each, one a line. */
const lettered = (document: TaskDocument, letters: string): string =>
  choicesIn(document, letters)
    .map((choice, i) => `${letters[i]}. ${textOf(choice)}`)
    .join("\n");

const lettersOf = (letters: string) =>
  ofDocument((document) => [...letters].slice(0, choicesIn(document, letters).length));

const LATIN = "ABCDE";
/** The Greek capitals, which look like Latin ones. */
const GREEK = "ΑΒΓΔ";

/** Moroccan and Egyptian Arabic: the context stands before the question. */
function dialectPrompt(given: { readonly about: string; readonly subjectKey: string; readonly answer: string }) {
  return ofDocument((document) => {
    const context = textOf(valueIn(document, "context"));
    const question = textOf(valueIn(document, "question"));
    const asked = document.context === "" ? question : `${context}\n\n${question}`;
    const subject = textOf(valueIn(document, given.subjectKey));
    return `${given.about} ${subject}\n\n${asked}\n${lettered(document, LATIN)}\n${given.answer}`;
  });
}

const GREEK_SUBJECTS: Readonly<Record<string, string>> = {
  Economics: "Οικονομικών",
  Education: "Παιδαγωγικής",
  Medicine: "Ιατρικής",
  "Electrical Engineering": "Ηλεκτρολόγων Μηχανικών",
  "Greek Mythology": "Ελληνικής Μυθολογίας",
  "Computer Networks & Security": "Δικτύων Υπολογιστών και Ασφάλειας",
  Law: "Νομικής",
  Physics: "Φυσικής",
  "Government and Politics": "Διακυβέρνησης και Πολιτικής",
  Art: "Τέχνης",
  "Greek Literature": "Νεοελληνικής Λογοτεχνίας",
  "World History": "Παγκόσμιας Ιστορίας",
  "General Knowledge": "Γενικών Γνώσεων",
  "World Religions": "Παγκόσμιων Θρησκειών",
  Mathematics: "Μαθηματικών",
  "Clinical Knowledge": "Κλινικών Γνώσεων",
  "Driving Rules": "Κανόνων Οδικής Κυκλοφορίας",
  Biology: "Βιολογίας",
  "Civil Engineering": "Πολιτικών Μηχανικών",
  "Computer Science": "Επιστήμης Υπολογιστών",
  Geography: "Γεωγραφίας",
  Chemistry: "Χημείας",
  Prehistory: "Προϊστορίας",
  Agriculture: "Γεωργίας",
  "Modern Greek Language": "Νεοελληνικής Γλώσσας",
  Accounting: "Λογιστικής",
  "Greek History": "Ελληνικής Ιστορίας",
  Management: "Διοίκησης Επιχειρήσεων",
  "Greek Traditions": "Ελληνικών Παραδόσεων",
  "Maritime Safety and Rescue Operations": "Ναυαγοσωστικων Λειτουργιών και Ασφάλειας στη Θάλασσα",
};

const greekPrompt = ofDocument((document) => {
  const subject = textOf(valueIn(document, "subject"));
  const name = Object.hasOwn(GREEK_SUBJECTS, subject) ? GREEK_SUBJECTS[subject] : subject;
  const question = textOf(valueIn(document, "question"));
  return `Αυτό είναι μια ερώτηση ${name}. Επίλεξε τη σωστή απάντηση!\n\nΕρώτηση: ${question}\n${lettered(document, GREEK)}\n\n Απάντηση:`;
});

const BRACKETS = new PythonRegex("\\[.*?\\]");

/** Removes the marks that WikiHow's articles left. */
const cleaned = (text: string): string =>
  BRACKETS.sub("", stripped(text).replaceAll(" [title]", ". ")).replaceAll("  ", " ");

function letterIndex(document: TaskDocument, letters: string): number {
  const answer = textIn(document, "answer");
  const index = answer.length === 1 ? letters.indexOf(answer) : -1;
  if (index >= 0) return index;
  throw new QuernError(`the answer of the document must be one of ${[...letters].join(", ")}, not ${answer}`);
}

const okapiArc = mapped((document) => ({
  id: valueIn(document, "id"),
  query: `Question: ${cleaned(textIn(document, "instruction"))}\nAnswer:`,
  choices: [..."abcde"]
    .filter((letter) => isTruthy(valueIn(document, `option_${letter}`)))
    .map((letter) => cleaned(textIn(document, `option_${letter}`))),
  gold: letterIndex(document, LATIN),
}));

const okapiHellaswag = mapped((document) => {
  const context = `${textIn(document, "ctx_a")} ${capitalized(textIn(document, "ctx_b"))}`;
  const gold = Number(valueIn(document, "label"));
  if (!Number.isInteger(gold))
    throw new QuernError(`the label of the document is ${textOf(document.label)}, no integer`);
  return {
    query: cleaned(`${textIn(document, "activity_label")}: ${context}`),
    choices: textsIn(document, "endings").map(cleaned),
    gold,
  };
});

export const REGIONAL_FUNCTIONS: NamedFunctions = [
  [
    "darijammlu/utils.doc_to_text",
    dialectPrompt({
      about: "هادا سؤال متعدد الخيارات (مع الجواب ديالو) على",
      subjectKey: "subject_darija",
      answer: "الجواب:",
    }),
  ],
  ["darijammlu/utils.doc_to_choice", lettersOf(LATIN)],
  [
    "egymmlu/utils.doc_to_text",
    dialectPrompt({
      about: "ده سؤال متعدد الاختيار (مع إجابته) على",
      subjectKey: "egy_subject",
      answer: " الجواب:",
    }),
  ],
  ["egymmlu/utils.doc_to_choice", lettersOf(LATIN)],
  ["greekmmlu/utils.doc_to_text", greekPrompt],
  ["greekmmlu/utils.doc_to_choice", lettersOf(GREEK)],
  [
    "tmmluplus/default/utils.process_docs",
    mapped((document) => ({
      questions: valueIn(document, "question"),
      choices: ["A", "B", "C", "D"].map((key) => valueIn(document, key)),
      goal: letterIndex(document, "ABCD"),
    })),
  ],
  ["okapi/arc_multilingual/utils.process_docs", okapiArc],
  ["okapi/hellaswag_multilingual/utils.process_docs", okapiHellaswag],
];
