/**
 * @file How answers are compared since SQuAD (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single spaces;
 * then equality, or F1 of the words that both have.
 */
import { PythonRegex } from "../python-regex.js";
import { splitWords } from "../python-text.js";

const ARTICLES = new PythonRegex("\\b(a|an|the)\\b");

/** Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** Removes ASCII punctuation. */
export const withoutPunctuation = (text: string): string => text.replace(PUNCTUATION, "");

/** Replaces English articles by spaces. */
export const withoutArticles = (text: string): string => ARTICLES.sub(" ", text);

/** Joins the words of a text by single spaces. */
export const withSingleSpaces = (text: string): string => splitWords(text).join(" ");

export function normalizedAnswer(text: string): string {
  return withSingleSpaces(withoutArticles(withoutPunctuation(text.toLowerCase())));
}

/** Returns 1 if both answers are equal after normalisation, else 0. */
export function exactAnswer(gold: string, answer: string): number {
  return Number(normalizedAnswer(gold) === normalizedAnswer(answer));
}

/** Returns F1 of the words that two answers share, each counted as often as it occurs in both; 0 without any. */
export function sharedWordsF1(gold: string, answer: string): number {
  const goldWords = splitWords(gold);
  const words = splitWords(answer);
  const counts = new Map<string, number>();
  for (const word of goldWords) counts.set(word, (counts.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of words) {
    const left = counts.get(word) ?? 0;
    if (left === 0) continue;
    shared++;
    counts.set(word, left - 1);
  }
  if (shared === 0) return 0;
  const precision = shared / words.length;
  const recall = shared / goldWords.length;
  return (2 * precision * recall) / (precision + recall);
}

/** Returns F1 of the normalised answers; an empty one scores 1 against an empty one, else 0. */
export function answerF1(gold: string, answer: string): number {
  const [a, b] = [normalizedAnswer(gold), normalizedAnswer(answer)];
  return a === "" || b === "" ? Number(a === b) : sharedWordsF1(a, b);
}
