/**
 * @file Splits a run of text without whitespace into words. The rules follow spaCy's English tokenizer, on whose words the
 * published thresholds were tuned. Special words take precedence over all rules. Punctuation is split off at both ends and
 * units after numbers; a few marks split in the middle. `Intl.Segmenter` splits scripts without spaces. One splitter serves
 * every language, so that a document's words depend only on its text.
 */
import {
  DIGIT,
  EDGE,
  flagsOf,
  flagsOfPair,
  ICON,
  LETTER,
  LOWER,
  MONEY,
  QUOTE,
  SYMBOL,
  TERMINAL,
  UNSPACED,
  UPPER,
} from "./characters.js";
import { englishSpecials } from "./contractions.js";

const DOT = 0x2e;
const ELLIPSIS = 0x2026;
const MINUS = 0x2d;
const PLUS = 0x2b;

/** Base of the polynomial hash of a word's UTF-16 units; odd, so that no power of it is 0 modulo 2^32. */
export const HASH_BASE = 0x01000193;

/** Hashes units[start, end). */
export function hashOf(units: Uint16Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, HASH_BASE) + units[at] + 1) | 0;
  return hash;
}

const SPECIALS = englishSpecials();
/** First unit and length of every special word: a quick test that rules out most other words. */
const SPECIAL_SHAPES = new Set([...SPECIALS.keys()].map((word) => shape(word.charCodeAt(0), word.length)));
const LONGEST_SPECIAL = Math.max(...[...SPECIALS.keys()].map((word) => word.length));
/** Hashes of the special words, for the same reason. */
const SPECIAL_HASHES = new Set(
  [...SPECIALS.keys()].map((word) => {
    const units = Uint16Array.from(word, (_, index) => word.charCodeAt(index));
    return hashOf(units, 0, units.length);
  }),
);

/** Length of the longest special word that the rules may have split. */
const LONGEST_JOINED = 6;

function shape(unit: number, length: number): number {
  return unit * 64 + length;
}

/** Units of measure, split off after a digit. */
const UNITS = new Set(
  (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar " +
    "mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар " +
    "Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ كم كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ غرام جرام جم كغ ملغ كوب اكواب US$ C$ A$"
  ).split(" "),
);
const LONGEST_UNIT = Math.max(...[...UNITS].map((unit) => unit.length));
/** A final full stop is split off after these, and after digits, lower-case letters and quotes. */
const BEFORE_STOP = new Set([..."%²-+|…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।۔؛٪"].map((mark) => mark.charCodeAt(0)));

/** A web address as a whole: scheme, user, host or IPv4, port, path. Anchored, and each part excludes the next's start. */
const ADDRESS =
  /^(?:[\w+.-]{2,}:\/\/)?(?:[^\s@]+@)?(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[A-Za-z0-9\u00a1-\uffff][\w\u00a1-\uffff-]{0,62}\.)+[a-z\u00df-\u00ff\u0430-\u044f]{2,63})(?::\d{2,5})?(?:[/?#]\S*)?$/u;
/** Longer ones are data, not addresses. */
const LONGEST_ADDRESS = 1000;

/** Receives the range [start, end) of a word. */
export type EmitWord = (start: number, end: number) => void;

/** Splits units[start, end), which must not contain whitespace. */
export function splitChunk(units: Uint16Array, start: number, end: number, emit: EmitWord): void {
  const bounds: number[] = [];
  splitByRules(units, start, end, (from, to) => bounds.push(from, to));
  for (let i = 0; i < bounds.length; i += 2) {
    // Rejoin signs that the rules split but that form a special word, such as the emoticon in `(so :)`.
    let last = i;
    for (let j = i + 2; j < bounds.length && bounds[j + 1] - bounds[i] <= LONGEST_JOINED; j += 2) {
      if (specialAt(units, bounds[i], bounds[j + 1])?.length === 1) last = j;
    }
    emit(bounds[i], bounds[last + 1]);
    i = last;
  }
}

function splitByRules(units: Uint16Array, start: number, end: number, emit: EmitWord): void {
  let from = start;
  let to = end;
  // Ends of suffixes, found from the right; emitted last, in text order.
  const suffixes: number[] = [];
  let special: readonly number[] | undefined;
  while (from < to) {
    special = specialAt(units, from, to);
    if (special !== undefined) break;
    const prefix = prefixLength(units, from, to);
    if (prefix > 0 && from + prefix < to) {
      special = specialAt(units, from + prefix, to);
      if (special !== undefined) {
        emit(from, from + prefix);
        from += prefix;
        break;
      }
    }
    const suffix = suffixLength(units, from + prefix, to);
    if (suffix > 0 && from < to - suffix) {
      special = specialAt(units, from, to - suffix);
      if (special !== undefined) {
        suffixes.push(to);
        to -= suffix;
        break;
      }
    }
    if (prefix === 0 && suffix === 0) break;
    if (prefix > 0) emit(from, from + prefix);
    if (suffix > 0) suffixes.push(to);
    from += prefix;
    to -= suffix;
  }
  if (special !== undefined) {
    for (const length of special) {
      emit(from, from + length);
      from += length;
    }
  } else if (from < to) {
    splitInside(units, from, to, emit);
  }
  let position = to;
  for (let i = suffixes.length - 1; i >= 0; i--) {
    emit(position, suffixes[i]);
    position = suffixes[i];
  }
}

function textOf(units: Uint16Array, start: number, end: number): string {
  return String.fromCharCode(...units.subarray(start, end));
}

function specialAt(units: Uint16Array, start: number, end: number): readonly number[] | undefined {
  const length = end - start;
  if (length > LONGEST_SPECIAL || !SPECIAL_SHAPES.has(shape(units[start], length))) return undefined;
  if (!SPECIAL_HASHES.has(hashOf(units, start, end))) return undefined;
  return SPECIALS.get(textOf(units, start, end));
}

/** Returns the length of the prefix to split off, or 0. */
function prefixLength(units: Uint16Array, start: number, end: number): number {
  const unit = units[start];
  if (unit >= 0x61 && unit <= 0x7a) return 0;
  if (unit === DOT) return dotsFrom(units, start, end);
  if (unit === PLUS) return start + 1 < end && (flagsOf(units[start + 1]) & DIGIT) !== 0 ? 0 : 1;
  if (unit === 0x25 || unit === 0x3d || unit === 0xa7) return 1;
  if ((flagsOf(unit) & (EDGE | MONEY)) !== 0) return 1;
  if ((unit === 0x43 || unit === 0x41) && start + 1 < end && units[start + 1] === 0x24) return 2;
  if (unit === 0x55 && start + 2 < end && units[start + 1] === 0x53 && units[start + 2] === 0x24) return 3;
  return iconLength(units, start, end);
}

/** Returns the length of a run of two or more full stops; 0 for a single one. */
function dotsFrom(units: Uint16Array, start: number, end: number): number {
  let length = 0;
  while (start + length < end && units[start + length] === DOT) length += 1;
  return length >= 2 ? length : 0;
}

function iconLength(units: Uint16Array, at: number, end: number): number {
  const unit = units[at];
  if (unit < 0xa6) return 0;
  if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < end) {
    const low = units[at + 1];
    return low >= 0xdc00 && low < 0xe000 && (flagsOfPair(unit, low) & ICON) !== 0 ? 2 : 0;
  }
  return (flagsOf(unit) & ICON) !== 0 ? 1 : 0;
}

/** Returns the length of the longest suffix to split off, or 0. */
function suffixLength(units: Uint16Array, start: number, end: number): number {
  if (start >= end) return 0;
  const last = units[end - 1];
  const before = end - 2 >= start ? units[end - 2] : 0;
  if (last === DOT) {
    let dots = 1;
    while (end - dots - 1 >= start && units[end - dots - 1] === DOT) dots += 1;
    if (dots >= 2) return dots;
    return isFinalStop(units, start, end) ? 1 : 0;
  }
  if ((last === 0x73 || last === 0x53) && (before === 0x27 || before === 0x2019)) return 2;
  const unitLength = unitAfterDigit(units, start, end);
  if (unitLength > 0) return unitLength;
  if (last >= 0x61 && last <= 0x7a) return 0;
  if (last === ELLIPSIS && before === ELLIPSIS) return 2;
  const flags = flagsOf(last);
  if ((flags & EDGE) !== 0) return 1;
  if (before !== 0 && (flagsOf(before) & DIGIT) !== 0 && (last === PLUS || (flags & MONEY) !== 0)) return 1;
  if (last >= 0xdc00 && last < 0xe000 && before >= 0xd800 && before < 0xdc00) {
    return (flagsOfPair(before, last) & ICON) !== 0 ? 2 : 0;
  }
  return (flags & ICON) !== 0 ? 1 : 0;
}

/** Whether the final full stop is split off. */
function isFinalStop(units: Uint16Array, start: number, end: number): boolean {
  if (end - 2 < start) return false;
  const before = units[end - 2];
  const flags = flagsOf(before);
  if ((flags & (DIGIT | LOWER | QUOTE)) !== 0 || BEFORE_STOP.has(before)) return true;
  if (end - 3 < start) return false;
  const second = units[end - 3];
  // The stop of `20°C.` and `OK.` ends a sentence; `U.S.` keeps its stops.
  return (flags & UPPER) !== 0 && ((flagsOf(second) & UPPER) !== 0 || second === 0xb0);
}

function unitAfterDigit(units: Uint16Array, start: number, end: number): number {
  for (let length = Math.min(LONGEST_UNIT, end - start - 1); length >= 1; length--) {
    const before = units[end - length - 1];
    if (before < 0x30 || before > 0x39) continue;
    if (UNITS.has(textOf(units, end - length, end))) return length;
  }
  return 0;
}

/** Splits the middle, between prefixes and suffixes. */
function splitInside(units: Uint16Array, start: number, end: number, emit: EmitWord): void {
  let from = start;
  let unspaced = false;
  for (let at = start; at < end; ) {
    const unit = units[at];
    // Fast path: most units are ASCII letters.
    if ((unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a)) {
      at += 1;
      continue;
    }
    if (unit > 0xe00 && (flagsOf(unit) & UNSPACED) !== 0) unspaced = true;
    else if (unit >= 0xd840 && unit < 0xd8c0) unspaced = true;
    const length = infixLength(units, start, at, end);
    if (length === 0) {
      at += 1;
      continue;
    }
    if (at !== start) {
      if (from === start && isAddress(units, start, end)) break;
      if (at !== from) emitRun(units, from, at, unspaced, emit);
      emit(at, at + length);
      from = at + length;
      unspaced = false;
    }
    at += length;
  }
  if (from < end) emitRun(units, from, end, unspaced, emit);
}

function infixLength(units: Uint16Array, start: number, at: number, end: number): number {
  const unit = units[at];
  if (unit === DOT) {
    const dots = dotsFrom(units, at, end);
    if (dots > 0) return dots;
  } else if (unit === ELLIPSIS) {
    return 1;
  }
  const before = at > start ? flagsOf(units[at - 1]) : 0;
  const after = at + 1 < end ? flagsOf(units[at + 1]) : 0;
  switch (unit) {
    case DOT:
      return (before & (LOWER | QUOTE)) !== 0 && (after & (UPPER | QUOTE)) !== 0 ? 1 : 0;
    case 0x2c: // ,
      return (before & after & LETTER) !== 0 ? 1 : 0;
    case 0x3a: // :
    case 0x3c: // <
    case 0x3d: // =
    case 0x3e: // >
    case 0x2f: // /
      return (before & (LETTER | DIGIT)) !== 0 && (after & LETTER) !== 0 ? 1 : 0;
    case PLUS:
    case 0x2a: // *
    case 0x5e: // ^
    case MINUS: {
      if ((before & DIGIT) !== 0 && ((after & DIGIT) !== 0 || units[at + 1] === MINUS) && at + 1 < end) return 1;
      if (unit !== MINUS || (before & (LETTER | DIGIT)) === 0) return 0;
      let dashes = 1;
      while (dashes < 3 && at + dashes < end && units[at + dashes] === MINUS) dashes += 1;
      return at + dashes < end && (flagsOf(units[at + dashes]) & LETTER) !== 0 ? dashes : 0;
    }
    case 0x2013: // –
    case 0x2014: // —
    case 0x7e: {
      if ((before & (LETTER | DIGIT)) === 0) return 0;
      if ((after & LETTER) !== 0) return 1;
      const doubled = unit === 0x2014 && units[at + 1] === unit && at + 2 < end;
      return doubled && (flagsOf(units[at + 2]) & LETTER) !== 0 ? 2 : 0;
    }
    default:
      return iconLength(units, at, end);
  }
}

function isAddress(units: Uint16Array, start: number, end: number): boolean {
  if (end - start > LONGEST_ADDRESS || units.subarray(start, end).indexOf(DOT) < 0) return false;
  return ADDRESS.test(textOf(units, start, end));
}

let segmenter: Intl.Segmenter | undefined;
/** The segmenter takes superlinear time, so long runs are split into pieces of this length. UTF-16 units. */
const LONGEST_RUN = 2000;

/** Emits a run as one word, or as the segmenter's words if it contains a script without spaces. */
function emitRun(units: Uint16Array, start: number, end: number, unspaced: boolean, emit: EmitWord): void {
  if (!unspaced) {
    emit(start, end);
    return;
  }
  segmenter ??= new Intl.Segmenter("und", { granularity: "word" });
  for (let from = start; from < end; from += LONGEST_RUN) {
    const to = Math.min(from + LONGEST_RUN, end);
    for (const { index, segment } of segmenter.segment(textOf(units, from, to))) {
      emit(from + index, from + index + segment.length);
    }
  }
}

/** Traits of a word. */
export const ALL_SYMBOLS = 1;
export const HAS_LETTER = 2;
export const ALL_PUNCTUATION = 4;
export const ENDS_SENTENCE = 8;

/** Returns the traits of the word units[start, end). */
export function traitsOf(units: Uint16Array, start: number, end: number): number {
  let symbols = true;
  let letter = false;
  let ascii = true;
  for (let at = start; at < end; at++) {
    const unit = units[at];
    if ((unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a)) {
      letter = true;
      symbols = false;
    } else if (unit >= 0x80) {
      ascii = false;
      if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < end) {
        if ((flagsOfPair(unit, units[at + 1]) & SYMBOL) === 0) symbols = false;
        at += 1;
      } else if ((flagsOf(unit) & SYMBOL) === 0) symbols = false;
    } else if ((flagsOf(unit) & SYMBOL) === 0) {
      symbols = false;
    }
  }
  if (letter && ascii) return HAS_LETTER;
  const text = end - start > 4096 ? "" : textOf(units, start, end);
  const single = end - start === 1 ? flagsOf(units[start]) : end - start === 2 && !ascii ? pairFlags(units, start) : 0;
  return (
    (symbols ? ALL_SYMBOLS : 0) |
    (letter || (!ascii && (text === "" || /\p{L}/u.test(text))) ? HAS_LETTER : 0) |
    (/^\p{P}+$/u.test(text) ? ALL_PUNCTUATION : 0) |
    ((single & TERMINAL) !== 0 ? ENDS_SENTENCE : 0)
  );
}

function pairFlags(units: Uint16Array, at: number): number {
  const high = units[at];
  return high >= 0xd800 && high < 0xdc00 ? flagsOfPair(high, units[at + 1]) : 0;
}
