/** @file A tokenizer's vocabulary prepared for grammars: its trie, its plain text tokens, and what all its grammars share. */
import type { Tokenizer } from "../../tokenizer/index.js";
import { LexerStates } from "./lexer-states.js";
import { plainTextTokens } from "./plain-text-tokens.js";
import { StringMasks } from "./string-masks.js";
import { buildTrie, type TokenEntry, type TokenTrie } from "./token-trie.js";

/** Prepared once per tokenizer by `grammarVocabulary`. */
export interface GrammarVocabulary {
  /** V, the number of logits. */
  readonly size: number;
  readonly endOfText: readonly number[];
  /** All tokens but the special ones. */
  readonly trie: TokenTrie;
  /** (V): the bytes of each token that a grammar may allow. */
  readonly tokenBytes: readonly (Uint8Array | undefined)[];
  /** The lexer states and masks that grammars of this vocabulary share. */
  shared(): SharedStates;
}

export interface SharedStates {
  readonly lexer: LexerStates;
  readonly masks: StringMasks;
}

/** Expressions after which the shared states are forgotten, so that ever new schemas do not fill the memory. */
const MAX_EXPRESSIONS = 300_000;

/**
 * Builds the trie of a tokenizer's tokens; do it once per tokenizer. Special tokens are never allowed, except for `endOfText`
 * where a text may end.
 * @param size V, the number of logits of the model
 */
export function grammarVocabulary(tokenizer: Tokenizer, endOfText: readonly number[], size: number): GrammarVocabulary {
  const special = new Set([...tokenizer.special.values(), ...endOfText]);
  const tokenBytes: (Uint8Array | undefined)[] = new Array(size).fill(undefined);
  for (let id = 0; id < Math.min(size, tokenizer.vocabSize); id++) {
    if (special.has(id) || !tokenizer.has(id)) continue;
    const bytes = tokenizer.tokenBytes(id);
    if (bytes.length > 0) tokenBytes[id] = bytes;
  }
  return vocabularyOf(tokenBytes, endOfText);
}

/** Prepares a vocabulary given by the bytes of its tokens, (V); undefined for those that no text has. */
export function vocabularyOf(
  tokenBytes: readonly (Uint8Array | undefined)[],
  endOfText: readonly number[],
): GrammarVocabulary {
  const entries: TokenEntry[] = [];
  tokenBytes.forEach((bytes, id) => {
    if (bytes !== undefined) entries.push({ id, bytes });
  });
  const size = tokenBytes.length;
  const trie = buildTrie(entries);
  let shared: SharedStates | undefined;
  const plainText = plainTextTokens(entries, size);
  return {
    size,
    endOfText: endOfText.filter((id) => id >= 0 && id < size),
    trie,
    tokenBytes,
    shared() {
      if (shared === undefined || shared.lexer.pool.size + shared.lexer.kept > MAX_EXPRESSIONS) {
        const lexer = new LexerStates();
        shared = { lexer, masks: new StringMasks(lexer, trie, plainText, size) };
      }
      return shared;
    },
  };
}
