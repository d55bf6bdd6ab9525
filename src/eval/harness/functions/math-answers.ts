/**
 * @file Normal forms of answers in LaTeX, as the authors of MATH (Hendrycks et al. 2021), of Minerva (Lewkowycz et al. 2022,
 * appendix D) and of AGIEval (Zhong et al. 2023) compare them. Their quirks are kept.
 */
import { PythonRegex } from "../python-regex.js";

const BOX = "\\boxed ";
const BRACE = "\\boxed{";

/** Returns the last `\boxed{…}` or `\fbox{…}` of a text with its command; with `\boxed ` what follows up to a dollar. */
export function lastBox(text: string, given: { readonly hasSpaces: boolean } = { hasSpaces: true }): string | null {
  if (given.hasSpaces && text.includes(BOX)) return BOX + text.slice(text.lastIndexOf(BOX) + BOX.length).split("$")[0];
  const box = text.lastIndexOf("\\boxed");
  const start = box >= 0 ? box : text.lastIndexOf("\\fbox");
  if (start < 0) return null;
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "{") depth += 1;
    if (text[i] === "}" && --depth === 0) return text.slice(start, i + 1);
  }
  return null;
}

/** Returns what is in a box that `lastBox` found; null if it is no `\boxed`. */
export function boxContent(box: string | null): string | null {
  if (box === null) return null;
  if (box.includes(BOX)) return box.startsWith(BOX) ? box.slice(BOX.length) : null;
  return box.startsWith(BRACE) && box.endsWith("}") ? box.slice(BRACE.length, -1) : null;
}

const remove = (text: string, ...parts: readonly string[]): string =>
  parts.reduce((rest, part) => rest.replaceAll(part, ""), text);

/**
 * The normal form of MATH's authors; null where their code stops with an exception.
 * @param given.keepsSlashes AGIEval leaves a slash between other things than numbers; MATH's code stops there
 */
export function hendrycksForm(answer: string, given: { readonly keepsSlashes: boolean }): string | null {
  let text = remove(answer, "\n", "\\!")
    .replaceAll("\\\\", "\\")
    .replaceAll("tfrac", "frac")
    .replaceAll("dfrac", "frac");
  text = remove(text, "\\left", "\\right", "^{\\circ}", "^\\circ", "\\$");
  const parts = text.split("\\text{ ");
  if (parts.length > 2) return null;
  text = remove(parts[0], "\\%").replaceAll(" .", " 0.").replaceAll("{.", "{0.");
  if (text === "") return text;
  if (text[0] === ".") text = `0${text}`;
  const sides = text.split("=");
  if (sides.length === 2 && [...sides[0]].length <= 2) text = sides[1];
  const roots = bracedRoots(text);
  const fractions = roots === null ? null : bracedFractions(roots.replaceAll(" ", ""));
  if (fractions === null) return null;
  return slashFraction(fractions === "0.5" ? "\\frac{1}{2}" : fractions, given.keepsSlashes);
}

function bracedRoots(text: string): string | null {
  const [first, ...rest] = text.split("\\sqrt");
  if (rest.includes("")) return null;
  return first + rest.map((part) => `\\sqrt${part[0] === "{" ? part : braced(part)}`).join("");
}

/** `3x` → `{3}x`. */
function braced(text: string): string {
  const [letter] = text;
  return `{${letter}}${text.slice(letter.length)}`;
}

function bracedFractions(text: string): string | null {
  const [first, ...rest] = text.split("\\frac");
  let result = first;
  for (const part of rest) {
    if (part === "") return null;
    if (part[0] === "{") {
      result += `\\frac${part}`;
      continue;
    }
    const [over, under] = part;
    if (under === undefined) return text;
    const tail = part.slice(over.length);
    result += `\\frac{${over}}${under === "{" ? tail : braced(tail)}`;
  }
  return result;
}

const INTEGER = /^\s*[-+]?\p{Nd}+(_\p{Nd}+)*\s*$/u;

function slashFraction(text: string, keepsSlashes: boolean): string | null {
  const sides = text.split("/");
  if (sides.length !== 2) return text;
  if (!sides.every((side) => INTEGER.test(side))) return keepsSlashes ? text : null;
  // Only numbers that Python prints the same way.
  return sides.every((side) => /^(0|-?[1-9]\d*)$/.test(side)) ? `\\frac{${sides[0]}}{${sides[1]}}` : text;
}

/** Whether two answers have the same normal form; as they are, if one has none. */
export function isSameForm(a: string, b: string, given = { keepsSlashes: false }): boolean {
  const [one, other] = [hendrycksForm(a, given), hendrycksForm(b, given)];
  return one === null || other === null ? a === b : one === other;
}

const SUBSTITUTIONS: readonly (readonly [string, string])[] = [
  ["an ", ""],
  ["a ", ""],
  [".$", "$"],
  ["\\$", ""],
  ["\\ ", ""],
  [" ", ""],
  ["mbox", "text"],
  [",\\text{and}", ","],
  ["\\text{and}", ","],
  ["\\text{m}", "\\text{}"],
];
const REMOVED: readonly string[] = [
  ...["square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units", "\\ldots", "sue"],
  ...["points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm", "pounds", "meters", "meals", "edges"],
  ...["students", "childrentickets", "multiples", "\\text{s}", "\\text{.}", "\\text{\ns}", "\\text{}^2", "\\text{}^3"],
  ...["\\text{\n}", "\\text{}", "\\mathrm{th}", "^\\circ", "^{\\circ}", "\\;", ",\\!", "{,}", '"', "\\dots"],
];
const isWord = (text: string): boolean => /^[a-z]+$/.test(text);
const WHOLE_WORDS = REMOVED.filter(isWord).map((word) => new PythonRegex(`(?<!\\\\)\\b${word}\\b`));

const UNWRAPPED: readonly (readonly [PythonRegex, string])[] = (
  [
    ["(.*?)(\\$)(.*?)(\\$)(.*)", "$\\3$"],
    ["(\\\\text\\{)(.*?)(\\})", "\\2"],
    ["(\\\\textbf\\{)(.*?)(\\})", "\\2"],
    ["(\\\\overline\\{)(.*?)(\\})", "\\2"],
    ["(\\\\boxed\\{)(.*)(\\})", "\\2"],
    ["(frac)([^{])(.)", "frac{\\2}{\\3}"],
  ] as const
).map(([pattern, template]) => [new PythonRegex(pattern), template]);
const INDEXED_ROOT = new PythonRegex("(sqrt)(\\[[^\\]]*\\])(\\w)");
const ROOT = new PythonRegex("(sqrt)(?!\\[)([^{])");
const FROZEN_ROOT = new PythonRegex("(sqrt)([^{])");
const THOUSANDS = new PythonRegex("-?\\d{1,3}(,\\d{3})+");

/**
 * Minerva's normal form.
 * @param given.isFrozen as the Open LLM Leaderboard has it, without later corrections
 */
export function minervaForm(answer: string, given: { readonly isFrozen: boolean } = { isFrozen: false }): string {
  let text = answer.slice(answer.lastIndexOf("=") + 1);
  if (!given.isFrozen) text = WHOLE_WORDS.reduce((rest, word) => word.sub("", rest), text);
  for (const [before, after] of SUBSTITUTIONS) text = text.replaceAll(before, after);
  for (const piece of REMOVED) {
    if (given.isFrozen || !isWord(piece)) text = text.replaceAll(piece, "");
    else {
      // Commands have odd positions; a unit in them, as in "\left", stays.
      const segments = text.split(/(\\[a-zA-Z]+)/);
      text = segments.map((part, i) => (i % 2 === 0 ? part.replaceAll(piece, "") : part)).join("");
    }
  }
  for (const [regex, template] of UNWRAPPED) text = regex.sub(template, text);
  text = given.isFrozen
    ? FROZEN_ROOT.sub("sqrt{\\2}", text)
    : ROOT.sub("sqrt{\\2}", INDEXED_ROOT.sub("\\1\\2{\\3}", text));
  text = text.replaceAll("$", "");
  const isNumber = given.isFrozen ? /^[\p{Nd}]+$/u.test(text.replaceAll(",", "")) : THOUSANDS.fullMatch(text) !== null;
  return isNumber ? text.replaceAll(",", "") : text;
}

const FINAL = new PythonRegex("Final Answer: The final answer is(.*?). I hope it is correct.");

/** What stands between the words with which Minerva's examples end. */
export function minervaAnswer(text: string): string | null {
  return FINAL.search(`${text}I hope it is correct.`)?.groups[1] ?? null;
}

const DOLLARS = new PythonRegex("\\$(.*)\\$");
const NUMBER = new PythonRegex("(?:\\$)?\\d+(?:\\.\\d+)?(?![\\w\\d])");
const lastSide = (text: string): string => text.slice(text.lastIndexOf("=") + 1).replace(/^ +/, "");

/** The answer in a response of AGIEval: in a box, between dollars, after an equals sign, or the last number; null without. */
export function agievalAnswer(text: string): string | null {
  if (text.includes("\\boxed")) {
    const box = lastBox(text, { hasSpaces: false });
    if (!(box?.startsWith(BRACE) && box.endsWith("}"))) return null;
    const content = box.slice(BRACE.length, -1);
    return content.includes("=") ? lastSide(content) : content;
  }
  const formula = DOLLARS.findAll(text).at(-1) as string | undefined;
  const answer = formula?.includes("=") ? lastSide(formula) : formula;
  if (answer !== undefined && answer !== "") return answer;
  if (!text.includes("=")) return (NUMBER.findAll(text).at(-1) as string | undefined) ?? null;
  return lastSide(text).replace(/\.+$/, "").split("\\n")[0];
}
