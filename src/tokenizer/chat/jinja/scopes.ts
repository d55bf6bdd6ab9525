/**
 * @file Name resolution. Jinja2 resolves names before a template runs, frame by frame, with visible effects. For
 * example, a name that the outermost frame sets is undefined in a loop before that, even if the caller passed it. A
 * name becomes an identifier of its frame's level; `loads` defines the initial value of each identifier when the frame
 * is entered.
 */
import { fail } from "./failure.js";
import type { CallNodes, Expression, Parameter, Statement, Target } from "./parser.js";

/** Initial value of an identifier when its frame is entered: nothing, another identifier's value, or the context's. */
export type Load =
  | { readonly kind: "parameter" | "undefined" }
  | { readonly kind: "alias"; readonly id: string }
  | { readonly kind: "resolve"; readonly name: string };

export class Symbols {
  readonly level: number;
  readonly parent: Symbols | undefined;
  readonly refs = new Map<string, string>();
  readonly loads = new Map<string, Load>();
  readonly stores = new Set<string>();

  constructor(parent?: Symbols, level = parent === undefined ? 0 : parent.level + 1) {
    this.parent = parent;
    this.level = level;
  }

  find(name: string): string | undefined {
    return this.refs.get(name) ?? this.parent?.find(name);
  }

  /** Returns the identifier of a name that is used in this frame or an outer one. */
  ref(name: string): string {
    return this.find(name) ?? fail(`the name ${name} cannot be used here`);
  }

  #define(name: string, load: Load): string {
    const id = `${this.level}:${name}`;
    this.refs.set(name, id);
    this.loads.set(id, load);
    return id;
  }

  store(name: string): void {
    this.stores.add(name);
    if (this.refs.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { kind: "undefined" } : { kind: "alias", id: outer });
  }

  declare(name: string): string {
    this.stores.add(name);
    return this.#define(name, { kind: "parameter" });
  }

  load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { kind: "resolve", name });
  }

  copy(): Symbols {
    const copy = new Symbols(this.parent, this.level);
    for (const [name, id] of this.refs) copy.refs.set(name, id);
    for (const [id, load] of this.loads) copy.loads.set(id, load);
    for (const name of this.stores) copy.stores.add(name);
    return copy;
  }

  /** Merges the symbols of an `if`'s branches. A name that they set starts with its value outside the `if`. */
  join(branches: readonly Symbols[]): void {
    const stores = new Set<string>();
    for (const branch of branches) for (const name of branch.stores) if (!this.stores.has(name)) stores.add(name);
    for (const branch of branches) {
      for (const [name, id] of branch.refs) this.refs.set(name, id);
      for (const [id, load] of branch.loads) this.loads.set(id, load);
      for (const name of branch.stores) this.stores.add(name);
    }
    for (const name of stores) {
      const outer = this.parent?.find(name);
      this.loads.set(this.ref(name), outer === undefined ? { kind: "resolve", name } : { kind: "alias", id: outer });
    }
  }

  /** Records the names that statements of this frame use, in order. */
  see(statements: readonly Statement[]): void {
    for (const statement of statements) this.#statement(statement);
  }

  #statement(statement: Statement): void {
    switch (statement.kind) {
      case "data":
      case "break":
      case "continue":
      case "generation":
        return;
      case "output":
        this.expression(statement.value);
        return;
      case "set":
        this.expression(statement.value);
        this.target(statement.target);
        return;
      case "setBlock":
        this.target(statement.target);
        return;
      case "for":
        this.expression(statement.over);
        return;
      case "macro":
        this.store(statement.name);
        return;
      case "callBlock":
        this.expression(statement.call);
        return;
      case "filterBlock":
        this.expression(statement.filter);
        return;
      case "with":
        for (const [, value] of statement.targets) this.expression(value);
        return;
      case "if": {
        const [first, ...others] = statement.branches;
        this.expression(first.test);
        const within = (see: (symbols: Symbols) => void): Symbols => {
          const symbols = this.copy();
          see(symbols);
          return symbols;
        };
        this.join([
          within((symbols) => symbols.see(first.body)),
          within((symbols) => {
            for (const branch of others)
              symbols.#statement({ kind: "if", branches: [branch], otherwise: [], line: statement.line });
          }),
          within((symbols) => symbols.see(statement.otherwise)),
        ]);
        return;
      }
      default:
        statement satisfies never;
    }
  }

  target(target: Target, asParameter = false): void {
    if (target.kind === "tuple") for (const item of target.items) this.target(item, asParameter);
    else if (target.kind === "namespace") this.load(target.name);
    else if (asParameter) this.declare(target.name);
    else this.store(target.name);
  }

  expression(expression: Expression): void {
    walkExpression(expression, (name) => this.load(name));
  }

  parameters(parameters: readonly Parameter[]): void {
    for (const { name } of parameters) this.declare(name);
    for (const { fallback } of parameters) if (fallback !== undefined) this.expression(fallback);
  }
}

/** Visits the names that an expression reads. */
function walkExpression(expression: Expression, visit: (name: string) => void): void {
  const walk = (each: Expression | undefined): void => {
    if (each !== undefined) walkExpression(each, visit);
  };
  const walkCall = ({ positional, named, rest, restNamed }: CallNodes): void => {
    positional.forEach(walk);
    for (const [, value] of named) walk(value);
    walk(rest);
    walk(restNamed);
  };
  switch (expression.kind) {
    case "constant":
      return;
    case "name":
      visit(expression.name);
      return;
    case "tuple":
    case "list":
      expression.items.forEach(walk);
      return;
    case "dict":
      for (const [key, value] of expression.entries) {
        walk(key);
        walk(value);
      }
      return;
    case "attribute":
    case "unary":
      walk(expression.of);
      return;
    case "item":
      walk(expression.of);
      walk(expression.key);
      return;
    case "slice":
      walk(expression.start);
      walk(expression.stop);
      walk(expression.step);
      return;
    case "call":
      walk(expression.callee);
      walkCall(expression.args);
      return;
    case "filter":
    case "test":
      walk(expression.of);
      walkCall(expression.args);
      return;
    case "arithmetic":
    case "and":
    case "or":
      walk(expression.left);
      walk(expression.right);
      return;
    case "concat":
      expression.parts.forEach(walk);
      return;
    case "compare":
      walk(expression.first);
      for (const [, value] of expression.rest) walk(value);
      return;
    case "condition":
      walk(expression.test);
      walk(expression.chosen);
      walk(expression.otherwise);
      return;
    default:
      expression satisfies never;
  }
}

/** Returns which of the names a body reads before it sets them, in source order. */
export function readNames(body: readonly Statement[], names: readonly string[]): ReadonlySet<string> {
  const sought = new Set(names);
  const read = new Set<string>();
  const onRead = (name: string): void => {
    if (sought.has(name)) read.add(name);
  };
  const expression = (each: Expression | undefined): void => {
    if (each !== undefined) walkExpression(each, onRead);
  };
  const target = (each: Target): void => {
    if (each.kind === "tuple") each.items.forEach(target);
    else if (each.kind === "name") sought.delete(each.name);
  };
  const parameters = (list: readonly Parameter[]): void => {
    for (const { name } of list) sought.delete(name);
    for (const { fallback } of list) expression(fallback);
  };
  const walk = (statements: readonly Statement[]): void => {
    for (const statement of statements) {
      switch (statement.kind) {
        case "output":
          expression(statement.value);
          break;
        case "set":
          target(statement.target);
          expression(statement.value);
          break;
        case "setBlock":
          target(statement.target);
          expression(statement.filter);
          walk(statement.body);
          break;
        case "if": {
          const [first, ...others] = statement.branches;
          for (const branch of [first, ...others]) {
            expression(branch.test);
            walk(branch.body);
          }
          walk(statement.otherwise);
          break;
        }
        case "for":
          target(statement.target);
          expression(statement.over);
          walk(statement.body);
          walk(statement.otherwise);
          expression(statement.test);
          break;
        case "macro":
          parameters(statement.parameters);
          walk(statement.body);
          break;
        case "callBlock":
          expression(statement.call);
          parameters(statement.parameters);
          walk(statement.body);
          break;
        case "filterBlock":
          walk(statement.body);
          expression(statement.filter);
          break;
        case "with":
          for (const [each] of statement.targets) target(each);
          for (const [, value] of statement.targets) expression(value);
          walk(statement.body);
          break;
        case "generation":
          walk(statement.body);
          break;
        case "data":
        case "break":
        case "continue":
          break;
        default:
          statement satisfies never;
      }
    }
  };
  walk(body);
  return read;
}
