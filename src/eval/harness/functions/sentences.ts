/**
 * @file Splits English text into sentences and words, as NLTK does with Punkt (Kiss and Strunk 2006, "Unsupervised multilingual
 * sentence boundary detection") and its word tokenizer. IFEval counts them.
 */
import { readFileSync } from "node:fs";
import { PythonRegex } from "../python-regex.js";
import { PYTHON_SPACE, splitWords, stripEnd } from "../python-text.js";

interface Model {
  readonly abbreviations: ReadonlySet<string>;
  readonly starters: ReadonlySet<string>;
  readonly collocations: ReadonlySet<string>;
  /** Words in lower case that also occur in upper case inside of sentences. */
  readonly named: ReadonlySet<string>;
  /** Words in lower case that do not. */
  readonly plain: ReadonlySet<string>;
  /** Of the latter those that begin sentences in lower case only. */
  readonly beginning: ReadonlySet<string>;
}

let model: Model | null = null;

function loadModel(): Model {
  const data = JSON.parse(readFileSync(new URL("./punkt-english.json", import.meta.url), "utf8")) as Readonly<
    Record<string, string | readonly string[]>
  >;
  const set = (key: string): ReadonlySet<string> => {
    const value = data[key];
    return new Set(typeof value === "string" ? value.split(" ") : value);
  };
  return {
    abbreviations: set("abbreviations"),
    starters: set("starters"),
    collocations: set("collocations"),
    named: set("named"),
    plain: new Set([...set("plain"), ...set("beginning")]),
    beginning: set("beginning"),
  };
}

const NON_WORD = "(?:[)\";}\\]\\*:@'\\({\\[\\u2018\\u2019\\u201c\\u201d\\xab\\xbb?!])";
const MULTI = "(?:\\-{2,}|\\.{2,}|(?:\\.\\s){2,}\\.)";
const WORD_START = '[^\\("\\`{\\[:;&\\#\\*@\\)}\\]\\-,]';
const WORDS = new PythonRegex(
  `(${MULTI}|(?=${WORD_START})\\S+?(?=\\s|$|${NON_WORD}|${MULTI}|,(?=$|\\s|${NON_WORD}|${MULTI}))|\\S)`,
);
const POSSIBLE_END = new PythonRegex(`[.?!](?=(?P<after>${NON_WORD}|\\s+(?P<next>\\S+)))`);
const CLOSING = new PythonRegex("[\"')\\]}\\u2018\\u2019\\u201c\\u201d\\xab\\xbb]+?(?:\\s+|(?=--)|$)", {
  multiLine: true,
});
const ELLIPSIS = new PythonRegex("\\.\\.+$");
const NUMBER = new PythonRegex("^-?[\\.,]?\\d[\\d,\\.-]*\\.?$");
const INITIAL = new PythonRegex("[^\\W\\d]\\.$");
const ASCII_SPACE = /[ \t\n\r\v\f]/;

class Token {
  readonly type: string;
  isBreak = false;
  isAbbreviation = false;
  isEllipsis = false;

  constructor(readonly text: string) {
    this.type = NUMBER.sub("##number##", text.toLowerCase());
  }

  get typeWithoutPeriod(): string {
    return this.type.length > 1 && this.type.endsWith(".") ? this.type.slice(0, -1) : this.type;
  }

  /** Without the period that ends the sentence. */
  get word(): string {
    return this.isBreak ? this.typeWithoutPeriod : this.type;
  }

  get isInitial(): boolean {
    return INITIAL.match(this.text) !== null;
  }

  get isUpper(): boolean {
    return /^\p{Uppercase}/u.test(this.text);
  }

  get isLower(): boolean {
    return /^\p{Lowercase}/u.test(this.text);
  }
}

/** Marks what a token is by itself. */
function markAlone(token: Token, { abbreviations }: Model): void {
  const { text } = token;
  if ([".", "?", "!"].includes(text)) token.isBreak = true;
  else if (ELLIPSIS.match(text) !== null) token.isEllipsis = true;
  else if (text.endsWith(".") && !text.endsWith("..")) {
    const word = text.slice(0, -1).toLowerCase();
    if (abbreviations.has(word) || abbreviations.has(word.slice(word.lastIndexOf("-") + 1)))
      token.isAbbreviation = true;
    else token.isBreak = true;
  }
}

/** Whether a token begins a sentence, by its case and how the word is written elsewhere; null if that says nothing. */
function beginsSentence(token: Token, { plain, beginning }: Model): boolean | null {
  if (/^[;:,.!?]$/.test(token.text)) return false;
  if (token.isUpper && plain.has(token.word)) return true;
  if (token.isLower && !beginning.has(token.word)) return false;
  return null;
}

/** Changes the marks of a token with a period by what follows it. */
function markPair(token: Token, next: Token, words: Model): void {
  if (!token.text.endsWith(".")) return;
  const type = token.typeWithoutPeriod;
  const { isInitial } = token;
  if (words.collocations.has(`${type} ${next.word}`)) {
    token.isBreak = false;
    token.isAbbreviation = true;
    return;
  }
  if ((token.isAbbreviation || token.isEllipsis) && !isInitial) {
    if (beginsSentence(next, words) === true || (next.isUpper && words.starters.has(next.word))) {
      token.isBreak = true;
      return;
    }
  }
  if (!isInitial && type !== "##number##") return;
  const begins = beginsSentence(next, words);
  const isName =
    begins === null && isInitial && next.isUpper && !words.named.has(next.word) && !words.plain.has(next.word);
  if (begins === false || isName) {
    token.isBreak = false;
    token.isAbbreviation = true;
  }
}

/** Whether a sentence ends inside of a text. */
function hasBreak(text: string, words: Model): boolean {
  const tokens = text.split("\n").flatMap((line) => WORDS.findAll(line).map((word) => new Token(word as string)));
  for (const token of tokens) markAlone(token, words);
  for (let i = 0; i + 1 < tokens.length; i++) markPair(tokens[i], tokens[i + 1], words);
  // A break of the last token is the end of the text.
  return tokens.slice(0, -1).some(({ isBreak }) => isBreak);
}

interface Slice {
  readonly start: number;
  readonly end: number;
}

/** Ends of sentences that punctuation allows, with the words around them. */
function* possibleEnds(
  text: string,
): Generator<{ readonly end: number; readonly next: number | null; readonly context: string }> {
  let before: Slice = { start: 0, end: 0 };
  let last: { readonly end: number; readonly next: number | null; readonly after: string } | null = null;
  for (const match of POSSIBLE_END.matches(text)) {
    const between = text.slice(before.end, match.start);
    let space = 0;
    for (let i = between.length - 1; i > 0 && space === 0; i--) if (ASCII_SPACE.test(between[i])) space = i;
    const start = space > 0 ? before.end + space + 1 : before.start;
    if (last !== null && before.end <= start) {
      yield { ...last, context: text.slice(before.start, last.end) + last.after };
    }
    const [, after, next] = match.groups;
    last = {
      end: match.end,
      next: next === null ? null : match.end + after!.length - next.length,
      after: after!,
    };
    before = { start, end: match.start };
  }
  if (last !== null) yield { ...last, context: text.slice(before.start, last.end) + last.after };
}

/** Returns the sentences of an English text, without white space between them. */
export function sentencesOf(text: string): readonly string[] {
  model ??= loadModel();
  const slices: Slice[] = [];
  let start = 0;
  for (const { end, next, context } of possibleEnds(text)) {
    if (!hasBreak(context, model)) continue;
    slices.push({ start, end });
    start = next ?? end;
  }
  slices.push({ start, end: stripEnd(text).length });
  return realigned(text, slices);
}

/** Moves closing quotes and brackets to the sentence before them. */
function realigned(text: string, slices: readonly Slice[]): readonly string[] {
  const sentences: string[] = [];
  let moved = 0;
  slices.forEach((slice, i) => {
    const start = slice.start + moved;
    const next = slices[i + 1];
    const closing = next === undefined ? null : CLOSING.match(text.slice(next.start, next.end));
    if (closing !== null) {
      sentences.push(text.slice(start, next.start + stripEnd(closing.groups[0]!).length));
      moved = closing.end;
    } else {
      moved = 0;
      const sentence = text.slice(start, slice.end);
      if (sentence !== "") sentences.push(sentence);
    }
  });
  return sentences;
}

const SPACE = `[${PYTHON_SPACE}]`;
/** NLTK's rules, in order: quotes, punctuation, brackets. */
const RULES: readonly (readonly [RegExp, string])[] = [
  [/([«“‘„]|[`]+)/g, " $1 "],
  [/^"/g, "``"],
  [/(``)/g, " $1 "],
  [/([ ([{<])("|'{2})/g, "$1 `` "],
  [/(?<![\p{L}\p{N}_])(')(?!(?:re|ve|ll|m|t|s|d|n)(?![\p{L}\p{N}_]))(?=[\p{L}\p{N}_])/giu, "$1 "],
  [new RegExp(`([^.])(\\.)([\\]\\)}>"'»”’ ]*)${SPACE}*$`, "g"), "$1 $2 $3 "],
  [/([:,])(\P{Nd})/gu, " $1 $2"],
  [/([:,])$/g, " $1 "],
  [/\.{2,}/g, " $& "],
  [/[;@#$%&]/g, " $& "],
  [/[\u2012-\u2015]/g, " $& "],
  [new RegExp(`([^.])(\\.)([\\]\\)}>"']*)${SPACE}*$`, "g"), "$1 $2$3 "],
  [/[?!]/g, " $& "],
  [/([^'])' /g, "$1 ' "],
  [/[*]/g, " $& "],
  [/[\][(){}<>]/g, " $& "],
  [/--/g, " -- "],
];
/** After the text has got a space at both ends: closing quotes and contractions. */
const ENDINGS: readonly (readonly [RegExp, string])[] = [
  [/([»”’])/g, " $1 "],
  [/''/g, " '' "],
  [/"/g, " '' "],
  [new RegExp(`${SPACE}+`, "g"), " "],
  [/([^' ])('[sS]|'[mM]|'[dD]|') /g, "$1 $2 "],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /g, "$1 $2 "],
  [/(?<![\p{L}\p{N}_])(can)(not)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(d)('ye)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(gim)(me)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(gon)(na)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(got)(ta)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(lem)(me)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(more)('n)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/(?<![\p{L}\p{N}_])(wan)(na)(?=\s)/giu, " $1 $2 "],
  [/ ('t)(is)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
  [/ ('t)(was)(?![\p{L}\p{N}_])/giu, " $1 $2 "],
];

/** Returns the words and marks of an English text, as NLTK's `word_tokenize`. */
export function wordsOf(text: string): readonly string[] {
  return sentencesOf(text).flatMap((sentence) => {
    const apply = (rules: typeof RULES, from: string) =>
      rules.reduce((rest, [pattern, template]) => rest.replace(pattern, template), from);
    return splitWords(apply(ENDINGS, ` ${apply(RULES, sentence)} `));
  });
}
