/** @file The trainer of preference optimisation: a mixture of losses over pairs of answers. */
import { tokenStatistics } from "../../model/index.js";
import {
  add,
  type Entry,
  input,
  less,
  minimum,
  mul,
  neg,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
} from "../../tensor/index.js";
import { countedTargets, type LossTerm, type Mean, meanOver, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions } from "../policy.js";
import {
  type Answers,
  answerWeights,
  type Pairs,
  PREFERENCE_LOSSES,
  type PreferenceLossName,
  type PreferenceOptions,
} from "./preference.js";

/** A loss of a mixture; `sft` is −log p of the chosen answer's tokens. */
export interface WeightedLoss {
  readonly name: PreferenceLossName | "sft";
  readonly weight: number;
}

export interface PreferenceShape {
  /** B, pairs: a batch has 2B rows, the chosen answers first. */
  readonly pairs: number;
  /** T */
  readonly sequence: number;
  /** Whether a batch has `weights`, one for each token of an answer (length desensitisation). */
  readonly weighted?: boolean;
}

/**
 * A batch is ids and targets (2B,T) i32, `reference` (2B), the log-probabilities of the answers under the reference, and
 * where they are weighted `weights` (2B,T). The entry `score` gives the policy's own log-probabilities of the answers (2B).
 */
export function preferenceTrainer(
  policy: Policy,
  { pairs: B, sequence, weighted }: PreferenceShape,
  losses: readonly WeightedLoss[],
  options: PreferenceOptions,
): Trainer {
  const { config, weights: variables, trainable } = policy;
  const rows = { shape: [2 * B, sequence], dtype: "i32" } as const;
  return {
    batch: {
      ids: rows,
      targets: rows,
      reference: { shape: [2 * B], dtype: "f32" },
      ...(weighted && { weights: { shape: [2 * B, sequence], dtype: "f32" } }),
      ...dropoutInputs(policy),
    },
    trainable,
    objective: ({ ids, targets, reference, weights, ...batch }) => {
      const statistics = tokenStatistics(config, variables, ids, targets, policyOptions(batch));
      const perToken = reshape(statistics.logProbability, [2 * B, sequence]);
      const logProbability = answerLogProbability(perToken, weights); // (2B)
      const counted = countedTargets(targets); // (2B,T)
      const length = sum(counted, [1]); // (2B)
      const pairs = halves(B, { logProbability, reference, length });
      const { chosen, rejected } = pairs;
      const pairCount = minimum(add(chosen.length, rejected.length), 1); // (B), 0 for a row of padding
      const chosenTokens = slice(perToken, 0, B, 0); // (B,T)
      const logSquares = reshape(statistics.logSquares, [2 * B, sequence]);
      const likely = options.weighting ? answerWeights(perToken, logSquares, counted) : null; // (2B)
      const pairWeight = likely && mul(slice(likely, 0, B, 0), slice(likely, B, 2 * B, 0)); // (B)
      const weighed = (loss: Tensor) => (pairWeight === null ? loss : mul(loss, pairWeight));
      const terms = losses.map(({ name, weight }): [string, LossTerm] => [
        name,
        name === "sft"
          ? { sum: neg(sum(chosenTokens)), count: sum(chosen.length), weight }
          : { ...meanOver(weighed(PREFERENCE_LOSSES[name](pairs, options)), pairCount), weight },
      ]);
      const reward = (answers: Answers) => mul(sub(answers.logProbability, answers.reference), options.beta);
      const [won, lost] = [reward(chosen), reward(rejected)];
      const metrics: Record<string, Mean> = {
        accuracy: meanOver(less(lost, won), pairCount),
        margin: meanOver(sub(won, lost), pairCount),
        reward_chosen: meanOver(won, pairCount),
        reward_rejected: meanOver(lost, pairCount),
        logprob_chosen: meanOver(chosen.logProbability, pairCount),
        logprob_rejected: meanOver(rejected.logProbability, pairCount),
        entropy: meanOver(reshape(statistics.entropy, [2 * B, sequence]), counted),
        token_accuracy: meanOver(
          slice(reshape(statistics.isGreedy, [2 * B, sequence]), 0, B, 0),
          slice(counted, 0, B, 0),
        ),
      };
      return {
        losses: Object.fromEntries(terms),
        metrics,
        entries: { score: { outputs: { log_probabilities: logProbability } } },
      };
    },
  };
}

/** (2B,T), with weights or without → (2B) */
const answerLogProbability = (perToken: Tensor, weights: Tensor | undefined) =>
  sum(weights === undefined ? perToken : mul(perToken, weights), [1]);

/** The entry `score` of `preferenceTrainer` alone, for a reference that is another model. */
export function scoreEntry(
  { config, weights: variables }: Pick<Policy, "config" | "weights">,
  { pairs: B, sequence, weighted }: PreferenceShape,
): Entry {
  const rows = (name: string, dtype: "i32" | "f32") => input(name, [2 * B, sequence], dtype);
  const { logProbability } = tokenStatistics(config, variables, rows("ids", "i32"), rows("targets", "i32"));
  const perToken = reshape(logProbability, [2 * B, sequence]);
  const weights = weighted ? rows("weights", "f32") : undefined;
  return { outputs: { log_probabilities: answerLogProbability(perToken, weights) } };
}

const halves = (B: number, { logProbability, reference, length }: Answers): Pairs => {
  const half = (start: number): Answers => ({
    logProbability: slice(logProbability, start, start + B, 0),
    reference: slice(reference, start, start + B, 0),
    length: slice(length, start, start + B, 0),
  });
  return { chosen: half(0), rejected: half(B) };
};
