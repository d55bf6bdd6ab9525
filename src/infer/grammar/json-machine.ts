/**
 * @file Reads JSON text byte by byte under a schema's graph. A thread is a lexer state and a stack; where a schema has several ways
 * to go on there are several threads, and a text is allowed as long as one is left. Each thread can be completed.
 */

import type { ArrayPlan } from "./array-shape.js";
import type { Context } from "./context.js";
import type { Expression } from "./expression.js";
import { CLOSE, DEAD, escapedBytes, JSON_COSTS, type LexerStates, RAW_COSTS } from "./lexer-states.js";
import { type ObjectPlan, type ObjectState, textOf } from "./object-shape.js";
import { PriorityQueue } from "./priority-queue.js";
import type { TokenTrie } from "./token-trie.js";
import type { ValueNode } from "./value-node.js";
import { type WrittenText, writtenBefore } from "./written-text.js";

// A lexer state is a number × 16 + one of these kinds.
/** In a string value; the number is a state of `StringStates`. */
const STRING = 0;
/** In a property name. */
const NAME = 1;
/** In a property name whose bytes are remembered on the stack. */
const TRACKED_NAME = 2;
/** In null, a boolean or a number; the number is a state of `PlainStates`. */
const SCALAR = 3;
/** Before a value; the number is a node. */
const VALUE = 4;
/** After `{` or `[`. */
const OPEN = 5;
/** After a value. */
const AFTER = 6;
/** After a comma in an object. */
const NEXT_NAME = 7;
/** After a property name; the number is the node of its value. */
const COLON = 8;
const KINDS = 16;
/** Beginnings of an escape that are looked at for the best end. */
const MAX_ESCAPES = 200;

const SPACE_BYTES = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Threads as two parallel lists. */
export interface Threads {
  readonly states: number[];
  readonly contexts: Context[];
}

export interface JsonMachineOptions {
  /** Whether white space is allowed between the parts of a document. */
  readonly whiteSpace: boolean;
  /** The tokens that completions are written with. */
  readonly trie: TokenTrie;
}

export class JsonMachine {
  readonly root: ValueNode;
  readonly lexer: LexerStates;
  readonly #nodes: readonly ValueNode[];
  readonly #whiteSpace: boolean;
  readonly #trie: TokenTrie;
  readonly #texts = new Map<ValueNode, readonly number[]>();
  readonly #scalarStarts: number[] = [];
  readonly #stringStarts: number[] = [];
  readonly #nameStarts = new Map<ObjectState, number>();

  constructor(
    root: ValueNode,
    nodes: readonly ValueNode[],
    lexer: LexerStates,
    { whiteSpace, trie }: JsonMachineOptions,
  ) {
    this.root = root;
    this.lexer = lexer;
    this.#nodes = nodes;
    this.#whiteSpace = whiteSpace;
    this.#trie = trie;
    for (const node of nodes) {
      this.#scalarStarts.push(lexer.plain.state(node.scalars));
      this.#stringStarts.push(lexer.strings.state(node.strings));
    }
  }

  /** The state before the document. */
  get start(): number {
    return this.root.id * KINDS + VALUE;
  }

  /** True at the very start, where no white space is allowed. */
  isStart(state: number, context: Context): boolean {
    return context.inner.kind === "root" && state === this.start;
  }

  isComplete(state: number, context: Context): boolean {
    if (context.inner.kind !== "root") return false;
    const kind = state % KINDS;
    return kind === AFTER || (kind === SCALAR && this.lexer.plain.accepts((state - kind) / KINDS));
  }

  /** The state of `StringStates` if a thread is in a string, else −1. */
  stringState(state: number): number {
    const kind = state % KINDS;
    return kind <= TRACKED_NAME ? (state - kind) / KINDS : -1;
  }

  /**
   * Adds the threads after the quote that closes a string.
   * @param stringState its state before the quote
   * @param written the bytes of the string after `context`, which a remembered name needs
   */
  close(state: number, stringState: number, context: Context, written: () => Uint8Array, out: Threads): void {
    const kind = state % KINDS;
    if (kind === STRING) push(out, AFTER, context);
    else if (kind === NAME) this.#closeName(stringState, context, "", out);
    else {
      const { object, text } = context.nameSoFar();
      this.#closeName(stringState, object, JSON.parse(`"${textOf([...text, ...written()])}"`), out);
    }
  }

  #closeName(stringState: number, context: Context, name: string, out: Threads): void {
    if (context.inner.kind !== "object") throw new Error("a property name outside an object");
    const { state, parent } = context.inner;
    const index = state.shape.classOf(this.lexer.strings.expressions[stringState]);
    if (index < 0) return;
    for (const option of state.options(index, name))
      push(out, option.node.id * KINDS + COLON, parent.inObject(option.state));
  }

  /** Adds the threads after one more byte; none if the text cannot go on so. */
  step(state: number, context: Context, byte: number, out: Threads): void {
    const kind = state % KINDS;
    const number = (state - kind) / KINDS;
    switch (kind) {
      case STRING:
      case NAME:
      case TRACKED_NAME: {
        const next = this.lexer.strings.step(number, byte);
        if (next >= 0) push(out, next * KINDS + kind, kind === TRACKED_NAME ? context.inName(byte) : context);
        else if (next === CLOSE) this.close(state, number, context, NOTHING, out);
        return;
      }
      case SCALAR: {
        const next = this.lexer.plain.step(number, byte);
        if (next >= 0) push(out, next * KINDS + SCALAR, context);
        else if (this.lexer.plain.accepts(number)) this.step(AFTER, context, byte, out);
        return;
      }
      case VALUE:
        if (SPACE_BYTES.has(byte)) {
          if (this.#whiteSpace && !this.isStart(state, context)) push(out, state, context);
        } else this.#startValue(this.#nodes[number], context, byte, out);
        return;
      case COLON:
        if (byte === 0x3a) push(out, number * KINDS + VALUE, context);
        else if (this.#whiteSpace && SPACE_BYTES.has(byte)) push(out, state, context);
        return;
      default:
        if (SPACE_BYTES.has(byte)) {
          if (this.#whiteSpace && context.inner.kind !== "root") push(out, state, context);
        } else if (context.inner.kind === "object") this.#stepObject(kind, context, byte, out);
        else if (context.inner.kind === "array") this.#stepArray(kind, context, byte, out);
    }
  }

  #startValue(node: ValueNode, context: Context, byte: number, out: Threads): void {
    if (byte === 0x22) {
      const start = this.#stringStarts[node.id];
      if (start !== DEAD) push(out, start * KINDS + STRING, context);
    } else if (byte === 0x7b) {
      for (const shape of node.objects) push(out, OPEN, context.inObject(shape.start));
    } else if (byte === 0x5b) {
      for (const shape of node.arrays) push(out, OPEN, context.inArray(shape.start));
    } else {
      const start = this.#scalarStarts[node.id];
      const next = start === DEAD ? DEAD : this.lexer.plain.step(start, byte);
      if (next >= 0) push(out, next * KINDS + SCALAR, context);
    }
  }

  #stepObject(kind: number, context: Context, byte: number, out: Threads): void {
    if (context.inner.kind !== "object") return;
    const { state, parent } = context.inner;
    if (kind === AFTER) {
      if (byte === 0x7d && state.closes) push(out, AFTER, parent);
      else if (byte === 0x2c && this.#nameStart(state) !== DEAD) push(out, NEXT_NAME, context);
    } else if (byte === 0x22) {
      const start = this.#nameStart(state);
      if (start !== DEAD) push(out, start * KINDS + nameKind(state), context);
    } else if (byte === 0x7d && kind === OPEN && state.closes) push(out, AFTER, parent);
  }

  #nameStart(state: ObjectState): number {
    const known = this.#nameStarts.get(state);
    if (known !== undefined) return known;
    const start = this.lexer.strings.state(state.names);
    this.#nameStarts.set(state, start);
    return start;
  }

  #stepArray(kind: number, context: Context, byte: number, out: Threads): void {
    if (context.inner.kind !== "array") return;
    const { state, parent } = context.inner;
    if (byte === 0x5d) {
      if (state.closes) push(out, AFTER, parent);
    } else if (kind === OPEN) {
      for (const option of state.options)
        this.#startValue(this.#nodes[option.node.id], parent.inArray(option.state), byte, out);
    } else if (byte === 0x2c) {
      for (const option of state.options) push(out, option.node.id * KINDS + VALUE, parent.inArray(option.state));
    }
  }

  /** The shortest text, as far as one thread tells, that completes the document. */
  completion(state: number, context: Context): WrittenText {
    const kind = state % KINDS;
    const number = (state - kind) / KINDS;
    switch (kind) {
      case STRING: {
        const { pool, strings } = this.lexer;
        const { bytes, state: end } = this.#endOfEscape(number, (rest) => pool.distance(rest, JSON_COSTS));
        const rest = pool.cheapestWord(strings.expressions[end], JSON_COSTS);
        return this.#before([...bytes, ...escapedBytes(rest), 0x22], this.closing(context));
      }
      case NAME:
      case TRACKED_NAME:
        return this.#completedName(number, kind, context);
      case SCALAR:
        return this.#before(
          this.lexer.pool.cheapestWord(this.lexer.plain.expressions[number], RAW_COSTS),
          this.closing(context),
        );
      case VALUE:
        return this.#before(this.#text(this.#nodes[number]), this.closing(context));
      case COLON:
        return this.#before([0x3a, ...this.#text(this.#nodes[number])], this.closing(context));
      default:
        return this.#rest(kind, context);
    }
  }

  #before(bytes: readonly number[], text: WrittenText): WrittenText {
    return writtenBefore(this.#trie, bytes, text);
  }

  /** The bytes that end an escape that has begun, so that `cost` is least after it, and the state then. */
  #endOfEscape(
    start: number,
    cost: (rest: Expression) => number,
  ): { readonly bytes: number[]; readonly state: number } {
    const { strings } = this.lexer;
    if (strings.pending[start] === "") return { bytes: [], state: start };
    interface Entry {
      readonly bytes: number[];
      readonly state: number;
      readonly cost: number;
    }
    const open = new PriorityQueue<Entry>();
    open.push({ bytes: [], state: start, cost: 0 }, 0);
    let best: Entry | undefined;
    let looked = 0;
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
      if (best !== undefined && (entry.cost >= best.cost || looked++ > MAX_ESCAPES)) break;
      for (let byte = 0x22; byte < 0x7b; byte++) {
        const state = strings.step(entry.state, byte);
        if (state < 0) continue;
        const bytes = [...entry.bytes, byte];
        const pending = strings.pending[state];
        const rest = pending === "" ? cost(strings.expressions[state]) : missingBytes(pending);
        const next = { bytes, state, cost: bytes.length + rest };
        if (pending !== "") open.push(next, next.cost);
        else if (best === undefined || next.cost < best.cost) best = next;
      }
    }
    if (best !== undefined) return best;
    throw new Error("an escape that cannot be ended");
  }

  #completedName(number: number, kind: number, context: Context): WrittenText {
    const { pool, strings } = this.lexer;
    const { bytes, state } = this.#endOfEscape(number, (rest) => pool.distance(rest, JSON_COSTS));
    const object = kind === TRACKED_NAME ? context.nameSoFar().object : context;
    if (object.inner.kind !== "object") throw new Error("a property name outside an object");
    // A name ends with the label of its class, which is not written.
    const ends = object.inner.state
      .nameEnds(strings.expressions[state])
      .map((name) => [...bytes, ...escapedBytes(name), 0x22]);
    const threads: Threads = { states: [number * KINDS + kind], contexts: [context] };
    let best: WrittenText | undefined;
    for (const written of ends) {
      const end = written.reduce((from, byte) => this.#stepped(from, byte), threads);
      const whole = this.#before(written, this.shortest(end));
      if (best === undefined || lengthOf(whole) < lengthOf(best)) best = whole;
    }
    if (best === undefined) throw new Error("a property name that cannot be ended");
    return best;
  }

  #stepped(from: Threads, byte: number): Threads {
    const out: Threads = { states: [], contexts: [] };
    from.states.forEach((state, i) => {
      this.step(state, from.contexts[i], byte, out);
    });
    return out;
  }

  /** The completion of all threads that takes the fewest tokens. */
  shortest({ states, contexts }: Threads): WrittenText {
    let best: WrittenText | undefined;
    states.forEach((state, i) => {
      const completion = this.completion(state, contexts[i]);
      if (best === undefined || (completion?.count ?? 0) < (best?.count ?? 0)) best = completion;
    });
    if (best === undefined) throw new Error("no thread is left");
    return best;
  }

  /** What closes all that is open after a whole value. Texts share their ends, so a long one is built once. */
  closing(context: Context): WrittenText {
    const open: { readonly bytes: readonly number[]; readonly context: Context }[] = [];
    let at = context;
    while (at.closing === undefined) {
      const { inner } = at;
      if (inner.kind === "root" || inner.kind === "name") {
        at.closing = null;
        break;
      }
      const { bytes, after } = this.#continued(at, true);
      open.push({ bytes, context: at });
      at = after;
    }
    let text: WrittenText = at.closing;
    for (const { bytes, context: each } of open.reverse()) {
      text = this.#before(bytes, text);
      each.closing = text;
    }
    return text;
  }

  /** The next property, item or bracket that completes an object or array, and the stack after it. */
  #continued({ inner }: Context, comma: boolean): { readonly bytes: readonly number[]; readonly after: Context } {
    if (inner.kind === "object") {
      const plan = inner.state.plan ?? null;
      if (plan === null) return { bytes: [0x7d], after: inner.parent };
      const bytes = [...(comma ? [0x2c] : []), ...this.#property(plan)];
      return { bytes, after: inner.parent.inObject(plan.state) };
    }
    if (inner.kind !== "array") throw new Error("nothing is open");
    const plan = inner.state.plan ?? null;
    if (plan === null) return { bytes: [0x5d], after: inner.parent };
    return {
      bytes: [...(comma ? [0x2c] : []), ...this.#text(this.#nodes[plan.node.id])],
      after: inner.parent.inArray(plan.state),
    };
  }

  #rest(kind: number, context: Context): WrittenText {
    const { inner } = context;
    if (kind === AFTER || inner.kind === "root") return this.closing(context);
    // A comma needs one more property.
    if (kind === NEXT_NAME && inner.kind === "object" && (inner.state.plan ?? null) === null) {
      const start = this.#nameStart(inner.state);
      return this.#before([0x22], this.#completedName(start, nameKind(inner.state), context));
    }
    const { bytes, after } = this.#continued(context, false);
    return this.#before(bytes, this.closing(after));
  }

  #property({ name, node }: ObjectPlan): number[] {
    return [0x22, ...escapedBytes(name), 0x22, 0x3a, ...this.#text(this.#nodes[node.id])];
  }

  /** The shortest text of a value. */
  #text(node: ValueNode): readonly number[] {
    const known = this.#texts.get(node);
    if (known !== undefined) return known;
    const text = this.#shortestText(node);
    this.#texts.set(node, text);
    return text;
  }

  #shortestText({ scalars, strings, objects, arrays }: ValueNode): number[] {
    const { pool } = this.lexer;
    const ways: (readonly [number, () => number[]])[] = [
      [pool.distance(scalars, RAW_COSTS), () => pool.cheapestWord(scalars, RAW_COSTS)],
      [
        2 + pool.distance(strings, JSON_COSTS),
        () => [0x22, ...escapedBytes(pool.cheapestWord(strings, JSON_COSTS)), 0x22],
      ],
      ...objects.map((shape) => [shape.cost(), () => this.#planned(shape.start.plan, 0x7b, 0x7d)] as const),
      ...arrays.map((shape) => [shape.cost(), () => this.#planned(shape.start.plan, 0x5b, 0x5d)] as const),
    ];
    return ways.reduce((best, way) => (way[0] < best[0] ? way : best))[1]();
  }

  /** A whole object or array that only has what its plan says. */
  #planned(plan: ObjectPlan | ArrayPlan | null | undefined, opening: number, end: number): number[] {
    const text = [opening];
    for (let at = plan ?? null; at !== null; at = at.rest) {
      if (at !== plan) text.push(0x2c);
      for (const byte of "name" in at ? this.#property(at) : this.#text(this.#nodes[at.node.id])) text.push(byte);
    }
    text.push(end);
    return text;
  }
}

const NOTHING = () => new Uint8Array(0);

function nameKind(state: ObjectState): number {
  return state.tracksNames ? TRACKED_NAME : NAME;
}

function push(out: Threads, state: number, context: Context): void {
  out.states.push(state);
  out.contexts.push(context);
}

/** A lower bound of the bytes that end an escape, such as two for `\u00`. */
function missingBytes({ length }: string): number {
  if (length < 2) return 1;
  return length < 6 ? 6 - length : 12 - length;
}

const lengthOf = (text: WrittenText) => text?.length ?? 0;
