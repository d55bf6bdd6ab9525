/**
 * @file What `quern eval list` says of one task, group or tag, as a line of text that ends with its JSON. Most calls only join
 * these texts, so a list of 14,000 tasks is never parsed.
 */

export interface ListedTask {
  readonly name: string;
  readonly file: string;
  readonly output_type: string | null;
  readonly dataset: string | null;
  readonly tags: readonly string[];
  readonly runs: boolean;
  /** What stops it, one sentence each. */
  readonly obstacles: readonly string[];
}

export interface ListedGroup {
  readonly name: string;
  readonly file: string;
}

export interface ListedTag {
  readonly name: string;
  readonly tasks: readonly string[];
}

/** A `python` task is a class of lm-eval's, which only Python runs. */
export type EntryKind = "task" | "python" | "group" | "tag";

export interface ListedLine {
  readonly name: string;
  readonly kind: EntryKind;
  /** Whether it is a task that can run. */
  readonly runs: boolean;
  /** A `ListedTask`, `ListedGroup` or `ListedTag`. */
  readonly json: string;
}

const LETTERS = { task: "t", python: "p", group: "g", tag: "a" } as const satisfies Record<EntryKind, string>;
const KINDS: Readonly<Record<string, EntryKind>> = { t: "task", p: "python", g: "group", a: "tag" };

/** Returns JSON in ASCII, which is read and written twice as fast. */
export const asciiJson = (json: string): string =>
  json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Returns lines of kind, whether it runs, name and JSON, in ASCII. */
export function textOfLines(lines: readonly ListedLine[]): string {
  const text = lines
    .map(({ name, kind, runs, json }) => `${LETTERS[kind]}${runs ? "+" : "-"}${JSON.stringify(name)}\t${json}\n`)
    .join("");
  return asciiJson(text);
}

/** @throws SyntaxError if the text does not come from `textOfLines` */
export function linesOfText(text: string): readonly ListedLine[] {
  const lines: ListedLine[] = [];
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf("\n", from);
    const tab = text.indexOf("\t", from);
    const kind = KINDS[text[from]!];
    if (kind === undefined || tab < from || end < tab) throw new SyntaxError("a line of the list is damaged");
    const written = text.slice(from + 2, tab);
    const name = written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1);
    lines.push({ name, kind, runs: text[from + 1] === "+", json: text.slice(tab + 1, end) });
    from = end + 1;
  }
  return lines;
}

/** Parses the JSON of lines at once, which is faster than one by one. */
export function parsedLines<T>(lines: readonly ListedLine[]): readonly T[] {
  return JSON.parse(`[${lines.map(({ json }) => json).join(",")}]`) as T[];
}
