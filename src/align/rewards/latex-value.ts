/**
 * @file The numeric value of a closed LaTeX expression: numbers, + − · / ^, fractions, roots, π, mixed numbers, brackets.
 * Compares answers that are written in different ways: `\frac{\sqrt{8}}{2}` and `\sqrt{2}`.
 */

/** An answer of one value, or the values of a tuple, set or interval with its brackets. */
export interface AnswerValues {
  /** `(]` for an interval that is closed on its right; empty for a single value. */
  readonly brackets: string;
  readonly values: readonly number[];
}

/** Longest expression, in characters: the parser recurses into its brackets. */
const LONGEST = 400;

/** Returns the values of an answer; null if it is no closed expression. */
export function valuesOf(latex: string): AnswerValues | null {
  if (latex.length > LONGEST) return null;
  const text = latex
    .replace(/\\(left|right|[,!;: ])|[ \n]/g, "")
    .replace(/\\[dt]frac/g, "\\frac")
    .replace(/\^?\\?%|\^\{?\\circ\}?/g, "");
  const [, left, inside, right] = /^(\(|\[|\\\{)(.*)(\)|\]|\\\})$/.exec(text) ?? [];
  const parts = splitAtCommas(inside ?? text);
  if (left !== undefined && parts.length > 1) {
    const values = parts.map(numericValue);
    return values.includes(null) ? null : { brackets: left + right, values: values as number[] };
  }
  const value = numericValue(text.replace(/(?<=\d),(?=\d{3}(?!\d))/g, ""));
  return value === null ? null : { brackets: "", values: [value] };
}

/** Splits at commas outside of brackets. */
function splitAtCommas(text: string): readonly string[] {
  const parts = [""];
  let depth = 0;
  for (const character of text) {
    if ("([{".includes(character)) depth += 1;
    if (")]}".includes(character)) depth -= 1;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

const TOKEN = /\d+\.?\d*|\.\d+|\\[a-zA-Z]+|[-+*/^(){}[\]]/y;
const TIMES = ["*", "\\cdot", "\\times"];

/** Returns the value of an expression; null if it has variables, errors, or no finite value. */
export function numericValue(text: string): number | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text);
    if (found === null) return null;
    tokens.push(found[0]);
  }
  let at = 0;
  const fail = (): never => {
    throw new NoValue();
  };
  const take = (token: string) => {
    if (tokens[at] !== token) return false;
    at += 1;
    return true;
  };
  const need = (token: string) => take(token) || fail();

  function sum(): number {
    let value = product();
    for (;;) {
      if (take("+")) value += product();
      else if (take("-")) value -= product();
      else return value;
    }
  }
  function product(): number {
    let value = signed();
    for (;;) {
      if (TIMES.includes(tokens[at])) {
        at += 1;
        value *= signed();
      } else if (take("/") || take("\\div")) value /= signed();
      // Without a sign between them: 2\pi, 3(4+1).
      else if (/^(\\frac|\\sqrt|\\pi|\()$/.test(tokens[at] ?? "")) value *= power();
      else return value;
    }
  }
  function signed(): number {
    if (take("-")) return -signed();
    if (take("+")) return signed();
    return power();
  }
  function power(): number {
    const base = atom();
    return take("^") ? base ** (tokens[at] === "{" ? group() : signed()) : base;
  }
  function group(): number {
    need("{");
    const value = sum();
    need("}");
    return value;
  }
  function atom(): number {
    const token = tokens[at];
    if (token === "{") return group();
    if (token === undefined) return fail();
    at += 1;
    if (/^[\d.]/.test(token)) {
      // A whole number before a fraction of whole numbers is the first part of a mixed number.
      const mixed = tokens.slice(at, at + 7).join(" ");
      const [, over, under] = /^\\frac { (\d+) } { (\d+) }$/.exec(mixed) ?? [];
      if (over === undefined || !/^\d+$/.test(token)) return Number(token);
      at += 7;
      return Number(token) + Number(over) / Number(under);
    }
    switch (token) {
      case "(": {
        const value = sum();
        need(")");
        return value;
      }
      case "\\frac":
        return group() / group();
      case "\\sqrt": {
        if (!take("[")) return Math.sqrt(group());
        const degree = sum();
        need("]");
        const radicand = group();
        return degree % 2 === 1 && radicand < 0 ? -((-radicand) ** (1 / degree)) : radicand ** (1 / degree);
      }
      case "\\pi":
        return Math.PI;
      default:
        return fail();
    }
  }

  try {
    const value = sum();
    return at === tokens.length && Number.isFinite(value) ? value : null;
  } catch (error) {
    if (error instanceof NoValue) return null;
    throw error;
  }
}

class NoValue extends Error {}
