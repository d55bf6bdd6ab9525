/**
 * @file Translates a regular expression of Python's `re` into one of JavaScript (flag v), since task files contain Python's.
 * The classes \d \w \s and the dot, the anchors, inline flags, named groups, comments and repetitions keep Python's meaning.
 *
 * Refused by name: possessive repetitions, atomic and conditional groups, \N{…}, and case folding for a part of the pattern.
 * Two corners differ: a reference to a group that took no part matches nothing instead of failing, and a group inside a
 * repetition is empty if the last round did not set it.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PYTHON_SPACE } from "./python-text.js";

export interface PatternFlags {
  readonly ignoreCase?: boolean;
  readonly multiLine?: boolean;
  readonly dotAll?: boolean;
  readonly verbose?: boolean;
  readonly ascii?: boolean;
}

export interface TranslatedPattern {
  /** JavaScript source for the flag v. References to groups are shifted by the wanted offset. */
  readonly source: string;
  readonly ignoreCase: boolean;
  /** Number of groups. */
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
}

type Flags = { -readonly [K in keyof PatternFlags]-?: boolean };

interface Item {
  readonly text: string;
  /** Anchors, look-arounds and groups need brackets of their own before a repetition. */
  readonly bare: boolean;
  readonly repeated: boolean;
}

const FLAG_LETTERS: Readonly<Record<string, keyof PatternFlags>> = {
  i: "ignoreCase",
  m: "multiLine",
  s: "dotAll",
  x: "verbose",
  a: "ascii",
};

/** @throws QuernError for a pattern that Python refuses, or that has no equivalent here */
export function translatePattern(pattern: string, given: PatternFlags = {}, groupOffset = 0): TranslatedPattern {
  const base: Flags = { ignoreCase: false, multiLine: false, dotAll: false, verbose: false, ascii: false, ...given };
  const lead = /^\(\?([aimsxuL]+)\)/.exec(pattern);
  for (const letter of lead?.[1] ?? "") {
    const flag = FLAG_LETTERS[letter];
    if (flag !== undefined) base[flag] = true;
  }
  return new PatternReader(pattern, lead?.[0].length ?? 0, base, groupOffset).read();
}

class PatternReader {
  readonly #chars: readonly string[];
  readonly #pattern: string;
  readonly #base: Flags;
  readonly #offset: number;
  readonly #names = new Map<string, number>();
  #at: number;
  #groups = 0;

  constructor(pattern: string, start: number, base: Flags, offset: number) {
    this.#pattern = pattern;
    this.#chars = [...pattern];
    this.#at = start;
    this.#base = base;
    this.#offset = offset;
  }

  read(): TranslatedPattern {
    const source = this.#alternatives(this.#base);
    if (this.#at < this.#chars.length) this.#fail("a closing bracket has no opening one");
    return { source, ignoreCase: this.#base.ignoreCase, groups: this.#groups, names: this.#names };
  }

  #fail(reason: string): never {
    throw new QuernError(`cannot use the regular expression ${quoted(this.#pattern)}: ${reason}`);
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#chars[this.#at + i] !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  /** Takes up to `most` characters that match. */
  #takeWhile(test: RegExp, most = Number.POSITIVE_INFINITY): string {
    let text = "";
    while (text.length < most && this.#at < this.#chars.length && test.test(this.#peek()!))
      text += this.#chars[this.#at++];
    return text;
  }

  #until(end: string, what: string): string {
    let text = "";
    while (!this.#take(end)) {
      if (this.#at >= this.#chars.length) this.#fail(`${what} has no ${end}`);
      text += this.#chars[this.#at++];
    }
    return text;
  }

  #alternatives(flags: Flags): string {
    const parts = [this.#sequence(flags)];
    while (this.#take("|")) parts.push(this.#sequence(flags));
    return parts.join("|");
  }

  #sequence(flags: Flags): string {
    const items: Item[] = [];
    for (;;) {
      const c = this.#peek();
      if (c === undefined || c === "|" || c === ")") return items.map(({ text }) => text).join("");
      this.#at++;
      if (flags.verbose && /[ \t\n\r\f\v]/.test(c)) continue;
      if (flags.verbose && c === "#") {
        while (this.#peek() !== undefined && !this.#take("\n")) this.#at++;
        continue;
      }
      const repetition = this.#repetition(c);
      if (repetition !== null) {
        const last = items.pop();
        if (last === undefined) this.#fail("a repetition has nothing to repeat");
        if (last.repeated) this.#fail("a repetition follows another");
        items.push({ text: (last.bare ? `(?:${last.text})` : last.text) + repetition, bare: false, repeated: true });
        continue;
      }
      const item = this.#item(c, flags);
      if (item !== null) items.push(item);
    }
  }

  /** Reads a repetition that starts with `c`; null if it is none. */
  #repetition(c: string): string | null {
    let text = c;
    if (c === "{") {
      if (this.#peek() === "}") return null;
      const start = this.#at;
      const low = this.#takeWhile(/[0-9]/);
      const comma = this.#take(",");
      const high = comma ? this.#takeWhile(/[0-9]/) : low;
      if (!this.#take("}") || (!comma && low === "")) {
        this.#at = start;
        return null;
      }
      if (high !== "" && Number(high) < Number(low)) this.#fail("a repetition's least count is above its most");
      text = `{${low || "0"}${comma ? `,${high}` : ""}}`;
    } else if (c !== "*" && c !== "+" && c !== "?") return null;
    if (this.#take("?")) return `${text}?`;
    if (this.#take("+")) this.#fail("possessive repetitions are not supported");
    return text;
  }

  #item(c: string, flags: Flags): Item | null {
    const atom = (text: string): Item => ({ text, bare: false, repeated: false });
    const bare = (text: string): Item => ({ text, bare: true, repeated: false });
    if (c === ".") return atom(flags.dotAll ? "[\\s\\S]" : "[^\\n]");
    if (c === "^") return bare(flags.multiLine ? "(?<![^\\n])" : "^");
    if (c === "$") return bare(flags.multiLine ? "(?![^\\n])" : "(?=\\n?$)");
    if (c === "[") return atom(this.#class(flags));
    if (c === "(") {
      const text = this.#group(flags);
      return text === null ? null : bare(text);
    }
    if (c !== "\\") return atom(literal(c));
    const e = this.#chars[this.#at++];
    if (e === undefined) this.#fail("it ends with a backslash");
    if (e === "A") return bare("^");
    if (e === "Z") return bare("$");
    if (e === "b" || e === "B") {
      const word = `[${wordClass(flags)}]`;
      if (e === "b") return bare(`(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`);
      // Python finds no \B in an empty text.
      return bare(`(?:(?<=${word})(?=${word})|(?!^$)(?<!${word})(?!${word}))`);
    }
    const set = classEscape(e, flags);
    if (set !== null) return atom(`[${set}]`);
    if (/[1-9]/.test(e)) return this.#reference(e);
    return atom(literal(this.#character(e)));
  }

  /** A digit after a backslash: three octal digits are a character, else the number of a group. */
  #reference(first: string): Item {
    let digits = first;
    const next = this.#peek();
    if (next !== undefined && /[0-9]/.test(next)) {
      digits += next;
      this.#at++;
      const third = this.#peek();
      if (/^[0-3][0-7]$/.test(digits) && third !== undefined && /[0-7]/.test(third)) {
        this.#at++;
        return {
          text: literal(String.fromCodePoint(Number.parseInt(digits + third, 8))),
          bare: false,
          repeated: false,
        };
      }
    }
    const group = Number(digits);
    if (group > this.#groups) this.#fail(`there is no group ${group} before its reference`);
    return { text: `(?:\\${group + this.#offset})`, bare: false, repeated: false };
  }

  /** Returns the character that `\` + `e` stands for, inside and outside classes. */
  #character(e: string): string {
    const simple = ({ a: "\x07", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\" } as Record<string, string>)[
      e
    ];
    if (simple !== undefined) return simple;
    const width = ({ x: 2, u: 4, U: 8 } as Record<string, number>)[e];
    if (width !== undefined) {
      const digits = this.#takeWhile(/[0-9a-fA-F]/, width);
      const code = Number.parseInt(digits, 16);
      if (digits.length < width || code > 0x10ffff) this.#fail(`\\${e} needs ${width} hexadecimal digits`);
      return String.fromCodePoint(code);
    }
    if (e === "0") return String.fromCodePoint(Number.parseInt("0" + this.#takeWhile(/[0-7]/, 2), 8));
    if (/[A-Za-z]/.test(e)) this.#fail(`\\${e} is not supported`);
    return e;
  }

  #class(flags: Flags): string {
    const negated = this.#take("^");
    const parts: string[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      const low = this.#classItem(flags);
      if (this.#peek() === "-" && this.#chars[this.#at + 1] !== "]" && this.#chars[this.#at + 1] !== undefined) {
        this.#at++;
        const high = this.#classItem(flags);
        if (low.point === null || high.point === null || high.point < low.point)
          this.#fail("a range of a class is wrong");
        parts.push(`${classPoint(low.point)}-${classPoint(high.point)}`);
      } else parts.push(low.point === null ? low.set : classPoint(low.point));
    }
    this.#at++;
    return `[${negated ? "^" : ""}${parts.join("")}]`;
  }

  #classItem(
    flags: Flags,
  ): { readonly point: number; readonly set: "" } | { readonly point: null; readonly set: string } {
    const c = this.#chars[this.#at++];
    if (c === undefined) this.#fail("a class has no ]");
    if (c !== "\\") return { point: c.codePointAt(0)!, set: "" };
    const e = this.#chars[this.#at++];
    if (e === undefined) this.#fail("it ends with a backslash");
    if (e === "b") return { point: 8, set: "" };
    const set = classEscape(e, flags);
    if (set !== null) return { point: null, set };
    if (/[1-7]/.test(e)) return { point: Number.parseInt(e + this.#takeWhile(/[0-7]/, 2), 8), set: "" };
    return { point: this.#character(e).codePointAt(0)!, set: "" };
  }

  /** Reads a group after its opening bracket; null for a comment. */
  #group(flags: Flags): string | null {
    if (!this.#take("?")) return `(${this.#numbered(flags)}`;
    if (this.#take("#")) {
      this.#until(")", "a comment");
      return null;
    }
    if (this.#take("P<")) {
      const name = this.#until(">", "a group's name");
      if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name)) this.#fail(`${quoted(name)} is not a name for a group`);
      if (this.#names.has(name)) this.#fail(`two groups are called ${name}`);
      this.#names.set(name, this.#groups + 1);
      return `(${this.#numbered(flags)}`;
    }
    if (this.#take("P=")) {
      const name = this.#until(")", "a reference");
      const group = this.#names.get(name);
      if (group === undefined) this.#fail(`there is no group ${quoted(name)} before its reference`);
      return `(?:\\${group + this.#offset})`;
    }
    for (const kind of [":", "=", "!", "<=", "<!"]) {
      if (this.#take(kind)) return `(?${kind}${this.#closed(flags)}`;
    }
    if (this.#take(">")) this.#fail("atomic groups are not supported");
    if (this.#take("(")) this.#fail("conditional groups are not supported");
    const on = this.#takeWhile(/[aimsxuL]/);
    const off = this.#take("-") ? this.#takeWhile(/[imsx]/) : "";
    if (this.#peek() === ")") this.#fail("flags must stand at its start");
    if (on + off === "" || !this.#take(":")) this.#fail("it has an unknown kind of group");
    const inner = { ...flags };
    for (const letter of on) if (FLAG_LETTERS[letter] !== undefined) inner[FLAG_LETTERS[letter]] = true;
    for (const letter of off) inner[FLAG_LETTERS[letter]!] = false;
    if (inner.ignoreCase !== flags.ignoreCase)
      this.#fail("case folding for a part is not supported; start it with (?i)");
    return `(?:${this.#closed(inner)}`;
  }

  #numbered(flags: Flags): string {
    this.#groups++;
    return this.#closed(flags);
  }

  #closed(flags: Flags): string {
    const inner = this.#alternatives(flags);
    if (!this.#take(")")) this.#fail("a group has no closing bracket");
    return `${inner})`;
  }
}

function wordClass(flags: Flags): string {
  return flags.ascii ? "A-Za-z0-9_" : "\\p{L}\\p{N}_";
}

/** Returns what \d, \w, \s or their opposites stand for inside a class; null for another letter. */
function classEscape(e: string, flags: Flags): string | null {
  const digit = flags.ascii ? "0-9" : "\\p{Nd}";
  const space = flags.ascii ? "\\t-\\r\\x20" : PYTHON_SPACE;
  const inside = { d: digit, w: wordClass(flags), s: space }[e.toLowerCase()];
  if (inside === undefined) return null;
  return e === e.toLowerCase() ? inside : `[^${inside}]`;
}

function literal(c: string): string {
  return /^[A-Za-z0-9]$/.test(c) ? c : `\\u{${c.codePointAt(0)!.toString(16)}}`;
}

function classPoint(point: number): string {
  return `\\u{${point.toString(16)}}`;
}
