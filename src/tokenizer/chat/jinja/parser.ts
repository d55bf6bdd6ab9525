/** @file Parses tokens into a syntax tree, with Jinja2's grammar and precedence. */
import { TemplateFailure } from "./failure.js";
import { type LexerOptions, type Token, tokenize } from "./lexer.js";
import type { ArithmeticOperator } from "./numbers.js";
import type { Value } from "./values.js";

export interface CallNodes {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [name: string, value: Expression])[];
  readonly rest?: Expression;
  readonly restNamed?: Expression;
}

export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export type Expression = { readonly line: number } & (
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "tuple" | "list"; readonly items: readonly Expression[] }
  | { readonly kind: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: "attribute"; readonly of: Expression; readonly name: string }
  | { readonly kind: "item"; readonly of: Expression; readonly key: Expression }
  | { readonly kind: "slice"; readonly start?: Expression; readonly stop?: Expression; readonly step?: Expression }
  | { readonly kind: "call"; readonly callee: Expression; readonly args: CallNodes }
  | { readonly kind: "filter"; readonly of: Expression | undefined; readonly name: string; readonly args: CallNodes }
  | { readonly kind: "test"; readonly of: Expression; readonly name: string; readonly args: CallNodes }
  | { readonly kind: "unary"; readonly operator: "not" | "+" | "-"; readonly of: Expression }
  | {
      readonly kind: "arithmetic";
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "concat"; readonly parts: readonly Expression[] }
  | {
      readonly kind: "compare";
      readonly first: Expression;
      readonly rest: readonly (readonly [Comparison, Expression])[];
    }
  | {
      readonly kind: "condition";
      readonly test: Expression;
      readonly chosen: Expression;
      readonly otherwise?: Expression;
    }
);

/** The target of an assignment. */
export type Target = { readonly line: number } & (
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "namespace"; readonly name: string; readonly attribute: string }
  | { readonly kind: "tuple"; readonly items: readonly Target[] }
);

export interface Parameter {
  readonly name: string;
  readonly fallback?: Expression;
}

export type Statement = { readonly line: number } & (
  | { readonly kind: "data"; readonly text: string }
  | { readonly kind: "output"; readonly value: Expression }
  | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: "setBlock";
      readonly target: Target;
      readonly filter?: Expression;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: "if";
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly kind: "for";
      readonly target: Target;
      readonly over: Expression;
      readonly test?: Expression;
      readonly recursive: boolean;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly kind: "macro";
      readonly name: string;
      readonly parameters: readonly Parameter[];
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: "callBlock";
      readonly call: Expression;
      readonly parameters: readonly Parameter[];
      readonly body: readonly Statement[];
    }
  | { readonly kind: "filterBlock"; readonly filter: Expression; readonly body: readonly Statement[] }
  | {
      readonly kind: "with";
      readonly targets: readonly (readonly [Target, Expression])[];
      readonly body: readonly Statement[];
    }
  | { readonly kind: "generation"; readonly body: readonly Statement[] }
  | { readonly kind: "break" | "continue" }
);

export interface ParserOptions extends LexerOptions {
  /** Tags beyond Jinja2's own: `break`, `continue` and `generation`. */
  readonly loopControls: boolean;
  readonly generation: boolean;
}

const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const NO_ARGUMENTS: CallNodes = { positional: [], named: [] };
/** Maximum nesting of expressions and blocks; Python's own limits are similar. */
const MAX_NESTING = 60;
const MAX_BLOCKS = 90;
/** Maximum nesting of loops, as in Python. */
const MAX_LOOPS = 20;

/** @throws TemplateFailure with its line for a syntax error or an unsupported construct */
export function parse(template: string, options: ParserOptions): readonly Statement[] {
  return new Parser(tokenize(template, options), options).template();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #options: ParserOptions;
  #at = 0;
  #nested = 0;
  #blocks = 0;
  /** Enclosing loops in the same function; a macro starts at 0. */
  #loops = 0;

  constructor(tokens: readonly Token[], options: ParserOptions) {
    this.#tokens = tokens;
    this.#options = options;
  }

  template(): readonly Statement[] {
    return this.#statements();
  }

  get #token(): Token {
    return this.#tokens[this.#at];
  }

  #next(): Token {
    const token = this.#token;
    if (token.kind !== "end") this.#at++;
    return token;
  }

  #is(kind: Token["kind"], text?: string): boolean {
    const token = this.#token;
    return token.kind === kind && (text === undefined || token.text === text);
  }

  #isOperator(text: string): boolean {
    return this.#is("operator", text);
  }

  #skip(kind: Token["kind"], text?: string): boolean {
    if (!this.#is(kind, text)) return false;
    this.#next();
    return true;
  }

  #expect(kind: Token["kind"], text?: string): Token {
    if (!this.#is(kind, text)) this.#fail(`expected ${text ?? describe(kind)}, got ${shown(this.#token)}`);
    return this.#next();
  }

  #fail(message: string, line = this.#token.line): never {
    throw new TemplateFailure(message, line);
  }

  /** Parses statements up to one of the end tags, which stays the current token, or up to the template's end. */
  #statements(ends?: readonly string[], opened?: Token): Statement[] {
    const body: Statement[] = [];
    for (;;) {
      const token = this.#token;
      if (token.kind === "end") {
        if (ends === undefined) return body;
        this.#fail(
          `the template ends within the block '${opened?.text}' of line ${opened?.line}; close it with ${ends.join(" or ")}`,
        );
      }
      if (token.kind === "data") {
        body.push({ kind: "data", text: token.text, line: token.line });
        this.#next();
      } else if (token.kind === "variableBegin") {
        this.#next();
        body.push({ kind: "output", value: this.#tuple(), line: token.line });
        this.#expect("variableEnd");
      } else {
        this.#expect("blockBegin");
        if (ends !== undefined && this.#token.kind === "name" && ends.includes(this.#token.text)) return body;
        if (this.#blocks >= MAX_BLOCKS) this.#fail(`blocks are nested more than ${MAX_BLOCKS} deep`);
        this.#blocks++;
        body.push(...this.#statement());
        this.#blocks--;
        this.#expect("blockEnd");
      }
    }
  }

  /** Parses the body of a block after its opening tag, up to one of its end tags. */
  #body(opened: Token, ...ends: string[]): Statement[] {
    this.#skip("operator", ":");
    this.#expect("blockEnd");
    return this.#statements(ends, opened);
  }

  /** The same, and consumes the end tag. */
  #wholeBody(opened: Token, end: string): Statement[] {
    const body = this.#body(opened, end);
    this.#next();
    return body;
  }

  /** Parses the body of a block that Jinja2 compiles to a function. */
  #functionBody(opened: Token, end: string): Statement[] {
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#wholeBody(opened, end);
    this.#loops = loops;
    return body;
  }

  #statement(): Statement[] {
    if (this.#token.kind !== "name") this.#fail(`expected a tag name, got ${shown(this.#token)}`);
    const token = this.#next();
    const { text: tag, line } = token;
    switch (tag) {
      case "set": {
        const target = this.#target({ namespaces: true });
        if (this.#skip("operator", "=")) return [{ kind: "set", target, value: this.#tuple(), line }];
        const filter = this.#filters(undefined);
        return [{ kind: "setBlock", target, filter, body: this.#wholeBody(token, "endset"), line }];
      }
      case "if": {
        const branches: { test: Expression; body: Statement[] }[] = [];
        for (;;) {
          const test = this.#tuple({ conditions: false });
          branches.push({ test, body: this.#body(token, "elif", "else", "endif") });
          const end = this.#next().text;
          if (end === "elif") continue;
          return [{ kind: "if", branches, otherwise: end === "else" ? this.#wholeBody(token, "endif") : [], line }];
        }
      }
      case "for":
        return [this.#for(token)];
      case "macro": {
        const { text: name } = this.#expect("name");
        const parameters = this.#signature();
        return [{ kind: "macro", name, parameters, body: this.#functionBody(token, "endmacro"), line }];
      }
      case "call": {
        const parameters = this.#isOperator("(") ? this.#signature() : [];
        const call = this.#expression();
        if (call.kind !== "call") this.#fail("a call block needs a call", line);
        return [{ kind: "callBlock", call, parameters, body: this.#functionBody(token, "endcall"), line }];
      }
      case "filter": {
        const filter = this.#filters(undefined, true)!;
        return [{ kind: "filterBlock", filter, body: this.#wholeBody(token, "endfilter"), line }];
      }
      case "with": {
        const targets: [Target, Expression][] = [];
        while (!this.#is("blockEnd")) {
          if (targets.length > 0) this.#expect("operator", ",");
          const target = this.#target();
          this.#expect("operator", "=");
          targets.push([target, this.#expression()]);
        }
        return [{ kind: "with", targets, body: this.#wholeBody(token, "endwith"), line }];
      }
      case "print": {
        const outputs: Statement[] = [];
        while (!this.#is("blockEnd")) {
          if (outputs.length > 0) this.#expect("operator", ",");
          outputs.push({ kind: "output", value: this.#expression(), line });
        }
        return outputs;
      }
      case "break":
      case "continue":
        if (!this.#options.loopControls) break;
        if (this.#loops === 0) this.#fail(`'${tag}' outside of a loop`, line);
        return [{ kind: tag, line }];
      case "generation":
        if (!this.#options.generation) break;
        return [{ kind: "generation", body: this.#functionBody(token, "endgeneration"), line }];
      case "block":
      case "extends":
      case "include":
      case "import":
      case "from":
      case "autoescape":
        return this.#fail(`the tag '${tag}' is not supported`, line);
    }
    return this.#fail(`unknown tag '${tag}'`, line);
  }

  #for(token: Token): Statement {
    const target = this.#target({ end: "in" });
    this.#expect("name", "in");
    const over = this.#tuple({ conditions: false, end: "recursive" });
    const test = this.#skip("name", "if") ? this.#expression() : undefined;
    const recursive = this.#skip("name", "recursive");
    const loops = this.#loops;
    this.#loops = recursive ? 1 : loops + 1;
    if (this.#loops > MAX_LOOPS) this.#fail(`loops are nested more than ${MAX_LOOPS} deep`, token.line);
    const body = this.#body(token, "endfor", "else");
    this.#loops = recursive ? 0 : loops;
    const otherwise = this.#next().text === "else" ? this.#wholeBody(token, "endfor") : [];
    this.#loops = loops;
    return { kind: "for", target, over, test, recursive, body, otherwise, line: token.line };
  }

  #signature(): Parameter[] {
    const parameters: Parameter[] = [];
    this.#expect("operator", "(");
    while (!this.#isOperator(")")) {
      if (parameters.length > 0) this.#expect("operator", ",");
      const { text: name, line } = this.#expect("name");
      if (isConstantName(name)) this.#fail(`'${name}' cannot be assigned to`, line);
      if (parameters.some((other) => other.name === name)) this.#fail(`the parameter ${name} is given twice`, line);
      const fallback = this.#skip("operator", "=") ? this.#expression() : undefined;
      if (fallback === undefined && parameters.at(-1)?.fallback !== undefined) {
        this.#fail("a parameter without a default follows one with a default", line);
      }
      parameters.push({ name, fallback });
    }
    this.#next();
    return parameters;
  }

  #target({ namespaces = false, end }: { namespaces?: boolean; end?: string } = {}): Target {
    const { line } = this.#token;
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.#expect("operator", ",");
      if (this.#isTupleEnd(end)) break;
      items.push(this.#singleTarget(namespaces));
      if (!this.#isOperator(",")) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length === 0) this.#fail(`expected a name, got ${shown(this.#token)}`);
      return items[0];
    }
    return { kind: "tuple", items, line };
  }

  #singleTarget(namespaces: boolean): Target {
    if (this.#isOperator("(")) {
      const { line } = this.#next();
      const items: Target[] = [];
      let isTuple = false;
      while (!this.#isOperator(")")) {
        items.push(this.#singleTarget(false));
        if (!this.#skip("operator", ",")) break;
        isTuple = true;
      }
      this.#expect("operator", ")");
      return isTuple || items.length === 0 ? { kind: "tuple", items, line } : items[0];
    }
    const { text: name, line } = this.#expect("name");
    if (isConstantName(name)) this.#fail(`'${name}' cannot be assigned to`, line);
    if (namespaces && this.#skip("operator", ".")) {
      return { kind: "namespace", name, attribute: this.#expect("name").text, line };
    }
    return { kind: "name", name, line };
  }

  #isTupleEnd(end?: string): boolean {
    return (
      this.#is("variableEnd") ||
      this.#is("blockEnd") ||
      this.#isOperator(")") ||
      (end !== undefined && this.#is("name", end))
    );
  }

  /** Parses an expression, or a tuple of several separated by commas. */
  #tuple({
    conditions = true,
    end,
    parentheses = false,
  }: {
    conditions?: boolean;
    end?: string;
    parentheses?: boolean;
  } = {}): Expression {
    const { line } = this.#token;
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.#expect("operator", ",");
      if (this.#isTupleEnd(end)) break;
      items.push(conditions ? this.#expression() : this.#or());
      if (!this.#isOperator(",")) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length > 0) return items[0];
      if (!parentheses) this.#fail(`expected an expression, got ${shown(this.#token)}`);
    }
    return { kind: "tuple", items, line };
  }

  #expression(): Expression {
    if (++this.#nested > MAX_NESTING) this.#fail(`an expression is nested more than ${MAX_NESTING} deep`);
    const { line } = this.#token;
    let expression = this.#or();
    while (this.#skip("name", "if")) {
      const test = this.#or();
      const otherwise = this.#skip("name", "else") ? this.#expression() : undefined;
      expression = { kind: "condition", test, chosen: expression, otherwise, line };
    }
    this.#nested--;
    return expression;
  }

  #or(): Expression {
    const { line } = this.#token;
    let left = this.#and();
    while (this.#skip("name", "or")) left = { kind: "or", left, right: this.#and(), line };
    return left;
  }

  #and(): Expression {
    const { line } = this.#token;
    let left = this.#not();
    while (this.#skip("name", "and")) left = { kind: "and", left, right: this.#not(), line };
    return left;
  }

  #not(): Expression {
    const { line } = this.#token;
    if (!this.#skip("name", "not")) return this.#compare();
    if (++this.#nested > MAX_NESTING) this.#fail(`an expression is nested more than ${MAX_NESTING} deep`);
    const of = this.#not();
    this.#nested--;
    return { kind: "unary", operator: "not", of, line };
  }

  #compare(): Expression {
    const { line } = this.#token;
    const first = this.#sum();
    const rest: [Comparison, Expression][] = [];
    for (;;) {
      const token = this.#token;
      if (token.kind === "operator" && COMPARISONS.has(token.text)) {
        this.#next();
        rest.push([token.text as Comparison, this.#sum()]);
      } else if (this.#skip("name", "in")) rest.push(["in", this.#sum()]);
      else if (this.#is("name", "not") && isName(this.#tokens[this.#at + 1], "in")) {
        this.#at += 2;
        rest.push(["not in", this.#sum()]);
      } else return rest.length === 0 ? first : { kind: "compare", first, rest, line };
    }
  }

  #arithmetic(operators: readonly string[], operand: () => Expression): Expression {
    const { line } = this.#token;
    let left = operand();
    while (this.#token.kind === "operator" && operators.includes(this.#token.text)) {
      const operator = this.#next().text as ArithmeticOperator;
      left = { kind: "arithmetic", operator, left, right: operand(), line };
    }
    return left;
  }

  #sum(): Expression {
    return this.#arithmetic(["+", "-"], () => this.#concat());
  }

  #concat(): Expression {
    const { line } = this.#token;
    const parts = [this.#product()];
    while (this.#skip("operator", "~")) parts.push(this.#product());
    return parts.length === 1 ? parts[0] : { kind: "concat", parts, line };
  }

  #product(): Expression {
    return this.#arithmetic(["*", "/", "//", "%"], () => this.#power());
  }

  #power(): Expression {
    return this.#arithmetic(["**"], () => this.#unary(true));
  }

  #unary(withFilters: boolean): Expression {
    const { line } = this.#token;
    let expression: Expression;
    if (this.#isOperator("-") || this.#isOperator("+")) {
      const operator = this.#next().text as "+" | "-";
      if (++this.#nested > MAX_NESTING) this.#fail(`an expression is nested more than ${MAX_NESTING} deep`);
      expression = { kind: "unary", operator, of: this.#unary(false), line };
      this.#nested--;
    } else expression = this.#primary();
    expression = this.#postfix(expression);
    return withFilters ? this.#filtersAndTests(expression) : expression;
  }

  #primary(): Expression {
    const token = this.#next();
    const { line } = token;
    if (token.kind === "name") {
      if (token.text === "true" || token.text === "True") return { kind: "constant", value: true, line };
      if (token.text === "false" || token.text === "False") return { kind: "constant", value: false, line };
      if (token.text === "none" || token.text === "None") return { kind: "constant", value: null, line };
      return { kind: "name", name: token.text, line };
    }
    if (token.kind === "string") {
      let value = token.text;
      while (this.#is("string")) value += this.#next().text;
      return { kind: "constant", value, line };
    }
    if (token.kind === "integer" || token.kind === "float") return { kind: "constant", value: token.value!, line };
    if (token.kind === "operator" && token.text === "(") {
      const inner = this.#tuple({ parentheses: true });
      this.#expect("operator", ")");
      return inner;
    }
    if (token.kind === "operator" && token.text === "[") {
      const items: Expression[] = [];
      while (!this.#isOperator("]")) {
        if (items.length > 0) this.#expect("operator", ",");
        if (this.#isOperator("]")) break;
        items.push(this.#expression());
      }
      this.#next();
      return { kind: "list", items, line };
    }
    if (token.kind === "operator" && token.text === "{") {
      const entries: [Expression, Expression][] = [];
      while (!this.#isOperator("}")) {
        if (entries.length > 0) this.#expect("operator", ",");
        if (this.#isOperator("}")) break;
        const key = this.#expression();
        this.#expect("operator", ":");
        entries.push([key, this.#expression()]);
      }
      this.#next();
      return { kind: "dict", entries, line };
    }
    return this.#fail(`unexpected ${shown(token)}`, line);
  }

  #postfix(expression: Expression): Expression {
    for (;;) {
      if (this.#isOperator(".") || this.#isOperator("[")) expression = this.#subscript(expression);
      else if (this.#isOperator("(")) expression = this.#call(expression);
      else return expression;
    }
  }

  #call(callee: Expression): Expression {
    const { line } = this.#token;
    return { kind: "call", callee, args: this.#arguments(), line };
  }

  #filtersAndTests(expression: Expression): Expression {
    for (;;) {
      if (this.#isOperator("|")) expression = this.#filters(expression)!;
      else if (this.#is("name", "is")) expression = this.#test(expression);
      else if (this.#isOperator("(")) expression = this.#call(expression);
      else return expression;
    }
  }

  #subscript(of: Expression): Expression {
    const { text, line } = this.#next();
    if (text === ".") {
      const token = this.#next();
      if (token.kind === "name") return { kind: "attribute", of, name: token.text, line };
      if (token.kind !== "integer") this.#fail("expected a name or a number after the dot", token.line);
      return { kind: "item", of, key: { kind: "constant", value: token.value!, line }, line };
    }
    const keys: Expression[] = [];
    while (!this.#isOperator("]")) {
      if (keys.length > 0) this.#expect("operator", ",");
      keys.push(this.#key());
    }
    this.#next();
    if (keys.length !== 1 && keys.some(({ kind }) => kind === "slice"))
      this.#fail("several slices at once are not supported", line);
    return { kind: "item", of, key: keys.length === 1 ? keys[0] : { kind: "tuple", items: keys, line }, line };
  }

  #key(): Expression {
    const { line } = this.#token;
    let start: Expression | undefined;
    if (!this.#isOperator(":")) {
      start = this.#expression();
      if (!this.#isOperator(":")) return start;
    }
    this.#next();
    const bound = (): Expression | undefined =>
      this.#isOperator(":") || this.#isOperator("]") || this.#isOperator(",") ? undefined : this.#expression();
    const stop = bound();
    const step = this.#skip("operator", ":") ? bound() : undefined;
    return { kind: "slice", start, stop, step, line };
  }

  #arguments(): CallNodes {
    const { line } = this.#expect("operator", "(");
    const positional: Expression[] = [];
    const named: [string, Expression][] = [];
    let rest: Expression | undefined;
    let restNamed: Expression | undefined;
    let needsComma = false;
    const ensure = (fine: boolean): void => {
      if (!fine) this.#fail("the arguments of a call are in the wrong order", line);
    };
    while (!this.#isOperator(")")) {
      if (needsComma) {
        this.#expect("operator", ",");
        if (this.#isOperator(")")) break;
      }
      if (this.#isOperator("*")) {
        ensure(rest === undefined && restNamed === undefined);
        this.#next();
        rest = this.#expression();
      } else if (this.#isOperator("**")) {
        ensure(restNamed === undefined);
        this.#next();
        restNamed = this.#expression();
      } else {
        const after = this.#tokens[this.#at + 1];
        if (this.#is("name") && after?.kind === "operator" && after.text === "=") {
          ensure(restNamed === undefined);
          const name = this.#next().text;
          this.#next();
          if (named.some(([other]) => other === name)) this.#fail(`the argument ${name} is given twice`, line);
          named.push([name, this.#expression()]);
        } else {
          ensure(rest === undefined && restNamed === undefined && named.length === 0);
          positional.push(this.#expression());
        }
      }
      needsComma = true;
    }
    this.#next();
    return { positional, named, rest, restNamed };
  }

  #dottedName(): string {
    let name = this.#expect("name").text;
    while (this.#skip("operator", ".")) name += `.${this.#expect("name").text}`;
    return name;
  }

  /** @param atName whether the first filter's name follows without a `|` */
  #filters(of: Expression | undefined, atName = false): Expression | undefined {
    let expression = of;
    while (atName || this.#isOperator("|")) {
      if (!atName) this.#next();
      atName = false;
      const { line } = this.#token;
      const name = this.#dottedName();
      const args = this.#isOperator("(") ? this.#arguments() : NO_ARGUMENTS;
      expression = { kind: "filter", of: expression, name, args, line };
    }
    return expression;
  }

  #test(of: Expression): Expression {
    const { line } = this.#next();
    const negated = this.#skip("name", "not");
    const name = this.#dottedName();
    const token = this.#token;
    let args = NO_ARGUMENTS;
    if (this.#isOperator("(")) args = this.#arguments();
    else if (startsArgument(token)) {
      if (token.text === "is" && token.kind === "name") this.#fail("tests cannot be chained with is", token.line);
      args = { positional: [this.#postfix(this.#primary())], named: [] };
    }
    const test: Expression = { kind: "test", of, name, args, line };
    return negated ? { kind: "unary", operator: "not", of: test, line } : test;
  }
}

function startsArgument(token: Token): boolean {
  if (token.kind === "name") return !["else", "or", "and"].includes(token.text);
  if (token.kind === "operator") return token.text === "[" || token.text === "{";
  return token.kind === "string" || token.kind === "integer" || token.kind === "float";
}

function isName(token: Token | undefined, text: string): boolean {
  return token?.kind === "name" && token.text === text;
}

function isConstantName(name: string): boolean {
  return ["true", "false", "none", "True", "False", "None"].includes(name);
}

function describe(kind: Token["kind"]): string {
  const words: Partial<Record<Token["kind"], string>> = {
    blockBegin: "'{%'",
    blockEnd: "'%}'",
    variableEnd: "'}}'",
    name: "a name",
  };
  return words[kind] ?? kind;
}

function shown(token: Token): string {
  if (token.kind === "end") return "the end of the template";
  if (token.kind === "string") return `the string ${JSON.stringify(token.text.slice(0, 40))}`;
  return JSON.stringify(token.text.trim());
}
