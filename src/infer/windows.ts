/**
 * @file Windows are the spans of a text that a model reads at once. A text longer than the model's context is divided into
 * several windows. Short windows are packed into rows, where `segments` separate them.
 */

/** Reads tokens [start, start + length) and scores tokens [from, start + length], each from all tokens read before it. */
export interface Window {
  readonly ids: ArrayLike<number>;
  readonly start: number;
  readonly length: number;
  /** At least start + 1: the first token has no context. */
  readonly from: number;
  /** Offsets in `ids` where documents begin, ascending from 0. A token sees only its own document. Default one document. */
  readonly documentStarts?: ArrayLike<number>;
}

type Span = Omit<Window, "ids" | "documentStarts">;

/**
 * Yields windows of up to `sequence` tokens, one every `stride` tokens. Each token from `given` on is scored once, in the
 * first window that reaches it. So outside the first window each scored token sees at least sequence − stride tokens.
 * @param length tokens of the text
 * @param given tokens at the start that are not scored
 */
export function* overlappingWindows(
  length: number,
  { given, sequence, stride }: { readonly given: number; readonly sequence: number; readonly stride: number },
): Generator<Span, void> {
  let from = given;
  for (let start = 0; from < length; start += stride) {
    if (from > start + sequence) continue; // nothing left to score here
    yield { start, length: Math.min(sequence, length - 1 - start), from };
    from = start + sequence + 1;
  }
}

/**
 * Yields the windows of lm-evaluation-harness's `loglikelihood_rolling`: full windows whose scored tokens do not overlap.
 * The last window is shifted back so that it is full too. The first token of the text is the prefix, which is not scored.
 * @param length tokens of the text with its prefix
 * @param context minimum tokens that the first scored token of a later window sees; lm-evaluation-harness uses 1
 */
export function* rollingWindows(length: number, sequence: number, context = 1): Generator<Span, void> {
  let scored = Math.min(length - 1, sequence);
  if (scored > 0) yield { start: 0, length: scored, from: 1 };
  while (scored < length - 1) {
    const count = Math.min(length - 1 - scored, sequence - context + 1);
    scored += count;
    yield { start: scored - sequence, length: sequence, from: scored - count + 1 };
  }
}

/**
 * Packs windows into rows of `sequence` tokens by best-fit decreasing (Johnson 1973): the longest window first, each into
 * the fullest row that has room. Windows of equal length keep their order.
 */
export function packWindows<W extends Pick<Window, "length">>(windows: Iterable<W>, sequence: number): W[][] {
  const sorted = [...windows].sort((a, b) => b.length - a.length);
  const rows: W[][] = [];
  /** Rows indexed by their free tokens. */
  const byRoom: W[][][] = Array.from({ length: sequence + 1 }, () => []);
  for (const window of sorted) {
    let room = window.length;
    while (room < sequence && byRoom[room].length === 0) room += 1;
    let row = byRoom[room].pop();
    if (row === undefined) {
      row = [];
      rows.push(row);
    }
    row.push(window);
    if (room > window.length) byRoom[room - window.length].push(row);
  }
  return rows;
}
