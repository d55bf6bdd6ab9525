/** @file A text cut at its added tokens, what lies between them normalised. */
import { type AddedToken, AddedTokenFinder, type SpecialHandling } from "./added-tokens.js";
import type { Alignment } from "./normalize.js";
import type { Normalizer } from "./normalizers.js";

/**
 * Is told of an added token by its id, or of ordinary text by an id of −1 and its normalised text; returns false to stop.
 * `start` and `end` are UTF-16 units of the original.
 */
export type StretchVisitor = (
  id: number,
  start: number,
  end: number,
  normal: string,
  alignment: Alignment | undefined,
) => boolean;

export class Stretches {
  readonly #normalizer: Normalizer | undefined;
  readonly #raw: AddedTokenFinder;
  readonly #normal: AddedTokenFinder;

  constructor(added: readonly AddedToken[], normalizer: Normalizer | undefined) {
    this.#normalizer = normalizer;
    this.#raw = new AddedTokenFinder(added.filter((token) => !token.normalized));
    // Tokens that are sought in the normalised text are normalised themselves.
    this.#normal = new AddedTokenFinder(
      added
        .filter((token) => token.normalized)
        .map((token) => (normalizer ? { ...token, content: normalizer.apply(token.content) } : token)),
    );
  }

  /**
   * Visits a text's added tokens and the stretches between them, these normalised; stops when `visit` returns false.
   * Positions are UTF-16 units of the original; they are right only with `align`, which also gives the alignment where
   * normalisation changed something.
   */
  visit(text: string, special: SpecialHandling, align: boolean, visit: StretchVisitor): boolean {
    if (text === "") return true;
    if (this.#raw.idle(special)) return this.#normalStretches(text, 0, special, align, visit);
    const whole = this.#raw.split(text, special, (start, end, id) =>
      id >= 0
        ? visit(id, start, end, "", undefined)
        : this.#normalStretches(text.slice(start, end), start, special, align, visit),
    );
    return whole ?? this.#normalStretches(text, 0, special, align, visit);
  }

  #normalStretches(
    text: string,
    offset: number,
    special: SpecialHandling,
    align: boolean,
    visit: StretchVisitor,
  ): boolean {
    const alignment = align ? this.#normalizer?.align(text) : undefined;
    const normal = alignment?.text ?? this.#normalizer?.apply(text) ?? text;
    const all = (): boolean => visit(-1, offset, offset + text.length, normal, alignment);
    if (this.#normal.idle(special)) return all();
    const whole = this.#normal.split(normal, special, (start, end, id) => {
      const from = offset + (alignment === undefined ? start : alignment.starts[start]);
      const to = offset + (alignment === undefined ? end : alignment.ends[end - 1]);
      const part =
        alignment === undefined
          ? undefined
          : {
              text: normal.slice(start, end),
              starts: alignment.starts.slice(start, end).map((at) => at + offset - from),
              ends: alignment.ends.slice(start, end).map((at) => at + offset - from),
            };
      return visit(id, from, to, id >= 0 ? "" : normal.slice(start, end), part);
    });
    return whole ?? all();
  }
}
