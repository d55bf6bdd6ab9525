/**
 * @file Numbers in English words. Behaves as the `word2number` package and the pattern that lm-eval's BIG-Bench Hard filters use
 * with it; both have gaps, which are kept: `six` to `nine` are found only inside of longer numbers.
 */
import { splitWords } from "../python-text.js";

const LOWEST = "zero|one|two|three|four|five";
const REST = "ten|eleven|twelve|fourteen|hundred|thousand|(?:m|b|tr)illion";
const TENS = "(?:twen|thir|for|fif|six|seven|nine)";
const FIRST = `(?:${LOWEST}|${TENS}(?:teen|ty)|eight(?:|een|y)|${REST})`;
const MIDDLE = `(?:${LOWEST}|${TENS}(?:|teen|ty)|eight(?:een|y)|${REST}|[^\\S\\r\\n]|,|and|&)`;
const LAST = `(?:${LOWEST}|${TENS}(?:teen|ty)|eight(?:een|y)|${REST})`;

/** Numbers in lower-case words. */
export const ENGLISH_NUMBER = new RegExp(`(?:${FIRST}${MIDDLE}+)?${LAST}`, "g");

const VALUES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    [
      ..."zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split(
        " ",
      ),
      ..."seventeen eighteen nineteen".split(" "),
    ].map((word, i) => [word, i]),
  ),
  ...Object.fromEntries(
    "twenty thirty forty fifty sixty seventy eighty ninety".split(" ").map((word, i) => [word, 20 + 10 * i]),
  ),
  hundred: 100,
  thousand: 1e3,
  million: 1e6,
  billion: 1e9,
};

/** Returns the value of words below a thousand; null for no words. */
function smallNumber(words: readonly string[]): number | null {
  const [a, b, c, d] = words.map((word) => VALUES[word]);
  if (words.length === 0) return null;
  if (words.length === 4) return a * b + c + d;
  if (words.length === 3) return a * b + c;
  if (words.length === 2) return a === 100 || b === 100 ? a * b : a + b;
  return a;
}

/**
 * Returns the value of a number in words, such as `two hundred and six`; other words are skipped. Null for words that are no
 * number, which the package refuses.
 */
export function numberOfWords(text: string): number | null {
  const words = splitWords(text.replaceAll("-", " ").toLowerCase()).filter((word) => Object.hasOwn(VALUES, word));
  if (words.length === 0) return null;
  if (words.length === 1) return VALUES[words[0]];
  const scales = ["billion", "million", "thousand"];
  const places = scales.map((scale) => words.indexOf(scale));
  if (scales.some((scale, i) => words.lastIndexOf(scale) !== places[i])) return null;
  const [billion, million, thousand] = places;
  if ((thousand >= 0 && (thousand < million || thousand < billion)) || (million >= 0 && million < billion)) return null;
  let sum = 0;
  let from = 0;
  const parts: [readonly string[], number][] = [];
  for (const [i, place] of places.entries()) {
    if (place < 0) continue;
    parts.push([words.slice(from, place), VALUES[scales[i]]]);
    from = place + 1;
  }
  // What follows the last scale. A scale at the end counts again, with all that follows the scale before it.
  const last = [thousand, million, billion].find((place) => place >= 0 && place !== words.length - 1);
  if (last !== undefined) parts.push([words.slice(last + 1), 1]);
  else if (places.every((place) => place < 0)) parts.push([words, 1]);
  for (const [part, scale] of parts) {
    const value = smallNumber(part);
    if (value === null) return null;
    sum += value * scale;
  }
  return sum;
}
