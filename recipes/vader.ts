/**
 * @file VADER's rules: the sentiment of a sentence as a number from −1 to 1 (Hutto & Gilbert, "VADER: a parsimonious rule-based
 * model for sentiment analysis of social media text", ICWSM 2014). They need the lexicon of PyPI's vaderSentiment, an MIT-licensed
 * archive, and follow its program to the fourth digit, oddities included.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Mean valences of words and emoticons, −4 to 4, and the words that stand for emoji. */
export interface VaderLexicon {
  readonly valences: ReadonlyMap<string, number>;
  readonly emoji: ReadonlyMap<string, string>;
}

const list = (words: string) => words.split(" ");

/** Words that turn the valence of what follows; so does every word with "n't". */
const NEGATIONS = new Set(
  list(
    "aint arent cannot cant couldnt darent didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt neednt oughtnt shant " +
      "shouldnt wasnt werent wont wouldnt neither never none nope nor not nothing nowhere uhuh uh-uh without rarely seldom despite",
  ),
);
/** Words of degree: they raise or lower the strength of what follows. */
const RAISING = list(
  "absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous enormously entirely " +
    "especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin fracking fricking frickin " +
    "frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely incredible incredibly intensely major " +
    "majorly more most particularly purely quite really remarkably so substantially thoroughly total totally tremendous " +
    "tremendously uber unbelievably unusually utter utterly very",
);
const LOWERING = list(
  "almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally partly scarce scarcely " +
    "slight slightly somewhat sorta sortof sort-of",
).concat("just enough", "kind of", "sort of");
const DEGREE = 0.293;
const DEGREES = new Map([
  ...RAISING.map((word) => [word, DEGREE] as const),
  ...LOWERING.map((word) => [word, -DEGREE] as const),
]);
/** Phrases whose valence is not that of their words. */
const PHRASES = new Map([
  ["the shit", 3],
  ["the bomb", 3],
  ["bad ass", 1.5],
  ["badass", 1.5],
  ["bus stop", 0],
  ["yeah right", -2],
  ["kiss of death", -1.5],
  ["to die for", 3],
  ["beating heart", 3.5],
]);
/** What a word in capitals adds, and the factor of a negation. */
const CAPITALS = 0.733;
const NEGATION = -0.74;
/** Influence of a word one, two and three places before. */
const DISTANCE = [1, 0.95, 0.9];

/** Reads the lexicon from the archive's folder `vaderSentiment`. @throws if a file is missing */
export async function readVaderLexicon(folder: string): Promise<VaderLexicon> {
  const [words, emoji] = await Promise.all(
    ["vader_lexicon.txt", "emoji_utf8_lexicon.txt"].map((name) => readFile(join(folder, name), "utf8")),
  );
  return parseVaderLexicon(words, emoji);
}

/** Parses lines of word, tab, mean valence; and of emoji, tab, words. */
export function parseVaderLexicon(words: string, emoji: string): VaderLexicon {
  const pairs = (text: string) =>
    text
      .split("\n")
      .map((line) => line.trim().split("\t"))
      .filter((parts) => parts.length > 1);
  return {
    valences: new Map(pairs(words).map(([word, valence]) => [word, Number(valence)])),
    emoji: new Map(pairs(emoji).map(([sign, description]) => [sign, description])),
  };
}

/** Returns a function that rates a text: its compound score, from −1 (negative) to 1 (positive), rounded to four digits. */
export function createVader(lexicon: VaderLexicon): (text: string) => number {
  return (given) => {
    const text = withoutEmoji(given, lexicon.emoji);
    const words = text
      .split(/\s+/)
      .filter((word) => word !== "")
      .map(withoutPunctuation);
    if (words.length === 0) return 0;
    const lower = words.map((word) => word.toLowerCase());
    const shouting = words.filter(isUpper).length;
    const sentence = { words, lower, isMixed: shouting > 0 && shouting < words.length, valences: lexicon.valences };
    const sum = afterBut(
      lower,
      words.map((_, i) => valenceAt(sentence, i)),
    ).reduce((total, valence) => total + valence, 0);
    const stressed = sum + Math.sign(sum) * emphasis(text);
    return Number((stressed / Math.sqrt(stressed ** 2 + 15)).toFixed(4));
  };
}

interface Sentence {
  readonly words: readonly string[];
  readonly lower: readonly string[];
  /** Whether some words, but not all, are in capitals. */
  readonly isMixed: boolean;
  readonly valences: VaderLexicon["valences"];
}

/** The valence of a word in its sentence; 0 for a word that the lexicon does not have. */
function valenceAt(sentence: Sentence, i: number): number {
  const { words, lower, isMixed, valences } = sentence;
  const own = valences.get(lower[i]);
  if (own === undefined || DEGREES.has(lower[i]) || (lower[i] === "kind" && lower[i + 1] === "of")) return 0;
  let valence = lower[i] === "no" && valences.has(lower[i + 1]) ? 0 : own;
  const isDenied = lower[i - 1] === "no" || lower[i - 2] === "no";
  if (isDenied || (lower[i - 3] === "no" && ["or", "nor"].includes(lower[i - 1]))) valence = own * NEGATION;
  if (isMixed && isUpper(words[i])) valence += valence > 0 ? CAPITALS : -CAPITALS;
  for (const distance of [1, 2, 3]) {
    const at = i - distance;
    if (at < 0 || valences.has(lower[at])) continue;
    valence += DISTANCE[distance - 1] * degreeOf(sentence, at, valence);
    valence *= negationAt(lower, i, distance);
    if (distance === 3) valence = phraseValence(lower, i, valence);
  }
  const isLeast = lower[i - 1] === "least" && !valences.has("least");
  return isLeast && lower[i - 2] !== "at" && lower[i - 2] !== "very" ? valence * NEGATION : valence;
}

/** What a word of degree adds to a valence after it. */
function degreeOf({ words, lower, isMixed }: Sentence, at: number, valence: number): number {
  const degree = DEGREES.get(lower[at]);
  if (degree === undefined) return 0;
  const signed = valence < 0 ? -degree : degree;
  if (!isMixed || !isUpper(words[at])) return signed;
  return signed + (valence > 0 ? CAPITALS : -CAPITALS);
}

/** Factor by which a word `distance` places before word i turns its valence. */
function negationAt(lower: readonly string[], i: number, distance: number): number {
  const before = lower[i - distance];
  const isStress = (word: string) => word === "so" || word === "this";
  if (distance === 2) {
    if (before === "never" && isStress(lower[i - 1])) return 1.25;
    if (before === "without" && lower[i - 1] === "doubt") return 1;
  }
  if (distance === 3) {
    if ((before === "never" && isStress(lower[i - 2])) || isStress(lower[i - 1])) return 1.25;
    if (before === "without" && (lower[i - 2] === "doubt" || lower[i - 1] === "doubt")) return 1;
  }
  return NEGATIONS.has(before) || before.includes("n't") ? NEGATION : 1;
}

/** The valence of a word with at least three before it, if it belongs to a phrase. */
function phraseValence(lower: readonly string[], i: number, valence: number): number {
  const phrase = (from: number, to: number) => lower.slice(i + from, i + to + 1).join(" ");
  const before = [phrase(-1, 0), phrase(-2, 0), phrase(-2, -1), phrase(-3, -1), phrase(-3, -2)];
  const after = [
    ...(lower.length > i + 1 ? [phrase(0, 1)] : []),
    ...(lower.length > i + 2 ? [phrase(0, 2)] : []),
  ].filter((each) => PHRASES.has(each));
  const found = after.at(-1) ?? before.find((each) => PHRASES.has(each));
  const degrees = [phrase(-3, -1), phrase(-3, -2), phrase(-2, -1)].map((each) => DEGREES.get(each) ?? 0);
  return degrees.reduce((total, degree) => total + degree, found === undefined ? valence : (PHRASES.get(found) ?? 0));
}

/**
 * Halves what stands before the first "but" and raises what stands after it by half. As in the archive's program, a valence that
 * occurs twice is changed where it occurs first.
 */
function afterBut(lower: readonly string[], valences: readonly number[]): readonly number[] {
  const but = lower.indexOf("but");
  if (but < 0) return valences;
  const changed = [...valences];
  for (let i = 0; i < changed.length; i++) {
    const at = changed.indexOf(changed[i]);
    if (at !== but) changed[at] *= at < but ? 0.5 : 1.5;
  }
  return changed;
}

/** What exclamation marks, up to four, and question marks, two or more, add to the sum. */
function emphasis(text: string): number {
  const countOf = (mark: string) => text.split(mark).length - 1;
  const questions = countOf("?");
  return 0.292 * Math.min(4, countOf("!")) + (questions < 2 ? 0 : questions < 4 ? 0.18 * questions : 0.96);
}

function withoutEmoji(text: string, emoji: VaderLexicon["emoji"]): string {
  let result = "";
  let isSpace = true;
  for (const sign of text) {
    const description = emoji.get(sign);
    result += description === undefined ? sign : (isSpace ? "" : " ") + description;
    isSpace = description === undefined && sign === " ";
  }
  return result.trim();
}

/** A word without the punctuation around it; emoticons, of which at most two characters would stay, are kept. */
function withoutPunctuation(word: string): string {
  const bare = word.replace(/^[!-/:-@[-`{-~]+|[!-/:-@[-`{-~]+$/g, "");
  return [...bare].length <= 2 ? word : bare;
}

/** Whether a word has letters with case, all of them capitals. */
const isUpper = (word: string) => word !== word.toLowerCase() && word === word.toUpperCase();
