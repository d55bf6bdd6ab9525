/** @file Splits a template into tokens, with Jinja2's white space control (`-`, `+`, trim_blocks, lstrip_blocks). */
import { refuse, TemplateFailure } from "./failure.js";

/** Python's white space, as a character class. */
export const SPACE_CLASS = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

export interface LexerOptions {
  /** Drop the line break right after a block or comment. */
  readonly trimBlocks: boolean;
  /** Drop the white space before a block or comment at the start of a line. */
  readonly lstripBlocks: boolean;
  readonly keepTrailingNewline: boolean;
}

export interface Token {
  readonly kind:
    | "data"
    | "blockBegin"
    | "blockEnd"
    | "variableBegin"
    | "variableEnd"
    | "name"
    | "string"
    | "integer"
    | "float"
    | "operator"
    | "end";
  readonly text: string;
  readonly line: number;
  /** Value of an integer or float token. */
  readonly value?: bigint | number;
}

const s = SPACE_CLASS;
const sticky = (source: string, flags = ""): RegExp => new RegExp(source, `y${flags}`);
const OPENING = /\{[%{#][-+]?/g;
const RAW_OPENING = sticky(`\\{%[-+]?${s}*raw${s}*(?:-%\\}${s}*|%\\})`);
const WHITE = sticky(`${s}+`);
const FLOAT = sticky("(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?[eE][+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)");
const INTEGER = sticky("0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\\da-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
const NAME = sticky("[\\p{L}\\p{N}\\p{M}\\p{Pc}\\u00b7]+", "u");
const STRING = sticky("'[^'\\\\]*(?:\\\\.[^'\\\\]*)*'|\"[^\"\\\\]*(?:\\\\.[^\"\\\\]*)*\"", "s");
const OPERATOR = sticky("//|\\*\\*|==|!=|>=|<=|[-+/*%~\\[\\](){}><=.:|,;]");
const VARIABLE_END = sticky(`-\\}\\}${s}*|\\}\\}`);
const SPACE = new RegExp(`^${s}$`);
const ALL_WHITE = new RegExp(`^${s}+$`);
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;

const CLOSING: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };

/** @throws TemplateFailure with its line for a syntax error */
export function tokenize(template: string, options: LexerOptions): Token[] {
  let source = template.replace(/\r\n?/g, "\n");
  if (!options.keepTrailingNewline && source.endsWith("\n")) source = source.slice(0, -1);
  const newline = options.trimBlocks ? "\\n?" : "";
  const blockEnd = sticky(`\\+%\\}|-%\\}${s}*|%\\}${newline}`);
  const commentEnd = new RegExp(`\\+#\\}|-#\\}${s}*|#\\}${newline}`, "g");
  const rawEnd = new RegExp(`\\{%([-+]?)${s}*endraw${s}*(?:\\+%\\}|-%\\}${s}*|%\\}${newline})`, "g");
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  /** Whether the last match ended a line, or nothing has been matched yet. */
  let lineStarts = true;

  const match = (regex: RegExp): string | undefined => {
    regex.lastIndex = at;
    return regex.exec(source)?.[0];
  };
  const advance = (text: string): void => {
    at += text.length;
    for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) line++;
    if (text !== "") lineStarts = text.endsWith("\n");
  };
  /** Adds the data before a tag, stripped according to the tag's sign. */
  const pushData = (text: string, sign: string, strippable: boolean): void => {
    let kept = text;
    if (sign === "-") {
      // A regular expression would be quadratic in runs of white space.
      let end = text.length;
      while (end > 0 && SPACE.test(text[end - 1])) end--;
      kept = text.slice(0, end);
    }
    if (sign === "" && options.lstripBlocks && strippable) {
      const lineStart = text.lastIndexOf("\n") + 1;
      if ((lineStart > 0 || lineStarts) && ALL_WHITE.test(text.slice(lineStart))) kept = text.slice(0, lineStart);
    }
    if (kept !== "") tokens.push({ kind: "data", text: kept, line });
  };

  while (at < source.length) {
    OPENING.lastIndex = at;
    const opening = OPENING.exec(source);
    if (opening === null) {
      tokens.push({ kind: "data", text: source.slice(at), line });
      break;
    }
    const data = source.slice(at, opening.index);
    const tag = opening[0][1];
    pushData(data, opening[0][2] ?? "", tag !== "{");
    advance(data);
    const raw = tag === "%" ? match(RAW_OPENING) : undefined;
    if (raw !== undefined) {
      const began = line;
      advance(raw);
      rawEnd.lastIndex = at;
      const end = rawEnd.exec(source);
      if (end === null) throw new TemplateFailure("a raw block is not closed", began);
      const content = source.slice(at, end.index);
      pushData(content, end[1], true);
      advance(content);
      advance(end[0]);
      continue;
    }
    if (tag === "#") {
      const began = line;
      advance(opening[0]);
      commentEnd.lastIndex = at;
      const end = commentEnd.exec(source);
      if (end === null) throw new TemplateFailure("a comment is not closed", began);
      advance(source.slice(at, end.index + end[0].length));
      continue;
    }
    tokens.push({ kind: tag === "%" ? "blockBegin" : "variableBegin", text: opening[0], line });
    advance(opening[0]);
    const open: string[] = [];
    for (;;) {
      if (open.length === 0) {
        const end = match(tag === "%" ? blockEnd : VARIABLE_END);
        if (end !== undefined) {
          tokens.push({ kind: tag === "%" ? "blockEnd" : "variableEnd", text: end, line });
          advance(end);
          break;
        }
      }
      if (at >= source.length) break;
      const white = match(WHITE);
      if (white !== undefined) {
        advance(white);
        continue;
      }
      const token = expressionToken();
      if (token.kind === "operator") {
        if (token.text in CLOSING) open.push(CLOSING[token.text]);
        else if (token.text === "}" || token.text === ")" || token.text === "]") {
          const expected = open.pop();
          if (expected !== token.text) {
            throw new TemplateFailure(
              `unexpected '${token.text}'${expected === undefined ? "" : `, expected '${expected}'`}`,
              line,
            );
          }
        }
      }
      tokens.push(token);
    }
  }
  tokens.push({ kind: "end", text: "", line });
  return tokens;

  function expressionToken(): Token {
    const here = line;
    let text = match(FLOAT);
    if (text !== undefined) {
      advance(text);
      const value = Number(text.replaceAll("_", ""));
      if (!Number.isFinite(value)) throw new TemplateFailure(`the number ${text} is too large`, here);
      return { kind: "float", text, line: here, value };
    }
    text = match(INTEGER);
    if (text !== undefined) {
      advance(text);
      return { kind: "integer", text, line: here, value: BigInt(text.replaceAll("_", "")) };
    }
    text = match(NAME);
    if (text !== undefined) {
      advance(text);
      // Python normalizes identifiers to NFKC, so others are rejected.
      if (!IDENTIFIER.test(text) || text.normalize("NFKC") !== text) {
        throw new TemplateFailure(`${JSON.stringify(text)} is not a valid name`, here);
      }
      return { kind: "name", text, line: here };
    }
    text = match(STRING);
    if (text !== undefined) {
      advance(text);
      return { kind: "string", text: withoutEscapes(text.slice(1, -1), here), line: here };
    }
    text = match(OPERATOR);
    if (text !== undefined) {
      advance(text);
      return { kind: "operator", text, line: here };
    }
    throw new TemplateFailure(
      `unexpected character ${JSON.stringify(String.fromCodePoint(source.codePointAt(at)!))}`,
      here,
    );
  }
}

const SIMPLE: Readonly<Record<string, string>> = {
  "\n": "",
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
const ESCAPE = /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g;

/** Decodes a string literal. Jinja2 first escapes non-ASCII characters, so a backslash before one stays. */
function withoutEscapes(text: string, line: number): string {
  if (!text.includes("\\")) return text;
  try {
    const ascii = text.replace(/[^\0-\x7f]/gu, (char) => {
      const point = char.codePointAt(0)!;
      const hex = point.toString(16);
      return point < 0x100
        ? `\\x${hex}`
        : point < 0x10000
          ? `\\u${hex.padStart(4, "0")}`
          : `\\U${hex.padStart(8, "0")}`;
    });
    return ascii.replace(ESCAPE, (whole, octal, two, four, eight, char: string | undefined) => {
      if (char !== undefined) {
        if (char === "N") refuse("a \\N escape");
        if (char === "x" || char === "u" || char === "U") throw new TemplateFailure(`a truncated \\${char} escape`);
        return SIMPLE[char] ?? whole;
      }
      const point = octal === undefined ? Number.parseInt(two ?? four ?? eight, 16) : Number.parseInt(octal, 8);
      if (point > 0x10ffff) throw new TemplateFailure("an escape beyond Unicode's last code point");
      if (point >= 0xd800 && point <= 0xdfff) refuse("an escape of a lone surrogate");
      return String.fromCodePoint(point);
    });
  } catch (error) {
    if (error instanceof TemplateFailure) error.line ??= line;
    throw error;
  }
}
