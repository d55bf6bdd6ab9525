/** @file Splits a text at its added tokens and normalizes the segments between them. */
import { type AddedToken, AddedTokenFinder, type SpecialHandling } from "./added-tokens.js";
import type { Alignment } from "./normalize.js";
import type { Normalizer } from "./normalizers.js";

/**
 * Called with the id of each added token, or with −1 and the normalized text of each segment of ordinary text; returns false to
 * stop. `start` and `end` are UTF-16 units of the original.
 */
export type SegmentVisitor = (
  id: number,
  start: number,
  end: number,
  normal: string,
  alignment: Alignment | undefined,
) => boolean;

export class Segments {
  readonly #normalizer: Normalizer | undefined;
  readonly #raw: AddedTokenFinder;
  readonly #normal: AddedTokenFinder;

  constructor(added: readonly AddedToken[], normalizer: Normalizer | undefined) {
    this.#normalizer = normalizer;
    this.#raw = new AddedTokenFinder(added.filter((token) => !token.normalized));
    // Tokens that are searched in normalized text must be normalized as well.
    this.#normal = new AddedTokenFinder(
      added
        .filter((token) => token.normalized)
        .map((token) => (normalizer ? { ...token, content: normalizer.apply(token.content) } : token)),
    );
  }

  /**
   * Visits a text's added tokens and the normalized segments between them; stops and returns false when `visit` does.
   * Positions are UTF-16 units of the original. They are correct only with `align`, which also passes the alignment of segments
   * that normalization changed.
   */
  visit(text: string, special: SpecialHandling, align: boolean, visit: SegmentVisitor): boolean {
    if (text === "") return true;
    if (this.#raw.isIdle(special)) return this.#normalSegments(text, 0, special, align, visit);
    const whole = this.#raw.split(text, special, (start, end, id) =>
      id >= 0
        ? visit(id, start, end, "", undefined)
        : this.#normalSegments(text.slice(start, end), start, special, align, visit),
    );
    return whole ?? this.#normalSegments(text, 0, special, align, visit);
  }

  #normalSegments(
    text: string,
    offset: number,
    special: SpecialHandling,
    align: boolean,
    visit: SegmentVisitor,
  ): boolean {
    const alignment = align ? this.#normalizer?.align(text) : undefined;
    const normal = alignment?.text ?? this.#normalizer?.apply(text) ?? text;
    const all = (): boolean => visit(-1, offset, offset + text.length, normal, alignment);
    if (this.#normal.isIdle(special)) return all();
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
