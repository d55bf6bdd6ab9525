/**
 * @file Reads an answer in LaTeX and compares answers by value: numbers, formulas, equations, inequalities, sets, tuples and
 * intervals. Follows the package `math_verify`, with its asymmetry: the right answer decides the form. Matrices are compared as text.
 */
import { isSameFormula, type ParsedFormula, parseFormula } from "./latex-algebra.js";

/** Items in brackets: `(1, 2]` has `(]`, a set has `{}`, a list without brackets has none. */
interface List {
  readonly kind: "list";
  readonly brackets: string;
  readonly items: readonly Answer[];
}

/** Sides with signs between them: `x = 3`, `1 < x \le 2`. */
interface Relation {
  readonly kind: "relation";
  readonly signs: readonly string[];
  readonly sides: readonly Answer[];
}

export type Answer =
  | { readonly kind: "formula"; readonly formula: ParsedFormula; readonly source: string }
  | List
  | Relation
  | { readonly kind: "union"; readonly parts: readonly Answer[] }
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "matrix"; readonly text: string };

export function formulaAnswer(text: string): Answer | null {
  // A subscript of digits, as in 1011_2, does not count. The package adds numbers with a space between them.
  const pair = /^(\d+)\s+(\d+)$/.exec(text);
  if (pair !== null) return formulaAnswer(String(BigInt(pair[1]) + BigInt(pair[2])));
  if (/(?<![_\d])\d+\s+\d/.test(text)) return null;
  const formula = parseFormula(text.replace(/(?<=\d)_\{?\d+\}?/g, ""), { isLenient: true });
  return formula === null ? null : { kind: "formula", formula, source: text };
}

const WORD = /^\\(?:text|mathrm|textbf|mathbf|mbox)\{([^{}]*)\}$/;
const RELATION = /(?<!\\)(?:=|<|>)|\\(?:leqslant|geqslant|leq|geq|le|ge|neq|ne)(?![a-zA-Z])/g;
const SIGN_NAMES: Readonly<Record<string, string>> = {
  "\\leq": "\\le",
  "\\leqslant": "\\le",
  "\\geq": "\\ge",
  "\\geqslant": "\\ge",
  "\\neq": "\\ne",
};

/** Reads LaTeX without its environment; null if it is nothing that can be compared. */
export function answerOf(latex: string): Answer | null {
  const word = WORD.exec(latex)?.[1].trim();
  if (word !== undefined && !/^-?[\d.,]+$/.test(word)) return { kind: "word", text: bareWord(word) };
  const bare = word ?? latex;
  if (/^\\begin\{[pbvB]?matrix\}.*\\end\{[a-zA-Z]*matrix\}$/s.test(bare)) {
    return { kind: "matrix", text: bare.replace(/\s+/g, "") };
  }
  const parts = splitAtCommas(bare);
  if (parts.length > 1) {
    // 5, is 5.
    const filled = parts.at(-1)?.trim() === "" ? parts.slice(0, -1) : parts;
    return filled.length === 1 ? answerOf(filled[0].trim()) : listOf("", filled);
  }
  const signs = [...bare.matchAll(RELATION)];
  if (signs.length > 0) {
    // The package reads the commas of thousands after a sign as those of a set.
    return /\d,\d{3}(?!\d)/.test(bare.replace(/[([{].*[)\]}]/s, ""))
      ? { kind: "word", text: bare }
      : relationOf(bare, signs);
  }
  const union = bare.split(/\\cup(?![a-zA-Z])/);
  if (union.length > 1) {
    const found = union.map((part) => answerOf(part.trim()));
    return found.includes(null) ? null : { kind: "union", parts: found as readonly Answer[] };
  }
  const [, open, inside, close] = /^(\(|\[|\\\{)(.*)(\)|\]|\\\})$/s.exec(bare) ?? [];
  if (open !== undefined) {
    const inner = splitAtCommas(inside);
    if (inner.length > 1 || open === "\\{") return listOf((open + close).replaceAll("\\", ""), inner);
  }
  if (/\\pm|\\mp/.test(bare)) return listOf("", [bare.replace(/\\pm|\\mp/g, "+"), bare.replace(/\\pm|\\mp/g, "-")]);
  return formulaAnswer(bare);
}

const bareWord = (word: string): string => word.toLowerCase().replace(/^\((.*)\)$/, "$1");

function listOf(brackets: string, parts: readonly string[]): Answer | null {
  const items = parts.map((part) => answerOf(part.trim()));
  if (items.includes(null)) return null;
  const [first, second] = items.map((item) => (item?.kind === "formula" ? item.formula.formula(() => Number.NaN) : 0));
  // No interval goes down, so [3, -1] is a pair.
  const isPair = items.length === 2 && brackets === "[]" && first > second;
  return { kind: "list", brackets: isPair ? "()" : brackets, items: items as readonly Answer[] };
}

function relationOf(text: string, signs: readonly RegExpExecArray[]): Answer | null {
  const ends = [...signs.map(({ index }) => index), text.length];
  const starts = [0, ...signs.map((sign) => sign.index + sign[0].length)];
  const sides = starts.map((start, i) => answerOf(text.slice(start, ends[i]).trim()));
  if (sides.includes(null)) return null;
  return {
    kind: "relation",
    signs: signs.map(([sign]) => SIGN_NAMES[sign] ?? sign),
    sides: sides as readonly Answer[],
  };
}

/** Splits at commas outside of brackets; those of thousands go. */
function splitAtCommas(text: string): readonly string[] {
  const parts = [""];
  let depth = 0;
  for (const character of text.replace(/(?<=\d)\{?,\}?(?=\d{3}(?!\d))/g, "")) {
    if ("([{".includes(character)) depth += 1;
    if (")]}".includes(character)) depth -= 1;
    if (character === "," && depth <= 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** The sides of an equation; null for anything else. */
const equation = (answer: Answer): readonly Answer[] | null =>
  answer.kind === "relation" && answer.signs.every((sign) => sign === "=") ? answer.sides : null;
const isVariable = (answer: Answer): boolean =>
  answer.kind === "formula" && /^\\?[a-zA-Z]+'*(_\{?\w+\}?)?$/.test(answer.source);

/** Whether a given answer is the right one, `gold`. */
export function isSame(gold: Answer, given: Answer): boolean {
  const [right, said] = [equation(gold), equation(given)];
  if (said !== null && right === null) {
    const value = said[said.length - 1];
    return value.kind !== "word" && isSame(gold, value);
  }
  if (gold.kind === "relation" && given.kind === "relation") return isSameRelation(gold, given);
  if (right !== null) {
    const value = right[right.length - 1];
    return isVariable(right[0]) && value.kind !== "word" && isSame(value, given);
  }
  if (gold.kind === "relation") {
    const interval = intervalOf(gold);
    return interval !== null && isSame(interval, given);
  }
  if (given.kind === "relation") return false;
  if (gold.kind === "union" || given.kind === "union") {
    return gold.kind === "union" && given.kind === "union" && areSame(gold.parts, given.parts);
  }
  if (gold.kind === "list" && given.kind === "list") return isSameList(gold, given);
  // A set of one is its element.
  if (gold.kind === "list") return isSingle(gold) && isSame(gold.items[0], given);
  if (given.kind === "list") return isSingle(given) && isSame(gold, given.items[0]);
  if (gold.kind === "matrix" || given.kind === "matrix") {
    return gold.kind === "matrix" && given.kind === "matrix" && gold.text === given.text;
  }
  const [word, other] = [wordOf(gold), wordOf(given)];
  if (word !== null && word === other) return true;
  return gold.kind === "formula" && given.kind === "formula" && isSameRounded(gold.formula, given.formula);
}

/** The letters of a word or of a formula of letters only, whose case does not count. */
function wordOf(answer: Answer): string | null {
  if (answer.kind === "word") return answer.text;
  if (answer.kind !== "formula" || !/^\(?[a-zA-Z\s]+\)?$/.test(answer.source)) return null;
  return bareWord(answer.source);
}

const isSingle = ({ brackets, items }: List): boolean => (brackets === "{}" || brackets === "") && items.length === 1;

function isSameList(gold: List, given: List): boolean {
  const isSet = (list: List): boolean => list.brackets === "{}" || list.brackets === "";
  if (isSet(gold)) {
    return (isSet(given) || given.brackets === "()") && areSame(distinct(gold.items), distinct(given.items));
  }
  const items = isSet(given) ? distinct(given.items) : given.items;
  if (!(given.brackets === gold.brackets || (isSet(given) && gold.brackets === "()"))) return false;
  return items.length === gold.items.length && gold.items.every((item, i) => isSame(item, items[i]));
}

const distinct = (items: readonly Answer[]): readonly Answer[] =>
  items.filter((item, i) => !items.slice(0, i).some((other) => isSame(other, item)));

/** Whether two lists have the same items in any order. */
function areSame(golds: readonly Answer[], givens: readonly Answer[]): boolean {
  const left = [...givens];
  return (
    golds.length === givens.length &&
    golds.every((gold) => {
      const at = left.findIndex((given) => isSame(gold, given));
      if (at >= 0) left.splice(at, 1);
      return at >= 0;
    })
  );
}

const FLIPPED: Readonly<Record<string, string>> = { "<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le" };

function isSameRelation(gold: Relation, given: Relation): boolean {
  const [right, said] = [equation(gold), equation(given)];
  if (right !== null && said !== null && isVariable(right[0]) && isVariable(said[0])) {
    return isSame(right[0], said[0]) && isSame(right[right.length - 1], said[said.length - 1]);
  }
  if (gold.sides.length !== given.sides.length) return false;
  const agrees = (signs: readonly string[], sides: readonly Answer[]): boolean =>
    gold.signs.every((sign, i) => sign === signs[i]) && gold.sides.every((side, i) => isSame(side, sides[i]));
  if (agrees(given.signs, given.sides)) return true;
  const mirrored = given.signs.map((sign) => FLIPPED[sign] ?? sign).reverse();
  return gold.signs.length === 1 && agrees(mirrored, [...given.sides].reverse());
}

const INFINITY: Answer = { kind: "formula", formula: constant(Number.POSITIVE_INFINITY), source: "\\infty" };
const MINUS_INFINITY: Answer = { kind: "formula", formula: constant(Number.NEGATIVE_INFINITY), source: "-\\infty" };

function constant(value: number): ParsedFormula {
  return { formula: () => value, integer: null };
}

/** The interval of an inequality for one variable: `x > 3` is (3, ∞). */
function intervalOf({ signs, sides }: Relation): Answer | null {
  const isDown = signs.every((sign) => sign === ">" || sign === "\\ge");
  const [up, ends] = isDown ? [signs.map((sign) => FLIPPED[sign]).reverse(), [...sides].reverse()] : [signs, sides];
  if (!up.every((sign) => sign === "<" || sign === "\\le")) return null;
  const closes = (sign: string): boolean => sign === "\\le";
  if (ends.length === 3 && isVariable(ends[1])) {
    return interval(closes(up[0]) ? "[" : "(", ends[0], ends[2], closes(up[1]) ? "]" : ")");
  }
  if (ends.length !== 2) return null;
  if (isVariable(ends[0])) return interval("(", MINUS_INFINITY, ends[1], closes(up[0]) ? "]" : ")");
  return isVariable(ends[1]) ? interval(closes(up[0]) ? "[" : "(", ends[0], INFINITY, ")") : null;
}

const interval = (open: string, low: Answer, high: Answer, close: string): Answer => ({
  kind: "list",
  brackets: open + close,
  items: [low, high],
});

/** Numbers are compared to six decimals. */
function isSameRounded(a: ParsedFormula, b: ParsedFormula): boolean {
  if (isSameFormula(a, b)) return true;
  if (a.integer !== null && b.integer !== null) return false;
  const [one, other] = [a, b].map(({ formula }) => formula(() => Number.NaN));
  if (Number.isFinite(one) && Number.isFinite(other)) return one.toFixed(6) === other.toFixed(6);
  return one === other;
}
