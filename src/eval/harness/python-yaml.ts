/**
 * @file Parses YAML as PyYAML's safe loader does, which lm-eval uses for task files: YAML 1.1 with PyYAML's own rules.
 *
 * `no` and `on` are booleans, `1e-3` and `y` are strings, `1:30` is 90, `010` is 8; the last of equal keys wins, `<<` merges.
 * The package `yaml` reads the syntax; the types of scalars are resolved here, by the expressions of the YAML 1.1 repository.
 * A `!function module.name` stays a `FunctionReference`. Dates stay text, since nothing of lm-eval computes with them.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLParseError,
} from "yaml";
import { QuernError } from "../../errors.js";
import { escapeControls, quoted } from "../../printable.js";
import { PythonFloat } from "../../tokenizer/index.js";
import { type MappingEntry, parseSimpleYaml, type ValueMaker } from "./simple-yaml.js";

/** A Python function that a task file names: `!function utils.process_docs`. */
export class FunctionReference {
  /**
   * @param file path of the YAML file that names it; its module is looked up beside that file
   * @param name module and function, such as `utils.process_docs`
   */
  constructor(
    readonly file: string,
    readonly name: string,
  ) {}

  toJSON(): string {
    return `!function ${this.name}`;
  }
}

/**
 * A value of a YAML file. Integral floats are `PythonFloat`, integers beyond 2^53 bigint. A mapping is an object; a `Map`
 * if a key is not a string or looks like an integer, because objects would reorder such keys.
 */
export type YamlValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PythonFloat
  | FunctionReference
  | readonly YamlValue[]
  | YamlMapping
  | ReadonlyMap<YamlValue, YamlValue>;

export interface YamlMapping {
  readonly [key: string]: YamlValue;
}

/** The lines (from 1) of the keys of every mapping that was read. */
const keyLines = new WeakMap<object, ReadonlyMap<YamlValue, number>>();

/** Returns the line of a key in its file, from 1; undefined for an object that no YAML file contains. */
export function lineOfKey(mapping: object, key: string): number | undefined {
  return keyLines.get(mapping)?.get(key);
}

/** Whether a value is a mapping of YAML read as an object. */
export function isMapping(value: unknown): value is YamlMapping {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map || value instanceof PythonFloat || value instanceof FunctionReference)
  );
}

/**
 * Parses one YAML document.
 * @param file for errors, and for the functions that the document names
 * @throws QuernError with file and line for what PyYAML refuses
 */
export function parsePythonYaml(source: string, file: string): YamlValue {
  return parseSimpleYaml(source, makerFor(file)) ?? parseAnyYaml(source, file);
}

/** Parses as `parsePythonYaml` does, always by the full parser. */
export function parseAnyYaml(source: string, file: string): YamlValue {
  let text = source;
  let counter = new LineCounter();
  let document = parsed(text, counter);
  while (document.errors.length > 0) {
    const mended = withIndentedQuote(text, document.errors);
    if (mended === undefined) break;
    text = mended;
    counter = new LineCounter();
    document = parsed(text, counter);
  }
  const wrong = document.errors[0];
  if (wrong !== undefined) {
    throw new QuernError(`${file} line ${counter.linePos(wrong.pos[0]).line}: not YAML: ${quoted(wrong.message)}`);
  }
  if (document.contents === null) return null;
  return new Constructor(document, counter, file).construct(document.contents as Node);
}

function parsed(source: string, lineCounter: LineCounter): Document {
  return parseDocument(source, {
    version: "1.1",
    schema: "failsafe",
    uniqueKeys: false,
    logLevel: "error",
    prettyErrors: false,
    lineCounter,
    // Known, so that the parser makes no warning, which costs more than the value.
    customTags: (tags) => [...tags, { tag: "!function", resolve: (text: string) => text }],
  });
}

const makerFor = (file: string): ValueMaker<YamlValue> => ({
  plain: (text) => plainValue(kindOf(text), text),
  text: (text) => text,
  function: (name) => new FunctionReference(file, name),
  list: (items) => items,
  mapping: simpleMapping,
});

/** Makes a mapping; undefined if its keys need the full parser. */
function simpleMapping(entries: readonly MappingEntry<YamlValue>[]): YamlMapping | undefined {
  const made: Record<string, YamlValue> = {};
  const lines = new Map<YamlValue, number>();
  for (const { key, isQuoted, value, line } of entries) {
    if ((!isQuoted && kindOf(key) !== "str") || !isObjectKey(key) || key === "__proto__") return undefined;
    made[key] = value;
    lines.set(key, line);
  }
  keyLines.set(made, lines);
  return made;
}

/** Whether an object keeps a key in its place. */
const isObjectKey = (key: YamlValue): boolean => typeof key === "string" && !/^(?:0|[1-9]\d*)$/.test(key);

/** Returns the value of a scalar of a kind; undefined if the text does not fit it. */
function plainValue(kind: string, text: string): YamlValue | undefined {
  switch (kind) {
    case "str":
    case "timestamp":
      return text;
    case "null":
      return null;
    case "bool":
      if (/^(?:yes|true|on)$/i.test(text)) return true;
      return /^(?:no|false|off)$/i.test(text) ? false : undefined;
    case "int":
      return integerOf(text);
    case "float":
      return floatOf(text);
    default:
      return undefined;
  }
}

/** More than any indentation of a block. */
const INDENTATION = " ".repeat(256);

/**
 * Indents the lines of a quoted text that continues with too little indentation, which PyYAML allows. Folding drops the spaces.
 * @returns undefined if no error comes from such a text
 */
function withIndentedQuote(source: string, errors: readonly YAMLParseError[]): string | undefined {
  const unclosed = errors.find(({ code }) => code === "MISSING_CHAR");
  // The parser stopped at the end of a line of the text. It misses no mark if that line ends with an escaped one.
  const end = unclosed === undefined ? source.lastIndexOf("\n", errors[0]!.pos[0] - 1) : unclosed.pos[0];
  const mark =
    unclosed === undefined
      ? /(?:\\"|'')$/.exec(source.slice(0, Math.max(0, end)))?.[0][1]
      : /^Missing closing (['"])/.exec(unclosed.message)?.[1];
  const from = source.indexOf("\n", end);
  if (mark === undefined || from < 0) return undefined;
  const closing = mark === "'" ? /''|'/g : /\\[\s\S]|"/g;
  closing.lastIndex = from;
  let found = closing.exec(source);
  while (found !== null && found[0] !== mark) found = closing.exec(source);
  if (found === null) return undefined;
  const continued = source.slice(from, found.index).replace(/\n(?! {256})/g, `\n${INDENTATION}`);
  const mended = source.slice(0, from) + continued + source.slice(found.index);
  return mended === source ? undefined : mended;
}

const BOOLEAN = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const INTEGER =
  /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const NULL = /^(?:~|null|Null|NULL|)$/;
const YAML_TAG = "tag:yaml.org,2002:";

class Constructor {
  readonly #document: Document;
  readonly #counter: LineCounter;
  readonly #file: string;
  /** Values of anchored nodes, which aliases share. */
  readonly #anchored = new Map<Node, YamlValue>();
  /** Anchored nodes under construction. */
  readonly #open = new Set<Node>();

  constructor(document: Document, counter: LineCounter, file: string) {
    this.#document = document;
    this.#counter = counter;
    this.#file = file;
  }

  construct(given: Node | null): YamlValue {
    if (given === null) return null;
    const node = this.#resolved(given);
    const isAnchored = (node as { anchor?: string }).anchor !== undefined;
    if (!isAnchored) return this.#make(node);
    if (this.#anchored.has(node)) return this.#anchored.get(node)!;
    if (this.#open.has(node)) return this.#refuse(node, "a value that contains itself");
    this.#open.add(node);
    const value = this.#make(node);
    this.#open.delete(node);
    this.#anchored.set(node, value);
    return value;
  }

  #resolved(node: Node): Node {
    if (!isAlias(node)) return node;
    return (
      (node as Alias).resolve(this.#document) ?? this.#refuse(node, `the undefined alias ${(node as Alias).source}`)
    );
  }

  #make(node: Node): YamlValue {
    const tag = (node as { tag?: string }).tag;
    if (tag === "!function") {
      if (!isScalar(node)) return this.#refuse(node, "!function without a name");
      return new FunctionReference(this.#file, String(node.value ?? ""));
    }
    if (isScalar(node)) return this.#scalar(node, tag);
    if (isSeq(node)) {
      if (tag !== undefined && tag !== `${YAML_TAG}seq`) return this.#refuse(node, `the tag ${tag}`);
      return node.items.map((item) => this.construct(item as Node | null));
    }
    if (!isMap(node)) return this.#refuse(node, "an unknown node");
    if (tag !== undefined && tag !== `${YAML_TAG}map`) return this.#refuse(node, `the tag ${tag}`);
    return this.#mapping(node);
  }

  #scalar(node: Node & { value: unknown; type?: string }, tag: string | undefined): YamlValue {
    const text = typeof node.value === "string" ? node.value : "";
    const isPlain = node.type === "PLAIN" || node.type === undefined;
    // libyaml, unlike the specification, ignores a lone `!`.
    const kind = tag === undefined || tag === "!" || tag === "" ? (isPlain ? kindOf(text) : "str") : undefined;
    const named = kind ?? (tag!.startsWith(YAML_TAG) ? tag!.slice(YAML_TAG.length) : tag!);
    const value = plainValue(named, text);
    if (value !== undefined) return value;
    switch (named) {
      case "bool":
        return this.#refuse(node, `${quoted(text)} as a boolean`);
      case "int":
        return this.#refuse(node, `${quoted(text)} as an integer`);
      case "float":
        return this.#refuse(node, `${quoted(text)} as a float`);
      default:
        return this.#refuse(node, named === "value" || named === "merge" ? `the value ${text}` : `the tag ${named}`);
    }
  }

  #mapping(node: Node): YamlValue {
    const entries = new Map<YamlValue, YamlValue>();
    const lines = new Map<YamlValue, number>();
    for (const [key, valueNode, keyNode] of this.#flattened(node)) {
      if (typeof key === "object" && key !== null && !(key instanceof PythonFloat)) {
        this.#refuse(keyNode, "a list or mapping as a key");
      }
      const name = key instanceof PythonFloat ? key.value : key;
      // Assigning again keeps the first place, as a dict does.
      entries.set(name, this.construct(valueNode));
      lines.set(name, this.#line(keyNode));
    }
    const isPlain = [...entries.keys()].every(isObjectKey);
    const made = isPlain ? Object.fromEntries(entries as Map<string, YamlValue>) : entries;
    keyLines.set(made, lines);
    return made as YamlValue;
  }

  /** Returns the pairs of a mapping; those merged by `<<` come first, so the mapping's own keys override them. */
  #flattened(node: Node): [key: YamlValue, value: Node | null, keyNode: Node][] {
    const merged: [YamlValue, Node | null, Node][] = [];
    const own: [YamlValue, Node | null, Node][] = [];
    if (!isMap(node)) return own;
    for (const { key, value } of node.items as { key: Node; value: Node | null }[]) {
      const isPlain = isScalar(key) && key.type === "PLAIN" && (key as { tag?: string }).tag === undefined;
      if (isPlain && key.value === "<<") {
        const from = value === null ? null : this.#resolved(value);
        const maps = isSeq(from) ? from.items.map((item) => this.#resolved(item as Node)) : [from];
        // The first mapping of a list wins, so later ones are put before it.
        const parts = maps.map((map) =>
          isMap(map) ? this.#flattened(map) : this.#refuse(value ?? key, "a merge of something that is not a mapping"),
        );
        const seen = new Set<YamlValue>();
        for (const pair of parts.flat()) {
          if (parts.length > 1 && seen.has(pair[0])) continue;
          seen.add(pair[0]);
          merged.push(pair);
        }
      } else own.push([isPlain && key.value === "=" ? "=" : this.construct(key), value, key]);
    }
    return [...merged, ...own];
  }

  #line(node: Node): number {
    return this.#counter.linePos(node.range?.[0] ?? 0).line;
  }

  #refuse(node: Node, what: string): never {
    throw new QuernError(`${this.#file} line ${this.#line(node)}: PyYAML refuses ${escapeControls(what)}`);
  }
}

/** Returns the type of a plain scalar. */
function kindOf(text: string): string {
  const first = text.charCodeAt(0);
  // Most scalars are words: only these first characters can begin another type.
  if (Number.isNaN(first)) return "null";
  const isNumeric = (first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d || first === 0x2e;
  if (isNumeric) {
    if (FLOAT.test(text)) return "float";
    if (INTEGER.test(text)) return "int";
    return "str";
  }
  if (BOOLEAN.test(text)) return "bool";
  if (NULL.test(text)) return "null";
  if (text === "=") return "value";
  return text === "<<" ? "merge" : "str";
}

function integerOf(text: string): number | bigint | undefined {
  const [, sign, digits] = /^([-+]?)(.*)$/s.exec(text.replaceAll("_", ""))!;
  let size: bigint;
  if (digits.includes(":")) {
    if (!/^\d+(?::\d+)+$/.test(digits)) return undefined;
    size = digits.split(":").reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  } else if (/^0b[01]+$|^0x[0-9a-fA-F]+$/.test(digits)) size = BigInt(digits);
  else if (/^0[0-7]+$/.test(digits)) size = BigInt(`0o${digits}`);
  else if (/^(?:0|[1-9]\d*)$/.test(digits)) size = BigInt(digits);
  else return undefined;
  const value = sign === "-" ? -size : size;
  const number = Number(value);
  return Number.isSafeInteger(number) ? (number === 0 ? 0 : number) : value;
}

function floatOf(text: string): number | PythonFloat | undefined {
  const [, sign, digits] = /^([-+]?)(.*)$/s.exec(text.replaceAll("_", "").toLowerCase())!;
  let size: number;
  if (digits === ".inf") size = Number.POSITIVE_INFINITY;
  else if (digits === ".nan") size = Number.NaN;
  else if (digits.includes(":")) size = digits.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  else if (/^(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/.test(digits)) size = Number(digits);
  else return undefined;
  const value = sign === "-" ? -size : size;
  return Number.isInteger(value) ? new PythonFloat(value) : value;
}
