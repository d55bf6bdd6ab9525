/** @file Parses the regular expressions of JavaScript, as JSON Schema's `pattern` uses them, into a tree. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { type CodePointRanges, complementRanges, MAX_CODE_POINT, normalRanges } from "./code-points.js";
import { propertyRanges } from "./unicode-properties.js";
import type { WorkMeter } from "./work-meter.js";

export type PatternNode =
  | { readonly kind: "class"; readonly ranges: CodePointRanges }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly part: PatternNode; readonly min: number; readonly max: number }
  | { readonly kind: "start" | "end" }
  | { readonly kind: "boundary"; readonly negated: boolean }
  | { readonly kind: "lookahead"; readonly part: PatternNode; readonly negated: boolean };

const DIGITS: CodePointRanges = [[0x30, 0x39]];
const WORD: CodePointRanges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** White space and line ends of ECMAScript. */
const SPACE: CodePointRanges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: CodePointRanges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const NO_LINE_ENDS = complementRanges(LINE_ENDS);
const CLASS_ESCAPES: Readonly<Record<string, CodePointRanges>> = {
  d: DIGITS,
  D: complementRanges(DIGITS),
  w: WORD,
  W: complementRanges(WORD),
  s: SPACE,
  S: complementRanges(SPACE),
};
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };
/** Largest count of a quantifier. */
const MAX_COUNT = 65_535;
const MAX_DEPTH = 200;

/** A pattern is refused; exit code 2. */
export function refusePattern(source: string, what: string): QuernError {
  return new QuernError(`the pattern "${quoted(source)}" ${what}; change the pattern`, { exitCode: 2 });
}

/**
 * Parses a pattern. Letters escaped without need, as in `\_`, stand for themselves, as in patterns without flag `u`.
 * @throws QuernError (exit code 2) on a syntax error or on what is no regular language: backreferences, lookbehind
 */
export function parsePattern(source: string, meter: WorkMeter): PatternNode {
  const units = Array.from(source);
  let at = 0;
  let depth = 0;

  const fail = (what: string) => refusePattern(source, `${what} at character ${at + 1}`);
  const peek = (text: string) => text === units.slice(at, at + text.length).join("");
  const take = (text: string) => {
    if (!peek(text)) return false;
    at += text.length;
    return true;
  };

  function choice(): PatternNode {
    if (++depth > MAX_DEPTH) throw fail("nests too deeply");
    const parts = [sequence()];
    while (take("|")) parts.push(sequence());
    depth--;
    return parts.length === 1 ? parts[0] : { kind: "choice", parts };
  }

  function sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (at < units.length && units[at] !== "|" && units[at] !== ")") parts.push(quantified(atom()));
    return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
  }

  function quantified(part: PatternNode): PatternNode {
    let min: number;
    let max: number;
    if (!"*+?{".includes(units[at] ?? " ")) return part;
    if (take("*")) [min, max] = [0, Number.POSITIVE_INFINITY];
    else if (take("+")) [min, max] = [1, Number.POSITIVE_INFINITY];
    else if (take("?")) [min, max] = [0, 1];
    else {
      const braces = /^\{(\d+)(?:(,)(\d*))?\}/.exec(units.slice(at, at + 24).join(""));
      if (braces === null) return part;
      at += braces[0].length;
      min = Number(braces[1]);
      max = braces[2] === undefined ? min : braces[3] === "" ? Number.POSITIVE_INFINITY : Number(braces[3]);
      if (max < min) throw fail("has a quantifier whose numbers are in the wrong order");
      if (min > MAX_COUNT || (max > MAX_COUNT && max !== Number.POSITIVE_INFINITY))
        throw fail(`repeats more than ${MAX_COUNT} times`);
    }
    take("?");
    if (/^(?:[*+?]|\{\d)/.test(units.slice(at, at + 2).join(""))) throw fail("has nothing to repeat");
    return { kind: "repeat", part, min, max };
  }

  function atom(): PatternNode {
    const unit = units[at];
    switch (unit) {
      case "^":
        at++;
        return { kind: "start" };
      case "$":
        at++;
        return { kind: "end" };
      case ".":
        at++;
        return { kind: "class", ranges: NO_LINE_ENDS };
      case "(":
        return group();
      case "[":
        at++;
        return { kind: "class", ranges: characterClass() };
      case "*":
      case "+":
      case "?":
        throw fail("has nothing to repeat");
      case "\\":
        at++;
        if (take("b")) return { kind: "boundary", negated: false };
        if (take("B")) return { kind: "boundary", negated: true };
        return { kind: "class", ranges: escaped(false) };
      default:
        at++;
        return { kind: "class", ranges: single(unit.codePointAt(0)!) };
    }
  }

  function group(): PatternNode {
    at++;
    let negated: boolean | undefined;
    if (take("?:")) negated = undefined;
    else if (take("?=")) negated = false;
    else if (take("?!")) negated = true;
    else if (peek("?<=") || peek("?<!")) throw fail("has a lookbehind, which is not supported,");
    else if (take("?<") || take("?P<")) {
      while (at < units.length && units[at] !== ">") at++;
      if (!take(">")) throw fail("has an unfinished group name");
    } else if (peek("?")) throw fail("has an unsupported kind of group");
    const part = choice();
    if (!take(")")) throw fail("has an unclosed group");
    return negated === undefined ? part : { kind: "lookahead", part, negated };
  }

  /** After a backslash. */
  function escaped(inClass: boolean): CodePointRanges {
    const unit = units[at++];
    if (unit === undefined) throw fail("ends with a backslash");
    if (CLASS_ESCAPES[unit] !== undefined) return CLASS_ESCAPES[unit];
    if (CONTROL_ESCAPES[unit] !== undefined) return single(CONTROL_ESCAPES[unit]);
    if (inClass && unit === "b") return single(8);
    if (unit === "0" && !/\d/.test(units[at] ?? "")) return single(0);
    if (/[1-9]/.test(unit)) throw fail("has a backreference, which is not supported,");
    if (unit === "k" && units[at] === "<") throw fail("has a backreference, which is not supported,");
    if (unit === "c" && /[A-Za-z]/.test(units[at] ?? "")) return single(units[at++].charCodeAt(0) & 31);
    if (unit === "x") return single(hexadecimal(2) ?? 0x78);
    if (unit === "u") {
      const braces = /^\{([0-9a-fA-F]{1,8})\}/.exec(units.slice(at, at + 10).join(""));
      if (braces !== null) {
        at += braces[0].length;
        const code = Number.parseInt(braces[1], 16);
        if (code > MAX_CODE_POINT) throw fail("has a code point beyond 10FFFF");
        return single(code);
      }
      const code = hexadecimal(4);
      if (code === undefined) return single(0x75);
      if (code >= 0xd800 && code < 0xdc00 && peek("\\u")) {
        const back = at;
        at += 2;
        const low = hexadecimal(4);
        if (low !== undefined && low >= 0xdc00 && low < 0xe000)
          return single(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        at = back;
      }
      return single(code);
    }
    if ((unit === "p" || unit === "P") && units[at] === "{") {
      const end = units.indexOf("}", at);
      if (end < 0) throw fail("has an unclosed property");
      const ranges = property(units.slice(at + 1, end).join(""));
      at = end + 1;
      return unit === "P" ? complementRanges(ranges) : ranges;
    }
    return single(unit.codePointAt(0)!);
  }

  function hexadecimal(digits: number): number | undefined {
    const text = units.slice(at, at + digits).join("");
    if (text.length !== digits || !/^[0-9a-fA-F]+$/.test(text)) return undefined;
    at += digits;
    return Number.parseInt(text, 16);
  }

  function property(name: string): CodePointRanges {
    const ranges = propertyRanges(name, meter);
    if (ranges === undefined) throw fail(`names an unknown Unicode property "${quoted(name)}"`);
    return ranges;
  }

  /** After `[`. */
  function characterClass(): CodePointRanges {
    const negated = take("^");
    const ranges: (readonly [number, number])[] = [];
    for (;;) {
      if (at >= units.length) throw fail("has an unclosed character class");
      if (take("]")) break;
      const from = classAtom();
      if (units[at] === "-" && units[at + 1] !== "]" && units[at + 1] !== undefined) {
        const back = at;
        at++;
        const to = classAtom();
        if (from.length === 1 && from[0][0] === from[0][1] && to.length === 1 && to[0][0] === to[0][1]) {
          if (from[0][0] > to[0][0]) throw fail("has a range out of order");
          ranges.push([from[0][0], to[0][0]]);
          continue;
        }
        at = back;
        ranges.push(...from, [0x2d, 0x2d]);
        at++;
        continue;
      }
      ranges.push(...from);
    }
    return negated ? complementRanges(ranges) : normalRanges(ranges);
  }

  function classAtom(): CodePointRanges {
    const unit = units[at++];
    return unit === "\\" ? escaped(true) : single(unit.codePointAt(0)!);
  }

  const tree = choice();
  if (at < units.length) throw fail("has an unmatched parenthesis");
  return tree;
}

function single(codePoint: number): CodePointRanges {
  return [[codePoint, codePoint]];
}
