/** @file Locates syntax errors in JSON. V8's messages give no line, and for short texts no position at all. */

export interface JsonFault {
  /** From 1. */
  readonly line: number;
  /** In characters, from 1. */
  readonly column: number;
  readonly what: string;
}

const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings
  /[ \t\r\n]*(?:([[\]{},:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.]))/y;

/** Returns the first syntax error of a text; undefined if it is valid JSON. */
export function jsonFault(text: string): JsonFault | undefined {
  const open: string[] = [];
  /** The expected token: a value, a key, `:`, or (`next`) a comma or the end of the innermost list or object. */
  let wanted: "value" | "first value" | "key" | "first key" | "colon" | "next" | "end" = "value";
  const after = () => (open.length === 0 ? "end" : "next");
  for (let at = 0; ; ) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    const start =
      token === null
        ? at + (/^[ \t\r\n]*/.exec(text.slice(at, at + 65536))?.[0].length ?? 0)
        : TOKEN.lastIndex - token[0].trimStart().length;
    const mark = token?.[1];
    const isKey = wanted === "key" || wanted === "first key";
    const isValue = wanted === "value" || wanted === "first value";
    if (wanted === "end" && start >= text.length) return undefined;
    if (token !== null && isValue && (mark === "[" || mark === "{")) {
      open.push(mark);
      wanted = mark === "[" ? "first value" : "first key";
    } else if (token !== null && isValue && mark === undefined) wanted = after();
    else if (isKey && token?.[2] !== undefined) wanted = "colon";
    else if (wanted === "colon" && mark === ":") wanted = "value";
    else if (wanted === "next" && mark === ",") wanted = open.at(-1) === "[" ? "value" : "key";
    else if (
      (mark === "]" && open.at(-1) === "[" && (wanted === "next" || wanted === "first value")) ||
      (mark === "}" && open.at(-1) === "{" && (wanted === "next" || wanted === "first key"))
    ) {
      open.pop();
      wanted = after();
    } else return fault(text, start, wanted, open.at(-1));
    at = TOKEN.lastIndex;
  }
}

function fault(text: string, at: number, wanted: string, inside: string | undefined): JsonFault {
  const lines = text.slice(0, at).split("\n");
  const expected =
    wanted === "next"
      ? `"," or "${inside === "[" ? "]" : "}"}"`
      : wanted === "end"
        ? "the end of the file"
        : wanted === "colon"
          ? '":"'
          : wanted.endsWith("key")
            ? "a name in double quotes"
            : "a value";
  const found = at >= text.length ? "the end of the file" : JSON.stringify(text.slice(at, at + 12).split("\n")[0]);
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1, what: `expected ${expected}, found ${found}` };
}
