/** @file Attributes, items, slices and methods of values, with the limits of Jinja2's sandbox. */
import { checkList, checkText, fail, refuse } from "./failure.js";
import { formatBraces } from "./formatting.js";
import { STRING_METHODS, type StringMethod, UNSUPPORTED_STRING_METHODS } from "./strings.js";
import {
  type CallArguments,
  Callable,
  charactersOf,
  Dict,
  equal,
  escapeMarkup,
  Group,
  Iter,
  intOf,
  isInternal,
  isList,
  isText,
  itemsOf,
  iterate,
  lengthOf,
  Markup,
  orElse,
  PyObject,
  quote,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type UndefinedKind,
  type Value,
  View,
} from "./values.js";

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
/** Mutating methods, which the sandbox hides. */
const CHANGING = {
  list: words("append clear pop reverse insert sort extend remove"),
  dict: words("clear pop popitem setdefault update"),
} as const;
/** Methods that exist in Python, but fail here when called. */
const UNSUPPORTED: Readonly<Record<string, ReadonlySet<string>>> = {
  int: words("as_integer_ratio bit_count bit_length conjugate from_bytes to_bytes"),
  float: words("as_integer_ratio conjugate fromhex hex"),
  range: words("count index"),
  generator: words("close send throw"),
  dict_keys: words("isdisjoint mapping"),
  dict_values: words("mapping"),
  dict_items: words("isdisjoint mapping"),
};

/**
 * Returns the arguments of a call in parameter order, undefined for missing ones.
 * @param byName parameters that may be passed by name; all by default
 */
export function bind(
  name: string,
  { positional, named }: CallArguments,
  parameters: readonly string[],
  required: number,
  byName: readonly string[] = parameters,
): (Value | undefined)[] {
  if (positional.length > parameters.length) {
    return fail(`${name}() takes at most ${parameters.length} arguments (${positional.length} given)`);
  }
  const bound: (Value | undefined)[] = parameters.map((_, index) => positional[index]);
  for (const [key, value] of named) {
    const index = byName.includes(key) ? parameters.indexOf(key) : -1;
    if (index < 0) return fail(`${name}() got an unexpected keyword argument ${quote(key)}`);
    if (bound[index] !== undefined) return fail(`${name}() got multiple values for argument ${quote(key)}`);
    bound[index] = value;
  }
  const missing = bound.findIndex((value, index) => index < required && value === undefined);
  if (missing >= 0) return fail(`${name}() missing the required argument ${quote(parameters[missing])}`);
  return bound;
}

/** Creates a builtin function. It has no repr, since Python's contains its address. */
export function builtin(
  name: string,
  parameters: string,
  required: number,
  run: (args: readonly (Value | undefined)[]) => Value,
): Callable {
  const names = parameters === "" ? [] : parameters.split(" ");
  return new Callable("builtin_function_or_method", (given) => run(bind(name, given, names, required, [])));
}

function stringMethod(
  value: string | Markup,
  name: string,
  { parameters, required, named = [], run, staysMarkup }: StringMethod,
): Callable {
  return new Callable("builtin_function_or_method", (given) => {
    let args = bind(name, given, parameters, required, named);
    if (!(value instanceof Markup)) return run(value, args);
    const escaped = (at: number): void => {
      const arg = args[at];
      if (arg !== undefined) args = args.map((other, index) => (index === at ? escapeMarkup(arg) : other));
    };
    if (name === "replace") escaped(1);
    else if (name === "ljust" || name === "rjust" || name === "center") escaped(1);
    if (name === "join") {
      args = [listEscaped(args[0]!)];
      return new Markup(textOf(run(value.text, args) as string));
    }
    const result = run(value.text, args);
    if (!staysMarkup) return result;
    if (isList(result)) return result.map((part) => new Markup(part as string));
    return result instanceof Tuple
      ? new Tuple(result.items.map((part) => new Markup(part as string)))
      : new Markup(result as string);
  });
}

function listEscaped(value: Value): Value[] {
  const escaped: Value[] = [];
  const items = iterate(value);
  for (let step = items.next(); step.done !== true; step = items.next()) escaped.push(escapeMarkup(step.value));
  return escaped;
}

function dictMethod(dict: Dict, name: string): Callable | undefined {
  if (name === "get") {
    return builtin("get", "key default", 1, ([key, fallback]) => {
      return orElse(dict.get(key!), () => orElse(fallback, () => null));
    });
  }
  if (name === "keys" || name === "values" || name === "items") return builtin(name, "", 0, () => new View(dict, name));
  if (name === "copy") return builtin("copy", "", 0, () => dict);
  if (name === "fromkeys")
    return builtin("fromkeys", "iterable value", 1, ([keys, value]) => dictFromKeys(keys!, value ?? null));
  return undefined;
}

export function dictFromKeys(keys: Value, value: Value): Dict {
  const items = iterate(keys);
  const dict = new Dict();
  for (let step = items.next(); step.done !== true; step = items.next()) dict.set(step.value, value);
  return dict;
}

function sequenceMethod(value: Value, items: readonly Value[], name: string): Callable | undefined {
  if (name === "copy" && isList(value)) return builtin("copy", "", 0, () => value);
  if (name === "count") {
    return builtin("count", "value", 1, ([sought]) =>
      BigInt(items.filter((item) => item === sought || equal(item, sought!)).length),
    );
  }
  if (name === "index") {
    return builtin("index", "value start stop", 1, ([sought, start, stop]) => {
      if (start !== undefined || stop !== undefined) refuse("index with bounds");
      const at = items.findIndex((item) => item === sought || equal(item, sought!));
      return at < 0 ? fail(`the value is not in the ${typeName(value)}`) : BigInt(at);
    });
  }
  return undefined;
}

/** Looks up attributes and items with the environment's kind of undefined. */
export class Access {
  constructor(readonly undefinedKind: UndefinedKind) {}

  undefined(message: string): Undefined {
    return new Undefined(message, this.undefinedKind);
  }

  /** Evaluates `of.name`: an attribute, or else an item. */
  attribute(of: Value, name: string): Value {
    if (of instanceof Undefined) return of.kind === "chainable" && !/^__.*__$/.test(name) ? of : of.raise();
    const own = this.#own(of, name);
    if (own !== undefined) return own;
    const item = of instanceof Dict && !isInternal(name) ? of.get(name) : undefined;
    return orElse(item, () => this.#none(of, name));
  }

  /** Evaluates `of[key]`: an item, or else an attribute. */
  item(of: Value, key: Value): Value {
    if (of instanceof Undefined) return of.kind === "chainable" ? of : of.raise();
    const index = intOf(key);
    if (of instanceof Dict) {
      const found = isList(key) || key instanceof Dict ? undefined : of.get(key);
      if (found !== undefined) return found;
    } else if (index !== undefined) {
      const found = itemAt(of, index);
      if (found !== undefined) return found;
    }
    if (isText(key)) {
      const own = this.#own(of, textOf(key));
      if (own !== undefined) return own;
      return this.#none(of, textOf(key));
    }
    return this.undefined(`${shownType(of)} has no such element`);
  }

  #none(of: Value, name: string): Undefined {
    return this.undefined(`${quote(shownType(of))} has no attribute ${quote(name)}`);
  }

  /** Python's getattr; returns an `Undefined` for attributes that the sandbox hides. */
  #own(of: Value, name: string): Value | undefined {
    if (name.startsWith("_")) return undefined;
    if (isText(of)) {
      if (name === "format" || name === "format_map") return this.#format(of, name);
      const method = Object.hasOwn(STRING_METHODS, name) ? STRING_METHODS[name] : undefined;
      if (method !== undefined) return stringMethod(of, name, method);
      if (UNSUPPORTED_STRING_METHODS.has(name)) return unsupported(name);
      return of instanceof Markup && (name === "striptags" || name === "unescape" || name === "escape")
        ? unsupported(name)
        : undefined;
    }
    if (isList(of)) return CHANGING.list.has(name) ? this.#hidden(name) : sequenceMethod(of, of, name);
    if (of instanceof Dict) return CHANGING.dict.has(name) ? this.#hidden(name) : dictMethod(of, name);
    if (of instanceof Group) return orElse(of.attribute(name), () => sequenceMethod(of, of.items, name));
    if (of instanceof Tuple) return sequenceMethod(of, of.items, name);
    if (of instanceof Range) {
      if (name === "start" || name === "stop" || name === "step") return of[name];
    } else if (typeof of === "bigint" || typeof of === "boolean") {
      if (name === "real" || name === "numerator") return intOf(of)!;
      if (name === "imag") return 0n;
      if (name === "denominator") return 1n;
    } else if (typeof of === "number") {
      if (name === "real") return of;
      if (name === "imag") return 0;
      if (name === "is_integer") return builtin(name, "", 0, () => Number.isInteger(of));
    } else if (of instanceof PyObject) {
      const own = of.attribute(name);
      if (own !== undefined) return own;
    }
    const type = typeof of === "boolean" ? "int" : of instanceof Iter ? "generator" : typeName(of);
    if (of instanceof Iter && name.startsWith("gi_")) return refuse(`the attribute ${name} of a generator`);
    return UNSUPPORTED[type]?.has(name) ? unsupported(name) : undefined;
  }

  #hidden(name: string): Undefined {
    return this.undefined(`access to the attribute ${quote(name)} is not safe`);
  }

  #format(of: string | Markup, name: string): Callable {
    return new Callable("function", ({ positional, named }) => {
      const text = textOf(of);
      const isMarkup = of instanceof Markup;
      let filled: string;
      if (name === "format") filled = formatBraces(text, positional, named, this, isMarkup);
      else {
        if (positional.length !== 1 || named.size > 0) return fail("format_map() takes exactly one argument");
        if (!(positional[0] instanceof Dict)) return refuse(`format_map with a ${typeName(positional[0])}`);
        filled = formatBraces(text, [], positional[0], this, isMarkup);
      }
      return isMarkup ? new Markup(filled) : filled;
    });
  }
}

function unsupported(name: string): Callable {
  return new Callable("builtin_function_or_method", () => refuse(`the method ${name}`));
}

function shownType(value: Value): string {
  return value === null ? "None" : `${typeName(value)} object`;
}

function itemAt(of: Value, index: bigint): Value | undefined {
  const size = of instanceof View || of instanceof Iter ? undefined : lengthOf(of);
  if (size === undefined || !(isText(of) || isList(of) || of instanceof Tuple || of instanceof Range)) return undefined;
  const at = index < 0n ? index + BigInt(size) : index;
  if (at < 0n || at >= BigInt(size)) return undefined;
  const i = Number(at);
  if (isText(of)) {
    const text = textOf(of);
    const char = text.length === size ? text[i] : charactersOf(text)[i];
    return of instanceof Markup ? new Markup(char) : char;
  }
  return of instanceof Range ? of.at(i) : itemsOf(of)![i];
}

/** Evaluates `of[start:stop:step]`; null stands for a missing bound. */
export function sliceOf(of: Value, start: Value, stop: Value, step: Value): Value {
  if (of instanceof Undefined) return of.raise();
  if (of instanceof Range) return refuse("a slice of a range");
  if (!(isText(of) || isList(of) || of instanceof Tuple))
    return fail(`'${typeName(of)}' object is not subscriptable with a slice`);
  const items: readonly Value[] = isText(of) ? charactersOf(textOf(of)) : itemsOf(of)!;
  const size = BigInt(items.length);
  const given = (value: Value): bigint | undefined => {
    if (value === null) return undefined;
    return intOf(value) ?? fail("slice indices must be integers or None or have an __index__ method");
  };
  const by = given(step) ?? 1n;
  if (by === 0n) return fail("slice step cannot be zero");
  const [lowest, highest] = by > 0n ? [0n, size] : [-1n, size - 1n];
  const clip = (value: bigint | undefined, fallback: bigint): number => {
    if (value === undefined) return Number(fallback);
    const at = value < 0n ? value + size : value;
    return Number(at < lowest ? lowest : at > highest ? highest : at);
  };
  const from = clip(given(start), by > 0n ? 0n : size - 1n);
  const to = clip(given(stop), by > 0n ? size : -1n);
  const taken: Value[] = [];
  const stride = Number(by);
  for (let i = from; stride > 0 ? i < to : i > to; i += stride) taken.push(items[i]);
  if (isList(of)) return taken;
  if (of instanceof Tuple) return new Tuple(taken);
  return of instanceof Markup ? new Markup(taken.join("")) : taken.join("");
}

/** Evaluates `value * times` for a text, list or tuple. */
export function repeat(value: string | Markup | readonly Value[] | Tuple, times: bigint): Value {
  const count = times > 0n ? times : 0n;
  if (isText(value)) {
    const text = textOf(value);
    checkText(BigInt(text.length) * count);
    const repeated = text === "" ? "" : text.repeat(Number(count));
    return value instanceof Markup ? new Markup(repeated) : repeated;
  }
  const items = itemsOf(value)!;
  checkList(BigInt(items.length) * count);
  const repeated: Value[] = [];
  if (items.length > 0) for (let i = 0; i < Number(count); i++) repeated.push(...items);
  return isList(value) ? repeated : new Tuple(repeated);
}
