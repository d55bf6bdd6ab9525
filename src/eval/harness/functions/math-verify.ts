/**
 * @file Finds the final answer of a solution in LaTeX or plain text, as the package `math_verify` does, which lm-eval uses.
 */
import { type Answer, answerOf, formulaAnswer, isSame } from "./answer-values.js";

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
      const answers = texts.map(kind === "plain" ? plainAnswer : valueOfLatex);
      if (answers.includes(null)) continue;
      const [only] = answers as readonly Answer[];
      if (answers.length === 1) return { answers: withPercent(only, sources[0]), text: first };
      const items = (answers as readonly Answer[]).flatMap((answer) =>
        answer.kind === "list" && /^(\{\})?$/.test(answer.brackets) ? answer.items : [answer],
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

/** Units after a number. */
const UNIT_NAMES =
  "integer|point|feet|digit|pound|meal|edge|student|multiple|degree|mph|kmph|ft|deg|mile|lb|dm|gm|soldier|inches|inch|" +
  "cent|gal|acre|coin|gallon|yr|hr|square|rupee|cubic|cc|day|hour|minute|min|second|sec|cube|hectare|unit|kg|g|month|km|" +
  "m|cm|mm|apple|liter|litre|yard|year|metre|meter|men|man|women|woman|number|way|c|d|h|l|s|t";
const UNIT = new RegExp(`(?<=[\\d}\\s])\\s*(?:${UNIT_NAMES})(?:s|es)?\\s*$`);
const UNIT_IN_TEXT = /(?<=[\d})])\s*\\(?:text|textbf|mathrm|mbox)\{\s*[^{}]*\}(?:\^\{?\d\}?)?$/;

/** LaTeX as it is compared as text. */
function normalized(latex: string): string {
  return latex
    .replace(/\\boxed\{(.*)\}|\\boxed\s+(\S+)/s, "$1$2")
    .replace(/\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[!]|\\quad|~/g, "")
    .replace(/\\[,;: ]/g, " ")
    .replace(/\\[dt]frac/g, "\\frac")
    .replace(/\^\s*\{?\\circ\}?|\\degree|\\\$|[$]/g, "")
    .replace(/(?<![\d.])\.(?=\d)/g, "0.")
    .trim()
    .replace(UNIT_IN_TEXT, "")
    .replace(/\\(?:text|mathrm|textbf|mathbf|mbox)\{([^{}]*)\}/g, (whole, inner: string) =>
      /^\s*(?:and|or)\s*$/.test(inner) ? "," : whole,
    )
    .replace(/(?<=\d)\s*(?:and|or)\s*(?=[-\d\\])/g, ",")
    .replace(UNIT, "")
    .trim();
}

/** The value of normalised LaTeX, without percent signs. */
const valueOfLatex = (latex: string): Answer | null => answerOf(latex.replace(/\\%/g, "").trim());

function plainText(text: string): string {
  const plain = text
    .replace(/^[\s=]+/, "")
    .replace(/\*\*/g, "")
    .replace(/^[$€£¥₹₽₩]|\s*%$/g, "")
    .replace(/[\s,:$]+$|\.$/g, "")
    .trim();
  if (!/^-?[\d., ]+$/.test(plain)) return plain;
  const isGrouped = /^-?[1-9]\d{0,2}([ ,]\d{3})+(\.\d+)?$/.test(plain);
  const number = isGrouped ? plain.replace(/[ ,]/g, "") : plain.replace(",", ".");
  return number.replace(/^(-?)0+(?=\d)/, "$1").replace(/^(-?)\./, "$10.");
}

const plainAnswer = (text: string): Answer | null =>
  formulaAnswer(text.replaceAll("×", "*").replaceAll("÷", "/").replaceAll("**", "^"));

/**
 * Whether the final answer of a solution is that of the right one.
 * @param given.isLatexGold reads formulas only in the right solution, no plain numbers
 */
export function verifyAnswer(gold: string, answer: string, given: { readonly isLatexGold: boolean }): boolean {
  const [right, said] = [extract(gold, !given.isLatexGold), extract(answer, true)];
  if (right.text !== null && right.text !== "" && right.text === said.text) return true;
  return right.answers.some((one) => said.answers.some((other) => isSame(one, other)));
}
