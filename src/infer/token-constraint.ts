/** @file The interface between decoding and constrained decoding: which tokens may come next. */

/** Limits the next tokens of one completion, such as to those that continue a JSON document. */
export interface TokenConstraint {
  /**
   * Bit v % 32 of word v / 32 is 1 if token v may come next; (ceil(V / 32)), valid until the next call. End-of-text ids
   * are allowed exactly where the text may end.
   */
  mask(): Uint32Array;
  /** Appends a token that the mask allows. */
  accept(id: number): void;
  /** Whether the text may end here. */
  readonly isComplete: boolean;
  /** Fewest tokens that complete the text from here (an upper bound that is reached by forcing), and those tokens. */
  shortestCompletion(): readonly number[];
}

/** Compiled once per schema and vocabulary, then opened once per completion. */
export interface CompiledConstraint {
  open(): TokenConstraint;
}
