/** @file Pre-tokenization patterns: the published ones by name, and the hand-written lexer for each. */
import { QuernError } from "../../errors.js";
import { cl100k, gpt2, type Lexer, llama3, o200k, qwen2 } from "./lexers.js";

/** Splits texts into pretokens. */
export interface Splitter {
  readonly lex: Lexer;
  /**
   * True if a text may be lexed in parts that end between a letter and a space or symbol other than an apostrophe. Every
   * published pattern has a boundary there, and never looks past it.
   */
  readonly divisible: boolean;
  /** True if it looks only at single characters. Lexing in parts then adds a boundary at the part's end and changes no other. */
  readonly isLocal?: boolean;
}

export type PatternName = "gpt2" | "cl100k" | "o200k" | "llama3" | "qwen2";

// Fragments that several patterns share.
export const CASED = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
export const UNCASED = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
export const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
export const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The regular expressions that Quern writes, in syntax with the same meaning in all engines; older JavaScript lacks `(?i:`. */
export const patterns: Readonly<Record<PatternName, string>> = {
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  // `\s+(?![\s\S])` is tiktoken's `\s++$` for Oniguruma, where `$` matches at the end of a line.
  cl100k: `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?![\\s\\S])|${SPACES}`,
  o200k:
    `[^\\r\\n\\p{L}\\p{N}]?${CASED}*${UNCASED}+${CONTRACTION}?|[^\\r\\n\\p{L}\\p{N}]?${CASED}+${UNCASED}*${CONTRACTION}?` +
    `|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`,
  llama3: `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`,
  qwen2: `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`,
};

const lexers: Readonly<Record<PatternName, Lexer>> = { gpt2, cl100k, o200k, llama3, qwen2 };

export function isPatternName(name: string): name is PatternName {
  return Object.hasOwn(patterns, name);
}

/** Returns the regular expression of a published pattern; any other argument is returned unchanged. */
export function patternSource(pattern: string): string {
  return isPatternName(pattern) ? patterns[pattern] : pattern;
}

/** The published patterns by regular expression, with other spellings that tokenizer files use, as Oniguruma reads them. */
const spellings = new Map<string, PatternName>(
  (Object.keys(patterns) as PatternName[]).map((name) => [patterns[name], name] as const),
);
spellings.set("'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "gpt2");
spellings.set("'s|'t|'re|'ve|'m|'ll|'d| ?[\\p{L}]+| ?[\\p{N}]+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "gpt2");

/** Returns the name of a published pattern, given by name or regular expression; undefined for any other. */
export const publishedPattern = (pattern: string): PatternName | undefined =>
  isPatternName(pattern) ? pattern : spellings.get(pattern);

/** Returns the hand-written splitter of a published pattern, by name or regular expression; undefined for any other. */
export function publishedSplitter(pattern: string): Splitter | undefined {
  const name = publishedPattern(pattern);
  return name === undefined ? undefined : { lex: lexers[name], divisible: true };
}

/**
 * Returns the splitter of any pattern: the hand-written lexer of a published one, else the regular expression in Oniguruma's
 * syntax.
 * @throws QuernError if it is not a valid regular expression
 */
export async function splitterFor(pattern: string): Promise<Splitter> {
  const published = publishedSplitter(pattern);
  if (published !== undefined) return published;
  if (pattern === "") throw new QuernError("the pattern is empty; give a regular expression or a name such as o200k");
  const { regexLexer } = await import("./regex-lexer.js");
  return { lex: regexLexer(pattern), divisible: false };
}

/** Applies `second` to each piece of `first`. */
export function inSequence(first: Splitter, second: Splitter): Splitter {
  const both = (test: (each: Splitter) => boolean): boolean => test(first) && test(second);
  let pieces = new Int32Array(256);
  return {
    divisible: (first.divisible || second.divisible) && both((each) => each.divisible || each.isLocal === true),
    isLocal: both((each) => each.isLocal === true),
    lex(bytes, start, end, bounds, count) {
      if (pieces.length < end - start) pieces = new Int32Array(Math.max(end - start, pieces.length * 2));
      const pieceCount = first.lex(bytes, start, end, pieces, 0);
      let from = start;
      for (let k = 0; k < pieceCount; k++) {
        const to = pieces[k];
        if (to < 0) {
          bounds[count++] = to;
          from = ~to;
        } else {
          count = second.lex(bytes, from, to, bounds, count);
          from = to;
        }
      }
      return count;
    },
  };
}

/** Returns the whole text as one pretoken. */
export const unsplit: Splitter = {
  divisible: false,
  lex(_bytes, start, end, bounds, count) {
    if (end > start) bounds[count++] = end;
    return count;
  },
};
