/** @file Jinja2's filters and tests. Unsupported filters (`random`, `urlize` …) fail when they run. */
import { type Access, bind } from "./access.js";
import { checkList, checkText, fail, refuse } from "./failure.js";
import { formatPercent, formatPercentMarkup } from "./formatting.js";
import { toJson } from "./json.js";
import {
  type ArithmeticOperator,
  fixedDigits,
  parseFloatText,
  parseInteger,
  roundFloat,
  roundInt,
  toFloat,
} from "./numbers.js";
import { capitalize, center, isLower, isUpper, replace, splitLines, strip } from "./strings.js";
import {
  atMost,
  type CallArguments,
  Callable,
  charactersOf,
  contains,
  Dict,
  equal,
  escapeMarkup,
  Group,
  hashOf,
  Iter,
  intOf,
  isIterable,
  isList,
  isText,
  iterate,
  lengthOf,
  lessThan,
  listOf,
  Markup,
  Namespace,
  numberOf,
  orElse,
  PyObject,
  points,
  quote,
  Range,
  repr,
  softStr,
  sorted,
  str,
  Tuple,
  textOf,
  truth,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

type Args = readonly (Value | undefined)[];

/** The part of the runtime that filters and tests use. */
export interface Runtime {
  readonly access: Access;
  spend(steps: number): void;
  charge(value: Value): void;
  arithmetic(operator: ArithmeticOperator, left: Value, right: Value): Value;
  filter(name: Value, value: Value, given: CallArguments): Value;
  test(name: Value, value: Value, given: CallArguments): boolean;
}

/** A filter or a test. */
export interface Operation<Result> {
  readonly run: (rt: Runtime, value: Value, given: CallArguments) => Result;
}

/** A filter of the caller's own: takes the value and the positional arguments as text, and returns text. */
export type TextFilter = (text: string, ...given: readonly string[]) => string;

/** Makes a filter from a function of texts; it takes no named arguments. */
export function textOperation(name: string, filter: TextFilter): Operation<Value> {
  return {
    run: (_, value, { positional, named }) => {
      if (named.size > 0) return refuse(`the filter ${name} with named arguments`);
      if (!isText(value)) return fail(`the filter ${name} needs a str, not ${typeName(value)}`);
      return filter(textOf(value), ...positional.map(str));
    },
  };
}

function operation<Result>(
  name: string,
  parameters: string,
  required: number,
  run: (rt: Runtime, value: Value, args: Args) => Result,
): Operation<Result> {
  const names = parameters === "" ? [] : parameters.split(" ");
  return { run: (rt, value, given) => run(rt, value, bind(name, given, names, required)) };
}

/** Applies an operation to the text of a value; Markup stays Markup. */
const onText = (value: Value, run: (text: string) => string): Value => {
  const text = softStr(value);
  return typeof text === "string" ? run(text) : new Markup(run(text.text));
};

function* values(value: Value): Generator<Value> {
  const items = iterate(value);
  for (let step = items.next(); step.done !== true; step = items.next()) yield step.value;
}

function flag(value: Value | undefined, fallback = false): boolean {
  return value === undefined ? fallback : truth(value);
}

function int(value: Value | undefined, fallback: number, what: string): number {
  if (value === undefined) return fallback;
  if (value instanceof Undefined) return value.raise();
  const number = intOf(value);
  return number === undefined ? fail(`${what} must be an int, not ${typeName(value)}`) : Number(number);
}

/** Splits a dotted attribute path; numeric parts become ints. */
function pathOf(attribute: Value): Value[] {
  if (attribute === null) return [];
  if (!isText(attribute)) return [attribute];
  return textOf(attribute)
    .split(".")
    .map((part) => (/^\d+$/.test(part) ? BigInt(part) : part));
}

type Getter = (item: Value) => Value;

const lowered: Getter = (value) => (isText(value) ? onText(value, (text) => text.toLowerCase()) : value);

function getter(rt: Runtime, attribute: Value | undefined, caseSensitive = true, fallback: Value = null): Getter {
  const path = pathOf(attribute ?? null);
  return (item) => {
    let found = item;
    for (const part of path) {
      found = rt.access.item(found, part);
      if (fallback !== null && found instanceof Undefined) found = fallback;
    }
    return caseSensitive ? found : lowered(found);
  };
}

/** For `sort`: several attributes, separated by commas. */
function multiGetter(rt: Runtime, attribute: Value | undefined, caseSensitive: boolean): Getter {
  const many: Value[] =
    attribute !== undefined && isText(attribute) ? textOf(attribute).split(",") : [attribute ?? null];
  const getters = many.map((one) => getter(rt, one, caseSensitive));
  return (item) => getters.map((get) => get(item));
}

function extreme(
  rt: Runtime,
  value: Value,
  [caseSensitive, attribute]: Args,
  isBetter: (a: Value, b: Value) => boolean,
): Value {
  const key = getter(rt, attribute, flag(caseSensitive));
  let best: { item: Value; key: Value } | undefined;
  for (const item of values(value)) {
    const own = key(item);
    if (best === undefined || isBetter(own, best.key)) best = { item, key: own };
  }
  return best === undefined ? rt.access.undefined("No aggregated item, sequence was empty.") : best.item;
}

function generator(items: Generator<Value>): Iter {
  return new Iter(items);
}

function selection(isSelected: boolean, byAttribute: boolean): Operation<Value> {
  return {
    run: (rt, value, { positional, named }) =>
      generator(
        (function* () {
          if (!truth(value)) return;
          let given = positional;
          let get: Getter = (item) => item;
          if (byAttribute) {
            if (given.length === 0) fail("Missing parameter for attribute name");
            get = getter(rt, given[0]);
            given = given.slice(1);
          }
          const [name, ...args] = given;
          const passes = (item: Value): boolean =>
            name === undefined ? truth(item) : rt.test(name, item, { positional: args, named });
          for (const item of values(value)) {
            rt.spend(1);
            if (passes(get(item)) === isSelected) yield item;
          }
        })(),
      ),
  };
}

const UNSUPPORTED = ["pprint", "random", "urlize", "wordwrap"];

const URL_SAFE = /^[A-Za-z0-9_.~-]$/;
function urlQuote(value: Value, slash: boolean): string {
  const bytes = new TextEncoder().encode(str(value));
  return Array.from(bytes, (byte) => {
    const char = String.fromCharCode(byte);
    if (URL_SAFE.test(char) || (slash && char === "/")) return char;
    return !slash && char === " " ? "+" : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

function stripTags(text: string): string {
  for (const [open, close] of [
    ["<!--", "-->"],
    ["<", ">"],
  ] as const) {
    let out = "";
    let at = 0;
    for (;;) {
      const start = text.indexOf(open, at);
      const end = start < 0 ? -1 : text.indexOf(close, start);
      if (end < 0) break;
      out += text.slice(at, start);
      at = end + close.length;
    }
    text = out + text.slice(at);
  }
  if (text.includes("&")) refuse("striptags of a text with entities");
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: Python treats them as white space
      .split(/[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/)
      .filter((word) => word !== "")
      .join(" ")
  );
}

function rounded(value: Value, precision: number, method: string): Value {
  if (!["common", "ceil", "floor"].includes(method)) return fail("method must be common, ceil or floor");
  if (value instanceof Undefined) return value.raise();
  const number = numberOf(value);
  if (number === undefined) return fail(`type ${typeName(value)} doesn't define __round__ method`);
  if (method === "common")
    return typeof number === "bigint" ? roundInt(number, precision) : roundFloat(number, precision);
  const roundUnit = method === "ceil" ? Math.ceil : Math.floor;
  if (precision >= 0 && precision <= 22) {
    const unit = 10 ** precision;
    if (typeof number === "bigint") return toFloat(number * 10n ** BigInt(precision)) / unit;
    const scaled = roundUnit(number * unit);
    if (!Number.isFinite(scaled)) return fail("cannot convert float infinity or NaN to integer");
    return (scaled === 0 ? 0 : scaled) / unit;
  }
  return refuse(`round with a precision of ${precision} by ${method}`);
}

function toInt(value: Value, fallback: Value, base: number): Value {
  if (value instanceof Undefined) return value.raise();
  const fromFloat = (float: number, whole: Value): Value => {
    if (Number.isNaN(float)) return whole;
    return Number.isFinite(float) ? BigInt(Math.trunc(float)) : whole;
  };
  if (isText(value)) {
    const whole = parseInteger(textOf(value), base);
    if (whole !== undefined) return whole;
    const float = parseFloatText(textOf(value));
    return float === undefined ? fallback : fromFloat(float, fallback);
  }
  const number = numberOf(value);
  if (typeof number === "bigint") return number;
  if (number === undefined) return fallback;
  if (Number.isFinite(number)) return BigInt(Math.trunc(number));
  return Number.isNaN(number) ? fallback : fail("cannot convert float infinity to integer");
}

const PREFIXES = [
  ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
  ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
] as const;

function fileSize(value: Value, binary: boolean): string {
  const bytes = isText(value) ? parseFloatText(textOf(value)) : numberOf(value);
  if (bytes === undefined) return fail(`could not convert ${repr(value)} to float`);
  const size = Number(bytes);
  const base = binary ? 1024 : 1000;
  if (size === 1) return "1 Byte";
  if (size < base) return `${Math.trunc(size)} Bytes`;
  const prefixes = PREFIXES[binary ? 1 : 0];
  for (let i = 0; i < 6; i++) {
    const unit = base ** (i + 2);
    if (size < unit) return `${fixedDigits((base * size) / unit, 1)} ${prefixes[i]}`;
  }
  return refuse("a file size beyond an exabyte");
}

const filter = (
  name: string,
  parameters: string,
  required: number,
  run: (rt: Runtime, value: Value, args: Args) => Value,
): [string, Operation<Value>] => [name, operation(name, parameters, required, run)];

const escapeFilter = (name: string) => filter(name, "", 0, (_, value) => escapeMarkup(value));
const defaultFilter = (name: string) =>
  filter(name, "default_value boolean", 0, (_, value, [fallback, boolean]) =>
    value instanceof Undefined || (flag(boolean) && !truth(value)) ? orElse(fallback, () => "") : value,
  );
const lengthFilter = (name: string) =>
  filter(name, "", 0, (_, value) =>
    BigInt(lengthOf(value) ?? fail(`object of type '${typeName(value)}' has no len()`)),
  );

export const FILTERS: ReadonlyMap<string, Operation<Value>> = new Map<string, Operation<Value>>([
  filter("abs", "", 0, (_, value) => {
    const number = numberOf(value) ?? fail(`bad operand type for abs(): '${typeName(value)}'`);
    return typeof number === "bigint" ? (number < 0n ? -number : number) : Math.abs(number);
  }),
  filter("attr", "name", 1, (rt, value, [name]) => {
    if (!isText(name!)) return fail("the name of an attribute must be a str");
    // Unlike the dot operator, this filter ignores a dict's items.
    return value instanceof Dict && rt.access.attribute(new Dict(), textOf(name)) instanceof Undefined
      ? rt.access.undefined(`'dict object' has no attribute ${quote(textOf(name))}`)
      : rt.access.attribute(value, textOf(name));
  }),
  filter("batch", "linecount fill_with", 1, (_, value, [count, fill]) => {
    const size = int(count, 0, "linecount");
    return generator(
      (function* () {
        let line: Value[] = [];
        for (const item of values(value)) {
          if (line.length === size) {
            yield line;
            line = [];
          }
          line.push(item);
        }
        if (line.length === 0) return;
        if (fill !== undefined && fill !== null) {
          checkList(size);
          while (line.length < size) line.push(fill);
        }
        yield line;
      })(),
    );
  }),
  filter("capitalize", "", 0, (_, value) => onText(value, capitalize)),
  filter("center", "width", 0, (_, value, [width]) =>
    onText(value, (text) => center(text, int(width, 80, "width"), " ")),
  ),
  lengthFilter("count"),
  defaultFilter("d"),
  defaultFilter("default"),
  filter("dictsort", "case_sensitive by reverse", 0, (_, value, [caseSensitive, by, reverse]) => {
    if (by !== undefined && by !== "key" && by !== "value") return fail('You can only sort by either "key" or "value"');
    if (value instanceof Undefined) return value.raise();
    if (!(value instanceof Dict)) return fail(`'${typeName(value)}' object has no attribute 'items'`);
    const at = by === "value" ? 1 : 0;
    const key: Getter = (item) => {
      const own = (item as Tuple).items[at];
      return flag(caseSensitive) ? own : lowered(own);
    };
    return sorted([...new View(value, "items")], key, flag(reverse));
  }),
  escapeFilter("e"),
  escapeFilter("escape"),
  filter("filesizeformat", "binary", 0, (_, value, [binary]) => fileSize(value, flag(binary))),
  filter("first", "", 0, (rt, value) => {
    const step = iterate(value).next();
    return step.done === true ? rt.access.undefined("No first item, sequence was empty.") : step.value;
  }),
  filter("float", "default", 0, (_, value, [fallback]) => {
    if (value instanceof Undefined) return value.raise();
    if (isText(value)) return parseFloatText(textOf(value)) ?? orElse(fallback, () => 0);
    const number = numberOf(value);
    if (typeof number === "bigint") return toFloat(number);
    return number ?? orElse(fallback, () => 0);
  }),
  filter("forceescape", "", 0, (_, value) => escapeMarkup(str(value))),
  [
    "format",
    {
      run: (_, value, { positional, named }) => {
        if (positional.length > 0 && named.size > 0)
          return fail("can't handle positional and keyword arguments at the same time");
        const given = named.size > 0 ? Dict.of(named) : new Tuple(positional);
        const text = softStr(value);
        return typeof text === "string" ? formatPercent(text, given) : formatPercentMarkup(text.text, given);
      },
    },
  ],
  filter("groupby", "attribute default case_sensitive", 1, (rt, value, [attribute, fallback, caseSensitive]) => {
    const key = getter(rt, attribute, flag(caseSensitive), fallback);
    const shown = getter(rt, attribute, true, fallback);
    const groups: { key: Value; items: Value[] }[] = [];
    for (const item of sorted(listOf(value), key, false)) {
      const own = key(item);
      const last = groups.at(-1);
      if (last !== undefined && equal(last.key, own)) last.items.push(item);
      else groups.push({ key: own, items: [item] });
    }
    return groups.map(({ items }) => new Group([shown(items[0]), items]));
  }),
  filter("indent", "width first blank", 0, (_, value, [width, first, blank]) => {
    if (value instanceof Undefined) return value.raise();
    if (!isText(value)) return fail(`'indent' needs a str, not ${typeName(value)}`);
    const indention =
      width !== undefined && isText(width) ? textOf(width) : " ".repeat(checked(int(width, 4, "width")));
    const lines = splitLines(`${textOf(value)}\n`, false);
    checkText(textOf(value).length + lines.length * (indention.length + 1));
    if (value instanceof Markup && width !== undefined && isText(width)) refuse("indent of safe text by a text");
    const out = lines
      .map((line, index) =>
        (index === 0 ? flag(first) : true) && (index === 0 || flag(blank) || line !== "") ? indention + line : line,
      )
      .join("\n");
    return value instanceof Markup ? new Markup(out) : out;
  }),
  filter("int", "default base", 0, (_, value, [fallback, base]) =>
    toInt(
      value,
      orElse(fallback, () => 0n),
      int(base, 10, "base"),
    ),
  ),
  filter("items", "", 0, (_, value) => {
    return generator(
      (function* () {
        if (value instanceof Undefined) return;
        if (!(value instanceof Dict)) fail("Can only get item pairs from a mapping.");
        yield* new View(value as Dict, "items");
      })(),
    );
  }),
  filter("join", "d attribute", 0, (rt, value, [separator, attribute]) => {
    const between = str(orElse(separator, () => ""));
    const get = attribute === undefined || attribute === null ? (item: Value): Value => item : getter(rt, attribute);
    const parts: string[] = [];
    let size = 0;
    for (const item of values(value)) {
      const part = str(get(item));
      size += part.length + between.length;
      checkText(size);
      parts.push(part);
    }
    return parts.join(between);
  }),
  filter("last", "", 0, (rt, value) => {
    if (value instanceof Undefined) value.check();
    else if (isText(value) || isList(value) || value instanceof PyObject) {
      if (value instanceof Iter || value instanceof Namespace || value instanceof Callable)
        return fail(`'${typeName(value)}' object is not reversible`);
    } else return fail(`'${typeName(value)}' object is not reversible`);
    const list = listOf(value);
    return list.length > 0 ? list.at(-1)! : rt.access.undefined("No last item, sequence was empty.");
  }),
  lengthFilter("length"),
  filter("list", "", 0, (_, value) => {
    if (value instanceof Range) checkList(value.length);
    return listOf(value);
  }),
  filter("lower", "", 0, (_, value) => onText(value, (text) => text.toLowerCase())),
  [
    "map",
    {
      run: (rt, value, { positional, named }) =>
        generator(
          (function* () {
            if (!truth(value)) return;
            let run: Getter;
            const attribute = named.get("attribute");
            if (positional.length === 0 && attribute !== undefined) {
              const other = [...named.keys()].find((key) => key !== "attribute" && key !== "default");
              if (other !== undefined) fail(`Unexpected keyword argument ${quote(other)}`);
              run = getter(rt, attribute, true, named.get("default") ?? null);
            } else {
              if (positional.length === 0) fail("map requires a filter argument");
              const [name, ...args] = positional;
              run = (item) => rt.filter(name, item, { positional: args, named });
            }
            for (const item of values(value)) {
              rt.spend(1);
              yield run(item);
            }
          })(),
        ),
    },
  ],
  filter("max", "case_sensitive attribute", 0, (rt, value, args) =>
    extreme(rt, value, args, (a, b) => lessThan(b, a, ">")),
  ),
  filter("min", "case_sensitive attribute", 0, (rt, value, args) => extreme(rt, value, args, lessThan)),
  ["reject", selection(false, false)],
  ["rejectattr", selection(false, true)],
  filter("replace", "old new count", 2, (_, value, [from, to, count]) => {
    const most = count === undefined || count === null ? -1 : int(count, -1, "count");
    return replace(str(value), str(from!), str(to!), most);
  }),
  filter("reverse", "", 0, (_, value) => {
    if (isText(value)) return onText(value, (text) => charactersOf(text).toReversed().join(""));
    const list = listOf(value).reverse();
    // Python's reversed() returns an iterator; for a generator, Jinja2 returns a list.
    return value instanceof Iter ? list : new Iter(list[Symbol.iterator]());
  }),
  filter("round", "precision method", 0, (_, value, [precision, method]) => {
    return rounded(value, int(precision, 0, "precision"), method === undefined ? "common" : str(method));
  }),
  filter("safe", "", 0, (_, value) => (value instanceof Markup ? value : new Markup(str(value)))),
  ["select", selection(true, false)],
  ["selectattr", selection(true, true)],
  filter("slice", "slices fill_with", 1, (_, value, [count, fill]) => {
    const slices = int(count, 0, "slices");
    return generator(
      (function* () {
        const list = listOf(value);
        if (slices === 0) fail("integer division or modulo by zero");
        const each = Math.floor(list.length / slices);
        const longer = list.length - each * slices;
        let offset = 0;
        for (let number = 0; number < slices; number++) {
          const start = offset + number * each;
          if (number < longer) offset++;
          const part = list.slice(start, offset + (number + 1) * each);
          if (fill !== undefined && fill !== null && number >= longer) part.push(fill);
          yield part;
        }
      })(),
    );
  }),
  filter("sort", "reverse case_sensitive attribute", 0, (rt, value, [reverse, caseSensitive, attribute]) =>
    sorted(listOf(value), multiGetter(rt, attribute, flag(caseSensitive)), flag(reverse)),
  ),
  filter("string", "", 0, (_, value) => softStr(value)),
  filter("striptags", "", 0, (_, value) => stripTags(str(value))),
  filter("sum", "attribute start", 0, (rt, value, [attribute, start]) => {
    const get = attribute === undefined || attribute === null ? (item: Value): Value => item : getter(rt, attribute);
    let sum: Value = orElse(start, () => 0n);
    if (isText(sum)) return fail("sum() can't sum strings [use ''.join(seq) instead]");
    // Python 3.12 sums floats with compensation, earlier versions do not.
    let compensation = 0;
    for (const item of values(value)) {
      const next = get(item);
      const before: Value = sum;
      sum = rt.arithmetic("+", sum, next);
      if (typeof sum === "number") {
        const [x, y] = [Number(before), Number(next)];
        compensation += Math.abs(x) >= Math.abs(y) ? x - sum + y : y - sum + x;
      }
      rt.charge(sum);
    }
    if (typeof sum === "number" && Number.isFinite(sum) && sum + compensation !== sum) {
      return refuse("a sum of floats that depends on the version of Python");
    }
    return sum;
  }),
  filter("title", "", 0, (_, value) => {
    const pieces = str(softStr(value)).split(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: Python treats them as white space
      /([-\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000({[<]+)/,
    );
    return pieces
      .map((piece) => {
        const [first = ""] = piece;
        return first.toUpperCase() + piece.slice(first.length).toLowerCase();
      })
      .join("");
  }),
  filter("trim", "chars", 0, (_, value, [chars]) => {
    const set =
      chars === undefined || chars === null
        ? undefined
        : isText(chars)
          ? textOf(chars)
          : fail("strip arg must be None or str");
    return onText(value, (text) => strip(text, set, "both"));
  }),
  filter("truncate", "length killwords end leeway", 0, (_, value, [length, killWords, end, leeway]) => {
    if (!isText(value)) return fail(`'truncate' needs a str, not ${typeName(value)}`);
    if (value instanceof Markup) return refuse("truncate of safe text");
    const most = int(length, 255, "length");
    const tail = end === undefined ? "..." : isText(end) ? textOf(end) : fail("end must be a str");
    const more = leeway === undefined || leeway === null ? 5 : int(leeway, 5, "leeway");
    if (most < points(tail)) return fail(`expected length >= ${points(tail)}, got ${most}`);
    if (more < 0) return fail(`expected leeway >= 0, got ${more}`);
    const list = charactersOf(value);
    if (list.length <= most + more) return value;
    const head = list.slice(0, most - points(tail)).join("");
    if (flag(killWords)) return head + tail;
    const space = head.lastIndexOf(" ");
    return (space < 0 ? head : head.slice(0, space)) + tail;
  }),
  filter("unique", "case_sensitive attribute", 0, (rt, value, [caseSensitive, attribute]) => {
    const key = getter(rt, attribute, flag(caseSensitive));
    return generator(
      (function* () {
        const seen = new Set<string>();
        for (const item of values(value)) {
          const hash = hashOf(key(item));
          if (seen.has(hash)) continue;
          seen.add(hash);
          yield item;
        }
      })(),
    );
  }),
  filter("upper", "", 0, (_, value) => onText(value, (text) => text.toUpperCase())),
  filter("urlencode", "", 0, (_, value) => {
    if (isText(value) || !isIterable(value)) return urlQuote(value, true);
    const pairs = value instanceof Dict ? [...new View(value, "items")] : listOf(value);
    return pairs
      .map((pair) => {
        const both = listOf(pair);
        return both.length === 2
          ? `${urlQuote(both[0], false)}=${urlQuote(both[1], false)}`
          : fail("expected pairs of a key and a value");
      })
      .join("&");
  }),
  filter("wordcount", "", 0, (_, value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)),
  filter("xmlattr", "autospace", 0, (_, value, [autospace]) => {
    if (!(value instanceof Dict)) return fail(`'${typeName(value)}' object has no attribute 'items'`);
    const parts: string[] = [];
    for (const [key, item] of value.entries()) {
      if (item === null || item instanceof Undefined) continue;
      if (!isText(key)) return fail("expected a str as the name of an attribute");
      if (/[ \t\n\r\f\v/>=]/.test(textOf(key)))
        return fail(`Invalid character in attribute name: ${quote(textOf(key))}`);
      parts.push(`${escapeMarkup(key).text}="${escapeMarkup(item).text}"`);
    }
    return (flag(autospace, true) && parts.length > 0 ? " " : "") + parts.join(" ");
  }),
  ...UNSUPPORTED.map((name): [string, Operation<Value>] => [name, { run: () => refuse(`the filter ${name}`) }]),
]);

/** The `tojson` of transformers. */
export const CHAT_TOJSON = operation(
  "tojson",
  "ensure_ascii indent separators sort_keys",
  0,
  (_, value, [ensureAscii, indent, separators, sortKeys]) => {
    const parts = separators === undefined || separators === null ? undefined : listOf(separators);
    if (parts !== undefined && (parts.length !== 2 || !parts.every(isText)))
      return fail("separators must be two strings");
    const level = indentOf(indent);
    return toJson(value, {
      ensureAscii: flag(ensureAscii),
      indent: level,
      itemSeparator: parts === undefined ? (level === undefined ? ", " : ",") : textOf(parts[0] as string),
      keySeparator: parts === undefined ? ": " : textOf(parts[1] as string),
      sortKeys: flag(sortKeys),
    });
  },
);

/** The `tojson` of Jinja2: safe within HTML, keys sorted. */
export const HTML_TOJSON = operation("tojson", "indent", 0, (_, value, [indent]) => {
  const level = indentOf(indent);
  const text = toJson(value, {
    ensureAscii: true,
    indent: level,
    itemSeparator: level === undefined ? ", " : ",",
    keySeparator: ": ",
    sortKeys: true,
  });
  return new Markup(text.replace(/[<>&']/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`));
});

function indentOf(value: Value | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (isText(value)) return textOf(value);
  return " ".repeat(checked(int(value, 0, "indent")));
}

function checked(width: number): number {
  checkText(width);
  return Math.max(0, width);
}

const test = (
  names: string,
  parameters: string,
  run: (value: Value, args: readonly Value[], rt: Runtime) => boolean,
): [string, Operation<boolean>][] =>
  names
    .split(" ")
    .map((name) => [
      name,
      operation(name, parameters, parameters === "" ? 0 : parameters.split(" ").length, (rt, value, args) =>
        run(value, args as Value[], rt),
      ),
    ]);

const remainder = (rt: Runtime, value: Value, by: Value): Value => rt.arithmetic("%", value, by);

function isSame(a: Value, b: Value): boolean {
  if (a === null || typeof a === "boolean" || b === null || typeof b === "boolean") return a === b;
  const simple = (value: Value): boolean => !(value instanceof PyObject) && !isList(value);
  if (simple(a) && simple(b) && typeof a === typeof b && a === b) return refuse("sameas for equal numbers or strings");
  return a === b && !simple(a);
}

export const TESTS: ReadonlyMap<string, Operation<boolean>> = new Map<string, Operation<boolean>>([
  ...test("odd", "", (value, _, rt) => equal(remainder(rt, value, 2n), 1n)),
  ...test("even", "", (value, _, rt) => equal(remainder(rt, value, 2n), 0n)),
  ...test("divisibleby", "num", (value, [by], rt) => equal(remainder(rt, value, by), 0n)),
  ...test("defined", "", (value) => !(value instanceof Undefined)),
  ...test("undefined", "", (value) => value instanceof Undefined),
  ...test("filter", "", (value) => FILTERS.has(nameOf(value)) || value === "tojson"),
  ...test("test", "", (value) => TESTS.has(nameOf(value))),
  ...test("none", "", (value) => value === null),
  ...test("boolean", "", (value) => typeof value === "boolean"),
  ...test("false", "", (value) => value === false),
  ...test("true", "", (value) => value === true),
  ...test("integer", "", (value) => typeof value === "bigint"),
  ...test("float", "", (value) => typeof value === "number"),
  ...test("lower", "", (value) => isLower(str(value))),
  ...test("upper", "", (value) => isUpper(str(value))),
  ...test("string", "", isText),
  ...test("mapping", "", (value) => value instanceof Dict),
  ...test("number", "", (value) => numberOf(value) !== undefined),
  ...test("sequence", "", (value) => {
    if (value instanceof Undefined) return value.kind !== "strict";
    return isText(value) || isList(value) || value instanceof Tuple || value instanceof Dict || value instanceof Range;
  }),
  ...test("iterable", "", isIterable),
  ...test("callable", "", (value) => value instanceof Callable || value instanceof Undefined),
  ...test("sameas", "other", (value, [other]) => isSame(value, other)),
  ...test("escaped", "", (value) => value instanceof Markup),
  ...test("in", "seq", (value, [container]) => contains(container, value)),
  ...test("== eq equalto", "other", (value, [other]) => equal(value, other)),
  ...test("!= ne", "other", (value, [other]) => !equal(value, other)),
  ...test("> gt greaterthan", "other", (value, [other]) => lessThan(other, value, ">")),
  ...test(">= ge", "other", (value, [other]) => atMost(other, value)),
  ...test("< lt lessthan", "other", (value, [other]) => lessThan(value, other)),
  ...test("<= le", "other", (value, [other]) => atMost(value, other)),
]);

function nameOf(value: Value): string {
  hashOf(value);
  return isText(value) ? textOf(value) : "";
}
