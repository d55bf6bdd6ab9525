/**
 * @file The loss of a reward model on pairs: −log σ(r_chosen − r_rejected − margin) (Bradley & Terry, Biometrika 1952; Ouyang et
 * al., arXiv:2203.02155; with a margin Touvron et al., arXiv:2307.09288), and optionally the centring term
 * (r_chosen + r_rejected)² (Eisenstein et al., arXiv:2312.09244).
 */
import { forward, rowsAt, scoresOf } from "../../model/index.js";
import {
  add,
  cast,
  concatenate,
  div,
  less,
  maximum,
  mul,
  neg,
  slice,
  sqrt,
  sub,
  sum,
  type Tensor,
} from "../../tensor/index.js";
import { type Mean, meanOver, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions } from "../policy.js";
import { logSigmoid } from "./arithmetic.js";

export interface RewardShape {
  /** B, pairs: a batch has 2B rows, the chosen answers first. */
  readonly pairs: number;
  /** T */
  readonly sequence: number;
}

/** Scores of pairs, (B) each. */
export interface PairScores {
  readonly chosen: Tensor;
  readonly rejected: Tensor;
  readonly margin: Tensor;
}

/** −log p of each preference under the Bradley–Terry model, (B). */
export const bradleyTerry = ({ chosen, rejected, margin }: PairScores): Tensor =>
  neg(logSigmoid(sub(sub(chosen, rejected), margin)));

/** The square of each pair's sum, (B): only differences matter to Bradley–Terry, and this pulls the mean towards 0. */
export function centering({ chosen, rejected }: PairScores): Tensor {
  const total = add(chosen, rejected);
  return mul(total, total);
}

/**
 * A batch is ids (2B,T) i32, `places` (2B) i32, the place among the 2B·T tokens where each text is scored, −1 for a row of
 * padding, and `margin` (B). The entry `score` gives the scores (2B).
 * @param head the variable of the score (1,C)
 * @param center coefficient of the centring term
 */
export function rewardTrainer(
  policy: Policy,
  head: Tensor,
  { pairs: B, sequence }: RewardShape,
  center: number,
): Trainer {
  const { config, weights, trainable } = policy;
  return {
    batch: {
      ids: { shape: [2 * B, sequence], dtype: "i32" },
      places: { shape: [2 * B], dtype: "i32" },
      margin: { shape: [B], dtype: "f32" },
      ...dropoutInputs(policy),
    },
    trainable,
    objective: ({ ids, places, margin, ...batch }) => {
      const { hidden } = forward(config, weights, ids, policyOptions(batch)); // (2B,T,C)
      const scores = scoresOf(rowsAt(hidden, places), head); // (2B)
      const [chosen, rejected] = [slice(scores, 0, B, 0), slice(scores, B, 2 * B, 0)]; // (B)
      const isPair = less(-1, cast(slice(places, 0, B, 0), "f32")); // (B), 0 for a row of padding
      const pairs = { chosen, rejected, margin };
      const both = concatenate([isPair, isPair], 0); // (2B)
      const metrics: Record<string, Mean> = {
        accuracy: meanOver(less(rejected, chosen), isPair),
        margin: meanOver(sub(chosen, rejected), isPair),
        reward: meanOver(scores, both),
        reward_std: deviation(scores, both),
        reward_chosen: meanOver(chosen, isPair),
        reward_rejected: meanOver(rejected, isPair),
      };
      return {
        losses: {
          preference: meanOver(bradleyTerry(pairs), isPair),
          ...(center > 0 && { centering: { ...meanOver(centering(pairs), isPair), weight: center } }),
        },
        metrics,
        entries: { score: { outputs: { scores } } },
      };
    },
  };
}

/** The standard deviation of the counted values of a batch, which weighs as many as they are. */
function deviation(values: Tensor, counted: Tensor): Mean {
  const count = sum(counted);
  const mean = div(sum(mul(values, counted)), maximum(count, 1));
  const centered = mul(sub(values, mean), counted);
  const variance = div(sum(mul(centered, centered)), maximum(count, 1));
  return { sum: mul(sqrt(variance), count), count };
}
