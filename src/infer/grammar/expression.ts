/** @file Regular expressions over bytes, and how they are made. Every expression is made once, so equal ones are one object. */
import { ByteSet } from "./byte-set.js";
import { WorkMeter } from "./work-meter.js";

export type ExpressionKind = "empty" | "epsilon" | "bytes" | "concat" | "or" | "and" | "not" | "repeat" | "machine";

/** A deterministic automaton given by functions, such as one that counts modulo a number. */
export interface Machine {
  /** Names the automaton; equal keys mean equal automata. */
  readonly key: string;
  /** Returns the next state, or −1 if no word continues so. */
  next(state: number, byte: number): number;
  accepts(state: number): boolean;
}

/** A state of the automaton: the language of what may still follow. */
export interface Expression {
  readonly id: number;
  readonly kind: ExpressionKind;
  readonly parts: readonly Expression[];
  /** Of "bytes". */
  readonly set?: ByteSet;
  /** Of "repeat": how often, `max` may be infinite. */
  readonly min: number;
  readonly max: number;
  /** Of "machine". */
  readonly machine?: Machine;
  readonly state: number;
  /** Whether the language has the empty word. */
  readonly nullable: boolean;
  /** Whether only a search tells that the language is empty. */
  readonly searched: boolean;
  /** False if the language may be infinite. */
  readonly finite: boolean;
  /** Whether it is made of parts without arbitrary bytes, so that its words are well-formed if the parts are. */
  readonly wellFormed: boolean;
  /** A lower bound of the bytes of each word, Infinity for the empty language. */
  readonly least: number;
  /** A guess of the bytes of the shortest word, which adds up the parts of an intersection. */
  readonly guess: number;
  /** Cached by the pool. */
  cache: {
    /** (256): bytes of one class have equal derivatives. */
    classes?: Uint8Array;
    /** The derivatives by class, as far as they are known. */
    successors?: (Expression | undefined)[];
    live?: boolean;
    ways?: Map<ByteCosts, Way>;
  };
}

/** The cheapest word of a language: its cost, and for an intersection its first byte and the state after it. */
export interface Way {
  readonly cost: number;
  readonly byte: number;
  readonly to: Expression | undefined;
}

/** What writing each byte costs: (256), Infinity if it cannot be written, and all bytes in the order in which equal ones are preferred. */
export interface ByteCosts {
  readonly cost: Float64Array;
  readonly preference: readonly number[];
}

const ALL_BYTES = ByteSet.range(0, 255);
const NO_PARTS: readonly Expression[] = [];

export class ExpressionAlgebra {
  /** Counts the work of all that uses these expressions. */
  readonly meter = new WorkMeter();
  readonly #byKey = new Map<string, Expression>();
  /** (256): the languages of one byte. */
  readonly #bytes: (Expression | undefined)[] = [];
  #count = 0;
  /** The language without words. */
  readonly empty: Expression;
  /** The language of the empty word. */
  readonly epsilon: Expression;
  /** All words. */
  readonly anything: Expression;
  /** All well-formed texts, once set; left out of intersections with what is well-formed anyway. */
  text: Expression | undefined;

  constructor() {
    this.empty = this.#make("0", { kind: "empty", finite: true, least: Number.POSITIVE_INFINITY });
    this.epsilon = this.#make("1", { kind: "epsilon", nullable: true, finite: true });
    this.anything = this.repeat(this.bytes(ALL_BYTES), 0, Number.POSITIVE_INFINITY);
  }

  /** Number of expressions made so far. */
  get size(): number {
    return this.#count;
  }

  #make(key: string, parts: Partial<Expression> & Pick<Expression, "kind">): Expression {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    this.meter.spend("states", 4);
    const children = parts.parts ?? NO_PARTS;
    const made: Expression = {
      id: this.#count++,
      parts: children,
      min: 0,
      max: 0,
      state: 0,
      nullable: false,
      searched:
        parts.kind === "and" || parts.kind === "not" || parts.kind === "machine" || children.some((c) => c.searched),
      finite: children.every((child) => child.finite),
      wellFormed: parts.kind !== "not" && parts.kind !== "machine" && children.every((child) => child.wellFormed),
      least: 0,
      guess: parts.least ?? 0,
      cache: {},
      ...parts,
    };
    this.#byKey.set(key, made);
    return made;
  }

  bytes(set: ByteSet): Expression {
    if (set.isEmpty) return this.empty;
    return this.#make(`b${set.key}`, {
      kind: "bytes",
      set,
      finite: true,
      wellFormed: set.key !== ALL_BYTES.key,
      least: 1,
    });
  }

  byte(value: number): Expression {
    this.#bytes[value] ??= this.bytes(ByteSet.of([value]));
    return this.#bytes[value]!;
  }

  /** The language of one word, followed by `tail`. */
  literal(word: ArrayLike<number>, tail: Expression = this.epsilon): Expression {
    let result = tail;
    for (let i = word.length - 1; i >= 0; i--) result = this.concat(this.byte(word[i]), result);
    return result;
  }

  /** The words of a list, as a trie, each followed by its own `tail`. */
  literals(words: readonly { readonly word: Uint8Array; readonly tail: Expression }[], depth = 0): Expression {
    if (words.length === 0) return this.empty;
    this.meter.spend("states", words.length);
    const [{ word: first, tail }] = words;
    if (words.length === 1) return this.literal(first.subarray(depth), tail);
    let shared = depth;
    while (shared < first.length && words.every(({ word }) => word[shared] === first[shared])) shared++;
    if (shared > depth) return this.literal(first.subarray(depth, shared), this.literals(words, shared));
    const ends = words.filter(({ word }) => word.length <= depth).map((each) => each.tail);
    const branches = new Map<number, { word: Uint8Array; tail: Expression }[]>();
    for (const entry of words) {
      if (entry.word.length <= depth) continue;
      const branch = branches.get(entry.word[depth]);
      if (branch === undefined) branches.set(entry.word[depth], [entry]);
      else branch.push(entry);
    }
    return this.or([...ends, ...[...branches.values()].map((branch) => this.literals(branch, depth))]);
  }

  /** A trie that `literals` made, without one of its words; all its tails begin with the byte `mark`, which is in no word. */
  withoutWord(trie: Expression, word: ArrayLike<number>, mark: number): Expression {
    const path: { readonly node: Expression; readonly branch: Expression }[] = [];
    let node = trie;
    for (let depth = 0; depth <= word.length; depth++) {
      const byte = depth < word.length ? word[depth] : mark;
      const branches = node.kind === "or" ? node.parts : [node];
      this.meter.spend("states", branches.length);
      const branch = branches.find(({ kind, parts }) => kind === "concat" && parts[0].set?.has(byte));
      if (branch === undefined) return trie;
      path.push({ node, branch });
      node = branch.parts[1];
    }
    let rest = this.empty;
    for (const { node, branch } of path.reverse()) {
      const kept = this.concat(branch.parts[0], rest);
      rest = node.kind === "or" ? this.or([kept, ...node.parts.filter((part) => part !== branch)]) : kept;
    }
    return rest;
  }

  concat(first: Expression, second: Expression): Expression {
    if (first === this.empty || second === this.empty) return this.empty;
    if (first === this.epsilon) return second;
    if (second === this.epsilon) return first;
    if (first === this.anything && second === this.anything) return first;
    if (first.kind === "concat") {
      let result = second;
      const parts: Expression[] = [];
      let rest = first;
      while (rest.kind === "concat") {
        parts.push(rest.parts[0]);
        rest = rest.parts[1];
      }
      parts.push(rest);
      for (let i = parts.length - 1; i >= 0; i--) result = this.concat(parts[i], result);
      return result;
    }
    this.meter.spend("states", 1);
    return this.#make(`c${first.id},${second.id}`, {
      kind: "concat",
      parts: [first, second],
      nullable: first.nullable && second.nullable,
      least: first.least + second.least,
      guess: first.guess + second.guess,
    });
  }

  sequence(parts: readonly Expression[]): Expression {
    return parts.reduceRight((rest, part) => this.concat(part, rest), this.epsilon);
  }

  or(choices: readonly Expression[]): Expression {
    const kept = new Set<Expression>();
    let set: ByteSet | undefined;
    const add = (choice: Expression) => {
      if (choice.kind === "or") for (const part of choice.parts) add(part);
      else if (choice.kind === "bytes") set = set === undefined ? choice.set! : set.union(choice.set!);
      else if (choice !== this.empty) kept.add(choice);
    };
    for (const choice of choices) add(choice);
    this.meter.spend("states", 1 + kept.size);
    if (this.anything !== undefined && kept.has(this.anything)) return this.anything;
    if (set !== undefined) kept.add(this.bytes(set));
    if (kept.has(this.epsilon)) {
      for (const choice of kept) {
        if (choice !== this.epsilon && choice.nullable) {
          kept.delete(this.epsilon);
          break;
        }
      }
    }
    if (kept.size === 0) return this.empty;
    const parts = [...kept].sort((a, b) => a.id - b.id);
    if (parts.length === 1) return parts[0];
    return this.#make(`o${parts.map((part) => part.id).join(",")}`, {
      kind: "or",
      parts,
      nullable: parts.some((part) => part.nullable),
      least: parts.reduce((least, part) => Math.min(least, part.least), Number.POSITIVE_INFINITY),
      guess: parts.reduce((guess, part) => Math.min(guess, part.guess), Number.POSITIVE_INFINITY),
    });
  }

  and(choices: readonly Expression[]): Expression {
    const kept = new Set<Expression>();
    let set: ByteSet | undefined;
    const add = (choice: Expression) => {
      if (choice.kind === "and") for (const part of choice.parts) add(part);
      else if (choice.kind === "bytes") set = set === undefined ? choice.set! : set.intersection(choice.set!);
      else if (choice !== this.anything) kept.add(choice);
    };
    for (const choice of choices) add(choice);
    this.meter.spend("states", 1 + kept.size);
    if (set !== undefined) kept.add(this.bytes(set));
    if (kept.has(this.empty)) return this.empty;
    if (this.text !== undefined && kept.has(this.text))
      for (const choice of kept) if (choice.wellFormed && choice !== this.text) kept.delete(this.text);
    for (const choice of kept) if (choice.kind === "not" && kept.has(choice.parts[0])) return this.empty;
    if (kept.has(this.epsilon)) return [...kept].every((part) => part.nullable) ? this.epsilon : this.empty;
    if (kept.size === 0) return this.anything;
    const parts = [...kept].sort((a, b) => a.id - b.id);
    if (parts.length === 1) return parts[0];
    return this.#make(`a${parts.map((part) => part.id).join(",")}`, {
      kind: "and",
      parts,
      nullable: parts.every((part) => part.nullable),
      least: parts.reduce((least, part) => Math.max(least, part.least), 0),
      guess: parts.reduce((sum, part) => sum + part.guess, 0),
      finite: parts.some((part) => part.finite),
      wellFormed: parts.some((part) => part.wellFormed),
    });
  }

  not(part: Expression): Expression {
    if (part === this.empty) return this.anything;
    if (part === this.anything) return this.empty;
    if (part.kind === "not") return part.parts[0];
    return this.#make(`n${part.id}`, {
      kind: "not",
      parts: [part],
      nullable: !part.nullable,
      finite: false,
      least: part.nullable ? 1 : 0,
    });
  }

  /** Between `min` and `max` words of a language; `max` may be infinite. */
  repeat(part: Expression, min: number, max: number): Expression {
    if (max === 0 || part === this.epsilon) return this.epsilon;
    if (part === this.empty) return min === 0 ? this.epsilon : this.empty;
    const least = part.nullable ? 0 : min;
    if (least === 1 && max === 1) return part;
    if (part.kind === "repeat" && isUnbroken(part, least, max))
      return this.repeat(part.parts[0], part.min * least, part.max * max);
    return this.#make(`r${part.id},${least},${max}`, {
      kind: "repeat",
      parts: [part],
      min: least,
      max,
      nullable: least === 0,
      least: least * part.least,
      guess: least * part.guess,
      finite: part.finite && max !== Number.POSITIVE_INFINITY,
    });
  }

  optional(part: Expression): Expression {
    return this.or([this.epsilon, part]);
  }

  star(part: Expression): Expression {
    return this.repeat(part, 0, Number.POSITIVE_INFINITY);
  }

  machine(machine: Machine, state: number): Expression {
    if (state < 0) return this.empty;
    return this.#make(`m${machine.key}:${state}`, {
      kind: "machine",
      machine,
      state,
      nullable: machine.accepts(state),
      least: machine.accepts(state) ? 0 : 1,
      finite: false,
    });
  }
}

/** Whether the counts of a repetition's repetitions have no gap: (X{2,3}){1,2} is X{2,6}, but (X{3}){1,2} is not X{3,6}. */
function isUnbroken(part: Expression, min: number, max: number): boolean {
  if (min === max) return true;
  return min === 0 ? part.min <= 1 : (min + 1) * part.min <= min * part.max + 1;
}
