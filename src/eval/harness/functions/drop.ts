/**
 * @file Functions of DROP (Dua et al. 2019): answers are numbers, dates or spans, and several annotators' answers are right.
 * A number must be equal for its span to count.
 */
import { QuernError } from "../../../errors.js";
import { pythonFloat } from "../python-json.js";
import { splitWords } from "../python-text.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument } from "../task-function.js";
import { answerOf, listIn, mapped, type NamedFunctions, objectIn, textIn, textsIn } from "./fields.js";
import { parsePythonFloat } from "./python-float.js";
import { withoutArticles, withoutPunctuation, withSingleSpaces } from "./squad-answers.js";

/** The distinct answers of all annotators, each a list of spans. */
function answersOf(document: TaskDocument): readonly (readonly string[])[] {
  const others = objectIn(document, "validated_answers");
  const [numbers, dates, spans] = ["number", "date", "spans"].map((key) => listIn(others, key));
  const candidates: readonly TaskDocument[] = [
    objectIn(document, "answer"),
    ...numbers!.map((number, i) => ({ number, date: dates![i], spans: spans![i] })),
  ];
  const distinct = new Map<string, readonly string[]>();
  for (const candidate of candidates) {
    const answer = spansOf(candidate);
    const key = JSON.stringify(answer);
    if (!distinct.has(key)) distinct.set(key, answer);
  }
  return [...distinct.values()];
}

function spansOf(answer: TaskDocument): readonly string[] {
  if (answer.number !== "") return [textOf(answer.number)];
  const spans = textsIn(answer, "spans");
  if (spans.length > 0) return spans;
  const date = objectIn(answer, "date");
  return [stripped(["day", "month", "year"].map((key) => textIn(date, key)).join(" "))];
}

/** Lower case, without punctuation and articles; numbers in one form. */
function normalized(answer: string): string {
  const tokens = answer.split(/[ -]/).map((given) => {
    const token = given.toLowerCase();
    const plain = parsePythonFloat(token) === undefined ? withoutPunctuation(token) : token;
    const number = parsePythonFloat(plain);
    return withSingleSpaces(withoutArticles(number === undefined ? plain : pythonFloat(number)));
  });
  return tokens.filter((token) => token !== "").join(" ");
}

/** F1 of the different words of an answer and a span; 0 if the span has numbers and the answer none of them. */
function spanF1(answer: ReadonlySet<string>, gold: ReadonlySet<string>): number {
  const numbers = [...gold].filter((word) => parsePythonFloat(word) !== undefined);
  if (numbers.length > 0 && !numbers.some((number) => answer.has(number))) return 0;
  const shared = [...gold].filter((word) => answer.has(word)).length;
  const precision = answer.size === 0 ? 1 : shared / answer.size;
  const recall = gold.size === 0 ? 1 : shared / gold.size;
  return precision === 0 && recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

/** Exact match and F1 of one answer. The model gives one span, which is compared with the span that it fits best. */
function scores(answer: string, gold: readonly string[]): { readonly em: number; readonly f1: number } {
  const given = normalized(answer);
  const golds = gold.map(normalized);
  const words = new Set(splitWords(given));
  const best = Math.max(...golds.map((span) => spanF1(words, new Set(splitWords(span)))));
  return { em: Number(golds.length === 1 && golds[0] === given), f1: roundedToHundredths(best / golds.length) };
}

/** NumPy's `round(x, 2)`: halves go to the even digit. */
function roundedToHundredths(value: number): number {
  const scaled = value * 100;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const isUp = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (isUp ? floor + 1 : floor) / 100;
}

export const DROP_FUNCTIONS: NamedFunctions = [
  ["drop/utils.process_docs", mapped((document) => ({ id: document.query_id, answers: answersOf(document) }))],
  [
    "drop/utils.process_results",
    {
      takes: "results",
      run: (document, results) => {
        let [em, f1] = [0, 0];
        for (const gold of listIn(document, "answers") as readonly (readonly string[])[]) {
          if (gold.length === 0) throw new QuernError("an answer of the document has no span");
          if (stripped(gold[0]!) === "") continue;
          const score = scores(answerOf(results), gold);
          em = Math.max(em, score.em);
          f1 = Math.max(f1, score.f1);
        }
        return { em, f1 };
      },
    },
  ],
];
