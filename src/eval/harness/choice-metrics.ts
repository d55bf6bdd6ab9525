/**
 * @file What a multiple-choice document gives to each metric: which choice the model prefers, by log-likelihood as it is, per
 * character, per byte, or against the choice without its question.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { codePoints, utf8Bytes } from "./python-text.js";

/** The answer to one log-likelihood request. */
export interface ScoredContinuation {
  readonly logLikelihood: number;
  /** Whether greedy decoding gives this continuation. */
  readonly isGreedy: boolean;
}

export interface ChoiceOutcome {
  /** One per choice, in order; with acc_mutual_info then one per choice without its context. */
  readonly results: readonly ScoredContinuation[];
  readonly choices: readonly string[];
  /** The position of the right choice, or its text; a list if several are right. */
  readonly gold: number | string | readonly number[];
}

export const CHOICE_METRICS = [
  "acc",
  "acc_norm",
  "acc_bytes",
  "acc_mutual_info",
  "exact_match",
  "f1",
  "mcc",
  "brier_score",
  "likelihood",
] as const;

export interface ChoiceValues {
  readonly values: Readonly<Record<string, unknown>>;
  /** True if the gold choice is not among the choices; every choice is wrong then. */
  readonly isGoldMissing: boolean;
}

/** The index that lm-eval uses when the gold choice is missing. */
const MISSING = -100;

/**
 * Returns the value of each wanted metric for one document. acc_norm divides by characters (code points), acc_bytes by UTF-8
 * bytes. f1 and mcc give pairs of gold and preferred choice, brier_score pairs of gold and probabilities. likelihood gives
 * the log-likelihood of the gold choice; lm-eval gives a pair there, of which its mean fails.
 *
 * @throws QuernError for another number of results than choices, or a metric that several right choices do not have
 */
export function choiceValues(outcome: ChoiceOutcome, wanted: readonly string[]): ChoiceValues {
  const { choices } = outcome;
  const all = outcome.results.map(({ logLikelihood }) => logLikelihood);
  const hasUnconditional = wanted.includes("acc_mutual_info");
  const expected = choices.length * (hasUnconditional ? 2 : 1);
  if (choices.length === 0 || all.length !== expected) {
    throw new QuernError(`${choices.length} choices need ${expected} log-likelihoods, but there are ${all.length}`);
  }
  const scores = all.slice(0, choices.length);
  const greedy = outcome.results.map(({ isGreedy }) => isGreedy);
  const gold = goldPositions(outcome.gold, choices);
  const isGold = (choice: number) => gold.includes(choice);
  const single = (metric: string): number => {
    if (!Array.isArray(outcome.gold)) return gold[0]!;
    throw new QuernError(`the metric ${metric} needs one right choice, but the document has a list`);
  };
  const preferred = largest(scores);
  const makers: Readonly<Record<(typeof CHOICE_METRICS)[number], () => unknown>> = {
    acc: () => Number(isGold(preferred)),
    acc_norm: () => Number(isGold(largest(scores.map((score, i) => score / codePoints(choices[i]!))))),
    acc_bytes: () => Number(isGold(largest(scores.map((score, i) => score / utf8Bytes(choices[i]!))))),
    acc_mutual_info: () => {
      const gain = scores.map((score, i) => score - all[choices.length + i]!);
      return Number(largest(gain) === single("acc_mutual_info"));
    },
    // A negative position counts from the end, as in Python.
    exact_match: () => Number(gold.some((position) => position !== MISSING && greedy.at(position) === true)),
    f1: () => [single("f1"), preferred],
    mcc: () => [single("mcc"), preferred],
    brier_score: () => [single("brier_score"), softmax(scores)],
    likelihood: () => {
      const score = scores.at(single("likelihood"));
      if (score === undefined)
        throw new QuernError("the metric likelihood needs a right choice that is among the choices");
      return score;
    },
  };
  const values: Record<string, unknown> = {};
  for (const metric of wanted) {
    if (!Object.hasOwn(makers, metric)) throw unknownMetric(metric);
    values[metric] = makers[metric as (typeof CHOICE_METRICS)[number]]();
  }
  return { values, isGoldMissing: gold.includes(MISSING) };
}

function unknownMetric(metric: string): QuernError {
  return new QuernError(`the metric ${quoted(metric)} is not one of multiple_choice; use ${CHOICE_METRICS.join(", ")}`);
}

function goldPositions(gold: ChoiceOutcome["gold"], choices: readonly string[]): readonly number[] {
  if (typeof gold === "string") return [choices.includes(gold) ? choices.indexOf(gold) : MISSING];
  const positions = typeof gold === "number" ? [gold] : gold;
  return positions.map((position) => (position < choices.length ? position : MISSING));
}

/** Returns the position of the largest value, the first of equal ones; a NaN counts as largest, as in NumPy. */
export function largest(values: readonly number[]): number {
  let best = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) return i;
    if (values[i]! > values[best]!) best = i;
  }
  return best;
}

/** Returns probabilities in proportion to e to the power of the scores. */
export function softmax(scores: readonly number[]): number[] {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
