/**
 * @file Expressions as the states of a deterministic automaton that is built as far as it is visited: derivatives, whether a
 * language has words, and its cheapest word.
 *
 * The derivative of a language by a byte b holds the rest of each word that starts with b (Brzozowski 1964, "Derivatives of
 * regular expressions"). Bytes with equal derivatives form one class (Owens, Reppy and Turon 2009, "Regular-expression derivatives
 * re-examined"). Intersection and complement cost no more than union does, but only a search tells whether such a language has a
 * word. Searches go first where the parts, each for itself, are nearest to their ends (A*; Hart, Nilsson and Raphael 1968).
 */

import type { ByteSet } from "./byte-set.js";
import { type ByteCosts, type Expression, ExpressionAlgebra } from "./expression.js";
import { PriorityQueue } from "./priority-queue.js";

/** Work after which a search for the cheapest word settles for a short one. */
const EXACT_WORK = 60_000;
/** States after which a search for a word first looks whether two parts of an intersection exclude each other. */
const PAIR_STATES = 64;

export class ExpressionPool extends ExpressionAlgebra {
  /** The state after a byte; `empty` if no word continues so. */
  next(expression: Expression, byte: number): Expression {
    const successor = this.#derivative(expression, byte);
    return this.isLive(successor) ? successor : this.empty;
  }

  /** Whether a word is in a language. */
  accepts(expression: Expression, word: Uint8Array): boolean {
    this.meter.spend("states", 1 + word.length / 8);
    return word.reduce((state, byte) => this.#derivative(state, byte), expression).nullable;
  }

  /** The live states after one byte. */
  nextStates(expression: Expression): readonly Expression[] {
    return this.#successors(expression).filter((successor) => this.isLive(successor));
  }

  /** (256): bytes of one class have equal derivatives. */
  #classes(expression: Expression): Uint8Array {
    const { cache, parts } = expression;
    if (cache.classes !== undefined) return cache.classes;
    this.meter.spend("states", 1 + 2 * parts.length);
    let classes: Uint8Array;
    switch (expression.kind) {
      case "empty":
      case "epsilon":
        classes = ONE_CLASS;
        break;
      case "bytes":
        classes = new Uint8Array(256);
        for (let b = 0; b < 256; b++) classes[b] = expression.set!.has(b) ? 1 : 0;
        break;
      case "concat":
        classes = this.#classes(parts[0]);
        if (parts[0].nullable) classes = refined(classes, this.#classes(parts[1]));
        break;
      case "machine": {
        this.meter.spend("states", 16);
        const targets = new Map<number, number>();
        classes = Uint8Array.from({ length: 256 }, (_, b) => {
          const target = expression.machine!.next(expression.state, b);
          if (!targets.has(target)) targets.set(target, targets.size);
          return targets.get(target)!;
        });
        break;
      }
      case "or":
      case "and":
      case "not":
      case "repeat":
        classes = parts.map((part) => this.#classes(part)).reduce(refined);
        break;
      default:
        expression.kind satisfies never;
        throw new Error("unreachable");
    }
    cache.classes = classes;
    return classes;
  }

  /** The derivatives by all bytes, each once. */
  #successors(expression: Expression): readonly Expression[] {
    const classes = this.#classes(expression);
    const successors: Expression[] = [];
    for (let b = 0; b < 256; b++) successors[classes[b]] ??= this.#derivative(expression, b);
    return [...new Set(successors)];
  }

  #derivative(expression: Expression, byte: number): Expression {
    const { kind, cache } = expression;
    if (kind === "empty" || kind === "epsilon") return this.empty;
    if (kind === "bytes") return expression.set!.has(byte) ? this.epsilon : this.empty;
    const of = this.#classes(expression)[byte];
    cache.successors ??= [];
    const known = cache.successors[of];
    if (known !== undefined) return known;
    const derivative = this.#derived(expression, byte);
    cache.successors[of] = derivative;
    return derivative;
  }

  #derived(expression: Expression, byte: number): Expression {
    const { kind, parts } = expression;
    this.meter.spend("states", 1);
    switch (kind) {
      case "concat": {
        const first = this.concat(this.#derivative(parts[0], byte), parts[1]);
        return parts[0].nullable ? this.or([first, this.#derivative(parts[1], byte)]) : first;
      }
      case "or":
        return this.or(parts.map((part) => this.#derivative(part, byte)));
      case "and":
        return this.and(parts.map((part) => this.#derivative(part, byte)));
      case "not":
        return this.not(this.#derivative(parts[0], byte));
      case "repeat": {
        const rest = this.repeat(parts[0], Math.max(expression.min - 1, 0), expression.max - 1);
        return this.concat(this.#derivative(parts[0], byte), rest);
      }
      case "machine":
        return this.machine(expression.machine!, expression.machine!.next(expression.state, byte));
      default:
        throw new Error(`no derivative of ${kind}`);
    }
  }

  /** Whether the language has a word. */
  isLive(expression: Expression): boolean {
    if (expression.nullable) return true;
    if (!expression.searched) return expression !== this.empty;
    const { cache } = expression;
    cache.live ??= this.#findLive(expression);
    return cache.live;
  }

  #findLive(expression: Expression): boolean {
    const { kind, parts } = expression;
    if (kind === "or") return parts.some((part) => this.isLive(part));
    if (kind === "repeat") return this.isLive(parts[0]);
    if (kind !== "concat") return this.#reachesEnd(expression);
    let rest = expression;
    while (rest.kind === "concat") {
      if (!this.isLive(rest.parts[0])) return false;
      rest = rest.parts[1];
    }
    return this.isLive(rest);
  }

  /** Looks for an accepting state, and records on the way what it learns of others. */
  #reachesEnd(expression: Expression): boolean {
    const cameFrom = new Map<Expression, Expression | undefined>([[expression, undefined]]);
    const open = new PriorityQueue<Expression>();
    open.push(expression, 0);
    let visited = 0;
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      if (state.nullable || state.cache.live === true || (!isSearched(state) && this.isLive(state))) {
        for (let on: Expression | undefined = state; on !== undefined; on = cameFrom.get(on)) on.cache.live = true;
        return true;
      }
      if (state.cache.live === false || !isSearched(state)) continue;
      if (++visited === PAIR_STATES && this.#hasExclusivePair(expression)) return false;
      for (const successor of this.#successors(state)) {
        if (successor === this.empty || cameFrom.has(successor)) continue;
        cameFrom.set(successor, state);
        open.push(successor, successor.guess);
      }
    }
    for (const state of cameFrom.keys()) state.cache.live = false;
    return false;
  }

  /** Two parts that exclude each other are found much sooner than that all parts together do. */
  #hasExclusivePair({ kind, parts }: Expression): boolean {
    if (kind !== "and" || parts.length < 3) return false;
    return parts.some((part, i) => parts.slice(0, i).some((other) => !this.isLive(this.and([part, other]))));
  }

  /** The least cost of a word, Infinity if there is none. Of large intersections it may be the cost of another short word. */
  distance(expression: Expression, costs: ByteCosts): number {
    if (expression.nullable) return 0;
    if (!this.isLive(expression)) return Number.POSITIVE_INFINITY;
    const known = expression.cache.ways?.get(costs);
    if (known !== undefined) return known.cost;
    if (isSearched(expression)) {
      if (!this.#search(expression, costs, EXACT_WORK)) this.#search(expression, costs, Number.POSITIVE_INFINITY);
      return expression.cache.ways!.get(costs)!.cost;
    }
    const { parts, kind } = expression;
    let cost: number;
    if (kind === "bytes") cost = costs.cost[this.#cheapest(expression.set!, costs)];
    else if (kind === "or") {
      cost = parts.reduce((least, part) => Math.min(least, this.distance(part, costs)), Number.POSITIVE_INFINITY);
    } else if (kind === "repeat") cost = expression.min * this.distance(parts[0], costs);
    else {
      cost = 0;
      let rest = expression;
      for (; rest.kind === "concat"; rest = rest.parts[1]) cost += this.distance(rest.parts[0], costs);
      cost += this.distance(rest, costs);
    }
    expression.cache.ways ??= new Map();
    expression.cache.ways.set(costs, { cost, byte: -1, to: undefined });
    return cost;
  }

  #cheapest(set: ByteSet, { cost, preference }: ByteCosts): number {
    let best = -1;
    for (const byte of preference) if (set.has(byte) && (best < 0 || cost[byte] < cost[best])) best = byte;
    return best;
  }

  /** The cheapest byte of each class of a state, with the state after it. */
  #steps(expression: Expression, costs: ByteCosts): { readonly byte: number; readonly to: Expression }[] {
    const classes = this.#classes(expression);
    const best: number[] = [];
    for (const byte of costs.preference) {
      const known = best[classes[byte]];
      if (known === undefined || costs.cost[byte] < costs.cost[known]) best[classes[byte]] = byte;
    }
    return best
      .filter((byte) => costs.cost[byte] !== Number.POSITIVE_INFINITY)
      .map((byte) => ({ byte, to: this.#derivative(expression, byte) }))
      .filter(({ to }) => to !== this.empty);
  }

  /**
   * Looks for the cheapest word of a language that has one, and records the way to its end for each state on it.
   * @param most if it takes more work, false is returned; if it is infinite, any short word will do
   */
  #search(from: Expression, costs: ByteCosts, most: number): boolean {
    const isExact = most !== Number.POSITIVE_INFINITY;
    const start = this.meter.total;
    const best = new Map<Expression, { cost: number; byte: number; before: Expression | undefined }>();
    const open = new PriorityQueue<{ readonly state: Expression; readonly cost: number }>();
    const reach = (state: Expression, cost: number, byte: number, before: Expression | undefined) => {
      const known = best.get(state);
      if (known !== undefined && known.cost <= cost) return;
      best.set(state, { cost, byte, before });
      // What is known or structural needs no search: its cost is the way's end.
      const isKnown = !isSearched(state) || state.cache.ways?.has(costs);
      const rest = isKnown ? this.distance(state, costs) : isExact ? state.least : state.guess;
      if (rest !== Number.POSITIVE_INFINITY) open.push({ state, cost }, rest + (isExact ? cost : 0));
    };
    reach(from, 0, -1, undefined);
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
      const { state, cost } = entry;
      if (cost !== best.get(state)!.cost) continue;
      if (state.nullable || !isSearched(state) || state.cache.ways?.has(costs)) {
        this.#record(state, this.distance(state, costs), costs, best);
        return true;
      }
      if (this.meter.total - start > most) return false;
      for (const { byte, to } of this.#steps(state, costs)) reach(to, cost + costs.cost[byte], byte, state);
    }
    throw new Error("a language without words has no cheapest one");
  }

  /** Records the ways of all states before one, whose own is known. */
  #record(
    end: Expression,
    rest: number,
    costs: ByteCosts,
    steps: ReadonlyMap<
      Expression,
      { readonly cost: number; readonly byte: number; readonly before: Expression | undefined }
    >,
  ): void {
    let to = end;
    let cost = rest;
    for (let step = steps.get(end)!; step.before !== undefined; step = steps.get(to)!) {
      const { before, byte } = step;
      cost += costs.cost[byte];
      before.cache.ways ??= new Map();
      before.cache.ways.set(costs, { cost, byte, to });
      to = before;
    }
  }

  /** The words of a language, from the cheapest on; only those of a finite language end. */
  *cheapestWords(expression: Expression, costs: ByteCosts): Generator<readonly number[], undefined> {
    interface Beginning {
      /** Undefined for a whole word. */
      readonly state: Expression | undefined;
      readonly cost: number;
      readonly byte: number;
      readonly before: Beginning | undefined;
    }
    const open = new PriorityQueue<Beginning>();
    const add = (beginning: Beginning & { readonly state: Expression }) => {
      const rest = this.distance(beginning.state, costs);
      if (rest !== Number.POSITIVE_INFINITY) open.push(beginning, beginning.cost + rest);
    };
    add({ state: expression, cost: 0, byte: -1, before: undefined });
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
      const { state, cost } = entry;
      if (state === undefined) {
        const word: number[] = [];
        for (let at = entry.before; at?.before !== undefined; at = at.before) word.push(at.byte);
        yield word.reverse();
        continue;
      }
      this.meter.spend("states", 64);
      if (state.nullable) open.push({ state: undefined, cost, byte: -1, before: entry }, cost);
      // The latest of equally cheap ones comes first, so the preferred bytes are added last.
      for (let i = costs.preference.length - 1; i >= 0; i--) {
        const byte = costs.preference[i];
        if (costs.cost[byte] === Number.POSITIVE_INFINITY) continue;
        const to = this.#derivative(state, byte);
        if (to !== this.empty) add({ state: to, cost: cost + costs.cost[byte], byte, before: entry });
      }
    }
    return undefined;
  }

  /** The cheapest word of a language that has one; see `distance`. */
  cheapestWord(expression: Expression, costs: ByteCosts): number[] {
    const word: number[] = [];
    let state = expression;
    while (!state.nullable) {
      const { kind, parts } = state;
      this.meter.spend("states", 1);
      this.distance(state, costs);
      if (isSearched(state)) {
        const { byte, to } = state.cache.ways!.get(costs)!;
        word.push(byte);
        state = to!;
      } else if (kind === "concat") {
        for (const byte of this.cheapestWord(parts[0], costs)) word.push(byte);
        state = parts[1];
      } else if (kind === "or") {
        const least = this.distance(state, costs);
        state = parts.find((part) => this.distance(part, costs) === least)!;
      } else if (kind === "repeat") {
        const part = this.cheapestWord(parts[0], costs);
        this.meter.spend("states", state.min);
        for (let i = 0; i < state.min; i++) for (const byte of part) word.push(byte);
        state = this.epsilon;
      } else if (kind === "bytes") {
        word.push(this.#cheapest(state.set!, costs));
        state = this.epsilon;
      } else throw new Error("a language without words has no cheapest one");
    }
    return word;
  }
}

/** Whether only a search finds the words of a language; those of the other kinds come from their parts. */
function isSearched({ kind }: Expression): boolean {
  return kind === "and" || kind === "not" || kind === "machine";
}

const ONE_CLASS = new Uint8Array(256);
/** The number of the refinement that last saw each pair of classes, and the class that it gave the pair. */
const pairRefinement = new Float64Array(65536);
const pairClass = new Uint8Array(65536);
let refinement = 0;

/** The coarsest classes that are finer than both. */
function refined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first === ONE_CLASS || first === second) return second;
  if (second === ONE_CLASS) return first;
  const classes = new Uint8Array(256);
  refinement++;
  let count = 0;
  for (let b = 0; b < 256; b++) {
    const pair = (first[b] << 8) | second[b];
    if (pairRefinement[pair] !== refinement) {
      pairRefinement[pair] = refinement;
      pairClass[pair] = count++;
    }
    classes[b] = pairClass[pair];
  }
  return classes;
}
