/**
 * @file Reads a Python literal as `ast.literal_eval` does. lm-eval renders lists of choices and of targets to text, and reads
 * that text back. Lists and tuples become arrays, dicts a `Map`, integral floats `PythonFloat`, None null.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PythonFloat } from "../../tokenizer/index.js";

const SPACE = /[ \t\f\n\r]*/y;
const NUMBER =
  /(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][-+]?\d(?:_?\d)*)?|\d(?:_?\d)*\.?(?:[eE][-+]?\d(?:_?\d)*)?)/y;
const QUOTE = /([rRuU]?)("""|'''|"|')/y;
const WORD = /(?:None|True|False)(?![\w])/y;

/** @throws QuernError for text that is not a literal, or a literal without a JSON form (bytes, sets, complex numbers) */
export function pythonLiteral(source: string): unknown {
  // Python strips leading blanks and tabs before it parses.
  return new Reader(source.replace(/^[ \t]+/, "")).read();
}

class Reader {
  #at = 0;
  #depth = 0;
  constructor(readonly source: string) {}

  read(): unknown {
    const value = this.#expressions();
    this.#space();
    if (this.#at < this.source.length) this.#refuse();
    return value;
  }

  /** A value, or values with commas between: a tuple. */
  #expressions(): unknown {
    const first = this.#value();
    this.#space();
    if (this.source[this.#at] !== ",") return first;
    const items = [first];
    while (this.#take(",")) {
      this.#space();
      if (this.#at >= this.source.length) break;
      items.push(this.#value());
    }
    return items;
  }

  #value(): unknown {
    this.#space();
    const char = this.source[this.#at];
    if (char === "+" || char === "-") {
      this.#at++;
      this.#space();
      const number = this.#number() ?? this.#refuse();
      return char === "+" ? number : negative(number);
    }
    if (char === "[") return this.#items("[", "]").items;
    if (char === "(") {
      const { items, hasComma } = this.#items("(", ")");
      return items.length === 1 && !hasComma ? items[0] : items;
    }
    if (char === "{") return this.#dict();
    const word = this.#match(WORD)?.[0];
    if (word !== undefined) return word === "None" ? null : word === "True";
    return this.#number() ?? this.#strings() ?? this.#refuse();
  }

  #items(open: string, close: string): { readonly items: unknown[]; readonly hasComma: boolean } {
    this.#enter(open);
    const items: unknown[] = [];
    let hasComma = false;
    while (!this.#take(close)) {
      if (items.length > 0) {
        if (!this.#take(",")) this.#refuse();
        hasComma = true;
        if (this.#take(close)) break;
      }
      items.push(this.#value());
    }
    this.#depth--;
    return { items, hasComma };
  }

  #dict(): ReadonlyMap<unknown, unknown> {
    this.#enter("{");
    const entries = new Map<unknown, unknown>();
    let isFirst = true;
    while (!this.#take("}")) {
      if (!isFirst) {
        if (!this.#take(",")) this.#refuse();
        if (this.#take("}")) break;
      }
      isFirst = false;
      const key = this.#value();
      if (!this.#take(":") || (typeof key === "object" && key !== null)) this.#refuse();
      entries.set(key, this.#value());
    }
    this.#depth--;
    return entries;
  }

  #number(): number | bigint | PythonFloat | undefined {
    const text = this.#match(NUMBER)?.[0];
    if (text === undefined) return undefined;
    // A complex number, or letters after digits.
    if (/[\w]/.test(this.source[this.#at] ?? "")) this.#refuse();
    const digits = text.replaceAll("_", "");
    if (/^0[xXoObB]/.test(digits)) return exact(BigInt(digits));
    if (/^\d+$/.test(digits)) {
      if (/^0+[1-9]/.test(digits)) this.#refuse();
      return exact(BigInt(digits));
    }
    const value = Number(digits);
    return Number.isInteger(value) ? new PythonFloat(value) : value;
  }

  /** Adjacent strings are one. */
  #strings(): string | undefined {
    let text: string | undefined;
    for (let open = this.#match(QUOTE); open !== null; open = this.#match(QUOTE)) {
      text = (text ?? "") + this.#string(open[1].toLowerCase() === "r", open[2]);
      this.#space();
    }
    return text;
  }

  #string(isRaw: boolean, mark: string): string {
    let out = "";
    for (;;) {
      const char = this.source[this.#at];
      if (char === undefined || (mark.length === 1 && (char === "\n" || char === "\r"))) return this.#refuse();
      if (this.source.startsWith(mark, this.#at)) {
        this.#at += mark.length;
        return out;
      }
      this.#at++;
      if (char !== "\\") out += char;
      else if (isRaw) out += char + (this.source[this.#at++] ?? this.#refuse());
      else out += this.#escape();
    }
  }

  #escape(): string {
    const char = this.source[this.#at++] ?? this.#refuse();
    if (char === "\n") return "";
    if (char === "\r") {
      if (this.source[this.#at] === "\n") this.#at++;
      return "";
    }
    const simple = SIMPLE[char];
    if (simple !== undefined) return simple;
    const octal = this.#match(/[0-7]{1,3}/y, this.#at - 1)?.[0];
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    const size = { x: 2, u: 4, U: 8 }[char];
    if (size !== undefined) {
      const digits = this.source.slice(this.#at, this.#at + size);
      const point = Number.parseInt(digits, 16);
      if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < size || point > 0x10ffff) this.#refuse();
      this.#at += size;
      return String.fromCodePoint(point);
    }
    // `\N{name}` needs the names of all characters.
    return char === "N" ? this.#refuse() : `\\${char}`;
  }

  #enter(open: string): void {
    this.#take(open);
    if (++this.#depth > 100) this.#refuse();
  }

  #take(text: string): boolean {
    this.#space();
    if (!this.source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp, from = this.#at): RegExpExecArray | null {
    pattern.lastIndex = from;
    const match = pattern.exec(this.source);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  #refuse(): never {
    throw new QuernError(`${quoted(this.source)} is not a Python literal (character ${this.#at})`);
  }
}

const SIMPLE: Readonly<Record<string, string>> = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function negative(number: number | bigint | PythonFloat): number | bigint | PythonFloat {
  if (number instanceof PythonFloat) return new PythonFloat(-number.value);
  return typeof number === "bigint" ? -number : number === 0 ? 0 : -number;
}
