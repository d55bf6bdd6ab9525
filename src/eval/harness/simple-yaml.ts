/**
 * @file Reads the YAML that nearly all task files consist of, ten times as fast as a full parser: block mappings with plain
 * names, block lists, texts in quotes or blocks, and flat lists in brackets. It gives up on anything else (anchors, tags, comments
 * after values, flow mappings …), and the full parser reads that file.
 */

/** Makes the values of a document. Each may return undefined, which gives up. */
export interface ValueMaker<T> {
  /** A plain scalar; its text decides on its type. */
  readonly plain: (text: string) => T | undefined;
  readonly text: (text: string) => T;
  /** `!function NAME`. */
  readonly function: (name: string) => T;
  readonly list: (items: readonly T[]) => T;
  readonly mapping: (entries: readonly MappingEntry<T>[]) => T | undefined;
}

export interface MappingEntry<T> {
  readonly key: string;
  /** Whether quotes surround the key, which make it text. */
  readonly isQuoted: boolean;
  readonly value: T;
  /** From 1. */
  readonly line: number;
}

/** Characters that YAML refuses or that break lines in YAML 1.1; and tabs, whose rules depend on the place. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are left to the full parser
const UNUSUAL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;
const KEY = /^(?:([A-Za-z_][\w-]*)|"([\w -]*)") *:(?: +|$)/;
const FUNCTION = /^!function +(?:([\w.]+)|'([\w.]+)'|"([\w.]+)")$/;
/** A value that begins like text or a number, without what could be a comment or a nested key. */
const PLAIN = /^(?:[^\s!"#%&'*,:>?@`{|}[\]-]|-\d)(?:[^\s#:]|(?<! )#| +(?![ #])|:(?! |$))*$/;
/** A further line of such a value; it may begin with most characters. */
const MORE_PLAIN = /^(?!#)(?:[^\s#:]|(?<! )#| +(?![ #])|:(?! |$))+$/;
const FLOW_ITEM = / *(?:"((?:[^"\\]|\\[nt"\\])*)"|'((?:[^']|'')*)'|([\w][\w./-]*(?: [\w./-]+)*)) *(,|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", '"': '"', "\\": "\\", " ": " ", "/": "/" };

/** Thrown to give up. */
const OTHER = new Error("not simple");

/** Returns the value of a document whose top is a mapping; undefined if the full parser must read it. */
export function parseSimpleYaml<T>(source: string, make: ValueMaker<T>): T | undefined {
  if (UNUSUAL.test(source)) return undefined;
  try {
    const parser = new SimpleParser(source, make);
    return parser.document();
  } catch (error) {
    if (error === OTHER) return undefined;
    throw error;
  }
}

class SimpleParser<T> {
  readonly #lines: string[];
  readonly #make: ValueMaker<T>;
  #at = 0;

  constructor(source: string, make: ValueMaker<T>) {
    this.#lines = source.split("\n");
    this.#make = make;
  }

  document(): T | undefined {
    if (this.#next() !== 0) return undefined;
    const value = this.#mapping(0);
    if (this.#next() !== -1) throw OTHER;
    return value;
  }

  /** Moves to the next line that is neither blank nor a comment, and returns its indentation; -1 at the end. */
  #next(): number {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at]!;
      const indent = indentOf(line);
      if (indent < line.length && line[indent] !== "#") return indent;
    }
    return -1;
  }

  #mapping(indent: number): T {
    const entries: MappingEntry<T>[] = [];
    for (let here = this.#next(); here >= indent; here = this.#next()) {
      if (here > indent) throw OTHER;
      const written = this.#lines[this.#at]!.slice(indent);
      const found = KEY.exec(written);
      if (found === null) {
        // The list of an outer mapping's key may continue at the same indentation.
        if (entries.length > 0 && isItem(written)) break;
        throw OTHER;
      }
      this.#at++;
      const line = this.#at;
      const rest = written.slice(found[0].length);
      const value = this.#value(trimmedEnd(rest), indent, true);
      entries.push({ key: (found[1] ?? found[2])!, isQuoted: found[1] === undefined, value, line });
    }
    return made(this.#make.mapping(entries));
  }

  #list(indent: number): T {
    const items: T[] = [];
    for (let here = this.#next(); here === indent; here = this.#next()) {
      const written = this.#lines[this.#at]!.slice(indent);
      if (!isItem(written)) break;
      const offset = 1 + indentOf(written.slice(1));
      const item = written.slice(offset);
      if (item === "" || isItem(item)) throw OTHER;
      if (KEY.test(item)) {
        this.#lines[this.#at] = " ".repeat(indent + offset) + item;
        items.push(this.#mapping(indent + offset));
      } else {
        this.#at++;
        items.push(this.#value(trimmedEnd(item), indent, false));
      }
    }
    return this.#make.list(items);
  }

  /** Reads the value that begins with `rest` and may continue on lines that are indented more than `indent`. */
  #value(rest: string, indent: number, isOfKey: boolean): T {
    if (rest === "") {
      const inner = this.#next();
      const isList = inner >= indent && isItem(this.#lines[this.#at]!.slice(inner));
      if (isList && isOfKey) return this.#list(inner);
      return inner > indent ? this.#mapping(inner) : made(this.#make.plain(""));
    }
    const first = rest[0];
    if (first === '"' || first === "'") return this.#make.text(this.#quoted(rest, first, indent));
    if (first === "|" || first === ">") return this.#make.text(this.#block(rest, indent));
    const value = this.#inline(rest, indent);
    if (this.#next() > indent) throw OTHER;
    return value;
  }

  #inline(rest: string, indent: number): T {
    if (rest[0] === "[") return this.#flow(rest);
    const named = FUNCTION.exec(rest);
    if (named !== null) return this.#make.function((named[1] ?? named[2] ?? named[3])!);
    if (!PLAIN.test(rest)) throw OTHER;
    return made(this.#make.plain(this.#folded(rest, indent)));
  }

  /** Adds the further lines of a plain value. */
  #folded(first: string, indent: number): string {
    let text = first;
    let breaks = 0;
    for (let at = this.#at; at < this.#lines.length; at++) {
      const line = this.#lines[at]!;
      const own = indentOf(line);
      breaks++;
      if (own === line.length) continue;
      if (own <= indent) break;
      const more = trimmedEnd(line.slice(own));
      if (!MORE_PLAIN.test(more)) throw OTHER;
      text += (breaks === 1 ? " " : "\n".repeat(breaks - 1)) + more;
      breaks = 0;
      this.#at = at + 1;
    }
    return text;
  }

  /** Reads a text in quotes; `rest` begins with the first one. */
  #quoted(rest: string, mark: string, indent: number): string {
    const inner = mark === '"' ? /(?:[^"\\]|\\[\s\S])*(?:\\$)?/y : /(?:[^']|'')*/y;
    let text = rest.slice(1);
    const parts: string[] = [];
    for (;;) {
      // The space that such a backslash keeps was trimmed.
      if (mark === '"' && /\\ +$/.test(this.#lines[this.#at - 1]!)) throw OTHER;
      inner.lastIndex = 0;
      const found = inner.exec(text)![0];
      if (found.length < text.length) {
        if (trimmedEnd(text.slice(found.length + 1)) !== "") throw OTHER;
        parts.push(found);
        break;
      }
      parts.push(text);
      if (this.#at >= this.#lines.length) throw OTHER;
      const line = this.#lines[this.#at]!;
      const own = indentOf(line);
      // With less indentation it is no YAML, but PyYAML reads it.
      if (own < line.length && own <= indent) throw OTHER;
      text = trimmedEnd(line.slice(own));
      this.#at++;
    }
    return mark === '"' ? joinedDouble(parts) : joinedLines(parts).replaceAll("''", "'");
  }

  /** Reads a block text; `rest` begins with `|` or `>`. */
  #block(rest: string, indent: number): string {
    const head = /^([|>])([+-]?)$/.exec(rest);
    if (head === null) throw OTHER;
    const lines: string[] = [];
    let own = -1;
    let blanks = 0;
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at]!;
      const here = indentOf(line);
      if (here === line.length) {
        if (here > Math.max(own, 0)) throw OTHER;
        blanks++;
        continue;
      }
      if (own < 0) {
        if (here <= indent) break;
        own = here;
      } else if (here < own) {
        if (here > indent) throw OTHER;
        break;
      }
      for (; blanks > 0; blanks--) lines.push("");
      lines.push(line.slice(own));
    }
    // Without a line end the last line is read differently by different parsers.
    if (lines.length === 0 || (this.#at >= this.#lines.length && blanks === 0)) throw OTHER;
    if (this.#at >= this.#lines.length) blanks--;
    const text = head[1] === "|" ? lines.join("\n") : foldedBlock(lines);
    return head[2] === "-" ? text : head[2] === "+" ? `${text}\n${"\n".repeat(blanks)}` : `${text}\n`;
  }

  /** Reads a list of scalars in brackets on one line. */
  #flow(rest: string): T {
    if (!rest.endsWith("]")) throw OTHER;
    const inner = rest.slice(1, -1);
    const items: T[] = [];
    if (trimmedEnd(inner) === "") return this.#make.list(items);
    FLOW_ITEM.lastIndex = 0;
    for (;;) {
      const found = FLOW_ITEM.exec(inner);
      if (found === null) throw OTHER;
      const [, double, single, plain, end] = found;
      if (double !== undefined) items.push(this.#make.text(unescaped(double)));
      else if (single !== undefined) items.push(this.#make.text(single.replaceAll("''", "'")));
      else items.push(made(this.#make.plain(plain!)));
      if (end === "") return this.#make.list(items);
    }
  }
}

function made<T>(value: T | undefined): T {
  if (value === undefined) throw OTHER;
  return value;
}

const isItem = (text: string): boolean => text === "-" || text.startsWith("- ");

function indentOf(line: string): number {
  let indent = 0;
  while (line.charCodeAt(indent) === 0x20) indent++;
  return indent;
}

function trimmedEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
  return end === text.length ? text : text.slice(0, end);
}

const unescaped = (text: string): string =>
  text.replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|[\s\S])/g, (_, escaped: string) => {
    if (escaped.length > 1) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    const character = ESCAPES[escaped];
    if (character === undefined) throw OTHER;
    return character;
  });

/** Joins the lines of a text in single quotes: a line end is a space, further blank lines are line ends. */
function joinedLines(parts: readonly string[]): string {
  let text = parts[0]!;
  let breaks = 0;
  parts.slice(1).forEach((part, i) => {
    breaks++;
    if (part === "" && i < parts.length - 2) return;
    text += (breaks === 1 ? " " : "\n".repeat(breaks - 1)) + part;
    breaks = 0;
  });
  return text;
}

/** Joins the lines of a text in double quotes, where a backslash at the end of a line joins it without a space. */
function joinedDouble(parts: readonly string[]): string {
  let text = "";
  let breaks = 0;
  let isJoined = true;
  parts.forEach((part, i) => {
    if (i > 0) breaks++;
    const isLast = i === parts.length - 1;
    // A blank line after a join is read differently by different parsers.
    if (part === "" && !isLast && i > 0) {
      if (isJoined) throw OTHER;
      return;
    }
    if (i > 0 && !isJoined) text += breaks === 1 ? " " : "\n".repeat(breaks - 1);
    breaks = 0;
    const slashes = /\\*$/.exec(part)![0].length;
    isJoined = !isLast && slashes % 2 === 1;
    text += unescaped(isJoined ? part.slice(0, -1) : part);
  });
  return text;
}

/** Folds the lines of a block text, none of which may be indented more than the block. */
function foldedBlock(lines: readonly string[]): string {
  let text = lines[0]!;
  if (lines.some((line) => line.startsWith(" ")) || text === "") throw OTHER;
  let breaks = 0;
  for (const line of lines.slice(1)) {
    breaks++;
    if (line === "") continue;
    text += (breaks === 1 ? " " : "\n".repeat(breaks - 1)) + line;
    breaks = 0;
  }
  return text;
}
