/**
 * @file Reads YAML files of `key: value` lines alone, without nesting: half of lm-eval's task files. The full parser needs ten
 * times as long.
 */

/** One line of a flat mapping. */
export interface FlatEntry {
  readonly key: string;
  /** Whether quotes surround the key, which make it text. */
  readonly isQuotedKey: boolean;
  /** From 1. */
  readonly line: number;
  readonly style: "plain" | "quoted" | "function";
  readonly text: string;
}

/** Characters that YAML refuses or that break lines in YAML 1.1; and tabs, whose rules depend on the place. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that the fast path leaves out
const UNUSUAL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;
const KEY = /^(?:([A-Za-z_][\w-]*)|"([\w -]*)") *:(?: +|$)/;
const FUNCTION = /^!function +([\w.]+) *$/;
/** A value that begins like text or a number, without what could be a comment or a nested key. */
const PLAIN = /^(?:[^\s!"#%&'*,:>?@`{|}[\]-]|-\d)(?:[^\s#:]|(?<! )#| +(?![ #])|:(?! |$))*$/;
const DOUBLE = /^"((?:[^"\\]|\\[nt"\\])*)" *$/;
const SINGLE = /^'((?:[^']|'')*)' *$/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", '"': '"', "\\": "\\" };

/** Returns the entries of a flat mapping; undefined for any other text, which the full parser must read. */
export function flatEntries(source: string): readonly FlatEntry[] | undefined {
  if (UNUSUAL.test(source)) return undefined;
  const entries: FlatEntry[] = [];
  let line = 0;
  for (const written of source.split("\n")) {
    line++;
    if (/^(?:#| *$)/.test(written)) continue;
    const found = KEY.exec(written);
    if (found === null) return undefined;
    const value = scalarOf(written.slice(found[0].length).replace(/ +$/, ""));
    if (value === undefined) return undefined;
    entries.push({ key: (found[1] ?? found[2])!, isQuotedKey: found[1] === undefined, line, ...value });
  }
  return entries.length === 0 ? undefined : entries;
}

function scalarOf(written: string): Pick<FlatEntry, "style" | "text"> | undefined {
  if (written === "" || PLAIN.test(written)) return { style: "plain", text: written };
  const named = FUNCTION.exec(written);
  if (named !== null) return { style: "function", text: named[1]! };
  const double = DOUBLE.exec(written);
  if (double !== null) {
    return { style: "quoted", text: double[1]!.replace(/\\(.)/g, (_, escaped: string) => ESCAPES[escaped]!) };
  }
  const single = SINGLE.exec(written);
  return single === null ? undefined : { style: "quoted", text: single[1]!.replaceAll("''", "'") };
}
