/**
 * @file JSON as pages hold it rather than as RFC 8259 wants it: commas before a closing bracket, semicolons, comments, several
 * values in one script, quotes and line ends inside strings. Time grows with the text's length alone.
 */

/** Arrays and objects inside one another, at most: what lies deeper is read past and left out. */
const DEEPEST = 64;

/** Every object and array at the top of `text`; what is neither is read past. Never throws. */
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
      this.#space();
      const char = this.#text[this.#at];
      if (char === undefined) return undefined;
      if (char === "{" || char === "[") return this.#value(0);
      this.#at++;
    }
  }

  /** Past white space and comments. */
  #space(): void {
    const text = this.#text;
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (c <= 0x20 || c === 0xa0 || c === 0xfeff || c === 0x2028 || c === 0x2029) this.#at++;
      else if (text.startsWith("/*", this.#at)) this.#past("*/");
      else if (text.startsWith("//", this.#at)) this.#past("\n");
      else if (text.startsWith("<!--", this.#at)) this.#at += 4;
      else return;
    }
  }

  #past(end: string): void {
    const found = this.#text.indexOf(end, this.#at + 2);
    this.#at = found < 0 ? this.#text.length : found + end.length;
  }

  #value(depth: number): unknown {
    this.#space();
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      if (depth >= DEEPEST) return this.#skip();
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

  /** Past an object or array with all that it holds. */
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
      this.#space();
      if (this.#text[this.#at] === ":") this.#at++;
      else if (key === undefined) {
        // Neither a name nor what follows one: read past.
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

  /** The character that the next element begins with; undefined past the closing bracket or at the end. */
  #element(close: "}" | "]"): string | undefined {
    for (;;) {
      this.#space();
      const char = this.#text[this.#at];
      if (char === undefined) return undefined;
      if (char === "}" || char === "]") {
        // The other bracket ends what is around this.
        if (char === close) this.#at++;
        return undefined;
      }
      if (char === "," || char === ";") this.#at++;
      else return char;
    }
  }

  /** A string. A quote ends it only before what may follow one, so that `"so "called""` is read as it was meant. */
  #string(ends: RegExp): string {
    const text = this.#text;
    const start = ++this.#at;
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (Number.isNaN(c)) break;
      if (c === 0x5c) this.#at++;
      else if (c === 0x22 && ends.test(this.#glimpse())) break;
      this.#at++;
    }
    const raw = text.slice(start, this.#at);
    this.#at++;
    return unescaped(raw);
  }

  #glimpse(): string {
    return this.#text.slice(this.#at + 1, this.#at + 40).trimStart();
  }
}

const WORD = /[^,;{}[\]":]*/y;
/** What follows the quote at the end of a name, and of a value. */
const NAME_ENDS = /^:/;
const VALUE_ENDS = /^(?:[,;]\s*(?:["{}[\]\d-]|true\b|false\b|null\b|\/[/*]|$)|[}\]]|\/[/*]|$)/;

/** A string's characters, its escapes read; an escape that JSON does not know is its own character. */
function unescaped(raw: string): string {
  return raw.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, code: string | undefined, char: string) =>
    code !== undefined ? String.fromCharCode(Number.parseInt(code, 16)) : (ESCAPES[char] ?? char),
  );
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };
