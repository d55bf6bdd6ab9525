/**
 * @file Compares formulas in LaTeX: reads them as SymPy's `parse_latex` does, and evaluates both at the same points. Two formulas
 * that agree at every point count as equal (Schwartz 1980: for polynomials the chance of an error is negligible).
 */

/** The value of a formula for values of its variables; NaN where it has none. */
export type Formula = (values: (variable: string) => number) => number;

export interface ParsedFormula {
  readonly formula: Formula;
  /** The digits of a whole number that stands alone. */
  readonly integer: bigint | null;
}

const TOKEN = /\d+(?:,\d{3})*(?:\.\d+)?|\\[a-zA-Z]+|\\[{}|]|d[a-zA-Z]|[a-zA-Z]'*|[-+*/:^_(){}[\]|=<>!,&]/y;
const SPACE = /\\(?:(?:left|right|quad|qquad|limits)(?![a-zA-Z])|[,!:; ])|\s+/g;
/** Longest formula, in characters: the parser recurses into brackets. */
const LONGEST = 1000;

const FUNCTIONS: Readonly<Record<string, (x: number) => number>> = {
  "\\sin": Math.sin,
  "\\cos": Math.cos,
  "\\tan": Math.tan,
  "\\csc": (x) => 1 / Math.sin(x),
  "\\sec": (x) => 1 / Math.cos(x),
  "\\cot": (x) => 1 / Math.tan(x),
  "\\arcsin": Math.asin,
  "\\arccos": Math.acos,
  "\\arctan": Math.atan,
  "\\arccsc": (x) => Math.asin(1 / x),
  "\\arcsec": (x) => Math.acos(1 / x),
  "\\arccot": (x) => Math.atan(1 / x),
  "\\sinh": Math.sinh,
  "\\cosh": Math.cosh,
  "\\tanh": Math.tanh,
  "\\arsinh": Math.asinh,
  "\\arcosh": Math.acosh,
  "\\artanh": Math.atanh,
  "\\exp": Math.exp,
  "\\ln": Math.log,
  "\\log": Math.log,
  "\\lg": Math.log10,
};
const INVERSES: Readonly<Record<string, (x: number) => number>> = {
  "\\sin": Math.asin,
  "\\cos": Math.acos,
  "\\tan": Math.atan,
  "\\csc": FUNCTIONS["\\arccsc"],
  "\\sec": FUNCTIONS["\\arcsec"],
  "\\cot": FUNCTIONS["\\arccot"],
};
const FRACTIONS = ["\\frac", "\\dfrac", "\\tfrac", "\\cfrac"];
const BINOMIALS = ["\\binom", "\\dbinom", "\\tbinom"];
const RELATIONS = [
  "=",
  "<",
  ">",
  "\\leq",
  "\\le",
  "\\leqq",
  "\\leqslant",
  "\\geq",
  "\\ge",
  "\\geqq",
  "\\geqslant",
  "\\neq",
];
const PRODUCT_SIGNS = ["*", "\\times", "\\cdot"];
const QUOTIENT_SIGNS = ["/", "\\div", ":"];
const BRACKETS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "\\{": "\\}" };

export interface FormulaStyle {
  /** Reads `2\frac{1}{2}` as five halves, `x(y+1)` as a product, `\sqrt2` without braces, and needs the whole text. */
  readonly isLenient: boolean;
}

/** Returns the formula at the start of a text, as SymPy does; null if there is none, or if it is a relation. */
export function parseFormula(latex: string, style: FormulaStyle = { isLenient: false }): ParsedFormula | null {
  if (latex.length > LONGEST) return null;
  let text = latex.replace(SPACE, "").replace(/\\([dtc]?frac|[dt]?binom)(\d)/g, "\\$1{$2}");
  text = text.replace(/\\([dtc]?frac|[dt]?binom)(\{[^{}]*\})(\d)/g, "\\$1$2{$3}");
  if (style.isLenient) text = text.replace(/\\sqrt([\da-zA-Z])/g, "\\sqrt{$1}");
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text);
    if (found === null) return null;
    tokens.push(found[0]);
  }
  const reader = new Reader(tokens, style.isLenient);
  const formula = reader.sum();
  if (formula === null || RELATIONS.includes(reader.next ?? "")) return null;
  if (style.isLenient && reader.next !== undefined) return null;
  return { formula, integer: /^-?\d+$/.test(text) ? BigInt(text) : null };
}

/** A recursive descent. A rule that fails returns null and leaves the position where it was. */
class Reader {
  #at = 0;
  constructor(
    readonly tokens: string[],
    readonly isLenient: boolean,
  ) {}

  get next(): string | undefined {
    return this.tokens[this.#at];
  }

  #take(...wanted: readonly string[]): string | null {
    const token = this.next;
    if (token === undefined || !wanted.includes(token)) return null;
    this.#at += 1;
    return token;
  }

  /** Undoes what a rule took if it returns null. */
  #attempt<T>(rule: () => T | null): T | null {
    const start = this.#at;
    const found = rule();
    if (found === null) this.#at = start;
    return found;
  }

  /** `operator operand` as one, so that an operator without an operand is not taken. */
  #operation(signs: readonly string[], operand: () => Formula | null): readonly [string, Formula] | null {
    return this.#attempt(() => {
      const sign = this.#take(...signs);
      const right = sign === null ? null : operand();
      return sign === null || right === null ? null : ([sign, right] as const);
    });
  }

  sum(): Formula | null {
    let value = this.#product(true);
    if (value === null) return null;
    for (;;) {
      const found = this.#operation(["+", "-"], () => this.#product(true));
      if (found === null) return value;
      const left: Formula = value;
      const [sign, right] = found;
      value = sign === "+" ? (v) => left(v) + right(v) : (v) => left(v) - right(v);
    }
  }

  #product(hasFunctions: boolean): Formula | null {
    let value = this.#signed(hasFunctions);
    if (value === null) return null;
    for (;;) {
      const found = this.#operation([...PRODUCT_SIGNS, ...QUOTIENT_SIGNS], () => this.#signed(hasFunctions));
      if (found === null) return value;
      const left: Formula = value;
      const [sign, right] = found;
      value = PRODUCT_SIGNS.includes(sign) ? (v) => left(v) * right(v) : (v) => left(v) / right(v);
    }
  }

  #signed(hasFunctions: boolean): Formula | null {
    return this.#attempt(() => {
      const sign = this.#take("+", "-");
      if (sign === null) return this.#factors(hasFunctions);
      const value = this.#signed(hasFunctions);
      if (value === null || sign === "+") return value;
      return (v) => -value(v);
    });
  }

  /** Factors without a sign between them. */
  #factors(hasFunctions: boolean): Formula | null {
    const mixed = this.isLenient ? this.#attempt(() => this.#mixedNumber()) : null;
    let value = mixed ?? this.#power(hasFunctions);
    if (value === null) return null;
    for (;;) {
      const right = this.#attempt(() => this.#power(hasFunctions));
      if (right === null) return value;
      const left: Formula = value;
      value = (v) => left(v) * right(v);
    }
  }

  #mixedNumber(): Formula | null {
    const whole = this.next ?? "";
    if (!/^\d+$/.test(whole)) return null;
    this.#at += 1;
    const [command, , over, , , under] = this.tokens.slice(this.#at, this.#at + 7);
    const braces = [1, 3, 4, 6].map((i) => this.tokens[this.#at + i]).join("");
    if (!FRACTIONS.includes(command) || braces !== "{}{}" || !/^\d+$/.test(over) || !/^\d+$/.test(under)) return null;
    this.#at += 7;
    const value = Number(whole) + Number(over) / Number(under);
    return () => value;
  }

  #power(hasFunctions: boolean): Formula | null {
    let value = this.#postfix(hasFunctions);
    while (value !== null) {
      const exponent = this.#attempt(() => (this.#take("^") === null ? null : this.#script(hasFunctions)));
      if (exponent === null) return value;
      const base: Formula = value;
      value = (v) => base(v) ** exponent(v);
    }
    return value;
  }

  /** `{…}`, or one atom. */
  #script(hasFunctions: boolean): Formula | null {
    if (this.next === "{") return this.#bracket();
    return this.#postfix(hasFunctions);
  }

  #postfix(hasFunctions: boolean): Formula | null {
    let value = this.#atom(hasFunctions);
    while (value !== null && this.#take("!") !== null) {
      const whole: Formula = value;
      value = (v) => gamma(whole(v) + 1);
    }
    return value;
  }

  #bracket(): Formula | null {
    return this.#attempt(() => {
      const close = BRACKETS[this.next ?? ""];
      if (close === undefined) return null;
      this.#at += 1;
      const value = this.sum();
      return value !== null && this.#take(close) !== null ? value : null;
    });
  }

  #atom(hasFunctions: boolean): Formula | null {
    const token = this.next;
    if (token === undefined) return null;
    if (Object.hasOwn(BRACKETS, token)) return this.#bracket();
    if (/^\d/.test(token)) return this.#number(token);
    return this.#attempt(() => {
      this.#at += 1;
      if (token === "|") return this.#closed("|", Math.abs);
      if (token === "\\lfloor") return this.#closed("\\rfloor", Math.floor);
      if (token === "\\lceil") return this.#closed("\\rceil", Math.ceil);
      if (FRACTIONS.includes(token)) return this.#pair((over, under) => over / under);
      if (BINOMIALS.includes(token)) return this.#pair((n, k) => gamma(n + 1) / gamma(k + 1) / gamma(n - k + 1));
      if (token === "\\sqrt") return hasFunctions ? this.#root() : null;
      if (Object.hasOwn(FUNCTIONS, token)) return hasFunctions ? this.#function(token) : null;
      if (token === "\\overline") return this.#bracket();
      if (/^(\\[a-zA-Z]+|[a-zA-Z]+'*)$/.test(token) && !isOperator(token)) return this.#variable(token);
      return null;
    });
  }

  #number(token: string): Formula | null {
    // SymPy refuses 07; a lone point is no token.
    if (!this.isLenient && /^0\d/.test(token)) return null;
    this.#at += 1;
    const value = Number(token.replaceAll(",", ""));
    return () => value;
  }

  #closed(close: string, change: (x: number) => number): Formula | null {
    const value = this.sum();
    return value !== null && this.#take(close) !== null ? (v) => change(value(v)) : null;
  }

  /** Two arguments in braces. */
  #pair(combine: (a: number, b: number) => number): Formula | null {
    const a = this.next === "{" ? this.#bracket() : null;
    const b = a !== null && this.next === "{" ? this.#bracket() : null;
    return a === null || b === null ? null : (v) => combine(a(v), b(v));
  }

  #root(): Formula | null {
    const degree = this.next === "[" ? this.#bracket() : null;
    const value = this.next === "{" ? this.#bracket() : null;
    if (value === null) return null;
    if (degree === null) return (v) => Math.sqrt(value(v));
    return (v) => value(v) ** (1 / degree(v));
  }

  /** SymPy reads `\log_28` as the logarithm of 8 to the base 2: without another argument the last digit is it. */
  #functionScript(sign: string): Formula | null {
    return this.#attempt(() => {
      if (this.#take(sign) === null) return null;
      const digits = /^\d{2,}$/.exec(this.next ?? "")?.[0];
      const after = this.tokens[this.#at + 1];
      if (digits === undefined || !(after === undefined || isOperator(after) || "+-)]}".includes(after))) {
        return this.#script(false);
      }
      this.tokens.splice(this.#at, 1, digits.slice(0, -1), digits.slice(-1));
      return this.#script(false);
    });
  }

  #function(token: string): Formula | null {
    const base = this.#functionScript("_");
    const exponent = this.#functionScript("^");
    const argument = this.next === "(" ? this.#bracket() : this.#product(false);
    if (argument === null) return null;
    const isInverse = exponent !== null && exponent(() => Number.NaN) === -1 && Object.hasOwn(INVERSES, token);
    const plain = isInverse ? INVERSES[token] : FUNCTIONS[token];
    const value: Formula = base === null ? (v) => plain(argument(v)) : (v) => Math.log(argument(v)) / Math.log(base(v));
    if (exponent === null || isInverse) return value;
    return (v) => value(v) ** exponent(v);
  }

  #variable(token: string): Formula | null {
    if (token === "\\pi") return () => Math.PI;
    if (token === "\\infty") return () => Number.POSITIVE_INFINITY;
    const start = this.#at;
    let name = token;
    if (this.#take("_") !== null) {
      const subscript = this.#script(false);
      if (subscript === null) this.#at = start;
      else
        name += `_${this.tokens
          .slice(start + 1, this.#at)
          .join("")
          .replace(/[{}]/g, "")}`;
    }
    // SymPy reads a letter before a round bracket as a function; any fixed function of its argument will do.
    const argument = !this.isLenient && this.next === "(" ? this.#bracket() : null;
    if (argument !== null) return (v) => v(name) * Math.sin(argument(v) * 1.7 + v(name)) + argument(v) ** 2;
    return (v) => v(name);
  }
}

const isOperator = (token: string): boolean =>
  [...RELATIONS, ...PRODUCT_SIGNS, ...QUOTIENT_SIGNS, "\\rfloor", "\\rceil"].includes(token);

/** Γ(x) by Lanczos's approximation; exact products for whole numbers. */
function gamma(x: number): number {
  if (Number.isInteger(x)) {
    if (x <= 0) return Number.NaN;
    let product = 1;
    for (let i = 2; i < x && product < Number.POSITIVE_INFINITY; i++) product *= i;
    return product;
  }
  if (x < 0.5) return Math.PI / (Math.sin(Math.PI * x) * gamma(1 - x));
  const terms = [
    676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
    -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
  ];
  const sum = terms.reduce((all, term, i) => all + term / (x + i), 0.9999999999998099);
  const t = x + 6.5;
  return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * sum;
}

/** Points at which formulas are compared; odd roots, logarithms and signs differ between them. */
const POINTS = 8;

/** Returns a value for a variable that depends on its name and the point only. */
function valueAt(point: number): (variable: string) => number {
  return (variable) => {
    let hash = 2166136261 ^ (point * 0x9e3779b1);
    for (const character of variable) hash = Math.imul(hash ^ character.codePointAt(0)!, 16777619);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const value = ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
    // The first half of the points is positive.
    return point < POINTS / 2 ? 0.2 + 2 * value : 3 * value - 1.7;
  };
}

/** Whether two formulas have the same value at every point where one of them has a value, and at one at least. */
export function isSameFormula(a: ParsedFormula, b: ParsedFormula, tolerance = 1e-12): boolean {
  if (a.integer !== null && b.integer !== null) return a.integer === b.integer;
  let compared = 0;
  for (let point = 0; point < POINTS; point++) {
    const values = valueAt(point);
    const [one, other] = [a.formula(values), b.formula(values)];
    if (Number.isNaN(one) && Number.isNaN(other)) continue;
    if (
      !(
        Number.isFinite(one - other) && Math.abs(one - other) <= tolerance * Math.max(1, Math.abs(one), Math.abs(other))
      )
    )
      return false;
    compared += 1;
  }
  return compared > 0;
}

/** Whether two normalised answers are the same text or the same formula, as Minerva's grader decides with SymPy. */
export function isSameLatex(a: string, b: string): boolean {
  const [one, other] = [parseFormula(a), parseFormula(b)];
  return one !== null && other !== null && isSameFormula(one, other);
}
