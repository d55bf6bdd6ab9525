/** @file Walks a trie of tokens with the threads of a machine and marks the tokens that leave a thread. */
import type { Context } from "./context.js";
import type { JsonMachine, Threads } from "./json-machine.js";
import type { StringMask, StringMasks } from "./string-masks.js";
import type { TokenTrie } from "./token-trie.js";
import type { GrammarVocabulary } from "./vocabulary.js";

export function setToken(mask: Uint32Array, { twins }: TokenTrie, id: number): void {
  mask[id >> 5] |= 1 << (id & 31);
  if (twins.size > 0) for (const twin of twins.get(id) ?? []) mask[twin >> 5] |= 1 << (twin & 31);
}

export class TokenMasks {
  readonly #machine: JsonMachine;
  readonly #strings: StringMasks;
  readonly #trie: TokenTrie;
  readonly #words: number;
  readonly #tokenBytes: GrammarVocabulary["tokenBytes"];
  /** The threads of each depth, one list after the other. */
  readonly #threads: Threads = { states: [], contexts: [] };

  constructor(machine: JsonMachine, strings: StringMasks, { trie, size, tokenBytes }: GrammarVocabulary) {
    this.#machine = machine;
    this.#strings = strings;
    this.#trie = trie;
    this.#tokenBytes = tokenBytes;
    this.#words = Math.ceil(size / 32);
  }

  /** (ceil(V / 32)): the tokens that may follow in a state; a new array. */
  of(state: number, context: Context): Uint32Array {
    const stringState = this.#machine.stringState(state);
    if (stringState >= 0) return this.#inString(state, this.#strings.of(stringState), context);
    const mask = new Uint32Array(this.#words);
    const { states, contexts } = this.#threads;
    states.length = 0;
    contexts.length = 0;
    states.push(state);
    contexts.push(context);
    this.#walk(mask, this.#trie, 0, this.#trie.length, 0);
    return mask;
  }

  #inString(state: number, { inside, exits, exitStates, trie }: StringMask, context: Context): Uint32Array {
    const machine = this.#machine;
    const mask = inside.slice();
    const { states, contexts } = this.#threads;
    for (let i = 0; i < exits.length; i++) {
      const exit = exits[i];
      states.length = 0;
      contexts.length = 0;
      const written = () => this.#bytesBefore(trie, exit);
      machine.close(state, exitStates[i], context, written, this.#threads);
      if (states.length === 0) continue;
      if (trie.tokens[exit] >= 0) setToken(mask, trie, trie.tokens[exit]);
      if (trie.skips[exit] > exit + 1) this.#walk(mask, trie, exit + 1, trie.skips[exit], trie.depths[exit] + 1);
    }
    return mask;
  }

  /** The bytes that lead to a node, without its own: those of any token at or below it. */
  #bytesBefore({ tokens, depths }: TokenTrie, node: number): Uint8Array {
    let below = node;
    while (tokens[below] < 0) below++;
    return this.#tokenBytes[tokens[below]]!.subarray(0, depths[node]);
  }

  /** Walks the nodes [from, to), of which the first ones are at depth `base`; the threads before them are in `#threads`. */
  #walk(mask: Uint32Array, trie: TokenTrie, from: number, to: number, base: number): void {
    const machine = this.#machine;
    const { bytes, depths, skips, tokens } = trie;
    const threads = this.#threads;
    const { states, contexts } = threads;
    const ends = [states.length];
    let node = from;
    while (node < to) {
      const depth = depths[node] - base;
      const start = depth === 0 ? 0 : ends[depth - 1];
      const end = ends[depth];
      states.length = end;
      contexts.length = end;
      const byte = bytes[node];
      for (let i = start; i < end; i++) machine.step(states[i], contexts[i], byte, threads);
      if (states.length === end) {
        node = skips[node];
        continue;
      }
      if (states.length > end + 1) dropRepeated(threads, end);
      ends[depth + 1] = states.length;
      if (tokens[node] >= 0) setToken(mask, trie, tokens[node]);
      node++;
    }
  }
}

/** Drops threads that are equal to an earlier one from `start` on. */
export function dropRepeated({ states, contexts }: Threads, start: number): void {
  let kept = start;
  for (let i = start; i < states.length; i++) {
    let isNew = true;
    for (let j = start; j < kept && isNew; j++) isNew = states[j] !== states[i] || contexts[j] !== contexts[i];
    if (!isNew) continue;
    states[kept] = states[i];
    contexts[kept] = contexts[i];
    kept++;
  }
  states.length = kept;
  contexts.length = kept;
}
