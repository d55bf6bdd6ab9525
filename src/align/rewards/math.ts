/**
 * @file Answers of the MATH data set (Hendrycks et al. 2021): the last `\boxed{…}` of a solution, compared after the two
 * normalisations in use, that of the data set's authors and that of Minerva (Lewkowycz et al. 2022, appendix D), and by value
 * (`latex-value.ts`). Both behave as in lm-evaluation-harness, which `test/oracle/answers_fixture.py` compares.
 */
import type { Content } from "../data/examples.js";
import { isSameNumber, rightAnswers, spokenText } from "./answers.js";
import { valuesOf } from "./latex-value.js";
import type { Fields } from "./reward.js";

/** Longest answer that is compared, in characters. */
const LONGEST = 1000;

/** 1 if the final answer of the completion equals the example's: its `answer`, or the box in its `solution`. */
export function mathAnswer(completion: Content, example: Fields): number {
  const given = finalAnswer(spokenText(completion));
  if (given === null || given.length > LONGEST) return 0;
  const right = rightAnswers(example, ["solution"]).map((answer) => boxedAnswer(answer) ?? answer);
  return right.some((answer) => isSameAnswer(answer, given)) ? 1 : 0;
}

/**
 * Returns the final answer of a solution: its last box, else what follows "answer is" or "Answer:", else its last formula
 * between dollars, else the text itself if it is one line. Null if there is none.
 */
export function finalAnswer(text: string): string | null {
  const boxed = boxedAnswer(text);
  if (boxed !== null) return boxed;
  const said = [...text.matchAll(/\banswer(?:\s+is\b\s*:?|\s*:)\s*/gi)].at(-1);
  const line = said === undefined ? text.trim() : text.slice(said.index + said[0].length).split("\n")[0];
  const formula = [...line.matchAll(/\$\$?([^$]+)\$\$?/g)].at(-1)?.[1];
  if (formula !== undefined) return formula.trim();
  if (line === "" || line.includes("\n")) return null;
  return line.replace(/\.(?:\s.*)?$/, "").trim(); // the rest of the sentence, without what follows it
}

/** Returns the content of the last `\boxed{…}` or `\fbox{…}`, or what follows `\boxed ` up to a dollar; null without. */
export function boxedAnswer(text: string): string | null {
  const open = text.lastIndexOf("\\boxed ");
  if (open >= 0) return text.slice(open + "\\boxed ".length).split("$")[0];
  const start = Math.max(text.lastIndexOf("\\boxed"), -1);
  const box = start >= 0 ? start : text.lastIndexOf("\\fbox");
  if (box < 0) return null;
  const begin = text.indexOf("{", box);
  if (begin < 0) return null;
  let depth = 0;
  for (let i = begin; i < text.length; i++) {
    if (text[i] === "{") depth += 1;
    if (text[i] === "}") depth -= 1;
    if (depth === 0) return text.slice(begin + 1, i);
  }
  return null;
}

/** Whether two answers are the same after a normalisation, or have the same values. */
export function isSameAnswer(a: string, b: string): boolean {
  if (a.trim() === "" || b.trim() === "") return false;
  for (const normalize of [hendrycks, minerva]) {
    const [one, other] = [normalize(a), normalize(b)];
    if (one !== null && one !== "" && one === other) return true;
  }
  const [one, other] = [valuesOf(minerva(a)), valuesOf(minerva(b))];
  if (one === null || other === null) return false;
  return (
    one.brackets === other.brackets &&
    one.values.length === other.values.length &&
    one.values.every((value, i) => isSameNumber(value, other.values[i]))
  );
}

const remove = (text: string, ...parts: readonly string[]) =>
  parts.reduce((rest, part) => rest.replaceAll(part, ""), text);

/** The normalisation of the data set's authors; null for LaTeX that it cannot take, such as `\frac` at the end. */
export function hendrycks(answer: string): string | null {
  let text = remove(answer, "\n", "\\!")
    .replaceAll("\\\\", "\\")
    .replace(/[td]frac/g, "frac");
  text = remove(text, "\\left", "\\right", "^{\\circ}", "^\\circ", "\\$");
  // "\text{ " begins a unit.
  const [number, ...units] = text.split("\\text{ ");
  if (units.length > 1) return null;
  text = remove(number, "\\%").replaceAll(" .", " 0.").replaceAll("{.", "{0.");
  if (text === "") return "";
  if (text.startsWith(".")) text = `0${text}`;
  const sides = text.split("=");
  if (sides.length === 2 && sides[0].length <= 2) text = sides[1];
  const roots = braceRoots(text);
  if (roots === null) return null;
  const fractions = braceFractions(roots.replaceAll(" ", ""));
  if (fractions === null) return null;
  return slashFraction(fractions === "0.5" ? "\\frac{1}{2}" : fractions);
}

/** `\sqrt3` → `\sqrt{3}`; null if nothing follows. */
function braceRoots(text: string): string | null {
  const [first, ...rest] = text.split("\\sqrt");
  if (rest.includes("")) return null;
  return first + rest.map((part) => `\\sqrt${part[0] === "{" ? part : `{${part[0]}}${part.slice(1)}`}`).join("");
}

/** `\frac12` and `\frac1{72}` → `\frac{1}{2}` and `\frac{1}{72}`; null if nothing follows. */
function braceFractions(text: string): string | null {
  const [first, ...rest] = text.split("\\frac");
  if (rest.includes("")) return null;
  // A fraction of one character leaves the whole text as it is.
  if (rest.some((part) => part[0] !== "{" && part.length < 2)) return text;
  const braced = rest.map((part) => {
    if (part[0] === "{") return part;
    return `{${part[0]}}${part[1] === "{" ? part.slice(1) : `{${part[1]}}${part.slice(2)}`}`;
  });
  return first + braced.map((part) => `\\frac${part}`).join("");
}

/** `1/2` → `\frac{1}{2}`; null if a side of the only slash is no whole number. */
function slashFraction(text: string): string | null {
  const sides = text.split("/");
  if (sides.length !== 2) return text;
  if (!sides.every((side) => /^\s*[-+]?\d+(_\d+)*\s*$/.test(side))) return null;
  // Only numbers that are written the usual way.
  if (!sides.every((side) => /^(0|-?[1-9]\d*)$/.test(side))) return text;
  return `\\frac{${sides[0]}}{${sides[1]}}`;
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
/** Removed, in this order: words, and pieces of LaTeX. */
const REMOVED = [
  ...["square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units", "\\ldots", "sue"],
  ...["points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm", "pounds", "meters", "meals", "edges"],
  ...["students", "childrentickets", "multiples", "\\text{s}", "\\text{.}", "\\text{\ns}", "\\text{}^2", "\\text{}^3"],
  ...["\\text{\n}", "\\text{}", "\\mathrm{th}", "^\\circ", "^{\\circ}", "\\;", ",\\!", "{,}", '"', "\\dots"],
];
const isWord = (text: string) => /^[a-z]+$/.test(text);

/** Minerva's normalisation. */
export function minerva(answer: string): string {
  let text = answer.slice(answer.lastIndexOf("=") + 1);
  // Words go first while spaces still delimit them, so that "\left" keeps its "ft".
  for (const word of REMOVED.filter(isWord)) text = text.replace(new RegExp(`(?<!\\\\)\\b${word}\\b`, "g"), "");
  for (const [before, after] of SUBSTITUTIONS) text = text.replaceAll(before, after);
  for (const piece of REMOVED) {
    if (!isWord(piece)) text = text.replaceAll(piece, "");
    else {
      const segments = text.split(/(\\[a-zA-Z]+)/); // commands have odd indices
      text = segments.map((part, i) => (i % 2 === 0 ? part.replaceAll(piece, "") : part)).join("");
    }
  }
  text = text
    .replace(/.*?\$(.*?)\$.*/g, "$$$1$$")
    .replace(/\\text\{(.*?)\}/g, "$1")
    .replace(/\\textbf\{(.*?)\}/g, "$1")
    .replace(/\\overline\{(.*?)\}/g, "$1")
    .replace(/\\boxed\{(.*)\}/g, "$1")
    .replace(/frac([^{])(.)/g, "frac{$1}{$2}")
    .replace(/sqrt(\[[^\]]*\])(\w)/g, "sqrt$1{$2}")
    .replace(/sqrt(?!\[)([^{])/g, "sqrt{$1}")
    .replaceAll("$", "");
  return /^-?\d{1,3}(,\d{3})+$/.test(text) ? text.replaceAll(",", "") : text;
}
