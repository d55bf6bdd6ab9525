/**
 * @file Checks options against a zod schema, with errors that a user can act on. One schema serves a verb's flags, its
 * config file and its library function; only the option names in messages differ.
 */
import { z } from "zod";
import { QuernError } from "./errors.js";

/** The `--force` option of every verb that writes. */
export const forceOption = z
  .boolean()
  .default(false)
  .describe("replace the finished output of an earlier run; only files that run wrote are deleted");

/** The options of every verb that reads documents. */
export const readingOptions = {
  textField: z
    .string()
    .min(1)
    .default("text")
    .describe("key of JSON lines, or column of Parquet, that contains the text; a.b is b in a")
    .meta({ value: "NAME" }),
  strict: z.boolean().default(false).describe("stop at the first damaged file, line or row instead of skipping it"),
};

/** How a message names an option: `--kv-heads` on the command line, `keyValueHeads` in a library call. */
export type NameOption = (key: string) => string;

/**
 * Checks `input` against `schema` and fills in the defaults. Throws a `QuernError` (exit code 2) that names every wrong
 * option with its allowed and actual value. For an unknown key it suggests the nearest known one.
 * @param name returns the name of an option for messages; default: its key
 * @param where appended to each message, such as ` in quern.json`
 */
export function checkOptions<S extends z.ZodObject>(
  schema: S,
  input: unknown,
  name: NameOption = (key) => key,
  where = "",
): z.output<S> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new QuernError(`the options${where} must be an object, not ${show(input)}`, { exitCode: 2 });
  }
  const { data, problems } = optionProblems(schema, input, { name, where });
  if (problems.length > 0) throw new QuernError(problems.map(({ message }) => message).join("; "), { exitCode: 2 });
  return data!;
}

/** What is wrong with one option. */
export interface OptionProblem {
  /** One clause that names the option, its allowed and its actual value. */
  readonly message: string;
  /** Path of the option: `sources[1].weight`. */
  readonly param: string;
  /** Whether the schema has no such option. */
  readonly isUnknown: boolean;
}

/**
 * Checks an object as `checkOptions` does, and returns what is wrong instead of throwing; an unknown key hides other problems.
 * @param noun what messages call an unknown key; default `option`
 */
export function optionProblems<S extends z.ZodObject>(
  schema: S,
  input: object,
  { name = (key) => key, where = "", noun = "option" }: ProblemOptions = {},
): { readonly data?: z.output<S>; readonly problems: readonly OptionProblem[] } {
  const known = Object.keys(schema.shape);
  const unknown = Object.keys(input).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const message = unknownKey(unknown, known, name, noun, where);
    return { problems: [{ message, param: unknown, isUnknown: true }] };
  }
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return { data: result.data, problems: [] };
  const problems = result.error.issues.map(innermost).map((issue) => {
    const isUnknown = issue.code === "unrecognized_keys";
    const path = isUnknown ? [...issue.path, issue.keys[0]] : issue.path;
    const message = isUnknown
      ? unknownKey(issue.keys[0], keysAt(schema, issue.path), (key) => nameOf([...issue.path, key], name), noun, where)
      : describeIssue(issue, name) + where;
    return { message, param: nameOf(path, (key) => key), isUnknown };
  });
  return { problems };
}

interface ProblemOptions {
  readonly name?: NameOption;
  readonly where?: string;
  readonly noun?: string;
}

/** Returns the issue of the alternative that a value fits best: the one that fails deepest inside it. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .flatMap((issues) => issues.slice(0, 1))
    .map((each) => innermost({ ...each, path: [...issue.path, ...each.path] }));
  const deepest = inner.reduce((best, each) => (each.path.length > best.path.length ? each : best));
  return deepest.path.length > issue.path.length ? deepest : issue;
}

function unknownKey(key: string, known: readonly string[], name: NameOption, noun: string, where: string): string {
  const near = nearest(key, known);
  return `unknown ${noun} ${name(key)}${where}${near === undefined ? "" : `; did you mean ${name(near)}?`}`;
}

/** `optimise.steps`, `sources[1].weight`. For an item of a simple list it returns the name of the list. */
function nameOf(path: readonly PropertyKey[], name: NameOption): string {
  const [first, ...inner] = typeof path.at(-1) === "number" ? path.slice(0, -1) : path;
  if (first === undefined) return "";
  return name(String(first)) + inner.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
}

/** Returns the keys that an object inside the options may have; empty if the schema does not list them. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  const def = schema._zod.def as { innerType?: z.core.$ZodType; element?: z.core.$ZodType };
  if (def.innerType !== undefined) return keysAt(def.innerType, path);
  if (def.element !== undefined && path.length > 0) return keysAt(def.element, path.slice(1));
  const { shape } = schema as { shape?: Readonly<Record<string, z.core.$ZodType>> };
  if (shape === undefined || path.length === 0) return Object.keys(shape ?? {});
  const inner = shape[String(path[0])];
  return inner === undefined ? [] : keysAt(inner, path.slice(1));
}

/** Returns one sentence for one zod issue. */
function describeIssue(issue: z.core.$ZodIssue, name: NameOption): string {
  const option = nameOf(issue.path, name);
  const got = show(issue.input);
  const must = (what: string) => `${option} must be ${what}, not ${got}`;
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return `${option} is missing`;
      return must(TYPE_NAMES[issue.expected] ?? issue.expected);
    case "too_small":
      if (issue.origin === "array" || issue.origin === "string") return `${option} must not be empty`;
      return must(`${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`);
    case "too_big":
      if (Math.abs(Number(issue.maximum)) === Number.MAX_SAFE_INTEGER) return must("a whole number below 2^53");
      return must(`${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`);
    case "invalid_value":
      return must(issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`);
    case "not_multiple_of":
      return must(`a multiple of ${issue.divisor}`);
    case "invalid_union": {
      const { input, discriminator } = issue;
      if (discriminator !== undefined && typeof input === "object" && input !== null) {
        const actual = (input as Readonly<Record<string, unknown>>)[discriminator];
        const options = "options" in issue ? (issue.options ?? []) : [];
        if (actual === undefined) return `${option} is missing; it is one of ${options.join(", ")}`;
        return `${option} must be one of ${options.join(", ")}, not ${show(actual)}`;
      }
      if (input === undefined) return `${option} is missing`;
      if (issue.message !== ZOD_UNION) return `${option} ${issue.message}, not ${got}`; // the schema says it better
      return must([...new Set(issue.errors.flatMap((issues) => issues.map(expectedOf)))].join(" or "));
    }
    case "custom":
      // The schema supplies the message; the option's name is put before it if there is one.
      return option === "" ? issue.message : `${option} ${issue.message}`;
    default:
      return `${option}: ${issue.message}`;
  }
}

/** What zod says of every value that fits no alternative. */
const ZOD_UNION = "Invalid input";

/** Returns what one alternative of a union expects. */
function expectedOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type") return TYPE_NAMES[issue.expected] ?? issue.expected;
  if (issue.code === "invalid_value") return issue.values.join(" or ");
  return issue.message;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

/** Returns a value as messages show it: at most 60 characters. */
export function show(value: unknown): string {
  const text = typeof value === "number" ? String(value) : asJson(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // The value is circular, nested too deeply, or contains a bigint.
    return typeof value === "object" ? "an object" : String(value);
  }
}

/** Returns the candidate with the fewest edits (insert, delete, replace, swap) from `word`; undefined without candidates. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    // Ignore dashes and case; rank a prefix above its edit distance.
    const a = plain(word);
    const b = plain(candidate);
    const distance = a.length > 2 && b.startsWith(a) ? 0.5 : editDistance(a, b);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, "");
}

/** Optimal string alignment distance: Levenshtein's with adjacent swaps. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2] + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length];
}
