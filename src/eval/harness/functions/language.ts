/**
 * @file Detects the language of a text as the Python package langdetect does (Nakatani Shuyo, "Language Detection Library", 2010):
 * naive Bayes over n-grams of up to three letters, drawn at random. The package draws anew each time; here the seed is fixed.
 */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { PythonRandom } from "../python-random.js";

interface Header {
  readonly languages: readonly string[];
  /** Logarithms of the shares that the bytes 0 and 255 stand for. */
  readonly low: number;
  readonly high: number;
  /** Characters of Latin-1 that are no letters. */
  readonly excluded: string;
  /** Characters of Chinese and Japanese that count as one. */
  readonly kanji: readonly string[];
  readonly vietnamese: {
    readonly letters: string;
    readonly marks: string;
    /** By mark, then by letter. */
    readonly combined: readonly string[];
  };
}

interface Profiles extends Header {
  /** Position of each n-gram. */
  readonly grams: ReadonlyMap<string, number>;
  /** Of each n-gram, where its languages begin. */
  readonly starts: Uint32Array;
  readonly language: Uint8Array;
  readonly share: Uint8Array;
  readonly representative: ReadonlyMap<string, string>;
}

const TRIALS = 7;
const SMOOTHING = 0.5;
const SMOOTHING_WIDTH = 0.05;
const SMOOTHING_BASE = 10_000;
const MOST_DRAWS = 1000;
/** A trial ends when one language is this probable. */
const CERTAIN = 0.99999;
/** Languages below this are no result. */
const PROBABLE = 0.1;
const LONGEST = 10_000;

let loaded: Profiles | null = null;

function profiles(): Profiles {
  if (loaded !== null) return loaded;
  const bytes = brotliDecompressSync(readFileSync(new URL("./language-profiles.br", import.meta.url)));
  const end = bytes.indexOf("\n\n");
  const [first, ...grams] = bytes.subarray(0, end).toString("utf8").split("\n");
  const header = JSON.parse(first) as Header;
  const counts = bytes.subarray(end + 2, end + 2 + grams.length);
  const starts = new Uint32Array(grams.length + 1);
  for (let i = 0; i < grams.length; i++) starts[i + 1] = starts[i] + counts[i];
  const total = starts[grams.length];
  const from = end + 2 + grams.length;
  loaded = {
    ...header,
    grams: new Map(grams.map((gram, i) => [gram, i])),
    starts,
    language: bytes.subarray(from, from + total),
    share: bytes.subarray(from + total, from + 2 * total),
    representative: new Map(header.kanji.flatMap((kind) => [...kind].map((character) => [character, [...kind][0]]))),
  };
  return loaded;
}

const URLS = /https?:\/\/[-_.?&~;+=/#0-9A-Za-z]{1,2076}/g;
const MAILS = /[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}/g;

/** The characters that count: no addresses, single spaces, no Latin letters among those of another script. */
function charactersOf(text: string, { vietnamese }: Profiles): readonly string[] {
  const { letters, marks, combined } = vietnamese;
  const composed = text
    .replace(URLS, " ")
    .replace(MAILS, " ")
    .replace(new RegExp(`([${letters}])([${marks}])`, "gu"), (_, letter: string, mark: string) => {
      return [...combined[[...marks].indexOf(mark)]][[...letters].indexOf(letter)];
    });
  const characters = [...composed].slice(0, LONGEST);
  const single = characters.filter((character, i) => character !== " " || characters[i - 1] !== " ");
  let [latin, others] = [0, 0];
  for (const character of single) {
    const code = character.codePointAt(0)!;
    if (code >= 0x41 && code <= 0x7a) latin += 1;
    else if (code >= 0x300 && !(code >= 0x1e00 && code <= 0x1eff)) others += 1;
  }
  return latin * 2 < others ? single.filter((character) => character < "A" || character > "z") : single;
}

/** Letters of one kind become one; what is no letter becomes a space. */
function normalized(character: string, { excluded, representative }: Profiles): string {
  const code = character.codePointAt(0)!;
  if (code < 0x80) return /[A-Za-z]/.test(character) ? character : " ";
  if (code < 0x100) return excluded.includes(character) ? " " : character;
  if (code === 0x219) return "\u015f";
  if (code === 0x21b) return "\u0163";
  if (code >= 0x2000 && code <= 0x206f) return " ";
  if (code === 0x6cc) return "\u064a";
  if (code >= 0x1ea0 && code <= 0x1eff) return "\u1ec3";
  if (code >= 0x3040 && code <= 0x309f) return "\u3042";
  if (code >= 0x30a0 && code <= 0x30ff) return "\u30a2";
  if ((code >= 0x3100 && code <= 0x312f) || (code >= 0x31a0 && code <= 0x31bf)) return "\u3105";
  if (code >= 0x4e00 && code <= 0x9fff) return representative.get(character) ?? character;
  if (code >= 0xac00 && code <= 0xd7af) return "\uac00";
  return character;
}

const UPPER = /^\p{Uppercase}$/u;

/** The known n-grams of a text, by position. Words in capitals give none after their first letter. */
function gramsIn(characters: readonly string[], known: Profiles): readonly number[] {
  const found: number[] = [];
  let recent = [" "];
  let isCapitals = false;
  for (const each of characters) {
    const character = normalized(each, known);
    const last = recent[recent.length - 1];
    if (last === " ") {
      recent = [" "];
      isCapitals = false;
      if (character !== " ") recent.push(character);
    } else {
      recent = [...recent, character].slice(-3);
    }
    if (last !== " " || character !== " ") {
      if (!UPPER.test(character)) isCapitals = false;
      else if (UPPER.test(last)) isCapitals = true;
    }
    if (isCapitals) continue;
    for (let n = 1; n <= recent.length; n++) {
      const gram = recent.slice(-n).join("");
      const position = gram === " " ? undefined : known.grams.get(gram);
      if (position !== undefined) found.push(position);
    }
  }
  return found;
}

/** Returns the language's code, such as `en` or `zh-cn`; `unknown` for none that is probable, null for a text without letters. */
export function detectLanguage(text: string): string | null {
  const known = profiles();
  const grams = gramsIn(charactersOf(text, known), known);
  if (grams.length === 0) return null;
  const { languages, low, high, starts, language, share } = known;
  const sums = new Float64Array(languages.length);
  const random = new PythonRandom(0);
  for (let trial = 0; trial < TRIALS; trial++) {
    const probabilities = new Float64Array(languages.length).fill(1 / languages.length);
    const weight = (SMOOTHING + random.gauss(0, 1) * SMOOTHING_WIDTH) / SMOOTHING_BASE;
    for (let draw = 0; ; draw++) {
      const gram = random.choice(grams);
      const factors = new Float64Array(languages.length).fill(weight);
      for (let i = starts[gram]; i < starts[gram + 1]; i++) {
        factors[language[i]] += Math.exp(low + ((high - low) * share[i]) / 255);
      }
      for (let i = 0; i < factors.length; i++) probabilities[i] *= factors[i];
      if (draw % 5 !== 0) continue;
      const total = probabilities.reduce((sum, value) => sum + value, 0);
      for (let i = 0; i < probabilities.length; i++) probabilities[i] /= total;
      if (draw >= MOST_DRAWS || probabilities.some((value) => value > CERTAIN)) break;
    }
    for (let i = 0; i < sums.length; i++) sums[i] += probabilities[i] / TRIALS;
  }
  const best = sums.indexOf(Math.max(...sums));
  return sums[best] > PROBABLE ? languages[best] : "unknown";
}
