/** @file The methods of Python's str. Positions are in code points. */
import { checkText, fail, refuse } from "./failure.js";
import { textsOf } from "./formatting.js";
import { SPACE_CLASS } from "./lexer.js";
import {
  charactersOf,
  Dict,
  intOf,
  isText,
  iterate,
  points,
  repr,
  Tuple,
  textOf,
  typeName,
  type Value,
} from "./values.js";

const LEADING = new RegExp(`^${SPACE_CLASS}+`);
const SPACE_CHARACTER = new RegExp(`^${SPACE_CLASS}$`);

function leadingSpace(text: string): number {
  return LEADING.exec(text)?.[0].length ?? 0;
}

/** Returns the start of the trailing white space. A regular expression would be quadratic in runs of white space. */
function trailingSpace(text: string): number {
  let end = text.length;
  while (end > 0 && SPACE_CHARACTER.test(text[end - 1])) end--;
  return end;
}

/** Python's strip, lstrip or rstrip, of white space or of the given characters. */
export function strip(text: string, chars: string | undefined, sides: "both" | "left" | "right"): string {
  if (chars === undefined) {
    const from = sides === "right" ? 0 : leadingSpace(text);
    return text.slice(from, sides === "left" ? text.length : Math.max(from, trailingSpace(text)));
  }
  const set = new Set(chars);
  const list = charactersOf(text);
  let [from, to] = [0, list.length];
  if (sides !== "right") while (from < to && set.has(list[from])) from++;
  if (sides !== "left") while (to > from && set.has(list[to - 1])) to--;
  return from === 0 && to === list.length ? text : list.slice(from, to).join("");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: Python also breaks lines at these
const LINE = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let from = 0;
  for (const match of text.matchAll(LINE)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(from, keepEnds ? end : match.index));
    from = end;
  }
  if (from < text.length) lines.push(text.slice(from));
  return lines;
}

function split(text: string, separator: string | undefined, most: number, fromRight: boolean): string[] {
  const pieces: string[] = [];
  const limit = most < 0 ? Number.POSITIVE_INFINITY : most;
  if (separator === undefined) {
    let rest = fromRight ? text.slice(0, trailingSpace(text)) : text.slice(leadingSpace(text));
    if (!fromRight) {
      const white = new RegExp(`${SPACE_CLASS}+`, "g");
      let at = 0;
      while (at < rest.length) {
        white.lastIndex = at;
        const match = pieces.length < limit ? white.exec(rest) : null;
        if (match === null) break;
        pieces.push(rest.slice(at, match.index));
        at = match.index + match[0].length;
      }
      // The rest after the last split keeps its trailing white space.
      if (at < rest.length) pieces.push(rest.slice(at));
      return pieces;
    }
    while (rest !== "" && pieces.length < limit) {
      let cut = rest.length;
      while (cut > 0 && !SPACE_CHARACTER.test(rest[cut - 1])) cut--;
      pieces.unshift(rest.slice(cut));
      rest = rest.slice(0, trailingSpace(rest.slice(0, cut)));
    }
    if (rest !== "") pieces.unshift(rest);
    return pieces;
  }
  if (separator === "") return fail("empty separator");
  if (!fromRight) {
    let from = 0;
    while (pieces.length < limit) {
      const at = text.indexOf(separator, from);
      if (at < 0) break;
      pieces.push(text.slice(from, at));
      from = at + separator.length;
    }
    pieces.push(text.slice(from));
    return pieces;
  }
  let to = text.length;
  while (pieces.length < limit) {
    const at = to < separator.length ? -1 : text.lastIndexOf(separator, to - separator.length);
    if (at < 0) break;
    pieces.push(text.slice(at + separator.length, to));
    to = at;
  }
  pieces.push(text.slice(0, to));
  return pieces.reverse();
}

export function replace(text: string, from: string, to: string, most: number): string {
  if (most === 0) return text;
  const limit = most < 0 ? Number.POSITIVE_INFINITY : most;
  if (from !== "") {
    const pieces = split(text, from, most, false);
    checkText(text.length + to.length * pieces.length);
    return pieces.join(to);
  }
  const list = charactersOf(text);
  const inserted = Math.min(limit, list.length + 1);
  checkText(text.length + to.length * inserted);
  let out = "";
  for (let i = 0; i < inserted; i++) out += to + (list[i] ?? "");
  return out + list.slice(inserted).join("");
}

const LIGATURE = /^[\u00df\ufb00-\ufb06\u0587\ufb13-\ufb17]$/;

/** Returns a character in title case, which JavaScript does not have. */
function titleCase(char: string): string {
  const point = char.codePointAt(0)!;
  if (point >= 0x1c4 && point <= 0x1cc)
    return String.fromCodePoint(point <= 0x1c6 ? 0x1c5 : point <= 0x1c9 ? 0x1c8 : 0x1cb);
  if (point >= 0x1f1 && point <= 0x1f3) return "\u01f2";
  // Title case leaves Georgian letters unchanged, although they have capitals.
  if ((point >= 0x10d0 && point <= 0x10fa) || (point >= 0x10fd && point <= 0x10ff)) return char;
  const upper = char.toUpperCase();
  if (points(upper) <= 1) return upper;
  if (!LIGATURE.test(char)) return refuse(`the title case of ${char}`);
  const [first, ...rest] = upper;
  return first + rest.join("").toLowerCase();
}

export function capitalize(text: string): string {
  if (text === "") return "";
  const first = String.fromCodePoint(text.codePointAt(0)!);
  // The lower case of a final sigma depends on the letters before it, so the whole text is lowered at once.
  return titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

const CASED = /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u;

function title(text: string): string {
  let out = "";
  let inWord = false;
  const lower = charactersOf(text.toLowerCase());
  const own = charactersOf(text);
  if (lower.length !== own.length) refuse("the title case of a text whose length changes in lower case");
  own.forEach((char, index) => {
    out += inWord ? lower[index] : titleCase(char);
    inWord = CASED.test(char);
  });
  return out;
}

function isTitle(text: string): boolean {
  let cased = false;
  let before = false;
  for (const char of text) {
    if (/[\p{Lu}\p{Lt}]/u.test(char)) {
      if (before) return false;
      before = true;
      cased = true;
    } else if (/\p{Lowercase}/u.test(char)) {
      if (!before) return false;
      before = true;
      cased = true;
    } else before = false;
  }
  return cased;
}

export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);
}

export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);
}

/** Whether all characters match `pattern`. Fails for characters where Python differs from Unicode's categories. */
function every(text: string, pattern: RegExp, unsure?: RegExp): boolean {
  if (unsure?.test(text)) refuse("a character class test of a number sign");
  return text !== "" && pattern.test(text);
}

const NUMBER_SIGNS = /[\p{No}\p{Nl}\u3405\u3483\u382a\u3b4d\u4e00-\u9fff\uf900-\ufaff]/u;

export function center(text: string, width: number, fill: string): string {
  checkText(width);
  const padding = width - points(text);
  if (padding <= 0) return text;
  const left = Math.floor(padding / 2) + (padding & width & 1);
  return fill.repeat(left) + text + fill.repeat(padding - left);
}

/** Returns the part of a text between two positions, and its start in code points. */
function part(
  text: string,
  start: Value | undefined,
  end: Value | undefined,
): { readonly text: string; readonly from: number } | undefined {
  const size = points(text);
  const from = bound(start, size, 0);
  const to = bound(end, size, size);
  if (from > size) return undefined;
  if (size === text.length) return from > to ? undefined : { text: text.slice(from, to), from };
  const list = charactersOf(text);
  return from > to ? undefined : { text: list.slice(from, to).join(""), from };
}

function bound(value: Value | undefined, size: number, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  const given = intOf(value);
  if (given === undefined) return fail("slice indices must be integers or None or have an __index__ method");
  const index = Number(given);
  return index < 0 ? Math.max(0, index + size) : fallback === 0 ? index : Math.min(index, size);
}

function find(text: string, args: readonly (Value | undefined)[], last: boolean): bigint {
  const needle = needText(args[0], "must be str");
  const within = part(text, args[1], args[2]);
  if (within === undefined) return -1n;
  const at = last ? within.text.lastIndexOf(needle) : within.text.indexOf(needle);
  return at < 0 ? -1n : BigInt(within.from + points(within.text.slice(0, at)));
}

function needText(value: Value | undefined, message: string): string {
  if (value !== undefined && isText(value)) return textOf(value);
  return fail(`${message}, not ${value === undefined ? "nothing" : typeName(value)}`);
}

function needInt(value: Value | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  const number = intOf(value);
  return number === undefined
    ? fail(`'${typeName(value)}' object cannot be interpreted as an integer`)
    : Number(number);
}

function optionalText(value: Value | undefined, message: string): string | undefined {
  return value === undefined || value === null ? undefined : needText(value, message);
}

function fillOf(value: Value | undefined): string {
  const fill = value === undefined ? " " : needText(value, "The fill character must be a str");
  return points(fill) === 1 ? fill : fail("The fill character must be exactly one character long");
}

function affix(text: string, args: readonly (Value | undefined)[], atStart: boolean): boolean {
  const options = textsOf(args[0] ?? null);
  if (options === undefined)
    return fail(
      `${atStart ? "startswith" : "endswith"} first arg must be str or a tuple of str, not ${typeName(args[0] ?? null)}`,
    );
  const within = part(text, args[1], args[2]);
  if (within === undefined) return false;
  return options.some((option) => (atStart ? within.text.startsWith(option) : within.text.endsWith(option)));
}

export interface StringMethod {
  readonly parameters: readonly string[];
  /** Number of required parameters. */
  readonly required: number;
  /** Parameters that may be passed by name. */
  readonly named?: readonly string[];
  readonly run: (text: string, args: readonly (Value | undefined)[]) => Value;
  /** Whether the method returns Markup if called on Markup. */
  readonly staysMarkup?: boolean;
}

type Run = StringMethod["run"];
const plain = (run: (text: string) => Value, staysMarkup = false): StringMethod => ({
  parameters: [],
  required: 0,
  run,
  staysMarkup,
});
const method = (
  parameters: string,
  required: number,
  run: Run,
  staysMarkup = false,
  named?: string[],
): StringMethod => ({
  parameters: parameters.split(" "),
  required,
  run,
  staysMarkup,
  named,
});
const stripper = (sides: "both" | "left" | "right"): StringMethod =>
  method("chars", 0, (text, [chars]) => strip(text, optionalText(chars, "strip arg must be None or str"), sides), true);
const splitter = (fromRight: boolean): StringMethod =>
  method(
    "sep maxsplit",
    0,
    (text, [separator, most]) =>
      split(text, optionalText(separator, "must be str or None"), needInt(most, -1), fromRight),
    true,
    ["sep", "maxsplit"],
  );
const justifier = (atStart: boolean): StringMethod =>
  method(
    "width fillchar",
    1,
    (text, [width, fill]) => {
      const size = needInt(width, 0);
      checkText(size);
      const padding = fillOf(fill).repeat(Math.max(0, size - points(text)));
      return atStart ? text + padding : padding + text;
    },
    true,
  );
const parting = (fromRight: boolean): StringMethod =>
  method(
    "sep",
    1,
    (text, [given]) => {
      const separator = needText(given, "must be str");
      if (separator === "") return fail("empty separator");
      const at = fromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
      if (at < 0) return new Tuple(fromRight ? ["", "", text] : [text, "", ""]);
      return new Tuple([text.slice(0, at), separator, text.slice(at + separator.length)]);
    },
    true,
  );

/** The supported methods of a str. The others (`UNSUPPORTED_STRING_METHODS`) fail when called. */
export const STRING_METHODS: Readonly<Record<string, StringMethod>> = {
  capitalize: plain(capitalize, true),
  casefold: plain((text) => (/[^\0-\x7f]/.test(text) ? refuse("casefold beyond ASCII") : text.toLowerCase()), true),
  center: method("width fillchar", 1, (text, [width, fill]) => center(text, needInt(width, 0), fillOf(fill)), true),
  count: method("sub start end", 1, (text, [needle, start, end]) => {
    const within = part(text, start, end);
    const sought = needText(needle, "must be str");
    if (within === undefined) return 0n;
    return sought === "" ? BigInt(points(within.text) + 1) : BigInt(within.text.split(sought).length - 1);
  }),
  endswith: method("suffix start end", 1, (text, args) => affix(text, args, false)),
  expandtabs: method(
    "tabsize",
    0,
    (text, [size]) => {
      const width = needInt(size, 8);
      let column = 0;
      let out = "";
      for (const char of text) {
        if (char === "\t") {
          const count = width > 0 ? width - (column % width) : 0;
          checkText(out.length + count);
          out += " ".repeat(count);
          column += count;
        } else {
          out += char;
          column = char === "\n" || char === "\r" ? 0 : column + 1;
        }
      }
      return out;
    },
    true,
    ["tabsize"],
  ),
  find: method("sub start end", 1, (text, args) => find(text, args, false)),
  index: method("sub start end", 1, (text, args) => {
    const at = find(text, args, false);
    return at < 0n ? fail("substring not found") : at;
  }),
  isalnum: plain((text) =>
    every(
      text,
      /^[\p{L}\p{Nd}]*$/u,
      NUMBER_SIGNS.test(text) && /[\p{No}\p{Nl}]/u.test(text) ? NUMBER_SIGNS : undefined,
    ),
  ),
  isalpha: plain((text) => every(text, /^\p{L}*$/u)),
  isascii: plain((text) => !/[^\0-\x7f]/.test(text)),
  isdecimal: plain((text) => every(text, /^\p{Nd}*$/u)),
  isdigit: plain((text) => every(text, /^\p{Nd}*$/u, /\p{No}/u)),
  isidentifier: plain((text) => /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(text)),
  islower: plain(isLower),
  isnumeric: plain((text) => every(text, /^\p{Nd}*$/u, NUMBER_SIGNS)),
  isprintable: plain((text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(" ", ""))),
  isspace: plain((text) => text !== "" && leadingSpace(text) === text.length),
  istitle: plain(isTitle),
  isupper: plain(isUpper),
  join: method("iterable", 1, (text, [given]) => {
    const items = iterate(given!);
    const parts: string[] = [];
    let size = 0;
    for (let step = items.next(); step.done !== true; step = items.next()) {
      if (!isText(step.value))
        return fail(`sequence item ${parts.length}: expected str instance, ${typeName(step.value)} found`);
      const one = textOf(step.value);
      size += one.length + text.length;
      checkText(size);
      parts.push(one);
    }
    return parts.join(text);
  }),
  ljust: justifier(true),
  lower: plain((text) => text.toLowerCase(), true),
  lstrip: stripper("left"),
  partition: parting(false),
  removeprefix: method(
    "prefix",
    1,
    (text, [given]) => {
      const prefix = needText(given, "removeprefix() argument must be str");
      return text.startsWith(prefix) ? text.slice(prefix.length) : text;
    },
    true,
  ),
  removesuffix: method(
    "suffix",
    1,
    (text, [given]) => {
      const suffix = needText(given, "removesuffix() argument must be str");
      return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
    },
    true,
  ),
  replace: method(
    "old new count",
    2,
    (text, [from, to, count]) =>
      replace(
        text,
        needText(from, "replace() argument 1 must be str"),
        needText(to, "replace() argument 2 must be str"),
        needInt(count, -1),
      ),
    true,
  ),
  rfind: method("sub start end", 1, (text, args) => find(text, args, true)),
  rindex: method("sub start end", 1, (text, args) => {
    const at = find(text, args, true);
    return at < 0n ? fail("substring not found") : at;
  }),
  rjust: justifier(false),
  rpartition: parting(true),
  rsplit: splitter(true),
  rstrip: stripper("right"),
  split: splitter(false),
  splitlines: method(
    "keepends",
    0,
    (text, [keepEnds]) => splitLines(text, keepEnds !== undefined && needInt(keepEnds, 0) !== 0),
    true,
    ["keepends"],
  ),
  startswith: method("prefix start end", 1, (text, args) => affix(text, args, true)),
  strip: stripper("both"),
  swapcase: plain(
    (text) =>
      /[^\0-\x7f]/.test(text)
        ? refuse("swapcase beyond ASCII")
        : text.replace(/[a-zA-Z]/g, (char) => (char < "a" ? char.toLowerCase() : char.toUpperCase())),
    true,
  ),
  title: plain(title, true),
  translate: method(
    "table",
    1,
    (text, [table]) => {
      if (!(table instanceof Dict)) return refuse(`translate with a ${typeName(table!)}`);
      let out = "";
      for (const char of text) {
        const to = table.get(BigInt(char.codePointAt(0)!));
        if (to === undefined) out += char;
        else if (to !== null)
          out += isText(to) ? textOf(to) : String.fromCodePoint(Number(intOf(to) ?? fail(`translate to ${repr(to)}`)));
      }
      return out;
    },
    true,
  ),
  upper: plain((text) => text.toUpperCase(), true),
  zfill: method(
    "width",
    1,
    (text, [given]) => {
      const width = needInt(given, 0);
      checkText(width);
      const padding = "0".repeat(Math.max(0, width - points(text)));
      return /^[+-]/.test(text) ? text[0] + padding + text.slice(1) : padding + text;
    },
    true,
  ),
};

/** Methods of Python's str that are defined here, but fail when called. */
export const UNSUPPORTED_STRING_METHODS: ReadonlySet<string> = new Set(["encode", "maketrans"]);
