/** @file F1, Matthews' correlation, Brier's score and acc_all: statistics of pairs that no mean over documents gives. */
import { QuernError } from "../../errors.js";
import type { Statistic } from "./bootstrap.js";

/**
 * Returns F1 of the label 1 (van Rijsbergen 1979), as scikit-learn's `f1_score` does for two labels: 0 without a match.
 *
 * @throws QuernError for more than two labels, or two without a 1
 */
export function f1Statistic(items: readonly unknown[]): Statistic {
  const { gold, predicted, labels } = labelPairs("f1", items);
  const one = labels.indexOf(1);
  if (labels.length > 2 || (labels.length === 2 && one < 0)) {
    throw new QuernError(`f1 needs the labels 0 and 1, but there are ${labels.slice(0, 5).join(", ")}; use a macro F1`);
  }
  return (positions) => {
    let both = 0;
    let either = 0;
    for (const i of positions) {
      const [g, p] = [gold[i] === one, predicted[i] === one];
      if (g && p) both++;
      either += Number(g) + Number(p);
    }
    return either === 0 ? 0 : (2 * both) / either;
  };
}

/** Returns Matthews' correlation for any number of labels (Gorodkin 2004); 0 if one side has a single label. */
export function matthewsStatistic(items: readonly unknown[]): Statistic {
  const { gold, predicted, labels } = labelPairs("mcc", items);
  const goldCounts = new Float64Array(labels.length);
  const predictedCounts = new Float64Array(labels.length);
  return (positions) => {
    goldCounts.fill(0);
    predictedCounts.fill(0);
    let correct = 0;
    for (const i of positions) {
      const [g, p] = [gold[i]!, predicted[i]!];
      goldCounts[g] = goldCounts[g]! + 1;
      predictedCounts[p] = predictedCounts[p]! + 1;
      if (g === p) correct++;
    }
    let [across, goldSquares, predictedSquares] = [0, 0, 0];
    for (let k = 0; k < labels.length; k++) {
      across += goldCounts[k]! * predictedCounts[k]!;
      goldSquares += goldCounts[k]! ** 2;
      predictedSquares += predictedCounts[k]! ** 2;
    }
    const all = positions.length ** 2;
    const spread = (all - goldSquares) * (all - predictedSquares);
    return spread === 0 ? 0 : (correct * positions.length - across) / Math.sqrt(spread);
  };
}

/**
 * Returns the mean squared distance (Brier 1950) between the choices' probabilities and the gold choice, 0 to 2.
 *
 * @throws QuernError for documents with different numbers of choices, or a gold choice that is not there
 */
export function brierStatistic(items: readonly unknown[]): Statistic {
  let choices: number | null = null;
  const distances = Float64Array.from(items, (item, document) => {
    const [gold, probabilities] = pairOf("brier_score", item, document);
    if (!Array.isArray(probabilities)) throw new QuernError(`brier_score: document ${document} has no probabilities`);
    choices ??= probabilities.length;
    if (probabilities.length !== choices) {
      throw new QuernError(
        `brier_score needs as many choices everywhere: document ${document} has ${probabilities.length}, not ${choices}`,
      );
    }
    if (typeof gold !== "number" || !Number.isInteger(gold) || gold < -choices || gold >= choices) {
      throw new QuernError(`brier_score: document ${document} has no gold choice among its ${choices}`);
    }
    const right = gold < 0 ? gold + choices : gold;
    return (probabilities as number[]).reduce((sum, p, i) => sum + (p - Number(i === right)) ** 2, 0);
  });
  return (positions) => {
    let sum = 0;
    for (const i of positions) sum += distances[i]!;
    return sum / positions.length;
  };
}

/**
 * Returns whether all answers of each question are right. The key is paragraph and question for the value; for the standard
 * error lm-eval uses the question alone.
 */
export function questionsRight(items: readonly unknown[], key: "paragraph and question" | "question"): boolean[] {
  const right = new Map<string, boolean>();
  items.forEach((item, position) => {
    const [predicted, document] = pairOf("acc_all", item, position);
    const { idx, label } = (document ?? {}) as { readonly idx?: Record<string, unknown>; readonly label?: unknown };
    if (idx === undefined) throw new QuernError(`acc_all: document ${position} has no idx`);
    const name = key === "question" ? String(idx.question) : `${String(idx.paragraph)}/${String(idx.question)}`;
    right.set(name, (right.get(name) ?? true) && (label === 1 || label === true) === Boolean(predicted));
  });
  return [...right.values()];
}

function pairOf(metric: string, item: unknown, document: number): readonly [unknown, unknown] {
  if (Array.isArray(item) && item.length === 2) return [item[0], item[1]];
  throw new QuernError(`${metric} needs pairs of gold and prediction; document ${document} has another form`);
}

interface LabelPairs {
  /** Positions in `labels`. */
  readonly gold: readonly number[];
  readonly predicted: readonly number[];
  readonly labels: readonly unknown[];
}

function labelPairs(metric: string, items: readonly unknown[]): LabelPairs {
  const labels = new Map<unknown, number>();
  const number = (label: unknown) => {
    const plain = typeof label === "boolean" ? Number(label) : label;
    const known = labels.get(plain) ?? labels.size;
    labels.set(plain, known);
    return known;
  };
  const pairs = items.map((item, i) => pairOf(metric, item, i).map(number));
  return { gold: pairs.map(([g]) => g!), predicted: pairs.map(([, p]) => p!), labels: [...labels.keys()] };
}
