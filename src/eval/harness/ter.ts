/**
 * @file Translation edit rate (Snover et al. 2006) with Tercom's limits, as sacreBLEU computes it: insertions, deletions,
 * substitutions and shifts of word sequences, divided by the words of the reference. Shifts are searched greedily.
 */
import { splitWords } from "./python-text.js";
import type { SegmentScores } from "./segments.js";

/** Longest sequence that is shifted, and how far, in words. */
const MAX_SHIFT_SIZE = 10;
const MAX_SHIFT_DISTANCE = 50;
/** Cells to each side of the diagonal in which edits are searched. */
const BEAM = 25;
/** Shifts that are tried per segment. */
const MAX_CANDIDATES = 1000;
const FAR = 1e9;

const NONE = 0;
const MATCH = 1;
const SUBSTITUTE = 2;
/** A word of the reference that the hypothesis lacks. */
const INSERT = 3;
/** A word of the hypothesis that the reference lacks. */
const DELETE = 4;

/** Per segment: edits against the best reference, mean words of the references. */
export const TER: SegmentScores = {
  width: 2,
  statistics({ hypothesis, references }, row) {
    const words = terWords(hypothesis);
    let fewest = Number.POSITIVE_INFINITY;
    let length = 0;
    for (const reference of references) {
      const wanted = terWords(reference);
      fewest = Math.min(fewest, editsWithShifts(words, wanted));
      length += wanted.length;
    }
    row[0] = fewest;
    row[1] = length / references.length;
  },
  /** Returns TER in percent; it may exceed 100. */
  score(total) {
    const [edits, words] = [total[0]!, total[1]!];
    if (words > 0) return 100 * (edits / words);
    return edits > 0 ? 100 : 0;
  },
};

function terWords(text: string): string[] {
  return splitWords(text.toLowerCase());
}

/** Returns the number of shifts and edits that turn the hypothesis into the reference. */
function editsWithShifts(hypothesis: readonly string[], reference: readonly string[]): number {
  if (reference.length === 0) return hypothesis.length;
  // Words as numbers: compared much faster.
  const ids = new Map<string, number>();
  const number = (word: string) => {
    const id = ids.get(word) ?? ids.size;
    ids.set(word, id);
    return id;
  };
  const wanted = Int32Array.from(reference, number);
  let words = Int32Array.from(hypothesis, number);
  let shifts = 0;
  let tried = 0;
  for (;;) {
    const shift = bestShift(words, wanted, tried);
    tried = shift.tried;
    if (tried >= MAX_CANDIDATES || shift.best === null || shift.best.gain <= 0) break;
    shifts++;
    words = shift.best.words;
  }
  return shifts + editDistance(words, wanted).distance;
}

interface Shift {
  /** Edits that it saves. */
  readonly gain: number;
  readonly length: number;
  readonly start: number;
  readonly target: number;
  readonly words: Int32Array<ArrayBuffer>;
}

/** Of shifts that save as many edits, the longest wins, then the one that starts first, then the one with the first target. */
function isBetter(a: Shift, b: Shift): boolean {
  return (a.gain - b.gain || a.length - b.length || b.start - a.start || b.target - a.target) > 0;
}

/** Tries shifts of sequences that both texts have but that are not aligned; returns the best and how many were tried in all. */
function bestShift(
  words: Int32Array<ArrayBuffer>,
  wanted: Int32Array,
  triedBefore: number,
): { readonly best: Shift | null; readonly tried: number } {
  const before = editDistance(words, wanted);
  const { position, wordWrong, wantedWrong } = alignment(before.trace);
  let best: Shift | null = null;
  let tried = triedBefore;
  for (const [start, from, length] of commonSequences(words, wanted)) {
    if (!anySet(wordWrong, start, length) || !anySet(wantedWrong, from, length)) continue;
    const aligned = position[from]!;
    if (start <= aligned && aligned < start + length) continue;
    let previous = -1;
    for (let offset = -1; offset < length && from + offset < position.length; offset++) {
      const target = from + offset < 0 ? 0 : position[from + offset]! + 1;
      if (target === previous) continue;
      previous = target;
      const shifted = shiftedWords(words, start, length, target);
      const gain = before.distance - editDistance(shifted, wanted).distance;
      tried++;
      const shift = { gain, length, start, target, words: shifted };
      if (best === null || isBetter(shift, best)) best = shift;
    }
    if (tried >= MAX_CANDIDATES) break;
  }
  return { best, tried };
}

/** Yields sequences that start in both texts: start in the hypothesis, start in the reference, length. */
function* commonSequences(words: Int32Array, wanted: Int32Array): Generator<readonly [number, number, number]> {
  for (let start = 0; start < words.length; start++) {
    for (let from = 0; from < wanted.length; from++) {
      if (Math.abs(from - start) > MAX_SHIFT_DISTANCE) continue;
      const most = Math.min(MAX_SHIFT_SIZE, words.length - start, wanted.length - from);
      for (let n = 0; n < most && words[start + n] === wanted[from + n]; n++) yield [start, from, n + 1];
    }
  }
}

/** Moves `length` words from `start` to before the word at `target`. */
function shiftedWords(words: Int32Array, start: number, length: number, target: number): Int32Array<ArrayBuffer> {
  const shifted = Array.from(words);
  const moved = shifted.splice(start, length);
  // Within itself, the sequence moves on by as many words as the target lies inside.
  const at = target < start ? target : target > start + length ? target - length : target;
  shifted.splice(at, 0, ...moved);
  return Int32Array.from(shifted);
}

function anySet(flags: readonly boolean[], start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (flags[i]) return true;
  return false;
}

/** Returns for each word of the reference the last word of the hypothesis up to it (-1: none), and which words are wrong. */
function alignment(trace: Uint8Array): { position: number[]; wordWrong: boolean[]; wantedWrong: boolean[] } {
  const position: number[] = [];
  const wordWrong: boolean[] = [];
  const wantedWrong: boolean[] = [];
  for (const operation of trace) {
    if (operation !== INSERT) wordWrong.push(operation !== MATCH);
    if (operation === DELETE) continue;
    position.push(wordWrong.length - 1);
    wantedWrong.push(operation !== MATCH);
  }
  return { position, wordWrong, wantedWrong };
}

/** Returns Levenshtein's distance in words, within a beam around the diagonal, and its operations in order. */
function editDistance(
  words: Int32Array,
  wanted: Int32Array,
): { readonly distance: number; readonly trace: Uint8Array } {
  const rows = words.length;
  const columns = wanted.length + 1;
  const cost = new Int32Array((rows + 1) * columns).fill(FAR);
  const made = new Uint8Array((rows + 1) * columns);
  for (let j = 0; j < columns; j++) {
    cost[j] = j;
    made[j] = INSERT;
  }
  const ratio = rows > 0 ? wanted.length / rows : 1;
  const beam = BEAM < ratio / 2 ? Math.ceil(ratio / 2 + BEAM) : BEAM;
  for (let i = 1; i <= rows; i++) {
    const diagonal = Math.floor(i * ratio);
    const end = i === rows ? columns : Math.min(columns, diagonal + beam);
    const row = i * columns;
    const above = row - columns;
    for (let j = Math.max(0, diagonal - beam); j < end; j++) {
      const deleted = cost[above + j]! + 1;
      if (j === 0) {
        cost[row] = deleted;
        made[row] = DELETE;
        continue;
      }
      const same = words[i - 1] === wanted[j - 1];
      let least = cost[above + j - 1]! + (same ? 0 : 1);
      let operation = same ? MATCH : SUBSTITUTE;
      if (deleted < least) {
        least = deleted;
        operation = DELETE;
      }
      const inserted = cost[row + j - 1]! + 1;
      if (inserted < least) {
        least = inserted;
        operation = INSERT;
      }
      if (least >= FAR) continue;
      cost[row + j] = least;
      made[row + j] = operation;
    }
  }
  const trace: number[] = [];
  for (let i = rows, j = wanted.length; i > 0 || j > 0; ) {
    const operation = made[i * columns + j]!;
    if (operation === NONE) throw new Error("the beam of the edit distance does not reach the end");
    trace.push(operation);
    if (operation !== INSERT) i--;
    if (operation !== DELETE) j--;
  }
  return { distance: cost[rows * columns + wanted.length]!, trace: Uint8Array.from(trace.reverse()) };
}
