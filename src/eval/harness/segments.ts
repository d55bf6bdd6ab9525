/**
 * @file Corpus metrics of generated text. A metric turns each segment into a row of counts, and a score is a function of their
 * sum. So a bootstrap adds rows instead of reading the texts again.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";

export interface Segment {
  readonly hypothesis: string;
  /** At least one. */
  readonly references: readonly string[];
}

export interface SegmentScores {
  /** Numbers per row. */
  readonly width: number;
  /** Writes the counts of a segment into `row`, which holds zeros. */
  readonly statistics: (segment: Segment, row: Float64Array) => void;
  /** Returns the score of summed rows. */
  readonly score: (total: Float64Array) => number;
}

/** Returns how often each n-gram occurs; its words are joined by spaces. */
export function countNgrams(words: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= words.length; i++) {
    const ngram = n === 1 ? words[i]! : words.slice(i, i + n).join(" ");
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** Returns the score of the segments at the given positions, a function that may be called often. */
export function segmentStatistic(
  scores: SegmentScores,
  segments: readonly Segment[],
): (positions: Uint32Array) => number {
  const { width } = scores;
  const rows = new Float64Array(segments.length * width);
  segments.forEach((segment, i) => {
    scores.statistics(segment, rows.subarray(i * width, (i + 1) * width));
  });
  const total = new Float64Array(width);
  return (positions) => {
    total.fill(0);
    for (const position of positions) {
      for (let j = 0; j < width; j++) total[j] = total[j]! + rows[position * width + j]!;
    }
    return scores.score(total);
  };
}

/** Returns the score of all segments. */
export function corpusScore(scores: SegmentScores, segments: readonly Segment[]): number {
  return segmentStatistic(scores, segments)(Uint32Array.from(segments.keys()));
}

/**
 * Reads lm-eval's pairs of references (a text or a list) and hypothesis (a text or a list of one). As there, all segments
 * have as many references as the one with the fewest.
 *
 * @throws QuernError for another form
 */
export function segmentsOf(metric: string, items: readonly unknown[]): Segment[] {
  const wrong = (i: number) =>
    new QuernError(`the metric ${quoted(metric)} needs pairs of reference and text; document ${i} has another form`);
  const segments = items.map((item, i) => {
    if (!Array.isArray(item) || item.length !== 2) throw wrong(i);
    const [reference, hypothesis] = item as unknown[];
    const references = Array.isArray(reference) ? (reference as unknown[]) : [reference];
    const texts = Array.isArray(hypothesis) ? (hypothesis as unknown[]) : [hypothesis];
    if (references.length === 0 || texts.length !== 1) throw wrong(i);
    if (![...references, ...texts].every((text) => typeof text === "string")) throw wrong(i);
    return { hypothesis: texts[0] as string, references: references as string[] };
  });
  const fewest = segments.reduce(
    (least, { references }) => Math.min(least, references.length),
    Number.POSITIVE_INFINITY,
  );
  return segments.map(({ hypothesis, references }) => ({ hypothesis, references: references.slice(0, fewest) }));
}
