/**
 * @file The tokens that may follow inside a JSON string: those that stay inside, which depend on nothing but the string's own
 * state, and the places in the trie where the string ends and the rest of the grammar applies.
 */
import type { Expression } from "./expression.js";
import { CLOSE, type LexerStates, RAW_COSTS, UNKNOWN } from "./lexer-states.js";
import type { PlainTextTokens } from "./plain-text-tokens.js";
import type { TokenTrie } from "./token-trie.js";

export interface StringMask {
  /** (ceil(V / 32)): the tokens after which the string has not ended. */
  readonly inside: Uint32Array;
  /** (E): nodes of `trie` whose byte is the closing quote. */
  readonly exits: Int32Array;
  /** (E): the state before each of these quotes. */
  readonly exitStates: Int32Array;
  /** (E): the characters of the string before them. */
  readonly exitLengths: Int32Array;
  readonly trie: TokenTrie;
}

/** Most masks that are kept; then all are forgotten. */
const MAX_MASKS = 4096;
/** Most states of a pattern that is measured. */
const MAX_PATTERN_STATES = 5000;

export class StringMasks {
  readonly #lexer: LexerStates;
  readonly #trie: TokenTrie;
  readonly #plain: PlainTextTokens;
  readonly #words: number;
  readonly #masks = new Map<number, StringMask>();
  readonly #reach = new Map<Expression, Reach>();
  readonly #growth = new Map<Expression, Growth | undefined>();

  constructor(lexer: LexerStates, trie: TokenTrie, plain: PlainTextTokens, size: number) {
    this.#lexer = lexer;
    this.#trie = trie;
    this.#plain = plain;
    this.#words = Math.ceil(size / 32);
  }

  of(state: number): StringMask {
    const known = this.#masks.get(state);
    if (known !== undefined) return known;
    if (this.#masks.size >= MAX_MASKS) this.#masks.clear();
    const mask = this.#compute(state);
    this.#masks.set(state, mask);
    return mask;
  }

  #compute(state: number): StringMask {
    const { strings } = this.#lexer;
    const { masks, others } = this.#plain;
    const longest = masks.length - 1;
    if (strings.pending[state] === "") {
      const limited = this.#withoutLimits(strings.expressions[state]);
      if (limited !== undefined) return this.#afterLength(this.of(strings.state(limited.pattern)), limited.min);
      const { characters, exact } = this.#reachOf(strings.expressions[state]);
      if (characters >= longest) return this.#walk(state, others, masks[longest]);
      if (exact) return this.#walk(state, others, masks[characters]);
    }
    return this.#walk(state, this.#trie, undefined);
  }

  /**
   * A pattern with length limits has as many states as the product of both. Where no token can reach the limit, the mask is the
   * pattern's own: after any token the pattern can still end within `max`, and it can always grow to `min`.
   */
  #withoutLimits({ kind, parts }: Expression): { readonly pattern: Expression; readonly min: number } | undefined {
    const { anyCodePoint, text, pool } = this.#lexer;
    if (kind !== "and") return undefined;
    const limit = parts.find((part) => part !== text && part.kind === "repeat" && part.parts[0] === anyCodePoint);
    if (limit === undefined) return undefined;
    const others = parts.filter((part) => part !== limit);
    const pattern = others.some((part) => part.wellFormed) ? pool.and(others) : pool.and([text, ...others]);
    if (limit.max < this.#trie.deepest || this.#trie.deepest === 0) return undefined;
    const growth = this.#growthOf(pattern);
    const fits = growth !== undefined && limit.max >= this.#trie.deepest + growth.farthest;
    return fits && (limit.min === 0 || growth.grows) ? { pattern, min: limit.min } : undefined;
  }

  #growthOf(pattern: Expression): Growth | undefined {
    const known = this.#growth.get(pattern);
    if (known !== undefined || this.#growth.has(pattern)) return known;
    const growth = this.#measureGrowth(pattern);
    if (growth === undefined) this.#growth.set(pattern, growth);
    return growth;
  }

  #measureGrowth(pattern: Expression): Growth | undefined {
    const { pool } = this.#lexer;
    const successors = new Map<Expression, Set<Expression>>();
    const open = [pattern];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      if (successors.has(state)) continue;
      if (successors.size >= MAX_PATTERN_STATES) return undefined;
      const next = new Set(pool.nextStates(state));
      successors.set(state, next);
      open.push(...next);
    }
    let farthest = 0;
    for (const state of successors.keys()) farthest = Math.max(farthest, pool.distance(state, RAW_COSTS));
    // States from which no loop is reached are taken away, the last ones first.
    const loops = new Set(successors.keys());
    for (let changed = true; changed; ) {
      changed = false;
      for (const state of loops) {
        if ([...successors.get(state)!].some((next) => loops.has(next))) continue;
        loops.delete(state);
        changed = true;
      }
    }
    const growth = { farthest, grows: loops.size === successors.size };
    // It holds for all that the pattern reaches, too.
    for (const state of successors.keys()) this.#growth.set(state, growth);
    return growth;
  }

  #afterLength(mask: StringMask, min: number): StringMask {
    if (min === 0) return mask;
    const kept = [...mask.exits.keys()].filter((i) => mask.exitLengths[i] >= min);
    return {
      ...mask,
      exits: Int32Array.from(kept, (i) => mask.exits[i]),
      exitStates: Int32Array.from(kept, (i) => mask.exitStates[i]),
      exitLengths: Int32Array.from(kept, (i) => mask.exitLengths[i]),
    };
  }

  #walk(start: number, trie: TokenTrie, known: Uint32Array | undefined): StringMask {
    const { strings } = this.#lexer;
    const { bytes, depths, skips, tokens, twins, length } = trie;
    const inside = known === undefined ? new Uint32Array(this.#words) : known.slice();
    const exits: number[] = [];
    const exitStates: number[] = [];
    const exitLengths: number[] = [];
    const lengths = new Int32Array(trie.deepest + 1);
    const rows: Int32Array[] = new Array(trie.deepest + 1);
    const states = new Int32Array(trie.deepest + 1);
    states[0] = start;
    rows[0] = strings.row(start);
    let node = 0;
    while (node < length) {
      const depth = depths[node];
      let next = rows[depth][bytes[node]];
      if (next === UNKNOWN) next = strings.step(states[depth], bytes[node]);
      if (next >= 0) {
        states[depth + 1] = next;
        const byte = bytes[node];
        lengths[depth + 1] = lengths[depth] + ((byte & 0xc0) !== 0x80 && strings.pending[next] === "" ? 1 : 0);
        const id = tokens[node];
        if (id >= 0) {
          inside[id >> 5] |= 1 << (id & 31);
          if (twins.size > 0) for (const twin of twins.get(id) ?? []) inside[twin >> 5] |= 1 << (twin & 31);
        }
        node++;
        if (node < length && depths[node] > depth)
          rows[depth + 1] = next === states[depth] ? rows[depth] : strings.row(next);
      } else {
        if (next === CLOSE) {
          exits.push(node);
          exitStates.push(states[depth]);
          exitLengths.push(lengths[depth]);
        }
        node = skips[node];
      }
    }
    return {
      inside,
      exits: Int32Array.from(exits),
      exitStates: Int32Array.from(exitStates),
      exitLengths: Int32Array.from(exitLengths),
      trie,
    };
  }

  #reachOf(expression: Expression): Reach {
    const known = this.#reach.get(expression);
    if (known !== undefined) return known;
    const reach = this.#computeReach(expression);
    this.#reach.set(expression, reach);
    return reach;
  }

  #computeReach(expression: Expression): Reach {
    const { text, anyCodePoint, pool } = this.#lexer;
    const { kind, parts } = expression;
    if (expression === text || expression === pool.anything)
      return { characters: Number.POSITIVE_INFINITY, exact: true };
    if (expression === anyCodePoint) return { characters: 1, exact: true };
    if (kind === "repeat" && parts[0] === anyCodePoint) return { characters: expression.max, exact: true };
    if (kind === "concat") {
      const first = this.#reachOf(parts[0]);
      if (first.characters === Number.POSITIVE_INFINITY) return first;
      const fixed =
        parts[0] === anyCodePoint ||
        (parts[0].kind === "repeat" && parts[0].parts[0] === anyCodePoint && parts[0].min === parts[0].max);
      if (!fixed) return { characters: first.characters, exact: false };
      const second = this.#reachOf(parts[1]);
      return { characters: first.characters + second.characters, exact: second.exact };
    }
    if (kind === "or") {
      const most = parts.reduce((reach, part) => Math.max(reach, this.#reachOf(part).characters), 0);
      return { characters: most, exact: false };
    }
    if (kind === "and") {
      const isExclusion = (part: Expression) => part.kind === "not" && part.parts[0].finite;
      const limits = parts.filter((part) => part !== text && !isExclusion(part));
      const excluded = parts.some(isExclusion);
      if (limits.length === 0) return { characters: Number.POSITIVE_INFINITY, exact: false };
      if (limits.length > 1) return NO_REACH;
      // A finite set of words never excludes all that may follow, except at the very limit.
      const { characters } = this.#reachOf(limits[0]);
      return { characters: Math.max(0, characters - (excluded ? 1 : 0)), exact: false };
    }
    return NO_REACH;
  }
}

/** Of all states that a pattern reaches: the most bytes to its end, and whether each can go on for ever. */
interface Growth {
  readonly farthest: number;
  readonly grows: boolean;
}

/** Any text of up to `characters` characters may follow; if exact, no longer one does. */
interface Reach {
  readonly characters: number;
  readonly exact: boolean;
}

const NO_REACH: Reach = { characters: 0, exact: false };
