/** @file What is open around a point of a JSON text: a stack of objects and arrays, shared by all texts that have it in common. */
import type { ArrayState } from "./array-shape.js";
import type { ObjectState } from "./object-shape.js";
import type { WrittenText } from "./written-text.js";

type Inner =
  | { readonly kind: "root" }
  | { readonly kind: "object"; readonly state: ObjectState; readonly parent: Context }
  | { readonly kind: "array"; readonly state: ArrayState; readonly parent: Context }
  /** One byte of a property name that is remembered. */
  | { readonly kind: "name"; readonly byte: number; readonly parent: Context };

/** A stack, as its top and the stack below it. */
export class Context {
  readonly inner: Inner;
  #children: Map<ObjectState | ArrayState | number, Context> | undefined;
  /** Masks of lexer states in this context; see `JsonConstraint`. */
  masks: Map<number, Uint32Array> | undefined;
  /** What closes all that is open after a whole value, once known. */
  closing: WrittenText | undefined;

  constructor(inner: Inner) {
    this.inner = inner;
  }

  #child(key: ObjectState | ArrayState | number, inner: Inner): Context {
    const known = this.#children?.get(key);
    if (known !== undefined) return known;
    const child = new Context(inner);
    this.#children ??= new Map();
    this.#children.set(key, child);
    return child;
  }

  /** The stack with one more object. */
  inObject(state: ObjectState): Context {
    return this.#child(state, { kind: "object", state, parent: this });
  }

  inArray(state: ArrayState): Context {
    return this.#child(state, { kind: "array", state, parent: this });
  }

  inName(byte: number): Context {
    return this.#child(byte, { kind: "name", byte, parent: this });
  }

  /** The object around a remembered name, and the name's JSON text without quotes. */
  nameSoFar(): { readonly object: Context; readonly text: number[] } {
    const text: number[] = [];
    let at: Context = this;
    while (at.inner.kind === "name") {
      text.push(at.inner.byte);
      at = at.inner.parent;
    }
    return { object: at, text: text.reverse() };
  }
}
