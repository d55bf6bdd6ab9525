/**
 * @file Finds the final answer of a solution in LaTeX or plain text, and compares answers by value: numbers, formulas, equations,
 * inequalities, sets, intervals. Follows the package `math_verify`, which lm-eval uses; matrices and integrals are compared as text.
 */
import { isSameFormula, type ParsedFormula, parseFormula } from "./latex-algebra.js";

/** An answer that has been read. */
type Answer =
  | { readonly kind: "formula"; readonly formula: ParsedFormula; readonly source: string }
  /** `(1, 2]` has the brackets `(]`; a set has `{}`. */
  | { readonly kind: "list"; readonly brackets: string; readonly items: readonly Answer[] }
  | {
      readonly kind: "relation";
      readonly sign: string;
      readonly sides: readonly [Answer, Answer];
      readonly name: string;
    }
  | { readonly kind: "word"; readonly text: string };

interface Extracted {
  readonly answers: readonly Answer[];
  /** The first text that looked like an answer. */
  readonly text: string | null;
}

const DISPLAY = String.raw`(?<!\\)\$\$(?:[^$]|\$(?!\$))+?(?<!\\)\$\$|(?<!\\)\\\[(?:[^\\]|\\(?!\]))+?(?<!\\)\\\]`;
const INLINE = String.raw`(?<![\\\d])\$(?:\\[$]|[^\n$])+?(?<!\\)\$|(?<!\\)\\\((?:[^\\\n]|\\(?!\)))+?(?<!\\)\\\)`;
const FRACTION = String.raw`-?\\frac\{-?\d+(?:[.,]\d+)?\}\{-?\d+(?:[.,]\d+)?\}`;
const ENVIRONMENT = `(?:(?:${DISPLAY}|${INLINE}|${FRACTION})\\s*(?:\\\\?%|[Pp]ercent|[Pp]ct)?)`;
const LATEX = `${ENVIRONMENT}(?:\\s*(?:,?and|,?or|,)\\s*${ENVIRONMENT}){0,5}`;

const NUMBER = String.raw`(?<!\d)(?:-?[1-9]\d{0,2}(?:[ ,]\d{3})+(?:\.\d+)?|-?\d+[.,]\d+|\.\d+|-?\d+)(?:\s*%)?`;
const PREFIX = String.raw`(?:^|\s|=)(?:\*\*)?`;
const NUMBER_ALONE = `${PREFIX}[$€£¥₹₽₩]?${NUMBER}`;
const SIGNS = String.raw`+\-*×\/^()÷`;
const EXPRESSION = String.raw`${PREFIX}-?\(?-?\d[\d.\s${SIGNS}]*[${SIGNS}][\d.\s${SIGNS}]+\)?(?:\*\*)?(?:[.,:)$]|\s|$)`;
const PLAIN = `(?:${EXPRESSION}|${NUMBER_ALONE})`;

type Kind = "latex" | "plain" | "box";
interface Rule {
  readonly kind: Kind;
  /** Before and after the answer; the answer is the group `answer`. */
  readonly regex: RegExp;
}

const rule = (kind: Kind, before: string, answer: string, after = ""): Rule => ({
  kind,
  regex: new RegExp(`${before}(?<answer>${answer})${after}`, "g"),
});
const ANSWER = "[Aa][Nn][Ss][Ww][Ee][Rr]";
const FINAL = `[Ff][Ii][Nn][Aa][Ll] ${ANSWER}`;

/** In each group the last match counts; a later group only if an earlier one gave nothing. */
const GROUPS: readonly (readonly Rule[])[] = [
  [
    rule("latex", `${FINAL} [Ii][Ss]:?\\s*`, LATEX, "\\.?\\s?I hope"),
    rule("plain", `${FINAL} [Ii][Ss]:?\\s*`, PLAIN, "\\.?\\s?I hope"),
  ],
  [
    rule("box", "", String.raw`\\boxed\s*\{`),
    rule("latex", `${FINAL}.{0,100}?\\s+is:?\\s*`, LATEX),
    rule("plain", `${FINAL}.{0,100}?\\s+is:?`, PLAIN),
  ],
  [
    rule("latex", `${ANSWER}:.{0,50}?`, LATEX),
    rule("plain", `${ANSWER}:(?:.{0,100}=\\s*|.{0,50}?)`, PLAIN, "(?!\\s*=)"),
  ],
  [rule("latex", `${ANSWER}.{0,50}?`, LATEX), rule("plain", `${ANSWER}(?:.{0,100}=\\s*|.{0,50}?)`, PLAIN, "(?!\\s*=)")],
  [rule("latex", "", LATEX), rule("plain", "", EXPRESSION), rule("plain", "", NUMBER_ALONE)],
];

/** Reads the final answer of a text. */
function extract(text: string, hasPlain: boolean): Extracted {
  let first: string | null = null;
  for (const rules of GROUPS) {
    const found = rules
      .filter(({ kind }) => hasPlain || kind !== "plain")
      .flatMap(({ kind, regex }) =>
        Array.from(text.matchAll(regex), (match) => {
          const answer = match.groups!.answer;
          const box = kind === "box" ? boxesFrom(text, match.index) : null;
          const end = box === null ? match.index + match[0].length : box.end;
          return { kind, end, start: match.index, parts: box?.parts ?? [answer] };
        }),
      )
      .filter(({ parts }) => parts.length > 0)
      .sort((a, b) => b.end - a.end || a.start - b.start);
    for (const { kind, parts } of found) {
      const sources = kind === "latex" ? environmentsIn(parts[0]) : parts;
      // The package cannot read a box that ends with \%, and compares its text.
      if (kind !== "plain" && sources.some((source) => /\\boxed\s*\{.*\\%\s*\}$/s.test(source))) continue;
      if (kind === "box" && /\\%\s*$/.test(parts[0])) {
        first ??= parts[0];
        continue;
      }
      const texts = sources.map((source) => (kind === "plain" ? plainText(source) : normalized(source)));
      first ??= texts.join(" and ");
      const answers = texts.map(kind === "plain" ? plainAnswer : answerOf);
      if (answers.includes(null)) continue;
      const [only] = answers as readonly Answer[];
      if (answers.length === 1) return { answers: withPercent(only, sources[0]), text: first };
      const items = (answers as readonly Answer[]).flatMap((answer) =>
        answer.kind === "list" && answer.brackets === "{}" ? answer.items : [answer],
      );
      return { answers: [{ kind: "list", brackets: "{}", items }], text: first };
    }
  }
  return { answers: [], text: first };
}

/** `50%` is 50, and also a half. */
function withPercent(answer: Answer, source: string): readonly Answer[] {
  if (answer.kind !== "formula" || !/[^\\]%\s*$/.test(source)) return [answer];
  const whole = answer.formula.formula;
  return [answer, { ...answer, formula: { formula: (at) => whole(at) / 100, integer: null } }];
}

/** The contents of boxes that follow one another with "and", "or" or commas. */
function boxesFrom(text: string, start: number): { readonly parts: readonly string[]; readonly end: number } | null {
  const parts: string[] = [];
  let end = start;
  for (let at = start; ; ) {
    const open = text.indexOf("{", at);
    const close = closing(text, open);
    if (close === null) break;
    parts.push(text.slice(open + 1, close));
    end = close + 1;
    const next = /^\s*\$?\s*(?:,?\s*and|,?\s*or|,)\s*\$?\s*(?=\\boxed\s*\{)/.exec(text.slice(end));
    if (next === null) break;
    at = end + next[0].length;
  }
  return { parts, end };
}

function closing(text: string, open: number): number | null {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "{") depth += 1;
    if (text[i] === "}" && --depth === 0) return i;
  }
  return null;
}

function environmentsIn(text: string): readonly string[] {
  return Array.from(text.matchAll(new RegExp(ENVIRONMENT, "g")), ([whole]) => {
    const bare = whole.replace(/\s*(?:\\?%|[Pp]ercent|[Pp]ct)$/, "");
    for (const [open, close] of [
      ["$$", "$$"],
      ["\\[", "\\]"],
      ["\\(", "\\)"],
      ["$", "$"],
    ]) {
      if (bare.startsWith(open) && bare.endsWith(close)) return bare.slice(open.length, -close.length);
    }
    return bare;
  });
}

const UNIT = /(?<=[\d})])\s*\\(?:text|mathrm|mbox)\{\s*[^{}]*\}(?:\^\{?\d\}?)?$/;

function normalized(latex: string): string {
  return latex
    .replace(/\\boxed\{(.*)\}|\\boxed\s+(\S+)/s, "$1$2")
    .replace(/\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,!;: ]|\\quad|~/g, "")
    .replace(/\\[dt]frac/g, "\\frac")
    .replace(/\^\s*\{?\\circ\}?|\\degree|\\\$|[$]/g, "")
    .replace(/(?<![\d.])\.(?=\d)/g, "0.")
    .trim()
    .replace(/\\%/g, "")
    .replace(UNIT, "")
    .replace(/\\(?:text|mathrm|textbf|mathbf|mbox)\{([^{}]*)\}/g, (whole, inner: string) =>
      /^\s*(?:and|or)\s*$/.test(inner) ? "," : whole,
    )
    .replace(/[.,;:]+$/, "")
    .trim();
}

const plainText = (text: string): string =>
  text
    .replace(/^[\s=]+/, "")
    .replace(/\*\*/g, "")
    .replace(/^[$€£¥₹₽₩]|\s*%$/g, "")
    .replace(/[\s,:$]+$|\.$/g, "")
    .trim();

function plainAnswer(text: string): Answer | null {
  if (/^-?[\d., ]+$/.test(text)) {
    const plain = /^-?[1-9]\d{0,2}([ ,]\d{3})+(\.\d+)?$/.test(text)
      ? text.replace(/[ ,]/g, "")
      : text.replace(",", ".");
    return formulaAnswer(plain.replace(/^(-?)0+(?=\d)/, "$1").replace(/^(-?)\./, "$10."));
  }
  return formulaAnswer(text.replaceAll("×", "*").replaceAll("÷", "/").replaceAll("**", "^"));
}

function formulaAnswer(text: string): Answer | null {
  const formula = parseFormula(text, { isLenient: true });
  return formula === null ? null : { kind: "formula", formula, source: text };
}

const RELATION = /(?<!\\)(?:=|<|>|\\leqslant|\\geqslant|\\leq|\\geq|\\le(?![a-z])|\\ge(?![a-z])|\\neq|\\ne(?![a-z]))/g;
const SIGN_NAMES: Readonly<Record<string, string>> = {
  "\\leq": "\\le",
  "\\leqslant": "\\le",
  "\\geq": "\\ge",
  "\\geqslant": "\\ge",
  "\\neq": "\\ne",
};

/** Reads LaTeX without its environment; null if it is nothing that can be compared. */
function answerOf(latex: string): Answer | null {
  const word = /^\\(?:text|mathrm|textbf|mathbf|mbox)\{([^{}]*)\}$/.exec(latex)?.[1];
  if (word !== undefined && !/^-?[\d.,]+$/.test(word.trim()))
    return {
      kind: "word",
      text: word
        .trim()
        .toLowerCase()
        .replace(/^\((.*)\)$/, "$1"),
    };
  const bare = word ?? latex;
  const signs = [...bare.matchAll(RELATION)];
  if (signs.length > 0 && !bare.includes(",")) {
    const [sign] = signs[0];
    const last = signs[signs.length - 1];
    const left = answerOf(bare.slice(0, signs[0].index).trim());
    const right = answerOf(bare.slice(last.index + last[0].length).trim());
    if (left === null || right === null) return null;
    const name = bare.slice(0, signs[0].index).trim();
    return { kind: "relation", sign: SIGN_NAMES[sign] ?? sign, sides: [left, right], name };
  }
  const parts = splitAtCommas(bare);
  const [, open, inside, close] = /^(\(|\[|\\\{)(.*)(\)|\]|\\\})$/s.exec(bare) ?? [];
  const inner = open === undefined ? [] : splitAtCommas(inside);
  if (open !== undefined && parts.length === 1 && (inner.length > 1 || open === "\\{")) {
    const items = inner.map((part) => answerOf(part.trim()));
    if (items.includes(null)) return null;
    return { kind: "list", brackets: (open + close).replaceAll("\\", ""), items: items as readonly Answer[] };
  }
  if (parts.length > 1 && parts.every((part) => part.trim() !== "") && !/\d,\d{3}(?!\d)/.test(bare)) {
    const items = parts.map((part) => answerOf(part.trim()));
    if (items.includes(null)) return null;
    return { kind: "list", brackets: "{}", items: items as readonly Answer[] };
  }
  const sign = /\\pm|\\mp/.exec(bare);
  if (sign !== null) {
    const items = ["+", "-"].map((each) => formulaAnswer(bare.replace(/\\pm|\\mp/g, each)));
    return items.includes(null) ? null : { kind: "list", brackets: "{}", items: items as readonly Answer[] };
  }
  return formulaAnswer(bare);
}

function splitAtCommas(text: string): readonly string[] {
  const parts = [""];
  let depth = 0;
  const plain = text.replace(/(?<=\d),(?=\d{3}(?!\d))/g, "");
  for (const character of plain) {
    if ("([{".includes(character)) depth += 1;
    if (")]}".includes(character)) depth -= 1;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** The value of an equation whose left side is a variable. */
const assigned = (answer: Answer): Answer | null =>
  answer.kind === "relation" && answer.sign === "=" && /^\\?[a-zA-Z]+(_\{?\w+\}?)?$/.test(answer.name)
    ? answer.sides[1]
    : null;

const FLIPPED: Readonly<Record<string, string>> = { "<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le" };

function isSame(gold: Answer, given: Answer): boolean {
  if (given.kind === "relation" && given.sign === "=" && !(gold.kind === "relation" && gold.sign === "=")) {
    return isSame(gold, given.sides[1]);
  }
  if (gold.kind === "relation" && given.kind !== "relation") {
    const value = assigned(gold);
    return value !== null && isSame(value, given);
  }
  if (gold.kind === "relation" && given.kind === "relation") return isSameRelation(gold, given);
  if (gold.kind === "list" || given.kind === "list") {
    // A set of one is its element.
    if (gold.kind !== "list") return given.kind === "list" && isSingle(given) && isSame(gold, given.items[0]);
    if (given.kind !== "list") return isSingle(gold) && isSame(gold.items[0], given);
    return isSameList(gold, given);
  }
  if (gold.kind === "word" || given.kind === "word") return wordOf(gold) === wordOf(given);
  // Numbers are compared to six decimals.
  return gold.kind === "formula" && given.kind === "formula" && isSameRounded(gold.formula, given.formula);
}

const wordOf = (answer: Answer): string | null =>
  answer.kind === "word" ? answer.text : answer.kind === "formula" ? answer.source.toLowerCase() : null;

const isSingle = ({ brackets, items }: Extract<Answer, { kind: "list" }>): boolean =>
  brackets === "{}" && items.length === 1;

function isSameList(gold: Extract<Answer, { kind: "list" }>, given: Extract<Answer, { kind: "list" }>): boolean {
  if (gold.items.length !== given.items.length || gold.brackets !== given.brackets) return false;
  if (gold.brackets !== "{}") return gold.items.every((item, i) => isSame(item, given.items[i]));
  const left = [...given.items];
  return gold.items.every((item) => {
    const at = left.findIndex((other) => isSame(item, other));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

type Relation = Extract<Answer, { kind: "relation" }>;
function isSameRelation(gold: Relation, given: Relation): boolean {
  const [a, b] = gold.sides;
  const [c, d] = given.sides;
  if (gold.sign === given.sign && isSame(a, c) && isSame(b, d)) return true;
  const isMirrored = (FLIPPED[gold.sign] ?? gold.sign) === given.sign;
  return isMirrored && isSame(a, d) && isSame(b, c);
}

function isSameRounded(a: ParsedFormula, b: ParsedFormula): boolean {
  if (isSameFormula(a, b)) return true;
  if (a.integer !== null && b.integer !== null) return false;
  const [one, other] = [a, b].map(({ formula }) => formula(() => Number.NaN));
  return Number.isFinite(one) && Number.isFinite(other) && one.toFixed(6) === other.toFixed(6);
}

/**
 * Whether the final answer of a solution is that of the right one.
 * @param given.isLatexGold reads formulas only in the right solution, no plain numbers
 */
export function verifyAnswer(gold: string, answer: string, given: { readonly isLatexGold: boolean }): boolean {
  const [right, said] = [extract(gold, !given.isLatexGold), extract(answer, true)];
  if (right.text !== null && right.text !== "" && right.text === said.text) return true;
  return right.answers.some((one) => said.answers.some((other) => isSame(one, other)));
}
