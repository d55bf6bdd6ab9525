/**
 * @file Parses the malformed JSON found in web pages: trailing commas, semicolons, comments, several values in one script,
 * unescaped quotes and line breaks in strings. Takes linear time.
 */

/** Maximum nesting of arrays and objects; deeper ones are skipped. */
const MAX_DEPTH = 64;

/** Returns the top-level objects and arrays of `text` and skips everything else. Never throws. */
export function readLenientJson(text: string): unknown[] {
  const reader = new Reader(text);
  const values: unknown[] = [];
  for (let value = reader.next(); value !== undefined; value = reader.next()) values.push(value);
  return values;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next object or array, or undefined at the end. */
  next(): unknown {
    for (;;) {
      this.#skipSpace();
      const char = this.#text[this.#at];
      if (char === undefined) return undefined;
      if (char === "{" || char === "[") return this.#value(0);
      this.#at++;
    }
  }

  /** Skips white space and comments. */
  #skipSpace(): void {
    const text = this.#text;
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (c <= 0x20 || c === 0xa0 || c === 0xfeff || c === 0x2028 || c === 0x2029) this.#at++;
      else if (text.startsWith("/*", this.#at)) this.#skipTo("*/");
      else if (text.startsWith("//", this.#at)) this.#skipTo("\n");
      else if (text.startsWith("<!--", this.#at)) this.#at += 4;
      else return;
    }
  }

  #skipTo(end: string): void {
    const found = this.#text.indexOf(end, this.#at + 2);
    this.#at = found < 0 ? this.#text.length : found + end.length;
  }

  #value(depth: number): unknown {
    this.#skipSpace();
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      if (depth >= MAX_DEPTH) return this.#skip();
      return char === "{" ? this.#object(depth + 1) : this.#array(depth + 1);
    }
    if (char === '"') return this.#string(VALUE_ENDS);
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? "";
    this.#at += word.length;
    const own = word.trim();
    if (own === "true" || own === "false") return own === "true";
    return own !== "" && Number.isFinite(Number(own)) ? Number(own) : null;
  }

  /** Skips an object or array with its contents. */
  #skip(): null {
    let depth = 0;
    do {
      const char = this.#text[this.#at];
      if (char === undefined) break;
      if (char === '"') this.#string(/^[,:}\];]/);
      else {
        if (char === "{" || char === "[") depth++;
        else if (char === "}" || char === "]") depth--;
        this.#at++;
      }
    } while (depth > 0);
    return null;
  }

  #object(depth: number): Record<string, unknown> {
    const record: Record<string, unknown> = Object.create(null);
    this.#at++;
    for (;;) {
      const char = this.#element("}");
      if (char === undefined) return record;
      const key = char === '"' ? this.#string(NAME_ENDS) : undefined;
      this.#skipSpace();
      if (this.#text[this.#at] === ":") this.#at++;
      else if (key === undefined) {
        // Neither a name nor a colon: skip it.
        this.#at++;
        continue;
      }
      const value = this.#value(depth);
      if (key !== undefined) record[key] = value;
    }
  }

  #array(depth: number): unknown[] {
    const list: unknown[] = [];
    this.#at++;
    for (;;) {
      const char = this.#element("]");
      if (char === undefined) return list;
      const before = this.#at;
      const value = this.#value(depth);
      if (this.#at === before) this.#at++;
      else list.push(value);
    }
  }

  /** Returns the first character of the next element, or undefined after the closing bracket or at the end. */
  #element(close: "}" | "]"): string | undefined {
    for (;;) {
      this.#skipSpace();
      const char = this.#text[this.#at];
      if (char === undefined) return undefined;
      if (char === "}" || char === "]") {
        // The wrong bracket closes an enclosing value, so leave it there.
        if (char === close) this.#at++;
        return undefined;
      }
      if (char === "," || char === ";") this.#at++;
      else return char;
    }
  }

  /** Reads a string. Only a quote followed by a valid delimiter ends it, so that `"so "called""` is one string. */
  #string(ends: RegExp): string {
    const text = this.#text;
    const start = ++this.#at;
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (Number.isNaN(c)) break;
      if (c === 0x5c) this.#at++;
      else if (c === 0x22 && ends.test(this.#lookAhead())) break;
      this.#at++;
    }
    const raw = text.slice(start, this.#at);
    this.#at++;
    return unescaped(raw);
  }

  #lookAhead(): string {
    return this.#text.slice(this.#at + 1, this.#at + 40).trimStart();
  }
}

const WORD = /[^,;{}[\]":]*/y;
/** What may follow the closing quote of a name, and of a value. */
const NAME_ENDS = /^:/;
const VALUE_ENDS = /^(?:[,;]\s*(?:["{}[\]\d-]|true\b|false\b|null\b|\/[/*]|$)|[}\]]|\/[/*]|$)/;

/** Decodes the escapes of a string; an unknown escape stands for the character itself. */
function unescaped(raw: string): string {
  return raw.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, code: string | undefined, char: string) =>
    code !== undefined ? String.fromCharCode(Number.parseInt(code, 16)) : (ESCAPES[char] ?? char),
  );
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };
