/** @file Keeps a constrained completion within its token limit: it always leaves room to complete the text. */
import type { CompiledConstraint } from "./token-constraint.js";

export interface ConstrainedText {
  /**
   * Chooses the next token. `draw` samples one that the mask allows. If the shortest completion would then exceed the token
   * limit, the shortest completion of the text before it is forced instead, token by token.
   * @returns the token and whether it was forced; null if the text is complete and nothing fits after it
   */
  next(draw: (mask: Uint32Array) => number): { readonly id: number; readonly isForced: boolean } | null;
  /** Whether nothing but an end-of-text token may follow. */
  readonly isOver: boolean;
}

/**
 * Opens a constraint for one completion.
 * @param limit maximum tokens of the completion. If not even the shortest completion fits, its beginning is forced.
 */
export function constrainedText(
  compiled: CompiledConstraint,
  { limit, endOfText }: { readonly limit: number; readonly endOfText: readonly number[] },
): ConstrainedText {
  let constraint = compiled.open();
  const accepted: number[] = [];
  /** Its length is at most the number of tokens left, unless the limit was too low from the start. */
  let shortest = constraint.shortestCompletion();
  let forced: number[] | null = shortest.length > limit ? [...shortest] : null;
  const isOver = () => {
    if (!constraint.isComplete) return false;
    const isEnd = (id: number) => endOfText.includes(id);
    return constraint.mask().every((word, i) => onesOf(word).every((bit) => isEnd(32 * i + bit)));
  };
  return {
    next(draw) {
      if (endOfText.length === 0 && isOver()) return null; // the model has no token that ends a text
      if (forced === null) {
        const id = draw(constraint.mask());
        if (endOfText.includes(id)) return { id, isForced: false };
        constraint.accept(id);
        const after = constraint.shortestCompletion();
        if (after.length < limit - accepted.length) {
          accepted.push(id);
          shortest = after;
          return { id, isForced: false };
        }
        constraint = compiled.open(); // without the token
        for (const each of accepted) constraint.accept(each);
        forced = [...shortest];
      }
      const id = forced.shift();
      if (id === undefined) return null;
      constraint.accept(id);
      accepted.push(id);
      if (forced.length === 0 && accepted.length < limit) {
        shortest = []; // complete, and the model may choose how to end
        forced = null;
      }
      return { id, isForced: true };
    },
    get isOver() {
      return isOver();
    },
  };
}

/** Returns the positions of a word's ones. */
function onesOf(word: number): number[] {
  const found: number[] = [];
  for (let rest = word; rest !== 0; rest &= rest - 1) found.push(31 - Math.clz32(rest & -rest));
  return found;
}
