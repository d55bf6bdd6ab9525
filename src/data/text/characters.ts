/**
 * @file Character classes used by the filters. The sets match those of the published pipelines (datatrove's punctuation,
 * Python's whitespace). They are written out, so that results do not change with the Unicode version of Node.
 */

/** Parses hexadecimal code points and ranges: `"21 2e 964-965"`. */
function codePoints(ranges: string): number[] {
  return ranges.split(" ").flatMap((range) => {
    const [first, last = first] = range.split("-").map((hex) => Number.parseInt(hex, 16));
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Marks that end a sentence in any script (Unicode's Sentence_Terminal as of version 14, with the Khmer signs). */
const TERMINAL_POINTS = codePoints(
  "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6 " +
    "17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 " +
    "2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb " +
    "fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 " +
    "111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 " +
    "1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 " +
    "16b44 16e98 1bc9f 1da88",
);

/** The same marks as strings: what a line of prose ends with. */
export const TERMINAL_MARKS: readonly string[] = TERMINAL_POINTS.map((point) => String.fromCodePoint(point));

/** Punctuation and controls other than terminal marks. A word that consists of these counts as a symbol. */
const SYMBOL_POINTS = codePoints(
  "0-8 b-1f 7f-9f 22-2d 2f 3a-3e 40 5b-60 7b-7e ab b4 bb 2013 2014 2019 201c-201e 2026 2236 2501 25ba 3001 3008-300d " +
    "3010-3011 ff05 ff08-ff09 ff0c ff11 ff1a-ff1b ff5e",
);

export const SPACE = 1;
/** A letter or combining mark: punctuation such as a comma or dash splits a word between two of them. */
export const LETTER = 2;
/** A lower-case letter, or a letter of a script without case. */
export const LOWER = 4;
/** An upper-case letter, or a letter of a script without case. */
export const UPPER = 8;
export const DIGIT = 16;
/** A quotation mark. */
export const QUOTE = 32;
/** Split off at the beginning and end of a word. */
export const EDGE = 64;
/** A pictograph or other symbol of Unicode category So: always a word by itself. */
export const ICON = 128;
/** A currency sign. */
export const MONEY = 256;
/** A character of a script written without spaces, which `Intl.Segmenter` splits. */
export const UNSPACED = 512;
/** In datatrove's punctuation set. */
export const SYMBOL = 1024;
/** Ends a sentence. */
export const TERMINAL = 2048;
const KNOWN = 1 << 15;

const flags = new Uint16Array(0x10000);

const PYTHON_SPACE = new Set(codePoints("9-d 1c-20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000"));
const QUOTES = new Set([..."'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"]);
const EDGES = new Set([...QUOTES, ..."…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।۔؛٪§%=—–"]);
/** Split off only at the beginning of a word. At the end, `%` is a unit and `§` and `=` stay. */
const LEFT_ONLY = new Set([..."§%="]);
const MONEYS = new Set([..."$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"]);
const SYMBOLS = new Set([...SYMBOL_POINTS, ...TERMINAL_POINTS]);
const TERMINALS = new Set(TERMINAL_POINTS);
/** Thai, Lao, Tibetan, Burmese, Khmer, Tai and the Han, kana and Yi of East Asia. */
const UNSPACED_SCRIPT =
  /[\p{Script=Thai}\p{Script=Lao}\p{Script=Tibetan}\p{Script=Myanmar}\p{Script=Khmer}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Yi}\p{Script=Tai_Le}\p{Script=New_Tai_Lue}\p{Script=Tai_Tham}ー]/u;

/** Returns the flags of a UTF-16 code unit; 0 for a surrogate, whose pair has flags (see `flagsOfPair`). */
export function flagsOf(unit: number): number {
  const known = flags[unit];
  if (known !== 0) return known;
  const found = unit >= 0xd800 && unit < 0xe000 ? KNOWN : classify(unit) | KNOWN;
  flags[unit] = found;
  return found;
}

/** Returns the flags of a character outside the basic multilingual plane. */
export function flagsOfPair(high: number, low: number): number {
  return classify(((high - 0xd800) << 10) + (low - 0xdc00) + 0x10000);
}

function classify(point: number): number {
  const character = String.fromCodePoint(point);
  let found = 0;
  if (PYTHON_SPACE.has(point)) found |= SPACE;
  if (point >= 0x30 && point <= 0x39) found |= DIGIT;
  if (/[\p{L}\p{M}]/u.test(character) || (point >= 0x2e80 && point <= 0x303f && !QUOTES.has(character))) {
    const small = /\p{Ll}/u.test(character);
    const capital = /[\p{Lu}\p{Lt}]/u.test(character);
    found |= LETTER | (small || !capital ? LOWER : 0) | (capital || !small ? UPPER : 0);
  }
  if (QUOTES.has(character)) found |= QUOTE;
  if (EDGES.has(character) && !LEFT_ONLY.has(character)) found |= EDGE;
  if (/\p{So}/u.test(character)) found |= ICON;
  if (MONEYS.has(character)) found |= MONEY;
  if (UNSPACED_SCRIPT.test(character)) found |= UNSPACED;
  if (SYMBOLS.has(point)) found |= SYMBOL;
  if (TERMINALS.has(point)) found |= TERMINAL;
  return found;
}

/** Whether Python's `str.isspace` is true; JavaScript's `trim` differs in seven characters. */
export function isSpace(unit: number): boolean {
  return unit <= 32 ? unit === 32 || (unit >= 9 && unit <= 13) || (unit >= 28 && unit < 32) : isWideSpace(unit);
}

function isWideSpace(unit: number): boolean {
  return unit >= 0x85 && (flagsOf(unit) & SPACE) !== 0;
}

/** Removes whitespace at both ends. */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** Python also ends lines at the ASCII separators and at NEL. */
const SEPARATORS = "\u001c-\u001e\u0085";
const LINE_END = new RegExp(`\\r\\n|[\\n\\r\\v\\f${SEPARATORS}\\u2028\\u2029]`);

/** Splits lines like Python's `str.splitlines`: at any of eleven line ends, with no empty line after the last. */
export function splitLines(text: string): string[] {
  const lines = text.split(LINE_END);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Returns the number of code points, as Python's `len` does. */
export function codePointCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) {
        count -= 1;
        i += 1;
      }
    }
  }
  return count;
}

/** Counts the non-overlapping occurrences of `part`. */
export function countOf(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count += 1;
  return count;
}
