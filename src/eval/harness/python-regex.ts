/** @file Python's `re`: finds, replaces and splits with Python's patterns, and with its rule for empty matches. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { type PatternFlags, type TranslatedPattern, translatePattern } from "./python-pattern.js";

export interface PythonMatch {
  /** UTF-16 positions. */
  readonly start: number;
  readonly end: number;
  /** The whole match, then one per group; null for a group that took no part. */
  readonly groups: readonly (string | null)[];
}

export class PythonRegex {
  readonly pattern: string;
  readonly #flags: PatternFlags;
  readonly #translated: TranslatedPattern;
  readonly #search: RegExp;
  #advancing: RegExp | null = null;
  #whole: RegExp | null = null;

  /** @throws QuernError for a pattern that Python refuses, or that has no equivalent here */
  constructor(pattern: string, flags: PatternFlags = {}) {
    this.pattern = pattern;
    this.#flags = flags;
    this.#translated = translatePattern(pattern, flags);
    this.#search = this.#compile(this.#translated.source, "g");
  }

  #compile(source: string, kind: "g" | "y"): RegExp {
    try {
      return new RegExp(source, `v${kind}${this.#translated.ignoreCase ? "i" : ""}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message.replace(/^.*: /s, "") : String(error);
      throw new QuernError(`cannot use the regular expression ${quoted(this.pattern)}: ${reason}`, { cause: error });
    }
  }

  /** Returns the number of groups. */
  get groups(): number {
    return this.#translated.groups;
  }

  /** Returns the number of a named group, or undefined. */
  groupNumber(name: string): number | undefined {
    return this.#translated.names.get(name);
  }

  /** Returns the first match, `re.search`. */
  search(text: string): PythonMatch | null {
    return this.#from(text, 0);
  }

  /** Returns the match at the start of the text, `re.match`. */
  match(text: string): PythonMatch | null {
    const found = this.#compile(this.#translated.source, "y").exec(text);
    return found === null ? null : asMatch(found, 0);
  }

  /** Returns the match of the whole text, `re.fullmatch`. */
  fullMatch(text: string): PythonMatch | null {
    this.#whole ??= this.#compile(`(?:${this.#translated.source})$`, "y");
    this.#whole.lastIndex = 0;
    const found = this.#whole.exec(text);
    return found === null ? null : asMatch(found, 0);
  }

  #from(text: string, start: number): PythonMatch | null {
    this.#search.lastIndex = start;
    const found = this.#search.exec(text);
    return found === null ? null : asMatch(found, 0);
  }

  /** Returns a match that starts at `start` and is not empty. */
  #nonEmptyAt(text: string, start: number): PythonMatch | null {
    // Group 1 holds the rest of the text; an empty match would leave all of it.
    this.#advancing ??= this.#compile(
      `(?=([\\s\\S]*))(?:${translatePattern(this.pattern, this.#flags, 1).source})(?!\\1$)`,
      "y",
    );
    this.#advancing.lastIndex = start;
    const found = this.#advancing.exec(text);
    return found === null ? null : asMatch(found, 1);
  }

  /** Yields matches from left to right. After an empty match, Python first looks for a longer one at the same place. */
  *matches(text: string): Generator<PythonMatch> {
    let at = 0;
    let afterEmpty = false;
    while (at <= text.length) {
      let found: PythonMatch | null = afterEmpty ? this.#nonEmptyAt(text, at) : this.#from(text, at);
      if (found === null && afterEmpty) {
        if (at >= text.length) return;
        found = this.#from(text, at + (text.codePointAt(at)! > 0xffff ? 2 : 1));
      }
      if (found === null) return;
      yield found;
      at = found.end;
      afterEmpty = found.end === found.start;
    }
  }

  /** Returns all matches, `re.findall`: the match, or its only group, or a list of its groups. */
  findAll(text: string): (string | string[])[] {
    return Array.from(this.matches(text), ({ groups }) => {
      if (groups.length <= 2) return groups.at(-1) ?? "";
      return groups.slice(1).map((group) => group ?? "");
    });
  }

  /** Replaces matches, `re.sub`; `replacement` is Python's template or a function. `count` 0 replaces all. */
  sub(replacement: string | ((match: PythonMatch) => string), text: string, count = 0): string {
    const expand = typeof replacement === "string" ? this.#template(replacement) : replacement;
    let result = "";
    let at = 0;
    let done = 0;
    for (const match of this.matches(text)) {
      result += text.slice(at, match.start) + expand(match);
      at = match.end;
      if (++done === count) break;
    }
    return result + text.slice(at);
  }

  /** Returns the text between matches, with the groups of each match, `re.split`. */
  split(text: string, most = 0): (string | null)[] {
    const parts: (string | null)[] = [];
    let at = 0;
    let done = 0;
    for (const match of this.matches(text)) {
      parts.push(text.slice(at, match.start), ...match.groups.slice(1));
      at = match.end;
      if (++done === most) break;
    }
    parts.push(text.slice(at));
    return parts;
  }

  #template(template: string): (match: PythonMatch) => string {
    const parts: (string | number)[] = [];
    const group = (name: string): number => {
      const number = /^[0-9]+$/.test(name) ? Number(name) : this.groupNumber(name);
      if (number !== undefined && number <= this.groups) return number;
      throw new QuernError(`the replacement ${quoted(template)} names a group that ${quoted(this.pattern)} lacks`);
    };
    const piece = /\\(?:g<([^>]*)>|(0[0-7]{0,2}|[0-3][0-7]{2})|([1-9][0-9]?)|([\s\S]))|[^\\]+|\\$/g;
    for (const [whole, name, octal, number, other] of template.matchAll(piece)) {
      if (name !== undefined) parts.push(group(name));
      else if (octal !== undefined) parts.push(String.fromCodePoint(Number.parseInt(octal, 8)));
      else if (number !== undefined) parts.push(group(number));
      else if (other !== undefined) parts.push(this.#templateEscape(template, other));
      else if (whole === "\\") throw new QuernError(`the replacement ${quoted(template)} ends with a backslash`);
      else parts.push(whole);
    }
    return ({ groups }) => parts.map((part) => (typeof part === "number" ? (groups[part] ?? "") : part)).join("");
  }

  #templateEscape(template: string, e: string): string {
    const known = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\" } as const;
    if (Object.hasOwn(known, e)) return known[e as keyof typeof known];
    if (/[A-Za-z]/.test(e)) throw new QuernError(`the replacement ${quoted(template)} has an unknown escape \\${e}`);
    return `\\${e}`;
  }
}

/** Returns the text as a pattern that matches it, `re.escape`. */
export function escapePattern(text: string): string {
  return text.replace(/[()[\]{}?*+\-|^$\\.&~# \t\n\r\v\f]/g, "\\$&");
}

function asMatch(found: RegExpExecArray, hidden: number): PythonMatch {
  const groups = [found[0], ...found.slice(1 + hidden)].map((group) => group ?? null);
  return { start: found.index, end: found.index + found[0].length, groups };
}
