/**
 * @file Functions of tasks whose texts were split into tokens and are joined again: WikiText, C4, MuTual, PAWS-X, WSC273; and
 * of other texts to measure perplexity on.
 */
import { QuernError } from "../../../errors.js";
import { countWords } from "../metrics.js";
import { PythonRegex } from "../python-regex.js";
import { splitWords, utf8Bytes } from "../python-text.js";
import { stripped, textOf } from "../python-values.js";
import type { TaskDocument, TaskResult } from "../task-function.js";
import {
  choiceIn,
  likelihoodsOf,
  lowered,
  mapped,
  type NamedFunctions,
  numberIn,
  ofDocument,
  requiredAt,
  selected,
  textIn,
  textsIn,
} from "./fields.js";

/** Replaces each text of the first column by the second, in order. */
const replaced = (text: string, pairs: readonly (readonly [from: string, to: string])[]): string =>
  pairs.reduce((result, [from, to]) => result.replaceAll(from, () => to), text);

/** Joins contractions, brackets, quotation marks and punctuation to their words. */
export function detokenized(text: string): string {
  const joined = replaced(text, [
    [" n't", "n't"],
    [" )", ")"],
    ["( ", "("],
    ['" ', '"'],
    [' "', '"'],
  ]);
  return joined.replace(/ (['.,])/g, "$1");
}

/** Pairs of marks within which WikiText has spaces. */
const ENCLOSED = [
  ["\\(\\s*([^\\)]*?)\\s*\\)", "(", ")"],
  ["\\[\\s*([^\\]]*?)\\s*\\]", "[", "]"],
  ["\\{\\s*([^}]*?)\\s*\\}", "{", "}"],
  ['"\\s*([^"]*?)\\s*"', '"', '"'],
  ["'\\s*([^']*?)\\s*'", "'", "'"],
].map(([pattern, open, close]) => [new PythonRegex(pattern!), open!, close!] as const);

/** Wikipedia's text as it was before WikiText's tokens. */
function wikitext(page: string): string {
  let text = page.replaceAll("s '", "s'");
  // Meant for numbers; lm-eval writes the pattern itself there.
  text = text.replace(/\/' [0-9]\//g, "/'[0-9]/");
  text = replaced(text, [
    [" @-@ ", "-"],
    [" @,@ ", ","],
    [" @.@ ", "."],
    ...[...":;.!?,"].map((mark) => [` ${mark} `, `${mark} `] as const),
  ]);
  for (const [pattern, open, close] of ENCLOSED) {
    text = pattern.sub(({ groups }) => open + (groups[1] ?? "") + close, text);
  }
  return replaced(text, [
    ["= = = =", "===="],
    ["= = =", "==="],
    ["= =", "=="],
    [" \u00b0 ", "\u00b0"],
    [" \n", "\n"],
    ["\n ", "\n"],
    [" N ", " 1 "],
    [" 's", "'s"],
  ]);
}

/** Joins the tokens of a dialogue. */
const dialogue = (text: string): string =>
  replaced(text, [
    [" '", "'"],
    [" \n", "\n"],
    ["\n ", "\n"],
    [" n't", "n't"],
    ["`` ", '"'],
    ["''", '"'],
    ...[...":;!?,."].map((mark) => [` ${mark}`, mark] as const),
  ]);

/**
 * Recall of the right reply among the first one and two, and the mean reciprocal rank. As in lm-eval, the first choice is
 * searched in a list of log-likelihoods and greedy flags in turn, so r@1 is not the accuracy.
 */
function replyRanks(document: TaskDocument, results: readonly TaskResult[]): Readonly<Record<string, unknown>> {
  const gold = choiceIn({ A: 0, B: 1, C: 2, D: 3 }, document, "answers");
  const pairs = results.map((result) => {
    const [logLikelihood] = likelihoodsOf([result]);
    return [logLikelihood!, Number((result as { readonly isGreedy: boolean }).isGreedy)] as const;
  });
  const flat = pairs.flat();
  const isFirst = flat.indexOf(Math.max(...flat)) === gold;
  const right = requiredAt(pairs, gold, "the list of replies");
  const better = pairs.filter(([a, b]) => a > right[0] || (a === right[0] && b > right[1])).length;
  return { "r@1": isFirst, "r@2": better === 1 || isFirst, mrr: 1 / (better + 1) };
}

/** Sentences of PAWS-X, to be joined by a question: the first without its last mark, the second in lower case. */
function paraphrase(document: TaskDocument): TaskDocument {
  const [first, second] = ["sentence1", "sentence2"].map((key) => stripped(detokenized(textIn(document, key))));
  return {
    ...document,
    sentence1: /[.,;]$/.test(first!) ? first!.slice(0, -1) : first!,
    sentence2: lowered(second!),
  };
}

const isMissing = (text: unknown): boolean => text === null || text === undefined || text === "";

const POSSESSIVES = ["my", "his", "her", "our", "their"];
const CAPITALIZED = ["A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their"];

/** Options of WSC273 as they stand in place of the pronoun: possessive, and in lower case within a sentence. */
function winogradOptions(document: TaskDocument): TaskDocument {
  const text = textIn(document, "text").replaceAll("  ", " ");
  const pronoun = textIn(document, "pronoun");
  const before = requiredAt(Array.from(text), numberIn(document, "pronoun_loc") - 2, "the text");
  const options = textsIn(document, "options").map((given, i) => {
    if (i > 1) return given;
    const option = POSSESSIVES.includes(pronoun.toLowerCase()) ? `${given}'s` : given;
    const [first] = splitWords(option);
    if (first === undefined) throw new QuernError(`option ${i} of the document is empty`);
    return before !== "." && CAPITALIZED.includes(first) ? option.replaceAll(first, first.toLowerCase()) : option;
  });
  return { text, options };
}

/** The joined text of a field, and its perplexity by the words and bytes of the text with its tokens apart. */
export function perplexities(module: string, detokenizer: string, field: string): NamedFunctions {
  return [
    [`${module}.${detokenizer}`, ofDocument((document) => wikitext(textIn(document, field)))],
    [
      `${module}.process_results`,
      {
        takes: "results",
        run: (document, [logLikelihood]) => {
          if (typeof logLikelihood !== "number") throw new QuernError("the result is no log-likelihood of a text");
          const text = textIn(document, field);
          const bytes = utf8Bytes(text);
          return {
            word_perplexity: [logLikelihood, countWords(text)],
            byte_perplexity: [logLikelihood, bytes],
            bits_per_byte: [logLikelihood, bytes],
          };
        },
      },
    ],
  ];
}

/** Sources of texts that are newer than the models. */
const UNCHEATABLE = (
  "ao3_english ao3_nonenglish arxiv_cs arxiv_math arxiv_other arxiv_physics bbc_news biorxiv_all github_cpp github_javascript " +
  "github_markdown github_other github_python wikipedia_english wikipedia_nonenglish"
).split(" ");

export const DETOKENIZED_FUNCTIONS: NamedFunctions = [
  ...perplexities("wikitext/preprocess_wikitext", "wikitext_detokenizer", "page"),
  ...perplexities("c4/preprocess_c4", "c4_detokenizer", "text"),
  ["paloma/paloma_utils.doc_to_target", ofDocument(({ text }) => textOf(text ?? null))],
  ...UNCHEATABLE.map(
    (kind) => [`uncheatable_eval/uncheatable_eval_utils.filter_${kind}`, selected("category", kind)] as const,
  ),
  [
    "mutual/utils.process_docs",
    mapped((document) => ({
      article: dialogue(textIn(document, "article")),
      options: textsIn(document, "options").map(dialogue),
    })),
  ],
  ["mutual/utils.process_results", { takes: "results", run: replyRanks }],
  [
    "paws-x/utils.process_docs_paraphrases",
    {
      takes: "documents",
      run: (documents) =>
        documents.filter(({ sentence1, sentence2 }) => !isMissing(sentence1) && !isMissing(sentence2)).map(paraphrase),
    },
  ],
  ["wsc273/utils.process_doc", mapped(winogradOptions)],
];
