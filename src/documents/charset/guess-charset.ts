/**
 * @file Guesses the encoding of bytes that declare none. Only bytes above ASCII count, so markup and English text are free.
 * Each encoding is scored by how often its letter pairs occur in the languages written in it (letter-pairs.ts).
 */
import { decodeBytes } from "./decode.js";
import { CHARACTERS, LEAST_BITS, LETTER_PAIRS } from "./letter-pairs.js";

type Group = keyof typeof LETTER_PAIRS;

/** Number of bytes above ASCII that suffice for a guess. */
const ENOUGH = 2000;
/** ASCII bytes kept on either side of them: neighbouring letters, and second bytes of Shift_JIS and Big5. */
const BESIDE = 2;

/** Single-byte encodings: the languages written in each, and a penalty in bits for rare ones. */
const SINGLE: readonly (readonly [charset: string, group: Group, rare: number])[] = [
  ["windows-1252", "western", 0],
  ["windows-1250", "central", 2],
  ["windows-1251", "cyrillic", 2],
  ["windows-1254", "turkish", 2],
  ["windows-1253", "greek", 2],
  ["windows-1255", "hebrew", 2],
  ["windows-1256", "arabic", 2],
  ["windows-1257", "baltic", 3],
  ["windows-874", "thai", 2],
  ["windows-1258", "vietnamese", 4],
  ["iso-8859-2", "central", 3],
  ["koi8-r", "cyrillic", 3],
  ["koi8-u", "cyrillic", 5],
  ["iso-8859-5", "cyrillic", 10],
  ["ibm866", "cyrillic", 10],
  ["iso-8859-7", "greek", 4],
  ["iso-8859-6", "arabic", 6],
  ["iso-8859-15", "western", 8],
  ["iso-8859-13", "baltic", 6],
  ["iso-8859-4", "baltic", 6],
  ["x-mac-cyrillic", "cyrillic", 14],
  ["macintosh", "western", 16],
];

const LATIN: ReadonlySet<Group> = new Set(["western", "central", "turkish", "baltic", "vietnamese"]);

/** Double-byte encodings, and the most common characters of running text in each. */
const DOUBLE: readonly (readonly [charset: string, common: ReadonlySet<string>])[] = [
  ["gb18030", new Set(CHARACTERS.hans)],
  ["big5", new Set(CHARACTERS.hant)],
  ["euc-jp", new Set(CHARACTERS.japanese)],
  ["shift_jis", new Set(CHARACTERS.japanese)],
  ["euc-kr", new Set(CHARACTERS.korean)],
];

/** Returns the WHATWG name of the encoding of bytes that are not in a Unicode encoding. */
export function guessCharset(bytes: Uint8Array): string {
  if (isIso2022(bytes)) return "iso-2022-jp";
  const sample = sampleOf(bytes);
  const high = sample.reduce((sum, byte) => sum + (byte >> 7), 0);
  if (high === 0) return "utf-8";
  const double = guessDouble(sample);
  if (double.share > CLEAR && high > LONG) return double.charset;
  const single = guessSingle(sample);
  // A headline has few common characters. But its high bytes come in runs, and form no words in single-byte encodings.
  const isDouble = double.share > FAINT && single.cost > STRANGE * high && runsOf(sample) > 0.6 * high;
  if (isDouble) return double.charset;
  // If no known language fits, the text is assumed to be in another language with Latin letters.
  const pairs = sample.reduce((sum, byte, i) => sum + Number(byte > 127 || sample[i - 1] > 127), 0);
  const least = single.cost / pairs;
  const isSound = single.isLatin
    ? least < SOUND_LATIN || (least < DOUBTFUL && single.western > single.cost + MARGIN * pairs)
    : least < SOUND;
  return isSound ? single.charset : "windows-1252";
}

/** Highest cost of correctly decoded text, in bits per byte pair. 99 % of pages need at most 11, in other scripts 10. */
const SOUND_LATIN = 11.5;
/** Up to this cost a guess still counts if windows-1252 costs more by `MARGIN` bits per pair. */
const DOUBTFUL = 13;
const MARGIN = 2;
const SOUND = 14;

/** Minimum share of common characters: in running text (more than `LONG` high bytes), and in headlines. */
const CLEAR = 0.3;
const LONG = 60;
const FAINT = 0.04;
/** Above this cost in bits per byte, the text is not in any single-byte encoding; words take about nine. */
const STRANGE = 13;

/** Counts bytes above ASCII that have another next to them. */
function runsOf(sample: Uint8Array): number {
  return sample.reduce((sum, byte, i) => sum + Number(byte > 127 && (sample[i - 1] > 127 || sample[i + 1] > 127)), 0);
}

const isIso2022 = (bytes: Uint8Array) => hasJapaneseEscape(bytes) && bytes.every((byte) => byte < 128);

/** True if the bytes contain an escape sequence to Japanese characters (RFC 1468). */
export function hasJapaneseEscape(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = text.indexOf(0x1b);
  while (at >= 0 && !(text[at + 1] === 0x24 && (text[at + 2] === 0x40 || text[at + 2] === 0x42)))
    at = text.indexOf(0x1b, at + 1);
  return at >= 0;
}

/** Returns the bytes above ASCII with their neighbours; a space separates the pieces. */
function sampleOf(bytes: Uint8Array): Uint8Array {
  const parts: number[] = [];
  let high = 0;
  let taken = 0; // end of the last piece
  for (let i = 0; i < bytes.length && high < ENOUGH; i++) {
    if (bytes[i] < 128) continue;
    high++;
    const from = Math.max(taken, i - BESIDE);
    if (from > taken) parts.push(32);
    taken = Math.min(i + 1 + BESIDE, bytes.length);
    for (let j = from; j < taken; j++) {
      if (j > i && bytes[j] >= 128) {
        taken = j;
        break;
      }
      parts.push(bytes[j]);
    }
  }
  return Uint8Array.from(parts);
}

function guessDouble(sample: Uint8Array): { readonly charset: string; readonly share: number } {
  let best = { charset: "", share: 0 };
  for (const [charset, common] of DOUBLE) {
    let high = 0;
    let score = 0;
    for (const character of decodeBytes(sample, charset)) {
      const code = character.codePointAt(0) as number;
      if (code < 128) continue;
      high++;
      if (common.has(character)) score += 1;
      // Private-use and half-width characters result from bytes paired wrongly.
      else if (code === 0xfffd || (code >= 0xe000 && code <= 0xf8ff) || (code >= 0xff61 && code <= 0xff9f)) score -= 4;
    }
    if (score / high > best.share) best = { charset, share: score / high };
  }
  return best;
}

/** Bits of a pair that the language has rarely or never. */
const UNSEEN = 17;
/** Bits of a Latin letter next to one of another script. */
const MIXED = 30;
/** Bits of signs common in any text (quotation marks, dashes), of other signs, and of characters no text has. */
const SIGN = 8;
const ODD_SIGN = 26;
const BROKEN = 45;

/** Bits of each pair in each language of a group; the key is 65536 times the first letter's code plus the second's. */
interface Table {
  readonly languages: number;
  readonly bits: ReadonlyMap<number, Uint8Array>;
}

const tables = new Map<Group, Table>();
function tableOf(group: Group): Table {
  const made = tables.get(group);
  if (made !== undefined) return made;
  const languages: readonly (readonly string[])[] = LETTER_PAIRS[group];
  const bits = new Map<number, Uint8Array>();
  for (const [language, levels] of languages.entries()) {
    for (const [level, pairs] of levels.entries()) {
      for (let i = 0; i < pairs.length; i += 2) {
        const key = pairs.charCodeAt(i) * 65536 + pairs.charCodeAt(i + 1);
        const row = bits.get(key) ?? new Uint8Array(languages.length).fill(UNSEEN);
        row[language] = LEAST_BITS + level;
        bits.set(key, row);
      }
    }
  }
  const table = { languages: languages.length, bits };
  tables.set(group, table);
  return table;
}

/** What each byte of an encoding means. */
interface Letters {
  /** Lower-case code; 32 if the byte is not a letter. */
  readonly letter: Uint16Array;
  readonly isCapital: Uint8Array;
  /** Bits that a sign costs, whatever its neighbours. */
  readonly sign: Uint8Array;
}

const alphabets = new Map<string, Letters>();
function lettersOf(charset: string): Letters {
  const made = alphabets.get(charset);
  if (made !== undefined) return made;
  const letters = { letter: new Uint16Array(256).fill(32), isCapital: new Uint8Array(256), sign: new Uint8Array(256) };
  const text = decodeBytes(
    Uint8Array.from({ length: 256 }, (_, i) => i),
    charset,
  );
  for (let byte = 0; byte < 256; byte++) {
    const character = text[byte];
    const code = text.charCodeAt(byte);
    if (code < 128 ? /[a-z]/i.test(character) : /[\p{L}\p{M}]/u.test(character)) {
      const small = character === "İ" ? "i" : character.toLowerCase();
      letters.letter[byte] = small.charCodeAt(0);
      letters.isCapital[byte] = Number(small !== character);
    } else if (code >= 128) {
      letters.sign[byte] = SIGNS.has(character) ? SIGN : code < 0xa0 || code >= 0xe000 ? BROKEN : ODD_SIGN;
    }
  }
  alphabets.set(charset, letters);
  return letters;
}

const SIGNS = new Set("‘’“”„‚‹›«»–—…•·§©®™°€£¿¡ªº№\u00a0\u00ad");

interface Guess {
  readonly charset: string;
  readonly cost: number;
  readonly isLatin: boolean;
  /** The cost of windows-1252. */
  readonly western: number;
}

function guessSingle(sample: Uint8Array): Guess {
  let best: Guess = {
    charset: "windows-1252",
    cost: Number.POSITIVE_INFINITY,
    isLatin: true,
    western: Number.POSITIVE_INFINITY,
  };
  for (const [charset, group, rare] of SINGLE) {
    const isLatin = LATIN.has(group);
    const cost = rare + costOf(sample, lettersOf(charset), tableOf(group), isLatin);
    // windows-1252 comes first.
    if (cost < best.cost) best = { charset, cost, isLatin, western: charset === "windows-1252" ? cost : best.western };
  }
  return best;
}

/** Returns the cost in bits of the bytes above ASCII and their neighbours, in the group's best-fitting language. */
function costOf(sample: Uint8Array, letters: Letters, { languages, bits }: Table, isLatin: boolean): number {
  const costs = new Float64Array(languages);
  let shared = 0;
  let last = 32; // the byte before
  let before = 32; // the letter before
  for (let i = 0; i < sample.length; i++) {
    const byte = sample[i];
    const letter = letters.letter[byte];
    if (byte > 127 || last > 127) {
      shared += letters.sign[byte];
      if (letter === 32 && before === 32)
        shared += byte > 127 && last > 127 ? UNSEEN : 0; // two signs in a row
      else {
        const row = bits.get(before * 65536 + letter);
        if (row !== undefined) for (let l = 0; l < languages; l++) costs[l] += row[l];
        else shared += isLatin || before > 127 === letter > 127 || before === 32 || letter === 32 ? UNSEEN : MIXED;
        // Capitals occur at the start of words, signs between words.
        if (letters.isCapital[byte] > 0 && before !== 32 && letters.isCapital[last] === 0) shared += 6;
        if (byte > 127 && letter === 32 && letters.letter[sample[i + 1]] > 32 && byte !== APOSTROPHE) shared += UNSEEN;
      }
    }
    last = byte;
    before = letter;
  }
  return shared + Math.min(...costs);
}

/** In all Windows encodings. */
const APOSTROPHE = 0x92;
