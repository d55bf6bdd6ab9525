/** @file lm-eval's aggregations: one number from the values of all documents, and how its standard error is estimated. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { BLEU } from "./bleu.js";
import type { Statistic } from "./bootstrap.js";
import { CHRF, CHRF_PLUS_PLUS } from "./chrf.js";
import { brierStatistic, f1Statistic, matthewsStatistic, questionsRight } from "./label-statistics.js";
import { type SegmentScores, segmentStatistic, segmentsOf } from "./segments.js";
import { TER } from "./ter.js";

export interface Aggregation {
  /** Reads the documents' values once, and returns a function of any selection of them. */
  readonly statistic: (items: readonly unknown[]) => Statistic;
  /** `mean`: the deviation by √n. `questions`: the same over questions. null: lm-eval has none and prints N/A. */
  readonly error: "mean" | "bootstrap" | "questions" | null;
}

function segments(name: string, scores: SegmentScores): Aggregation {
  return { statistic: (items) => segmentStatistic(scores, segmentsOf(name, items)), error: "bootstrap" };
}

/** Aggregations by their names in task files. */
export const AGGREGATIONS = {
  mean: { statistic: (items) => meanOf(numbersOf("mean", items)), error: "mean" },
  nanmean: { statistic: (items) => presentMeanOf(numbersOf("nanmean", items)), error: "bootstrap" },
  median: { statistic: (items) => medianOf(numbersOf("median", items)), error: "bootstrap" },
  perplexity: {
    statistic: (items) => {
      const mean = meanOf(numbersOf("perplexity", items));
      return (positions) => Math.exp(-mean(positions));
    },
    error: "bootstrap",
  },
  weighted_perplexity: {
    statistic: (items) => {
      const mean = weightedMeanOf("weighted_perplexity", items);
      return (positions) => Math.exp(-mean(positions));
    },
    error: null,
  },
  bits_per_byte: {
    statistic: (items) => {
      const mean = weightedMeanOf("bits_per_byte", items);
      return (positions) => -mean(positions) / Math.LN2;
    },
    error: null,
  },
  f1: { statistic: f1Statistic, error: "bootstrap" },
  matthews_corrcoef: { statistic: matthewsStatistic, error: "bootstrap" },
  brier_score: { statistic: brierStatistic, error: null },
  bleu: segments("bleu", BLEU),
  chrf: segments("chrf", CHRF),
  "chrf++": segments("chrf++", CHRF_PLUS_PLUS),
  ter: segments("ter", TER),
  acc_all: {
    statistic: (items) => (positions) => {
      const right = questionsRight(
        Array.from(positions, (i) => items[i]),
        "paragraph and question",
      );
      return right.filter(Boolean).length / right.length;
    },
    error: "questions",
  },
  /** What lm-eval writes for a metric that was only recorded. */
  bypass: { statistic: () => () => 999, error: null },
} as const satisfies Readonly<Record<string, Aggregation>>;

export type AggregationName = keyof typeof AGGREGATIONS;

export function isAggregation(name: string): name is AggregationName {
  return Object.hasOwn(AGGREGATIONS, name);
}

/**
 * Returns the aggregation called `name`.
 *
 * @throws QuernError if there is none
 */
export function aggregationOf(name: string): Aggregation {
  if (isAggregation(name)) return AGGREGATIONS[name];
  throw new QuernError(`the aggregation ${quoted(name)} is unknown; known: ${Object.keys(AGGREGATIONS).join(", ")}`);
}

/**
 * Returns the value of a metric over all documents.
 *
 * @throws QuernError for an unknown aggregation, no documents, or values of another form
 */
export function aggregate(name: string, items: readonly unknown[]): number {
  const aggregation = aggregationOf(name);
  if (items.length === 0) throw new QuernError(`there are no documents for the aggregation ${name}`);
  return aggregation.statistic(items)(Uint32Array.from(items.keys()));
}

/** @throws QuernError for a value that is neither a number nor a truth value */
export function numbersOf(name: string, items: readonly unknown[]): Float64Array {
  return Float64Array.from(items, (item, i) => {
    if (typeof item === "number" || typeof item === "boolean") return Number(item);
    throw new QuernError(
      `the aggregation ${name} needs a number per document; document ${i} has ${quoted(String(item))}`,
    );
  });
}

function meanOf(values: Float64Array): Statistic {
  return (positions) => {
    let sum = 0;
    for (const i of positions) sum += values[i]!;
    return sum / positions.length;
  };
}

/** Returns the mean of values that are not NaN; NaN if all are. */
function presentMeanOf(values: Float64Array): Statistic {
  return (positions) => {
    let sum = 0;
    let count = 0;
    for (const i of positions) {
      if (Number.isNaN(values[i]!)) continue;
      sum += values[i]!;
      count++;
    }
    return count === 0 ? Number.NaN : sum / count;
  };
}

/** Returns the upper median: of an even number of values the greater of the middle two, as lm-eval does. */
function medianOf(values: Float64Array): Statistic {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  const rank = new Uint32Array(values.length);
  order.forEach((position, r) => {
    rank[position] = r;
  });
  // Counting is linear, unlike sorting every bootstrap sample.
  const counts = new Uint32Array(values.length);
  return (positions) => {
    counts.fill(0);
    for (const i of positions) counts[rank[i]!] = counts[rank[i]!]! + 1;
    const middle = Math.floor(positions.length / 2);
    let seen = 0;
    let r = 0;
    for (; r < counts.length - 1; r++) {
      seen += counts[r]!;
      if (seen > middle) break;
    }
    return values[order[r]!]!;
  };
}

/** Reads pairs of sum and weight; returns the sum of sums by the sum of weights. */
function weightedMeanOf(name: string, items: readonly unknown[]): Statistic {
  const sums = new Float64Array(items.length);
  const weights = new Float64Array(items.length);
  items.forEach((item, i) => {
    const [sum, weight] = Array.isArray(item) ? (item as unknown[]) : [];
    if (typeof sum !== "number" || typeof weight !== "number") {
      throw new QuernError(`the aggregation ${name} needs pairs of log-likelihood and length; document ${i} has none`);
    }
    sums[i] = sum;
    weights[i] = weight;
  });
  return (positions) => {
    let sum = 0;
    let weight = 0;
    for (const i of positions) {
      sum += sums[i]!;
      weight += weights[i]!;
    }
    return sum / weight;
  };
}
