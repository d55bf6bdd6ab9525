/**
 * @file Windows: the stretches of a text that go through a model at once. Texts longer than a model's context are divided into
 * several; short ones are packed into rows, where `segments` keep them apart.
 */

/** Tokens [start, start + length) are read; tokens [from, start + length] are scored, each from all read before it. */
export interface Window {
  readonly ids: ArrayLike<number>;
  readonly start: number;
  readonly length: number;
  /** At least start + 1: nothing stands before the first token. */
  readonly from: number;
  /** Where documents begin in `ids`, ascending from 0: a token sees only its own document. Default one document. */
  readonly documentStarts?: ArrayLike<number>;
}

type Span = Omit<Window, "ids" | "documentStarts">;

/**
 * Windows of up to `sequence` tokens that begin every `stride` tokens. Each token from `given` on is scored once, in the first
 * window that reaches it; so all but those of the first window see at least sequence − stride tokens before them.
 * @param length tokens of the text
 */
export function* overlappingWindows(
  length: number,
  { given, sequence, stride }: { readonly given: number; readonly sequence: number; readonly stride: number },
): Generator<Span, void> {
  let from = given;
  for (let start = 0; from < length; start += stride) {
    if (from > start + sequence) continue; // it has nothing left to score
    yield { start, length: Math.min(sequence, length - 1 - start), from };
    from = start + sequence + 1;
  }
}

/**
 * The windows of lm-evaluation-harness's `loglikelihood_rolling`: full windows whose scored tokens do not overlap, the last one
 * moved back so that it is full too. The first token of the text is the prefix, which is not scored.
 * @param length tokens of the text with its prefix
 * @param context tokens that a later window's first scored token sees at least; lm-evaluation-harness has 1
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
 * Packs windows into rows of `sequence` tokens, best fit decreasing: the longest first, each into the fullest row that has room
 * (Johnson 1973). Equal lengths keep their order.
 */
export function packWindows<W extends Pick<Window, "length">>(windows: Iterable<W>, sequence: number): W[][] {
  const sorted = [...windows].sort((a, b) => b.length - a.length);
  const rows: W[][] = [];
  /** Rows by the room that they have left. */
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
