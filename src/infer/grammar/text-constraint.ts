/** @file A completion that as a whole matches a regular expression. */
import { quoted } from "../../printable.js";
import type { CompiledConstraint, TokenConstraint } from "../token-constraint.js";
import { type LexerStates, RAW_COSTS } from "./lexer-states.js";
import { wholePattern } from "./pattern-language.js";
import { refusePattern } from "./pattern-syntax.js";
import { setToken } from "./token-masks.js";
import type { GrammarVocabulary } from "./vocabulary.js";
import { COMPILE_WORK, STEP_WORK } from "./work-meter.js";
import { tokensOf, writtenBefore } from "./written-text.js";

/**
 * Compiles a regular expression in JavaScript's syntax, which the whole text must match; `.` is any character but a line end.
 * @throws QuernError (exit code 2) on a syntax error, on what is no regular language, or if no text matches
 */
export function compileRegularExpression(source: string, vocabulary: GrammarVocabulary): CompiledConstraint {
  let grammar = compiled(source, vocabulary);
  return {
    open() {
      // The states of long use fill the memory, so that they are forgotten at times.
      if (vocabulary.shared().lexer !== grammar.lexer) grammar = compiled(source, vocabulary);
      return new TextConstraint(grammar);
    },
  };
}

/** What all completions under one expression share. */
interface TextGrammar {
  readonly lexer: LexerStates;
  readonly vocabulary: GrammarVocabulary;
  readonly masks: Map<number, Uint32Array>;
  readonly start: number;
  /** Limits the work of one mask, token or completion. */
  step<T>(task: () => T): T;
}

function compiled(source: string, vocabulary: GrammarVocabulary): TextGrammar {
  const { lexer } = vocabulary.shared();
  const { meter } = lexer.pool;
  const subject = () => `the pattern "${quoted(source)}"`;
  const start = meter.limit(COMPILE_WORK, subject, () =>
    lexer.plain.state(wholePattern(lexer.pool, source, lexer.text)),
  );
  if (start < 0) throw refusePattern(source, "matches no text");
  return { lexer, vocabulary, masks: new Map(), start, step: (task) => meter.limit(STEP_WORK, subject, task) };
}

class TextConstraint implements TokenConstraint {
  readonly #grammar: TextGrammar;
  #state: number;
  #ended = false;

  constructor(grammar: TextGrammar) {
    this.#grammar = grammar;
    this.#state = grammar.start;
  }

  mask(): Uint32Array {
    const { masks, vocabulary, step } = this.#grammar;
    if (this.#ended) return new Uint32Array(Math.ceil(vocabulary.size / 32));
    const known = masks.get(this.#state);
    if (known !== undefined) return known;
    if (masks.size >= MAX_MASKS) masks.clear();
    const mask = step(() => this.#walk());
    masks.set(this.#state, mask);
    return mask;
  }

  #walk(): Uint32Array {
    const { trie, size, endOfText } = this.#grammar.vocabulary;
    const { bytes, depths, skips, tokens, length } = trie;
    const { plain } = this.#grammar.lexer;
    const mask = new Uint32Array(Math.ceil(size / 32));
    const states = new Int32Array(trie.deepest + 1);
    states[0] = this.#state;
    let node = 0;
    while (node < length) {
      const next = plain.step(states[depths[node]], bytes[node]);
      if (next < 0) node = skips[node];
      else {
        states[depths[node] + 1] = next;
        if (tokens[node] >= 0) setToken(mask, trie, tokens[node]);
        node++;
      }
    }
    if (plain.accepts(this.#state)) for (const id of endOfText) mask[id >> 5] |= 1 << (id & 31);
    return mask;
  }

  accept(id: number): void {
    const { endOfText } = this.#grammar.vocabulary;
    if (this.isComplete && endOfText.includes(id)) this.#ended = true;
    else {
      const next = this.#grammar.step(() => this.#after(id));
      if (next < 0) throw new Error(`token ${id} is not allowed here`);
      this.#state = next;
    }
  }

  #after(id: number): number {
    const { vocabulary, lexer } = this.#grammar;
    const bytes = vocabulary.tokenBytes[id];
    if (bytes === undefined || this.#ended) return -1;
    return bytes.reduce((state, byte) => (state < 0 ? state : lexer.plain.step(state, byte)), this.#state);
  }

  get isComplete(): boolean {
    return this.#ended || this.#grammar.lexer.plain.accepts(this.#state);
  }

  shortestCompletion(): readonly number[] {
    if (this.#ended) return [];
    const { lexer, vocabulary, step } = this.#grammar;
    const word = step(() => lexer.pool.cheapestWord(lexer.plain.expressions[this.#state], RAW_COSTS));
    return tokensOf(writtenBefore(vocabulary.trie, word, null));
  }
}

/** Most masks that one expression keeps. */
const MAX_MASKS = 1000;
