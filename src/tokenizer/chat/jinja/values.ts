/**
 * @file Python's values: how they print, compare, hash and iterate.
 *
 * None is null, bool is boolean, int is bigint, float is number, str is string, list is an array; other types are classes.
 */
import { fail, refuse, TemplateFailure } from "./failure.js";
import { floatText, intText } from "./numbers.js";

export type Value = null | boolean | bigint | number | string | readonly Value[] | PyObject;

/** Named arguments of a call. */
export type Keywords = ReadonlyMap<string, Value>;

/** A Python value without a JavaScript counterpart. */
export abstract class PyObject {
  /** Name of its Python type. */
  abstract readonly type: string;

  /** Returns an attribute as Python's getattr; undefined if there is none. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }
}

/**
 * A Python float among the variables given to a template: JavaScript cannot tell 2.0 from 2. Needed for integral values only.
 */
export class PythonFloat {
  constructor(readonly value: number) {}

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }

  toString(): string {
    return floatText(this.value);
  }
}

export class Tuple extends PyObject {
  readonly type: string = "tuple";
  constructor(readonly items: readonly Value[]) {
    super();
  }
}

/** A result of `groupby`: a tuple with two named items. */
export class Group extends Tuple {
  override readonly type = "_GroupTuple";
  override attribute(name: string): Value | undefined {
    if (name === "grouper") return this.items[0];
    return name === "list" ? this.items[1] : undefined;
  }
}

/** A str marked as safe HTML. Strings joined to it are escaped, even without autoescaping. */
export class Markup extends PyObject {
  readonly type = "Markup";
  constructor(readonly text: string) {
    super();
  }
}

/** A dict, in insertion order. */
export class Dict extends PyObject {
  readonly type = "dict";
  readonly #entries = new Map<string, readonly [key: Value, value: Value]>();

  static of(entries: Iterable<readonly [Value, Value]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Used only during construction: templates cannot change a dict. */
  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    // Of equal keys (1, 1.0, True), the first one stays.
    const known = this.#entries.get(hash);
    this.#entries.set(hash, [known === undefined ? key : known[0], value]);
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }

  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values();
  }
}

/** `dict.keys()`, `.values()` or `.items()`. */
export class View extends PyObject {
  readonly type: string;
  constructor(
    readonly dict: Dict,
    readonly kind: "keys" | "values" | "items",
  ) {
    super();
    this.type = `dict_${kind}`;
  }

  *[Symbol.iterator](): Generator<Value> {
    for (const [key, value] of this.dict.entries()) {
      yield this.kind === "keys" ? key : this.kind === "values" ? value : new Tuple([key, value]);
    }
  }
}

export class Range extends PyObject {
  readonly type = "range";
  readonly length: number;
  constructor(
    readonly start: bigint,
    readonly stop: bigint,
    readonly step: bigint,
  ) {
    super();
    const span = step > 0n ? stop - start : start - stop;
    const size = step > 0n ? step : -step;
    this.length = span <= 0n ? 0 : Number((span + size - 1n) / size);
  }

  at(index: number): bigint {
    return this.start + BigInt(index) * this.step;
  }
}

/** A Python generator or other iterator, which can be iterated once. */
export class Iter extends PyObject implements Iterator<Value> {
  readonly type = "generator";
  readonly #values: Iterator<Value>;
  constructor(values: Iterator<Value>) {
    super();
    this.#values = values;
  }

  next(): IteratorResult<Value> {
    return this.#values.next();
  }
}

/** How undefined values behave: Jinja2's Undefined, StrictUndefined and ChainableUndefined. */
export type UndefinedKind = "default" | "strict" | "chainable";

/** The value of a name or attribute that does not exist. */
export class Undefined extends PyObject {
  readonly type = "Undefined";
  constructor(
    readonly message: string,
    readonly kind: UndefinedKind = "default",
  ) {
    super();
  }

  /** Raises an UndefinedError. */
  raise(): never {
    return fail(this.message);
  }

  /** Raises an UndefinedError for StrictUndefined only. */
  check(): void {
    if (this.kind === "strict") this.raise();
  }
}

export class Namespace extends PyObject {
  readonly type = "Namespace";
  readonly values = new Map<string, Value>();

  override attribute(name: string): Value | undefined {
    return this.values.get(name);
  }

  set(name: string, value: Value): void {
    if (name.startsWith("_")) fail(`a namespace cannot have an attribute ${quote(name)}: it begins with an underscore`);
    this.values.set(name, value);
  }
}

/** Arguments of a call. */
export interface CallArguments {
  readonly positional: readonly Value[];
  readonly named: Keywords;
}

/** A value that can be called: a function, a method, a macro. */
export class Callable extends PyObject {
  readonly type: string;
  readonly call: (given: CallArguments) => Value;
  /** Its Python repr; undefined if that contains a memory address. */
  readonly shown: string | undefined;
  readonly #attributes: ReadonlyMap<string, Value>;

  constructor(
    type: string,
    call: (given: CallArguments) => Value,
    shown?: string,
    attributes: ReadonlyMap<string, Value> = new Map(),
  ) {
    super();
    this.type = type;
    this.call = call;
    this.shown = shown;
    this.#attributes = attributes;
  }

  override attribute(name: string): Value | undefined {
    return this.#attributes.get(name);
  }
}

/** Returns a value, or a fallback if it is undefined. `??` would also replace null, which is Python's None. */
export function orElse<T, U>(value: T | undefined, other: () => U): T | U {
  return value === undefined ? other() : value;
}

export function isText(value: Value): value is string | Markup {
  return typeof value === "string" || value instanceof Markup;
}

/** Returns the content of a str or Markup. */
export function textOf(value: string | Markup): string {
  return typeof value === "string" ? value : value.text;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Returns an int, float or bool as a number; undefined for other types. */
export function numberOf(value: Value): bigint | number | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "bigint" || typeof value === "number" ? value : undefined;
}

/** Returns an int or bool as a bigint; undefined for other types. */
export function intOf(value: Value): bigint | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "bigint" ? value : undefined;
}

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "float";
  if (typeof value === "string") return "str";
  return isList(value) ? "list" : value.type;
}

const NOT_PRINTABLE = /[\p{C}\p{Z}]/u;

/** Returns a quoted str, as Python's repr. */
export function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = mark;
  for (const char of text) {
    const point = char.codePointAt(0)!;
    if (char === mark || char === "\\") out += `\\${char}`;
    else if (char === "\n") out += "\\n";
    else if (char === "\r") out += "\\r";
    else if (char === "\t") out += "\\t";
    else if (char !== " " && NOT_PRINTABLE.test(char)) {
      const hex = point.toString(16);
      out +=
        point < 0x100
          ? `\\x${hex.padStart(2, "0")}`
          : point < 0x10000
            ? `\\u${hex.padStart(4, "0")}`
            : `\\U${hex.padStart(8, "0")}`;
    } else out += char;
  }
  return out + mark;
}

/** Python's repr. */
export function repr(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "bigint") return intText(value);
  if (typeof value === "number") return floatText(value);
  if (typeof value === "string") return quote(value);
  if (isList(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Markup) return `Markup(${quote(value.text)})`;
  if (value instanceof Tuple)
    return value.items.length === 1 ? `(${repr(value.items[0])},)` : `(${value.items.map(repr).join(", ")})`;
  if (value instanceof Dict) return reprEntries(value.entries());
  if (value instanceof View) return `${value.type}([${Array.from(value, repr).join(", ")}])`;
  if (value instanceof Range) {
    const { start, stop, step } = value;
    return step === 1n ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`;
  }
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Namespace) return `<Namespace ${reprEntries(value.values)}>`;
  if (value instanceof Callable && value.shown !== undefined) return value.shown;
  return refuse(`printing a ${value.type}`);
}

function reprEntries(entries: Iterable<readonly [Value, Value]>): string {
  return `{${Array.from(entries, ([key, value]) => `${repr(key)}: ${repr(value)}`).join(", ")}}`;
}

/** Python's str(value): the output of `{{ value }}`. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) {
    value.check();
    return "";
  }
  return repr(value);
}

/** Like `str`, but Markup stays Markup. */
export function softStr(value: Value): string | Markup {
  return isText(value) ? value : str(value);
}

/** Returns a value's hash as a dict key; equal values have equal hashes. */
export function hashOf(value: Value): string {
  if (value === null) return "0";
  const number = numberOf(value);
  if (number !== undefined) {
    if (typeof number === "bigint") return `n${number}`;
    return Number.isInteger(number) ? `n${BigInt(number)}` : `f${number}`;
  }
  if (isText(value)) return `s${textOf(value)}`;
  if (value instanceof Tuple)
    return `t${value.items
      .map((item) => hashOf(item))
      .map((hash) => `${hash.length}:${hash}`)
      .join("")}`;
  if (value instanceof Undefined) {
    value.check();
    return "u";
  }
  if (isList(value) || value instanceof Dict) return fail(`unhashable type: '${typeName(value)}'`);
  return refuse(`a ${typeName(value)} as a key`);
}

/** Python's bool. */
export function truth(value: Value): boolean {
  if (value === null) return false;
  if (typeof value === "boolean") return value;
  if (typeof value === "bigint") return value !== 0n;
  if (typeof value === "number") return value !== 0;
  if (typeof value === "string") return value !== "";
  if (value instanceof Undefined) {
    value.check();
    return false;
  }
  return lengthOf(value) !== 0;
}

/** Python's len, in code points for a str; undefined for a value without a length. */
export function lengthOf(value: Value): number | undefined {
  if (isText(value)) return points(textOf(value));
  if (isList(value)) return value.length;
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof View) return value.dict.size;
  if (value instanceof Range) return value.length;
  if (value instanceof Undefined) {
    value.check();
    return 0;
  }
  if (value instanceof PyObject && "length" in value) return value.length as number;
  return undefined;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Counts the code points of a text. */
export function points(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Returns the code points of a text as strings. */
export function charactersOf(text: string): readonly string[] {
  return SURROGATE.test(text) ? Array.from(text) : text.split("");
}

/** Python's iter. */
export function iterate(value: Value): Iterator<Value> {
  if (isText(value)) return charactersOf(textOf(value))[Symbol.iterator]();
  if (isList(value)) return value[Symbol.iterator]();
  if (value instanceof Tuple) return value.items[Symbol.iterator]();
  if (value instanceof Dict) return new View(value, "keys")[Symbol.iterator]();
  if (value instanceof View) return value[Symbol.iterator]();
  if (value instanceof Iter) return value;
  if (value instanceof Undefined) {
    value.check();
    return [][Symbol.iterator]();
  }
  if (value instanceof Range) {
    const range = value;
    return (function* () {
      for (let i = 0; i < range.length; i++) yield range.at(i);
    })();
  }
  return fail(`'${typeName(value)}' object is not iterable`);
}

/** Python's list(value). */
export function listOf(value: Value): Value[] {
  const items = iterate(value);
  const list: Value[] = [];
  for (let step = items.next(); step.done !== true; step = items.next()) list.push(step.value);
  return list;
}

export function isIterable(value: Value): boolean {
  try {
    if (!(value instanceof Iter)) iterate(value);
    return true;
  } catch (error) {
    if (error instanceof TemplateFailure) return value instanceof Undefined ? value.raise() : false;
    throw error;
  }
}

/** Python's `==`. */
export function equal(a: Value, b: Value): boolean {
  if (a instanceof Undefined) a.check();
  if (b instanceof Undefined) b.check();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) {
    // biome-ignore lint/suspicious/noDoubleEquals: == compares a bigint with a number exactly
    return x == y;
  }
  if (isText(a) && isText(b)) return textOf(a) === textOf(b);
  if (isList(a)) return isList(b) && equalItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && equalItems(a.items, b.items);
  if (a instanceof Dict) {
    if (!(b instanceof Dict) || a.size !== b.size) return false;
    for (const [key, value] of a.entries()) {
      const other = b.get(key);
      if (other === undefined || !(value === other || equal(value, other))) return false;
    }
    return true;
  }
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof Range && b instanceof Range) {
    return equalItems(listOf(a), listOf(b));
  }
  if (a instanceof View && b instanceof View && a !== b) return refuse("the comparison of two views of dicts");
  return a === b;
}

function equalItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index] || equal(item, b[index]));
}

/** Python's `<`. */
export function lessThan(a: Value, b: Value, shown = "<"): boolean {
  if (a instanceof Undefined) return a.raise();
  if (b instanceof Undefined) return b.raise();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x < y;
  if (isText(a) && isText(b)) return compareText(textOf(a), textOf(b)) < 0;
  const [left, right] = [itemsOf(a), itemsOf(b)];
  if (left !== undefined && right !== undefined && isList(a) === isList(b)) {
    const at = left.findIndex(
      (item, index) => index >= right.length || !(item === right[index] || equal(item, right[index])),
    );
    if (at < 0 || at >= right.length) return left.length < right.length;
    return lessThan(left[at], right[at], shown);
  }
  return fail(`'${shown}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** Python's `<=`. */
export function atMost(a: Value, b: Value): boolean {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x <= y;
  return lessThan(a, b, "<=") || equal(a, b);
}

/** Returns the items of a list or tuple; undefined for other types. */
export function itemsOf(value: Value): readonly Value[] | undefined {
  return isList(value) ? value : value instanceof Tuple ? value.items : undefined;
}

/** Compares by code points, whose order differs from that of UTF-16 units. */
function compareText(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let i = 0;
  while (i < most && a[i] === b[i]) i++;
  if (i === most) return a.length - b.length;
  const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
  const [high, low] = [x >= 0xd800 && x <= 0xdfff, y >= 0xd800 && y <= 0xdfff];
  return high === low ? x - y : high ? 1 : -1;
}

/** Returns a sorted copy; like Python's sorted, it is stable in reverse too. */
export function sorted(items: readonly Value[], key: (item: Value) => Value, reverse: boolean): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => {
    const [x, y] = reverse ? [b.key, a.key] : [a.key, b.key];
    return lessThan(x, y) ? -1 : lessThan(y, x) ? 1 : 0;
  });
  return keyed.map(({ item }) => item);
}

/** Python's `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (isText(container)) {
    if (item instanceof Undefined || !isText(item)) {
      return fail(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    }
    return textOf(container).includes(textOf(item));
  }
  if (container instanceof Dict) return container.has(item);
  if (container instanceof View && container.kind === "keys") return container.dict.has(item);
  const items = iterate(container);
  for (let step = items.next(); step.done !== true; step = items.next()) {
    if (step.value === item || equal(step.value, item)) return true;
  }
  return false;
}

const UNSAFE = /[&<>'"]/g;
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};

/** markupsafe's escape. */
export function escapeMarkup(value: Value): Markup {
  if (value instanceof Markup) return value;
  return new Markup(str(value).replace(UNSAFE, (char) => ENTITIES[char]));
}

/** Attributes of every Python dict, so `dict.name` never finds a key with such a name. */
const INTERNAL = new Set(
  (
    "__class__ __class_getitem__ __contains__ __delattr__ __delitem__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ " +
    "__getitem__ __getstate__ __gt__ __hash__ __init__ __init_subclass__ __ior__ __iter__ __le__ __len__ __lt__ __ne__ __new__ " +
    "__or__ __reduce__ __reduce_ex__ __repr__ __reversed__ __ror__ __setattr__ __setitem__ __sizeof__ __str__ __subclasshook__"
  ).split(" "),
);

export function isInternal(name: string): boolean {
  return INTERNAL.has(name);
}

/**
 * Converts a JavaScript value: an integer becomes an int, another number a float, an object a dict.
 * @throws TemplateFailure for a value that JSON cannot represent, or an integer beyond 2^53
 */
export function fromJavaScript(value: unknown, depth = 0): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "bigint") return value;
  if (typeof value === "number") {
    if (!Number.isInteger(value)) return value;
    if (Number.isSafeInteger(value)) return BigInt(value);
    return fail(`the number ${value} is too large to be exact; pass it as a string or a bigint`);
  }
  if (depth > 500) return fail("the template's variables are nested more than 500 deep");
  if (value instanceof PyObject) return value;
  if (value instanceof PythonFloat) return value.value;
  if (Array.isArray(value)) return value.map((item) => fromJavaScript(item, depth + 1));
  if (typeof value !== "object" || (Symbol.iterator in value && !(value instanceof Map))) {
    return fail(`a ${typeof value} cannot be passed to a template, only JSON-compatible values`);
  }
  const entries: Iterable<readonly [unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  const dict = new Dict();
  for (const [key, item] of entries) {
    if (item !== undefined) dict.set(fromJavaScript(key, depth + 1), fromJavaScript(item, depth + 1));
  }
  return dict;
}
