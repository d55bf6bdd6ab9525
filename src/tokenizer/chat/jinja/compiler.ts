/** @file Compiles a template's syntax tree to functions, with each name resolved to an identifier of its frame. */
import { sliceOf } from "./access.js";
import { checkText, fail, TemplateFailure } from "./failure.js";
import { FILTERS, TESTS } from "./filters.js";
import { calculate } from "./numbers.js";
import type { CallNodes, Comparison, Expression, Parameter, Statement, Target } from "./parser.js";
import { isTrue, LoopContext, type Runtime, Variables } from "./runtime.js";
import { readNames, Symbols } from "./scopes.js";
import {
  atMost,
  type CallArguments,
  Callable,
  contains,
  Dict,
  equal,
  hashOf,
  Iter,
  isText,
  iterate,
  type Keywords,
  lessThan,
  listOf,
  Namespace,
  numberOf,
  orElse,
  quote,
  str,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** Ends a body early. */
type Signal = "break" | "continue" | undefined;
type Run = (rt: Runtime) => Signal;
type Evaluate = (rt: Runtime) => Value;
type Assign = (rt: Runtime, value: Value) => void;

interface Frame {
  readonly symbols: Symbols;
  /** Within an `if`, where an unknown filter is an error only when it runs. */
  readonly soft: boolean;
  /** Within a loop, in this function or around it. */
  readonly inLoop: boolean;
  /** Names of the caller's own filters. */
  readonly filters: ReadonlySet<string>;
}

const inner = (frame: Frame, inLoop = frame.inLoop): Frame => ({
  symbols: new Symbols(frame.symbols),
  soft: false,
  inLoop,
  filters: frame.filters,
});

/** Compiles a template to a function that renders into the runtime's output. */
/** @param filters names of the caller's own filters */
export function compile(
  template: readonly Statement[],
  filters: ReadonlySet<string> = new Set(),
): (rt: Runtime) => void {
  if (readNames(template, ["self"]).size > 0) fail("the variable self is not supported");
  const frame: Frame = { symbols: new Symbols(), soft: false, inLoop: false, filters };
  frame.symbols.see(template);
  const body = compileBody(template, frame);
  const enter = entering(frame);
  return (rt) => {
    enter(rt);
    body(rt);
  };
}

/** Returns a function that sets the initial values of a frame's identifiers. */
function entering({ symbols }: Frame): (rt: Runtime) => void {
  const loads = [...symbols.loads].filter(([, load]) => load.kind !== "parameter");
  return (rt) => {
    for (const [id, load] of loads) {
      rt.variables.set(
        id,
        load.kind === "resolve"
          ? rt.context.get(load.name)
          : load.kind === "alias"
            ? rt.variables.get(load.id)
            : undefined,
      );
    }
  };
}

function leaving({ symbols }: Frame): (rt: Runtime) => void {
  const ids = [...symbols.loads.keys()];
  return (rt) => {
    for (const id of ids) rt.variables.set(id, undefined);
  };
}

function compileBody(body: readonly Statement[], frame: Frame): Run {
  const runs = body.map((statement) => {
    try {
      return { line: statement.line, run: compileStatement(statement, frame) };
    } catch (error) {
      if (error instanceof TemplateFailure) error.line ??= statement.line;
      throw error;
    }
  });
  return (rt) => {
    for (const { line, run } of runs) {
      rt.line = line;
      rt.spend(1);
      const signal = run(rt);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}

function compileStatement(statement: Statement, frame: Frame): Run {
  switch (statement.kind) {
    case "data": {
      const { text } = statement;
      return (rt) => {
        rt.write(text);
        return undefined;
      };
    }
    case "output": {
      const value = compileExpression(statement.value, frame);
      return (rt) => {
        rt.write(str(value(rt)));
        return undefined;
      };
    }
    case "set": {
      const check = checkNamespaces(statement.target, frame);
      const value = compileExpression(statement.value, frame);
      const assign = compileTarget(statement.target, frame);
      return (rt) => {
        check(rt);
        assign(rt, value(rt));
        return undefined;
      };
    }
    case "setBlock": {
      const block = inner(frame);
      block.symbols.see(statement.body);
      const [enter, leave] = [entering(block), leaving(block)];
      const body = compileBody(statement.body, block);
      const assign = compileTarget(statement.target, frame);
      let text = "";
      const filter =
        statement.filter === undefined
          ? undefined
          : compileExpression(statement.filter, block, (rt) => {
              rt.charge(text);
              return text;
            });
      return (rt) => {
        enter(rt);
        let signal: Signal;
        const made = rt.capture(() => {
          signal = body(rt);
        });
        if (signal !== undefined) return signal;
        text = made;
        assign(rt, filter === undefined ? made : filter(rt));
        leave(rt);
        return undefined;
      };
    }
    case "if": {
      const soft = { ...frame, soft: true };
      const branches = statement.branches.map(({ test, body }) => ({
        test: compileExpression(test, soft),
        body: compileBody(body, soft),
      }));
      const otherwise = compileBody(statement.otherwise, soft);
      return (rt) => {
        for (const { test, body } of branches) if (isTrue(rt, test(rt))) return body(rt);
        return otherwise(rt);
      };
    }
    case "for":
      return compileFor(statement, frame);
    case "macro": {
      const make = compileMacro(statement.name, statement.parameters, statement.body, frame);
      const id = frame.symbols.ref(statement.name);
      return (rt) => {
        rt.variables.set(id, make(rt));
        return undefined;
      };
    }
    case "callBlock": {
      const make = compileMacro(undefined, statement.parameters, statement.body, frame);
      const { call } = statement;
      if (call.kind !== "call") return fail("a call block needs a call");
      const callee = compileExpression(call.callee, frame);
      const args = compileArguments(call.args, frame);
      return (rt) => {
        const caller = make(rt);
        const called = callee(rt);
        const given = args(rt);
        if (given.named.has("caller")) fail("the argument caller is given twice");
        rt.write(
          str(rt.call(called, { positional: given.positional, named: new Map([...given.named, ["caller", caller]]) })),
        );
        return undefined;
      };
    }
    case "filterBlock": {
      const block = inner(frame);
      block.symbols.see(statement.body);
      block.symbols.expression(statement.filter);
      const [enter, leave] = [entering(block), leaving(block)];
      const body = compileBody(statement.body, block);
      let text = "";
      const filter = compileExpression(statement.filter, block, () => text);
      return (rt) => {
        enter(rt);
        let signal: Signal;
        const made = rt.capture(() => {
          signal = body(rt);
        });
        if (signal !== undefined) return signal;
        text = made;
        rt.write(str(filter(rt)));
        leave(rt);
        return undefined;
      };
    }
    case "with": {
      const block = inner(frame);
      for (const [target] of statement.targets) block.symbols.target(target, true);
      block.symbols.see(statement.body);
      const [enter, leave] = [entering(block), leaving(block)];
      const pairs = statement.targets.map(([target, value]) => ({
        assign: compileTarget(target, block),
        value: compileExpression(value, frame),
      }));
      const body = compileBody(statement.body, block);
      return (rt) => {
        enter(rt);
        for (const { assign, value } of pairs) assign(rt, value(rt));
        const signal = body(rt);
        if (signal === undefined) leave(rt);
        return signal;
      };
    }
    case "generation": {
      const make = compileMacro(undefined, [], statement.body, frame);
      return (rt) => {
        const text = str(rt.call(make(rt), { positional: [], named: new Map() }));
        const start = rt.out.length;
        if (rt.buffers > 0) rt.misplaced = true;
        else rt.generated.push({ start, end: start + text.length });
        rt.write(text);
        return undefined;
      };
    }
    case "break":
    case "continue": {
      const { kind } = statement;
      return () => kind;
    }
    default:
      return statement satisfies never;
  }
}

function compileFor(statement: Extract<Statement, { kind: "for" }>, frame: Frame): Run {
  const loop = inner(frame, true);
  const testing = inner(frame, true);
  const elsewhere = inner(frame, true);
  const loopId = loop.symbols.declare("loop");
  loop.symbols.target(statement.target, true);
  loop.symbols.see(statement.body);
  elsewhere.symbols.see(statement.otherwise);
  const over = compileExpression(statement.over, frame);
  const assign = compileTarget(statement.target, loop);
  const body = compileBody(statement.body, loop);
  const otherwise = compileBody(statement.otherwise, elsewhere);
  const [enter, leave] = [entering(loop), leaving(loop)];
  const [enterElse, leaveElse] = [entering(elsewhere), leaving(elsewhere)];

  let filtered = (_rt: Runtime, value: Value): Value => value;
  if (statement.test !== undefined) {
    testing.symbols.target(statement.target, true);
    testing.symbols.expression(statement.test);
    const test = compileExpression(statement.test, testing);
    const assignTested = compileTarget(statement.target, testing);
    const enterTest = entering(testing);
    filtered = (rt, value) => {
      // In Python this is a separate generator function, which runs only as items are requested.
      const variables = new Variables(rt.variables);
      const items = iterate(value);
      const line = rt.line;
      let isEntered = false;
      return new Iter(
        (function* (): Generator<Value> {
          for (;;) {
            const tested = rt.within(variables, (): { readonly item: Value; readonly passes: boolean } | undefined => {
              rt.line = line;
              rt.spend(1);
              if (!isEntered) enterTest(rt);
              isEntered = true;
              const step = items.next();
              if (step.done === true) return undefined;
              assignTested(rt, step.value);
              return { item: step.value, passes: isTrue(rt, test(rt)) };
            });
            if (tested === undefined) return;
            if (tested.passes) yield tested.item;
          }
        })(),
      );
    };
  }

  const run = (rt: Runtime, items: Value, depth0: number, recurse?: (over: Value, depth: number) => string): void => {
    rt.variables.set(loopId, undefined);
    const context = new LoopContext(rt, filtered(rt, items), depth0, recurse);
    let isElse = true;
    for (let item = context.next(); item !== undefined; item = context.next()) {
      assign(rt, item);
      rt.variables.set(loopId, context);
      enter(rt);
      const signal = body(rt);
      if (signal === "break") break;
      // As in Jinja2, an iteration ended by `continue` does not prevent the else.
      if (signal === undefined) isElse = false;
    }
    leave(rt);
    if (isElse && statement.otherwise.length > 0) {
      enterElse(rt);
      otherwise(rt);
      leaveElse(rt);
    }
  };
  if (!statement.recursive) {
    return (rt) => {
      run(rt, over(rt), 0);
      return undefined;
    };
  }
  return (rt) => {
    const outer = rt.variables;
    const recurse = (items: Value, depth: number): string =>
      rt.within(new Variables(outer), () => rt.capture(() => run(rt, items, depth, recurse)));
    rt.write(recurse(over(rt), 0));
    return undefined;
  };
}

/** Compiles a macro, or the `caller` of a call block. It sees the variables around it. */
function compileMacro(
  name: string | undefined,
  parameters: readonly Parameter[],
  body: readonly Statement[],
  frame: Frame,
): (rt: Runtime) => Callable {
  const own = inner(frame);
  own.symbols.parameters(parameters);
  own.symbols.see(body);
  const special = readNames(body, ["caller", "kwargs", "varargs"]);
  const callerParameter = parameters.find((parameter) => parameter.name === "caller");
  const explicitCaller = callerParameter !== undefined;
  const takesCaller = special.has("caller");
  if (takesCaller && explicitCaller && callerParameter.fallback === undefined) {
    fail('the special argument "caller" of a macro must be omitted or have a default');
  }
  const callerId = takesCaller && !explicitCaller ? own.symbols.declare("caller") : undefined;
  const isOwn = (key: string): boolean => parameters.some((parameter) => parameter.name === key);
  const takesKeywords = special.has("kwargs") && !isOwn("kwargs");
  const keywordsId = takesKeywords ? own.symbols.declare("kwargs") : undefined;
  const takesRest = special.has("varargs") && !isOwn("varargs");
  const restId = takesRest ? own.symbols.declare("varargs") : undefined;
  const run = compileBody(body, own);
  const enter = entering(own);
  const names = parameters.map((parameter) => ({
    name: parameter.name,
    id: own.symbols.ref(parameter.name),
    fallback: parameter.fallback === undefined ? undefined : compileExpression(parameter.fallback, own),
  }));
  const shownName = name === undefined ? "None" : quote(name);

  return (rt) => {
    const outer = rt.variables;
    const call = ({ positional, named }: CallArguments): Value => {
      const left = new Map(named);
      const bound = names.map((parameter, index): Value | undefined => {
        if (index < positional.length) return positional[index];
        const value = left.get(parameter.name);
        left.delete(parameter.name);
        return value;
      });
      // An explicit `caller` parameter is always found among the parameters, even if it is not passed.
      const foundCaller = explicitCaller;
      let caller: Value | undefined;
      if (takesCaller && !foundCaller) {
        caller = left.get("caller") ?? rt.access.undefined("No caller defined");
        left.delete("caller");
      }
      if (!takesKeywords && left.size > 0) {
        const [first] = left.keys();
        fail(
          first === "caller" && takesCaller
            ? `macro ${shownName} was invoked with two values for the special caller argument`
            : `macro ${shownName} takes no keyword argument ${quote(first)}`,
        );
      }
      if (!takesRest && positional.length > names.length)
        fail(`macro ${shownName} takes not more than ${names.length} argument(s)`);
      const line = rt.line;
      const text = rt.within(new Variables(outer), () => {
        if (callerId !== undefined) rt.variables.set(callerId, caller);
        if (keywordsId !== undefined) rt.variables.set(keywordsId, Dict.of(left));
        if (restId !== undefined) rt.variables.set(restId, new Tuple(positional.slice(names.length)));
        names.forEach(({ id }, index) => {
          rt.variables.set(id, bound[index]);
        });
        return rt.capture(() => {
          enter(rt);
          names.forEach(({ id, name: parameter, fallback }, index) => {
            if (bound[index] !== undefined) return;
            rt.variables.set(
              id,
              orElse(fallback?.(rt), () => rt.access.undefined(`parameter ${quote(parameter)} was not provided`)),
            );
          });
          run(rt);
        });
      });
      rt.line = line;
      return text;
    };
    const attributes = new Map<string, Value>([
      ["name", name ?? null],
      ["arguments", new Tuple(names.map((parameter) => parameter.name))],
      ["catch_kwargs", takesKeywords],
      ["catch_varargs", takesRest],
      ["caller", takesCaller],
      ["explicit_caller", explicitCaller],
    ]);
    return new Callable("Macro", call, `<Macro ${name === undefined ? "anonymous" : quote(name)}>`, attributes);
  };
}

/** Checks that the target of a dotted assignment is a namespace. */
function checkNamespaces(target: Target, frame: Frame): (rt: Runtime) => void {
  const ids: string[] = [];
  const visit = (each: Target): void => {
    if (each.kind === "tuple") each.items.forEach(visit);
    else if (each.kind === "namespace") ids.push(frame.symbols.ref(each.name));
  };
  visit(target);
  return (rt) => {
    for (const id of ids)
      if (!(rt.variables.get(id) instanceof Namespace)) fail("cannot assign attribute on non-namespace object");
  };
}

function compileTarget(target: Target, frame: Frame): Assign {
  if (target.kind === "tuple") {
    const items = target.items.map((item) => compileTarget(item, frame));
    return (rt, value) => {
      const list = rt.unpack(value, items.length);
      items.forEach((assign, index) => {
        assign(rt, list[index]);
      });
    };
  }
  const id = frame.symbols.ref(target.name);
  if (target.kind === "namespace") {
    const { attribute } = target;
    return (rt, value) => {
      const namespace = rt.variables.get(id);
      if (!(namespace instanceof Namespace)) fail("cannot assign attribute on non-namespace object");
      else namespace.set(attribute, value);
    };
  }
  if (target.name === "loop" && frame.inLoop) fail("the special variable loop cannot be assigned to in a loop");
  return (rt, value) => rt.variables.set(id, value);
}

function compileArguments(
  { positional, named, rest, restNamed }: CallNodes,
  frame: Frame,
): (rt: Runtime) => CallArguments {
  const list = positional.map((each) => compileExpression(each, frame));
  const pairs = named.map(([name, value]) => [name, compileExpression(value, frame)] as const);
  const more = rest === undefined ? undefined : compileExpression(rest, frame);
  const moreNamed = restNamed === undefined ? undefined : compileExpression(restNamed, frame);
  const none: Keywords = new Map();
  return (rt) => {
    const values = list.map((evaluate) => evaluate(rt));
    if (more !== undefined) values.push(...listOf(more(rt)));
    if (pairs.length === 0 && moreNamed === undefined) return { positional: values, named: none };
    const keywords = new Map(pairs.map(([name, evaluate]) => [name, evaluate(rt)]));
    const further = moreNamed?.(rt);
    if (further !== undefined) {
      if (further instanceof Undefined) further.raise();
      if (!(further instanceof Dict)) return fail(`the argument after ** must be a mapping, not ${typeName(further)}`);
      for (const [key, value] of further.entries()) {
        if (!isText(key)) return fail("keywords must be strings");
        if (keywords.has(textOf(key))) return fail(`the argument ${textOf(key)} is given twice`);
        keywords.set(textOf(key), value);
      }
    }
    return { positional: values, named: keywords };
  };
}

const COMPARE: Readonly<Record<Comparison, (a: Value, b: Value) => boolean>> = {
  "==": equal,
  "!=": (a, b) => !equal(a, b),
  "<": (a, b) => lessThan(a, b),
  "<=": (a, b) => atMost(a, b),
  ">": (a, b) => lessThan(b, a, ">"),
  ">=": (a, b) => atMost(b, a),
  in: (a, b) => contains(b, a),
  "not in": (a, b) => !contains(b, a),
};

/** @param block returns the block's text, for a filter that applies to a block instead of a value */
function compileExpression(expression: Expression, frame: Frame, block?: Evaluate): Evaluate {
  const compiled = (each: Expression): Evaluate => compileExpression(each, frame, block);
  switch (expression.kind) {
    case "constant": {
      const { value } = expression;
      return () => value;
    }
    case "name": {
      const { name } = expression;
      const id = frame.symbols.ref(name);
      return (rt) => orElse(rt.variables.get(id), () => rt.access.undefined(`${quote(name)} is undefined`));
    }
    case "tuple":
    case "list": {
      const items = expression.items.map(compiled);
      const isTuple = expression.kind === "tuple";
      return (rt) => {
        rt.spend(items.length);
        const values = items.map((item) => item(rt));
        return isTuple ? new Tuple(values) : values;
      };
    }
    case "dict": {
      const entries = expression.entries.map(([key, value]) => [compiled(key), compiled(value)] as const);
      return (rt) => {
        rt.spend(entries.length);
        const dict = new Dict();
        for (const [key, value] of entries) {
          const one = key(rt);
          hashOf(one);
          dict.set(one, value(rt));
        }
        return dict;
      };
    }
    case "attribute": {
      const of = compiled(expression.of);
      const { name } = expression;
      return (rt) => {
        rt.spend(1);
        return rt.access.attribute(of(rt), name);
      };
    }
    case "item": {
      const of = compiled(expression.of);
      if (expression.key.kind === "slice") {
        const { start, stop, step } = expression.key;
        const [from, to, by] = [start, stop, step].map((bound) => (bound === undefined ? undefined : compiled(bound)));
        return (rt) => {
          const value = of(rt);
          rt.charge(value);
          return sliceOf(value, from?.(rt) ?? null, to?.(rt) ?? null, by?.(rt) ?? null);
        };
      }
      const key = compiled(expression.key);
      return (rt) => {
        const value = of(rt);
        // Indexing takes linear time only in a text.
        if (isText(value)) rt.charge(value);
        else rt.spend(1);
        return rt.access.item(value, key(rt));
      };
    }
    case "slice":
      return fail("a slice is not a value");
    case "call": {
      const callee = compiled(expression.callee);
      const args = compileArguments(expression.args, frame);
      return (rt) => {
        const called = callee(rt);
        return rt.call(called, args(rt));
      };
    }
    case "filter": {
      const { name } = expression;
      if (!frame.soft && name !== "tojson" && !FILTERS.has(name) && !frame.filters.has(name))
        fail(`No filter named ${quote(name)}.`);
      const of = expression.of === undefined ? block : compiled(expression.of);
      if (of === undefined) return fail("a filter has no value");
      const args = compileArguments(expression.args, frame);
      return (rt) => {
        const value = of(rt);
        return rt.filter(name, value, args(rt));
      };
    }
    case "test": {
      const { name } = expression;
      if (!frame.soft && !TESTS.has(name)) fail(`No test named ${quote(name)}.`);
      const of = compiled(expression.of);
      const args = compileArguments(expression.args, frame);
      return (rt) => {
        const value = of(rt);
        return rt.test(name, value, args(rt));
      };
    }
    case "unary": {
      const of = compiled(expression.of);
      const { operator } = expression;
      if (operator === "not") return (rt) => !isTrue(rt, of(rt));
      return (rt) => {
        const value = of(rt);
        if (value instanceof Undefined) return value.raise();
        const number = numberOf(value) ?? fail(`bad operand type for unary ${operator}: '${typeName(value)}'`);
        if (operator === "+") return number;
        return typeof number === "bigint" ? calculate("-", 0n, number) : -number;
      };
    }
    case "arithmetic": {
      const [left, right] = [compiled(expression.left), compiled(expression.right)];
      const { operator } = expression;
      return (rt) => {
        const a = left(rt);
        const result = rt.arithmetic(operator, a, right(rt));
        rt.charge(result);
        return result;
      };
    }
    case "and": {
      const [left, right] = [compiled(expression.left), compiled(expression.right)];
      return (rt) => {
        const value = left(rt);
        return isTrue(rt, value) ? right(rt) : value;
      };
    }
    case "or": {
      const [left, right] = [compiled(expression.left), compiled(expression.right)];
      return (rt) => {
        const value = left(rt);
        return isTrue(rt, value) ? value : right(rt);
      };
    }
    case "concat": {
      const parts = expression.parts.map(compiled);
      return (rt) => {
        let text = "";
        for (const part of parts.map((each) => each(rt))) {
          const more = str(part);
          checkText(text.length + more.length);
          text += more;
        }
        rt.charge(text);
        return text;
      };
    }
    case "compare": {
      const first = compiled(expression.first);
      const rest = expression.rest.map(([operator, value]) => ({ compare: COMPARE[operator], value: compiled(value) }));
      return (rt) => {
        let left = first(rt);
        for (const { compare, value } of rest) {
          const right = value(rt);
          rt.charge(left);
          rt.charge(right);
          if (!compare(left, right)) return false;
          left = right;
        }
        return true;
      };
    }
    case "condition": {
      const soft = { ...frame, soft: true };
      const test = compileExpression(expression.test, soft, block);
      const chosen = compileExpression(expression.chosen, soft, block);
      const otherwise =
        expression.otherwise === undefined ? undefined : compileExpression(expression.otherwise, soft, block);
      const { line } = expression;
      return (rt) => {
        if (isTrue(rt, test(rt))) return chosen(rt);
        if (otherwise !== undefined) return otherwise(rt);
        return new Undefined(
          `the inline if-expression on line ${line} evaluated to false and no else section was defined.`,
        );
      };
    }
    default:
      return expression satisfies never;
  }
}
