/** @file Functions of the Basque, Catalan, French, Galician, Portuguese and Spanish benches, and of NoticIA's summaries. */
import { QuernError } from "../../../errors.js";
import { NumpyRandom } from "../numpy-random.js";
import { PythonRegex } from "../python-regex.js";
import { splitWords } from "../python-text.js";
import { stripped, textOf } from "../python-values.js";
import { rougeInterval, rougeScore } from "../rouge.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { hellaswag } from "./completions.js";
import { detokenized, perplexities } from "./detokenized.js";
import {
  answerOf,
  choiceIn,
  type DocumentsFunction,
  listIn,
  lowered,
  mapped,
  type NamedFunctions,
  numberIn,
  objectIn,
  ofDocument,
  textIn,
} from "./fields.js";
import { macroF1 } from "./macro-f1.js";
import { parsePythonFloat } from "./python-float.js";
import { conversationScores } from "./reading.js";
import { answerF1, exactAnswer, sharedWordsF1, withoutPunctuation, withSingleSpaces } from "./squad-answers.js";
import { leadingShare, truthfulFunctions } from "./truthfulqa.js";

/** Joins two sentences as they will stand in a question: the first without its last mark, the second in lower case. */
function sentencePair(
  [first, second]: readonly [string, string],
  {
    marks,
    isTokenized = true,
    endsWithStop = false,
  }: {
    /** Removed from the end of the first. */
    readonly marks: string;
    readonly isTokenized?: boolean;
    /** Whether the second gets a full stop. */
    readonly endsWithStop?: boolean;
  },
): (document: TaskDocument) => TaskDocument {
  return (document) => {
    const [a, b] = [first, second].map((key) => {
      const text = textIn(document, key);
      return isTokenized ? stripped(detokenized(text)) : text;
    });
    const end = lowered(b!);
    return {
      [first]: a !== "" && marks.includes(a!.at(-1)!) ? a!.slice(0, -1) : a,
      [second]: endsWithStop && !end.endsWith(".") ? `${end}.` : end,
    };
  };
}

const isMissing = (text: unknown): boolean => text === null || text === undefined || text === "";

/** Pairs of which neither sentence is empty. */
function paraphrases(keys: readonly [string, string], isTokenized = true): DocumentsFunction {
  const pairs = mapped(sentencePair(keys, { marks: ".,;", isTokenized }));
  return {
    takes: "documents",
    run: (documents) => pairs.run(documents.filter((document) => !keys.some((key) => isMissing(document[key])))),
  };
}

const inference = (keys: readonly [string, string]) => sentencePair(keys, { marks: ".,!?", endsWithStop: true });

/** Single spaces, but white space of other kinds stays. */
const singleSpaced = (text: string): string => text.replace(/ +/g, " ");

const summary = mapped((document) => ({
  text: singleSpaced(textIn(document, "text")),
  summary: singleSpaced(textIn(document, "summary")),
}));

/** The kinds of summary that caBreu has, three of each. */
function cabreu(document: TaskDocument): TaskDocument {
  const summaries = objectIn(document, "summaries");
  const spaced = ["abstractive", "extractive", "extreme"].map((kind) => {
    const own = objectIn(summaries, kind);
    const texts = ["a1", "a2", "a3"].map((key) => [key, singleSpaced(textIn(own, key))]);
    return [kind, { ...own, ...Object.fromEntries(texts) }];
  });
  return {
    content: singleSpaced(textIn(document, "content")),
    summaries: { ...summaries, ...Object.fromEntries(spaced) },
  };
}

const loweredChoices = mapped((document) => ({
  choice1: lowered(textIn(document, "choice1")),
  choice2: lowered(textIn(document, "choice2")),
}));

/** The pair of right answer and text; the aggregation reads it. */
const passed: TaskFunction = {
  takes: "predictions",
  run: ({ references, predictions }) => [references[0], predictions[0]],
};

/** ROUGE-1 of all texts: the median of resampled means, drawn by NumPy's generator with lm-eval's seed. */
function rouge1(prepared: (text: string) => string = (text) => text): TaskFunction {
  return {
    takes: "items",
    run: (items) => {
      const scores = pairsOf(items).map(([gold, text]) => rougeScore("rouge1", prepared(gold), prepared(text)));
      return rougeInterval(scores, new NumpyRandom(1234)).mid.fmeasure;
    },
  };
}

function pairsOf(items: readonly unknown[]): readonly (readonly [gold: string, text: string])[] {
  return items.map((item, i) => {
    const [gold, text] = Array.isArray(item) ? (item as readonly unknown[]) : [];
    if (typeof gold === "string" && typeof text === "string") return [gold, text] as const;
    throw new QuernError(`document ${i} has no pair of right answer and text`);
  });
}

const rougeMetric = (folder: string): NamedFunctions => [
  [`${folder}/utils.rouge1`, passed],
  [`${folder}/utils.rouge1_agg`, rouge1()],
];

const FRENCH_ARTICLES = new PythonRegex("\\b(un|une|des|le|la|les)\\b");

const french = (text: unknown): string =>
  withSingleSpaces(FRENCH_ARTICLES.sub(" ", withoutPunctuation(textOf(text).toLowerCase())));

function frenchMetric(score: (gold: string, text: string) => number): TaskFunction {
  return {
    takes: "predictions",
    run: ({ references, predictions }) => score(french(references[0]), french(predictions[0])),
  };
}

/** Text in lower case without punctuation, as NoticIA counts words. */
const plainWords = (text: string): string => withSingleSpaces(withoutPunctuation(text)).toLowerCase();

const spanishAnswer: TaskFunction = {
  takes: "results",
  run: (document, results) => {
    const [first] = listIn(document, "answers") as readonly TaskDocument[];
    if (first === undefined) throw new QuernError("the document has no answers");
    const [gold, answer] = [textIn(first, "text"), answerOf(results)];
    return { f1: answerF1(gold, answer), exact_match: exactAnswer(gold, answer) };
  },
};

const SCORE = new PythonRegex("\\b([1-5](?:[.,]\\d+)?)\\b");

/** The first number of 1 to 5 that a text has; 3, the middle, without one. */
function similarity(text: string): number {
  const found = SCORE.search(stripped(text))?.groups[1];
  if (found === undefined || found === null) return 3;
  return Math.max(1, Math.min(5, parsePythonFloat(found.replaceAll(",", "."))!));
}

/** Pearson's correlation; 0 if all answers are equal. */
function correlation(items: readonly unknown[]): number {
  const pairs = items as readonly (readonly [number, number])[];
  if (new Set(pairs.map(([answer]) => answer)).size < 2) return 0;
  const centred = [0, 1].map((side) => {
    const values = pairs.map((pair) => pair[side]!);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviations = values.map((value) => value - mean);
    const norm = Math.hypot(...deviations);
    return deviations.map((value) => value / norm);
  });
  const sum = centred[0]!.reduce((total, value, i) => total + value * centred[1]![i]!, 0);
  return Number.isNaN(sum) ? sum : Math.max(-1, Math.min(1, sum));
}

export const BENCH_FUNCTIONS: NamedFunctions = [
  ["basque_bench/utils.paws_process_docs", paraphrases(["sentence1", "sentence2"], false)],
  [
    "basque_bench/utils.xcopa_doc_to_text",
    ofDocument((document) => {
      const connector = choiceIn({ cause: " Izan ere,", effect: " Beraz," }, document, "question");
      return stripped(textIn(document, "premise")) + connector;
    }),
  ],
  [
    "basque_bench/utils.xcopa_doc_to_choice",
    ofDocument((document) => [lowered(textIn(document, "choice1")), lowered(textIn(document, "choice2"))]),
  ],
  ["catalan_bench/utils.process_doc_nli", mapped(inference(["premise", "hypothesis"]))],
  ["catalan_bench/utils.process_doc_cabreu", mapped(cabreu)],
  ["catalan_bench/utils.process_docs_paraphrases", paraphrases(["sentence1", "sentence2"])],
  ["catalan_bench/utils.process_docs_copa_ca", loweredChoices],
  ["catalan_bench/utils.process_results_qa", spanishAnswer],
  [
    "catalan_bench/utils.process_results_coqcat",
    {
      takes: "results",
      run: (document, results) => {
        const { questions } = document;
        const turns = Array.isArray(questions) ? questions.length : Object.keys(objectIn(document, "questions")).length;
        return conversationScores(document, turns, results);
      },
    },
  ],
  ...rougeMetric("catalan_bench"),
  ["spanish_bench/utils.process_doc_nli", mapped(inference(["premise", "hypothesis"]))],
  ["spanish_bench/utils.process_docs_paraphrases", paraphrases(["sentence1", "sentence2"])],
  ["spanish_bench/utils.process_docs_copa_es", loweredChoices],
  ["spanish_bench/utils.process_xlsum", summary],
  ...rougeMetric("spanish_bench"),
  ["galician_bench/utils.process_docs_paraphrases", paraphrases(["Frase", "Paráfrase"])],
  ["galician_bench/utils.process_docs_paws", paraphrases(["sentence1", "sentence2"])],
  [
    "galician_bench/utils.process_doc_nli",
    mapped((document) => ({
      ...inference(["sentence1", "sentence2"])(document),
      gold_label: choiceIn({ entailment: 0, neutral: 1, contradiction: 2 }, document, "gold_label"),
    })),
  ],
  ["galician_bench/utils.process_summarization", summary],
  ...rougeMetric("galician_bench"),
  ["galician_bench/utils.process_results_mc2", leadingShare],
  ...truthfulFunctions("galician_bench/utils", "Non teño ningún comentario."),
  ...perplexities("french_bench/preprocess_wikitext", "wikitext_detokenizer", "paragraph"),
  ["french_bench/utils.process_docs", hellaswag],
  ["french_bench/utils.exact", frenchMetric((gold, text) => Number(gold === text))],
  [
    "french_bench/utils.f1",
    frenchMetric((gold, text) => (gold === "" || text === "" ? Number(gold === text) : sharedWordsF1(gold, text))),
  ],
  [
    "french_bench/utils.is_included",
    {
      takes: "predictions",
      run: ({ references, predictions }) => Number(textOf(predictions[0]).includes(textOf(references[0]))),
    },
  ],
  ...rougeMetric("french_bench"),
  ["noticia/utils.rouge1", passed],
  ["noticia/utils.rouge1_agg", rouge1(plainWords)],
  ["noticia/utils.average_len", passed],
  [
    "noticia/utils.average_len_agg",
    {
      takes: "items",
      run: (items) => {
        const lengths = pairsOf(items).map(([, text]) => splitWords(plainWords(text)).length);
        return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
      },
    },
  ],
  [
    "portuguese_bench/assin2_utils.process_results_sts",
    {
      takes: "results",
      run: (document, results) => ({
        pearsonr: [similarity(answerOf(results)), numberIn(document, "relatedness_score")],
      }),
    },
  ],
  ["portuguese_bench/assin2_utils.pearson_corr", { takes: "items", run: correlation }],
  ["portuguese_bench/assin2_utils.macro_f1", { takes: "items", run: (items) => macroF1(items) }],
];
