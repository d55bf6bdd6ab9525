/**
 * @file Measures a judge against human labels by its judgements in both orders, with the figures of LLMBar
 * (Zeng et al. 2024, "Evaluating Large Language Models at Evaluating Instruction Following", arXiv 2310.07641).
 */
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { type JsonItem, readJsonItems, textAt } from "../json-input.js";
import { cohenKappa } from "./agreement.js";
import { type PositionBias, positionBias, type TwoOrders } from "./biases.js";
import { type Interval, wilsonInterval } from "./intervals.js";

export interface MetaEvaluationOptions {
  /** LLMBar's dataset.json: objects {input, output_1, output_2, label: 1 | 2}. */
  readonly meta: string;
  /** LLMBar's result.json: the same objects in the same order with `results`; the last result counts. */
  readonly judge: string;
  readonly signal?: AbortSignal;
}

/** The keys and texts of LLMBar's statistics.json. "False" is the given order of the answers, "True" the swapped one. */
export interface LlmbarStatistics {
  readonly correct_False: string;
  readonly correct_True: string;
  readonly correct_average: string;
  readonly correct_both: string;
  /** Both orders name one winner, or neither names any. */
  readonly equal: string;
  /**
   * LLMBar's κ with the labels: it reads winner "2" and a missing winner as category 0, while the labels are 1 and 2, so
   * even a perfect judge stays below 1. `kappa` below is the usual κ.
   */
  readonly kappa_False: number;
  readonly kappa_True: number;
  readonly kappa_average: number;
  /** κ between the two orders, with the same categories. */
  readonly kappa_agreement: number;
}

export interface MetaEvaluation {
  readonly statistics: LlmbarStatistics;
  /** Share correct in [0, 1], mean of both orders, with a 95 % interval (Wilson, n = pairs: the orders are dependent). */
  readonly accuracy: number;
  readonly interval: Interval;
  /** Cohen's κ of winners and labels in each order, and of the two orders; a missing winner is a category of its own. */
  readonly kappa: { readonly straight: number; readonly swapped: number; readonly orders: number };
  readonly position: PositionBias;
}

interface LabelledPair extends TwoOrders {
  readonly label: "1" | "2";
}

/**
 * Replays stored judgements of a data set and compares them with its labels.
 * @throws QuernError with file and item: a missing key, a label or winner other than 1 and 2, judgements of other pairs
 */
export async function evaluateJudge({ meta, judge, signal }: MetaEvaluationOptions): Promise<MetaEvaluation> {
  const dataset = await readJsonItems(meta, signal);
  const results = await readJsonItems(judge, signal);
  if (dataset.length !== results.length) {
    throw new QuernError(`${judge} judges ${results.length} pairs, but ${meta} has ${dataset.length}`);
  }
  return measurePairs(
    dataset.map((item, index) => {
      for (const key of ["input", "output_1", "output_2"]) {
        if (textAt(item, key) !== textAt(results[index], key)) {
          throw new QuernError(`"${key}" of ${results[index].place} differs from ${item.place}; give matching files`);
        }
      }
      return { label: labelOf(item), ...winnersOf(results[index]) };
    }),
  );
}

/** Computes the figures from winners and labels. */
export function measurePairs(pairs: readonly LabelledPair[]): MetaEvaluation {
  const total = pairs.length;
  const count = (is: (pair: LabelledPair) => boolean) => pairs.filter(is).length;
  const straight = count((pair) => pair.straight === pair.label);
  const swapped = count((pair) => pair.swapped === pair.label);
  const both = count((pair) => pair.straight === pair.label && pair.swapped === pair.label);
  const equal = count((pair) => pair.straight === pair.swapped);
  const share = (n: number) => `${n} / ${total} = ${pythonFloat((n / total) * 100)}%`;

  const labels = pairs.map(({ label }) => Number(label));
  const categories = (key: "straight" | "swapped") => pairs.map((pair) => (pair[key] === "1" ? 1 : 0));
  const kappaStraight = cohenKappa(categories("straight"), labels);
  const kappaSwapped = cohenKappa(categories("swapped"), labels);
  const winners = (key: "straight" | "swapped") => pairs.map((pair) => pair[key]);
  const given = pairs.map(({ label }) => label);
  const accuracy = (straight + swapped) / 2 / total;
  return {
    statistics: {
      correct_False: share(straight),
      correct_True: share(swapped),
      correct_average: `${pythonFloat(accuracy * 100)}%`,
      correct_both: share(both),
      equal: share(equal),
      kappa_False: kappaStraight,
      kappa_True: kappaSwapped,
      kappa_average: (kappaStraight + kappaSwapped) / 2,
      kappa_agreement: cohenKappa(categories("straight"), categories("swapped")),
    },
    accuracy,
    interval: wilsonInterval((straight + swapped) / 2, total),
    kappa: {
      straight: cohenKappa(winners("straight"), given),
      swapped: cohenKappa(winners("swapped"), given),
      orders: cohenKappa(winners("straight"), winners("swapped")),
    },
    position: positionBias(pairs)!,
  };
}

/** Returns the human label of a pair. */
export function labelOf({ value: { label }, place }: JsonItem): "1" | "2" {
  if (label === 1 || label === 2) return `${label}`;
  throw new QuernError(`"label" of ${place} must be 1 or 2, not ${show(label)}`);
}

function winnersOf({ value: { results }, place }: JsonItem): TwoOrders {
  // Earlier results of an item are auxiliary texts, or a first round of a judge that asks again after a conflict.
  const last: unknown = Array.isArray(results) ? results.at(-1) : undefined;
  const winner = (order: "swap = False" | "swap = True") => {
    const found = (last as Record<string, { readonly winner?: unknown } | undefined> | null | undefined)?.[order]
      ?.winner;
    if (found === "1" || found === "2" || found === null) return found;
    throw new QuernError(
      found === undefined
        ? `the last of "results" of ${place} has no winner for "${order}"`
        : `the winner for "${order}" of ${place} must be "1", "2" or null, not ${show(found)}`,
    );
  };
  return { straight: winner("swap = False"), swapped: winner("swap = True") };
}

/** Writes a share in percent as Python's `repr` does. */
function pythonFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
