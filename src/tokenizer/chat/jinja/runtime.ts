/** @file The runtime of templates: variables, output, operators, calls, and limits of time and memory. */
import { Access, bind, builtin, dictFromKeys, repeat } from "./access.js";
import { checkText, fail, refuse, TemplateFailure } from "./failure.js";
import { CHAT_TOJSON, FILTERS, HTML_TOJSON, type Operation, TESTS } from "./filters.js";
import { formatPercent, formatPercentMarkup } from "./formatting.js";
import { type ArithmeticOperator, calculate } from "./numbers.js";
import {
  type CallArguments,
  Callable,
  Dict,
  equal,
  escapeMarkup,
  Iter,
  intOf,
  isList,
  isText,
  iterate,
  type Keywords,
  listOf,
  Markup,
  Namespace,
  numberOf,
  orElse,
  PyObject,
  quote,
  Range,
  str,
  Tuple,
  textOf,
  truth,
  typeName,
  Undefined,
  type UndefinedKind,
  type Value,
} from "./values.js";

/** Maximum steps of one rendering: a few seconds of work. */
const MAX_STEPS = 10_000_000;
/** Maximum nesting of macros and recursive loops; Python's own limit is similar. */
const MAX_CALLS = 150;
/** Maximum items of a range, as in Jinja2's sandbox. */
const MAX_RANGE = 100_000;

/** Variables of one function of the template, by identifier. A macro also sees the variables around it. */
export class Variables {
  readonly values = new Map<string, Value>();
  constructor(readonly outer?: Variables) {}

  get(id: string): Value | undefined {
    for (let scope: Variables | undefined = this; scope !== undefined; scope = scope.outer) {
      const value = scope.values.get(id);
      if (value !== undefined) return value;
      if (scope.values.has(id)) return undefined;
    }
    return undefined;
  }

  /** @param value undefined if the variable has no value yet */
  set(id: string, value: Value | undefined): void {
    this.values.set(id, value as Value);
  }
}

/** UTF-16 units [start, end) of a text. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

export interface RuntimeOptions {
  readonly undefinedKind: UndefinedKind;
  /** Enables transformers' `tojson`, `raise_exception` and `strftime_now`. */
  readonly chat: boolean;
  readonly now: () => Date;
  /** The caller's own filters. */
  readonly filters: ReadonlyMap<string, Operation<Value>>;
}

export class Runtime {
  readonly access: Access;
  readonly chat: boolean;
  readonly filters: ReadonlyMap<string, Operation<Value>>;
  /** The caller's variables and Jinja2's globals. */
  readonly context: ReadonlyMap<string, Value>;
  variables = new Variables();
  out = "";
  /** Nesting of captured texts, such as a macro's. */
  buffers = 0;
  readonly generated: TextSpan[] = [];
  /** A generation block ran within a macro or another captured text, so its place in the output is unknown. */
  misplaced = false;
  /** The line being executed. */
  line = 1;
  #steps = 0;
  #calls = 0;

  constructor(given: ReadonlyMap<string, Value>, { undefinedKind, chat, now, filters }: RuntimeOptions) {
    this.filters = filters;
    this.access = new Access(undefinedKind);
    this.chat = chat;
    this.context = new Map([...this.#globals(now), ...given]);
  }

  /** @throws TemplateFailure once the step budget is used up */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) fail(`the template takes more than ${MAX_STEPS / 1e6} million steps`);
  }

  /** Spends the cost of traversing a value: less than one step per character or item. */
  charge(value: Value): void {
    if (typeof value === "string") this.spend(1 + (value.length >> 7));
    else if (isList(value)) this.spend(1 + (value.length >> 6));
    else if (value instanceof Markup) this.spend(1 + (value.text.length >> 7));
    else if (value instanceof Dict) this.spend(1 + (value.size >> 6));
    else this.spend(1);
  }

  write(text: string): void {
    this.charge(text);
    checkText(this.out.length + text.length);
    this.out += text;
  }

  /** Runs a part of the template and returns its output instead of writing it. */
  capture(run: () => void): string {
    const before = this.out;
    this.out = "";
    this.buffers++;
    try {
      run();
      return this.out;
    } finally {
      this.out = before;
      this.buffers--;
    }
  }

  /** Runs with other variables, one call level deeper. */
  within<T>(variables: Variables, run: () => T): T {
    if (++this.#calls > MAX_CALLS) fail(`macros or loops call one another more than ${MAX_CALLS} deep`);
    const before = this.variables;
    this.variables = variables;
    try {
      return run();
    } finally {
      this.variables = before;
      this.#calls--;
    }
  }

  filter(name: Value, value: Value, given: CallArguments): Value {
    const found = isText(name) ? this.filterNamed(textOf(name)) : undefined;
    if (found === undefined) return fail(`No filter named ${isText(name) ? quote(textOf(name)) : typeName(name)}.`);
    return this.#operate(found, value, given);
  }

  test(name: Value, value: Value, given: CallArguments): boolean {
    const found = isText(name) ? TESTS.get(textOf(name)) : undefined;
    if (found === undefined) return fail(`No test named ${isText(name) ? quote(textOf(name)) : typeName(name)}.`);
    return this.#operate(found, value, given);
  }

  filterNamed(name: string): Operation<Value> | undefined {
    return name === "tojson" ? (this.chat ? CHAT_TOJSON : HTML_TOJSON) : (this.filters.get(name) ?? FILTERS.get(name));
  }

  #operate<Result extends Value>(found: Operation<Result>, value: Value, given: CallArguments): Result {
    this.charge(value);
    for (const arg of given.positional) this.charge(arg);
    const result = found.run(this, value, given);
    this.charge(result);
    return result;
  }

  call(callee: Value, given: CallArguments): Value {
    if (callee instanceof Undefined) return callee.raise();
    if (!(callee instanceof Callable)) return fail(`'${typeName(callee)}' object is not callable`);
    for (const arg of given.positional) this.charge(arg);
    const result = callee.call(given);
    this.charge(result);
    return result;
  }

  arithmetic(operator: ArithmeticOperator, left: Value, right: Value): Value {
    if (operator === "%" && isText(left)) {
      if (right instanceof Undefined && right.kind === "strict") right.raise();
      return left instanceof Markup ? formatPercentMarkup(left.text, right) : formatPercent(textOf(left), right);
    }
    if (left instanceof Undefined) return left.raise();
    if (right instanceof Undefined) return right.raise();
    const [a, b] = [numberOf(left), numberOf(right)];
    if (a !== undefined && b !== undefined) return calculate(operator, a, b);
    if (operator === "+") {
      if (isText(left) && isText(right)) {
        if (typeof left === "string" && typeof right === "string") {
          checkText(left.length + right.length);
          return left + right;
        }
        return new Markup(escapeMarkup(left).text + escapeMarkup(right).text);
      }
      if (isList(left) && isList(right)) return [...left, ...right];
      if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
    }
    if (operator === "*") {
      const [times, other] = intOf(left) === undefined ? [intOf(right), left] : [intOf(left), right];
      if (times !== undefined && (isText(other) || isList(other) || other instanceof Tuple))
        return repeat(other, times);
    }
    return fail(`unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
  }

  /** Unpacks a value for a tuple of `count` targets. */
  unpack(value: Value, count: number): readonly Value[] {
    const items = iterate(value);
    const list: Value[] = [];
    for (let step = items.next(); step.done !== true; step = items.next()) {
      if (list.length === count) return fail(`too many values to unpack (expected ${count})`);
      list.push(step.value);
    }
    return list.length < count ? fail(`not enough values to unpack (expected ${count}, got ${list.length})`) : list;
  }

  #globals(now: () => Date): [string, Value][] {
    const range = builtin("range", "start stop step", 1, ([first, second, step]) => {
      const [start, stop] = second === undefined ? [0n, first!] : [first!, second];
      const bounds = [start, stop, orElse(step, () => 1n)].map(
        (bound) => intOf(bound) ?? fail(`'${typeName(bound)}' object cannot be interpreted as an integer`),
      );
      if (bounds[2] === 0n) return fail("range() arg 3 must not be zero");
      const made = new Range(bounds[0], bounds[1], bounds[2]);
      return made.length > MAX_RANGE
        ? fail(`Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`)
        : made;
    });
    const dict = new Callable(
      "TemplateDict",
      ({ positional, named }) => dictOf(positional, named),
      undefined,
      new Map([
        ["fromkeys", builtin("fromkeys", "iterable value", 1, ([keys, value]) => dictFromKeys(keys!, value ?? null))],
      ]),
    );
    const namespace = new Callable("type", ({ positional, named }) => {
      const made = new Namespace();
      for (const [key, value] of dictOf(positional, named).entries()) {
        made.set(isText(key) ? textOf(key) : refuse("a namespace with names that are not strings"), value);
      }
      return made;
    });
    const globals: [string, Value][] = [
      ["range", range],
      ["dict", dict],
      ["namespace", namespace],
      ["cycler", new Callable("type", ({ positional }) => new Cycler(positional))],
      ["joiner", new Callable("type", (given) => joiner(orElse(bind("joiner", given, ["sep"], 0)[0], () => ", ")))],
      ["lipsum", new Callable("function", () => refuse("lipsum"))],
    ];
    if (this.chat) {
      globals.push(
        [
          "raise_exception",
          new Callable("function", (given) => fail(str(bind("raise_exception", given, ["message"], 1)[0]!))),
        ],
        [
          "strftime_now",
          new Callable("function", (given) => {
            const format = bind("strftime_now", given, ["format"], 1)[0]!;
            return isText(format)
              ? formatTime(now(), textOf(format))
              : fail(`strftime() argument 1 must be str, not ${typeName(format)}`);
          }),
        ],
      );
    }
    return globals;
  }
}

function dictOf(positional: readonly Value[], named: Keywords): Dict {
  if (positional.length > 1) return fail(`dict expected at most 1 argument, got ${positional.length}`);
  const made = new Dict();
  const [from] = positional;
  if (from instanceof Dict) for (const [key, value] of from.entries()) made.set(key, value);
  else if (from !== undefined) {
    for (const pair of listOf(from)) {
      const both = listOf(pair);
      if (both.length !== 2) return fail(`dictionary update sequence element has length ${both.length}; 2 is required`);
      made.set(both[0], both[1]);
    }
  }
  for (const [key, value] of named) made.set(key, value);
  return made;
}

class Cycler extends PyObject {
  readonly type = "Cycler";
  readonly #items: readonly Value[];
  #at = 0;
  constructor(items: readonly Value[]) {
    super();
    this.#items = items.length === 0 ? fail("at least one item has to be provided") : items;
  }

  override attribute(name: string): Value | undefined {
    if (name === "current") return this.#items[this.#at];
    if (name === "pos") return BigInt(this.#at);
    if (name === "items") return new Tuple(this.#items);
    if (name === "next") {
      return builtin("next", "", 0, () => {
        const item = this.#items[this.#at];
        this.#at = (this.#at + 1) % this.#items.length;
        return item;
      });
    }
    if (name !== "reset") return undefined;
    return builtin("reset", "", 0, () => {
      this.#at = 0;
      return null;
    });
  }
}

function joiner(separator: Value): Callable {
  let used = false;
  return new Callable("Joiner", (given) => {
    bind("joiner", given, [], 0);
    if (used) return separator;
    used = true;
    return "";
  });
}

/** The variable `loop` of a for loop. It reads one item ahead only for `loop.last` and `loop.nextitem`. */
export class LoopContext extends Callable {
  readonly #over: Value;
  #items: Iterator<Value>;
  readonly #rt: Runtime;
  readonly #depth0: number;
  #index0 = -1;
  #length: number | undefined;
  #after: Value | undefined;
  #current: Value | undefined;
  #before: Value | undefined;
  #lastChanged: readonly Value[] | undefined;

  constructor(rt: Runtime, over: Value, depth0 = 0, recurse?: (over: Value, depth: number) => string) {
    super("LoopContext", (given) => {
      if (recurse === undefined) return fail("The loop must have the 'recursive' marker to be called recursively.");
      return recurse(bind("loop", given, ["iterable"], 1)[0]!, depth0 + 1);
    });
    this.#rt = rt;
    this.#over = over;
    this.#items = iterate(over);
    this.#depth0 = depth0;
  }

  /** Returns the next item, or undefined at the end. */
  next(): Value | undefined {
    const item = orElse(this.#after, () => this.#take());
    this.#after = undefined;
    if (item === undefined) return undefined;
    this.#rt.spend(1);
    this.#index0++;
    this.#before = this.#current;
    this.#current = item;
    return item;
  }

  #take(): Value | undefined {
    const step = this.#items.next();
    return step.done === true ? undefined : step.value;
  }

  #peek(): Value | undefined {
    this.#after = orElse(this.#after, () => this.#take());
    return this.#after;
  }

  get length(): number {
    if (this.#length !== undefined) return this.#length;
    if (!(this.#over instanceof Iter)) {
      this.#length = listOf(this.#over).length;
      return this.#length;
    }
    const rest: Value[] = [];
    for (let item = this.#take(); item !== undefined; item = this.#take()) rest.push(item);
    this.#items = rest[Symbol.iterator]();
    this.#length = rest.length + this.#index0 + 1 + (this.#after === undefined ? 0 : 1);
    return this.#length;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index0":
        return BigInt(this.#index0);
      case "index":
        return BigInt(this.#index0 + 1);
      case "length":
        return BigInt(this.length);
      case "revindex0":
        return BigInt(this.length - this.#index0 - 1);
      case "revindex":
        return BigInt(this.length - this.#index0);
      case "first":
        return this.#index0 === 0;
      case "last":
        return this.#peek() === undefined;
      case "depth":
        return BigInt(this.#depth0 + 1);
      case "depth0":
        return BigInt(this.#depth0);
      case "previtem":
        return this.#index0 === 0 ? this.#rt.access.undefined("there is no previous item") : this.#before;
      case "nextitem":
        return orElse(this.#peek(), () => this.#rt.access.undefined("there is no next item"));
      case "cycle":
        return new Callable("method", ({ positional, named }) => {
          if (named.size > 0) return fail("cycle() takes no keyword arguments");
          return positional.length === 0
            ? fail("no items for cycling given")
            : positional[this.#index0 % positional.length];
        });
      case "changed":
        return new Callable("method", ({ positional, named }) => {
          if (named.size > 0) return fail("changed() takes no keyword arguments");
          const last = this.#lastChanged;
          const isSame =
            last !== undefined &&
            last.length === positional.length &&
            last.every((item, index) => equal(item, positional[index]));
          this.#lastChanged = positional;
          return !isSame;
        });
    }
    return undefined;
  }
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

/** strftime in the C locale and local time. */
function formatTime(time: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const dayOfYear = Math.round(
    (Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()) - Date.UTC(time.getFullYear(), 0, 0)) / 864e5,
  );
  const hour12 = time.getHours() % 12 === 0 ? 12 : time.getHours() % 12;
  const parts: Readonly<Record<string, string>> = {
    a: DAYS[time.getDay()].slice(0, 3),
    A: DAYS[time.getDay()],
    b: MONTHS[time.getMonth()].slice(0, 3),
    h: MONTHS[time.getMonth()].slice(0, 3),
    B: MONTHS[time.getMonth()],
    d: two(time.getDate()),
    e: String(time.getDate()).padStart(2, " "),
    f: String(time.getMilliseconds() * 1000).padStart(6, "0"),
    F: `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`,
    H: two(time.getHours()),
    I: two(hour12),
    j: String(dayOfYear).padStart(3, "0"),
    m: two(time.getMonth() + 1),
    M: two(time.getMinutes()),
    n: "\n",
    p: time.getHours() < 12 ? "AM" : "PM",
    R: `${two(time.getHours())}:${two(time.getMinutes())}`,
    S: two(time.getSeconds()),
    T: `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`,
    u: String(time.getDay() === 0 ? 7 : time.getDay()),
    w: String(time.getDay()),
    y: two(time.getFullYear() % 100),
    Y: String(time.getFullYear()),
    z: "",
    Z: "",
    "%": "%",
  };
  return format.replace(/%(-?)([\s\S]?)/g, (whole, bare: string, letter: string) => {
    const value = Object.hasOwn(parts, letter) ? parts[letter] : refuse(`${quote(whole)} in a time format`);
    return bare === "" ? value : /^[\s0]*\d+$/.test(value) ? value.replace(/^[\s0]+(?=\d)/, "") : value;
  });
}

/** Python's truth of a value, as for `if`; costs one step. */
export function isTrue(rt: Runtime, value: Value): boolean {
  rt.spend(1);
  return truth(value);
}

/** Adds the line to a template error. Turns a RangeError, from a full stack or an oversized value, into a template error. */
export function withLine(error: unknown, line: number): unknown {
  if (error instanceof RangeError) {
    const reason = /stack/i.test(error.message)
      ? "its values or calls are nested too deep"
      : "a text or a list is too long";
    return new TemplateFailure(reason, line);
  }
  if (error instanceof TemplateFailure) error.line ??= line;
  return error;
}
