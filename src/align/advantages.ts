/** @file Advantages: how much better a completion's rewards are than those of the other completions of its prompt. */
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";

/** Divisor of a reward's distance from the mean of its group: deviation of the group, of the batch, or none (Dr. GRPO). */
export const REWARD_SCALES = ["group", "batch", "none"] as const;
export type RewardScale = (typeof REWARD_SCALES)[number];

/**
 * Baselines: the mean of the group (GRPO: Shao et al., arXiv:2402.03300), that of its other completions (RLOO: Ahmadian et al.,
 * arXiv:2402.14740), or the group's mean with the batch whitened (REINFORCE++: Hu et al., arXiv:2501.03262).
 */
export const ADVANTAGE_ESTIMATORS = ["grpo", "rloo", "reinforce++"] as const;
export type AdvantageEstimator = (typeof ADVANTAGE_ESTIMATORS)[number];

export interface AdvantageOptions {
  /** Completions of a prompt; those of one prompt follow each other. */
  readonly group: number;
  readonly estimator?: AdvantageEstimator;
  /** For the estimator `grpo`; default "group". */
  readonly scale?: RewardScale;
  /** Weight of each reward function; default 1. */
  readonly weights?: readonly number[];
  /** Whiten each reward function within the group before they are added, then the batch (GDPO: arXiv:2601.05242). */
  readonly separately?: boolean;
  /** (N) what is subtracted from the weighted sum of each completion's rewards, such as a KL penalty. */
  readonly penalties?: ArrayLike<number>;
  /** Whiten the advantages of `rloo` over the batch. */
  readonly whiten?: boolean;
}

export interface Advantages {
  /** (N); 0 for a completion without a reward. */
  readonly advantages: Float32Array<ArrayBuffer>;
  /** (N) weighted sums of the rewards less the penalties; null where no function gave one. */
  readonly rewards: readonly (number | null)[];
  /** Mean and deviation of these sums; null without any, or without two. */
  readonly reward: number | null;
  readonly rewardStd: number | null;
  /** Share of the groups whose rewards are all equal, so that they teach nothing. */
  readonly equalGroups: number;
}

/** Keeps a deviation of 0 from dividing. */
const EPSILON = 1e-4;

/**
 * Computes advantages from rewards (N,K) of N completions by K functions; null where a function does not apply.
 * @throws QuernError for groups that are not complete, weights that do not fit, or RLOO with one completion per prompt
 */
export function advantagesOf(rows: readonly (readonly (number | null)[])[], options: AdvantageOptions): Advantages {
  const { group, estimator = "grpo", scale = "group", separately = false, whiten = false } = options;
  const functions = rows[0]?.length ?? 0;
  const weights = options.weights ?? new Array<number>(functions).fill(1);
  if (rows.length % group !== 0) {
    throw new QuernError(`${counted(rows.length, "completion")} cannot form groups of ${group}`, { exitCode: 2 });
  }
  if (weights.length !== functions) {
    throw new QuernError(`${counted(weights.length, "weight")} for ${counted(functions, "reward")}`, { exitCode: 2 });
  }
  if (estimator === "rloo" && group < 2) {
    throw new QuernError("rloo compares the completions of a prompt and needs at least two of them", { exitCode: 2 });
  }
  const penalized = (value: Maybe, n: number) => (value === null ? null : value - (options.penalties?.[n] ?? 0));
  const rewards = rows.map((row, n) => penalized(weighted(row, weights), n));
  const groups = grouped(rewards, group);
  return {
    advantages: Float32Array.from(advantages(), (value) => value ?? 0),
    rewards,
    reward: mean(rewards),
    rewardStd: deviation(rewards),
    equalGroups: groups.filter((values) => isEqual(values.filter(isNumber))).length / (groups.length || 1),
  };

  function advantages(): readonly Maybe[] {
    if (separately) {
      const columns = weights.map((_, k) => grouped(column(rows, k), group).flatMap(standardized));
      return standardized(rows.map((_, n) => weighted(column(columns, n), weights)));
    }
    if (estimator === "rloo") {
      const distances = groups.flatMap((values) => {
        // The mean of the others: r − (Σ − r)/(n − 1) = (r − mean) · n/(n − 1).
        const n = values.filter(isNumber).length;
        return n < 2 ? values.map(() => null) : centered(values).map(times(n / (n - 1)));
      });
      return whiten ? standardized(distances) : distances;
    }
    if (estimator === "reinforce++") return standardized(groups.flatMap(group === 1 ? (values) => values : centered));
    if (scale === "none") return groups.flatMap(centered);
    if (scale === "group") return groups.flatMap(standardized);
    const divisor = (deviation(rewards) ?? Number.POSITIVE_INFINITY) + EPSILON;
    return groups.flatMap(centered).map(times(1 / divisor));
  }
}

/** Whether rewards differ by no more than rounding, which a KL penalty adds to them. */
const isEqual = (values: readonly number[]) =>
  values.length < 2 || Math.max(...values) - Math.min(...values) <= 1e-5 * Math.max(1, ...values.map(Math.abs));

type Maybe = number | null;
const isNumber = (value: Maybe): value is number => value !== null;
const times = (factor: number) => (value: Maybe) => (value === null ? null : value * factor);

const grouped = (values: readonly Maybe[], group: number): Maybe[][] =>
  Array.from({ length: values.length / group }, (_, g) => values.slice(g * group, (g + 1) * group));

const column = (rows: readonly (readonly Maybe[])[], k: number): Maybe[] => rows.map((row) => row[k]);

/** Σ weight · value over the values that there are; null for none. */
function weighted(values: readonly Maybe[], weights: readonly number[]): Maybe {
  if (!values.some(isNumber)) return null;
  return values.reduce<number>((total, value, k) => total + (value === null ? 0 : value * weights[k]), 0);
}

function mean(values: readonly Maybe[]): Maybe {
  const known = values.filter(isNumber);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length;
}

/** The standard deviation with n − 1; null for fewer than two values. */
function deviation(values: readonly Maybe[]): Maybe {
  const known = values.filter(isNumber);
  if (known.length < 2) return null;
  const center = mean(known) as number;
  return Math.sqrt(known.reduce((total, v) => total + (v - center) ** 2, 0) / (known.length - 1));
}

function centered(values: readonly Maybe[]): Maybe[] {
  const center = mean(values) ?? 0;
  return values.map((v) => (v === null ? null : v - center));
}

function standardized(values: readonly Maybe[]): Maybe[] {
  const divisor = (deviation(values) ?? Number.POSITIVE_INFINITY) + EPSILON;
  return centered(values).map(times(1 / divisor));
}
