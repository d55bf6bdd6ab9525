/**
 * @file GRPO and its relatives, top to bottom: prompts → completions of the policy → rewards → advantages within each group →
 * updates (`run.ts`). A step is one update; `--updates` steps use the completions of one rollout.
 */
import type { z } from "zod";
import { counted } from "../counted.js";
import type { Ranks, TrainingBatch, TrainingProgram } from "../train/index.js";
import { type AdvantageOptions, advantagesOf } from "./advantages.js";
import { divided } from "./divided.js";
import { grpoOptions } from "./grpo-options.js";
import { type GrpoLossName, type GrpoOptions as GrpoLossOptions, grpoDefaults } from "./losses/grpo.js";
import { grpoTrainer } from "./losses/grpo-trainer.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { dropoutValues, type OpenPolicy } from "./policy.js";
import { openReference, type Reference } from "./reference.js";
import {
  openRunRewards,
  type Rollout,
  type RolloutRewards,
  rewardMetrics,
  rolloutMetrics,
  rolloutRows,
  scoreDivided,
} from "./rollout.js";
import { evaluateOn, openPrompts, rolloutInputs, rolloutLimits } from "./rollout-run.js";
import { createRolloutSource } from "./rollout-source.js";
import { runAlignment } from "./run.js";
import type { AlignCalls, AlignResult, Context, Task } from "./task.js";

export type GrpoOptions = z.input<typeof grpoOptions> & AlignCalls;
type Checked = z.output<typeof grpoOptions>;

/**
 * Trains a policy on rewards of its own completions, each compared with the others of its prompt; writes a run folder.
 * @throws QuernError for prompts or rewards that cannot be used, or a policy that collapses
 */
export function grpo(options: GrpoOptions): Promise<AlignResult> {
  return runAlignment("grpo", grpoOptions, options, rolloutInputs, prepareGrpo);
}

async function prepareGrpo(context: Context<Checked>): Promise<Task> {
  const { o, signal, target } = context;
  const opened = await openPrompts(context);
  const { policy, prompts, tokens, sequence } = opened;
  refuseMemory(policy);
  const { group = 8, updates = 1, batch = 8, seed = 0, maskTruncated = false } = o;
  const kl = klOf(o);
  const losses = lossOptions(o, kl);
  const options = advantageOptions(o, group);
  const rewards = await openRunRewards(opened.reward, o, {
    ...target,
    cpu: { threads: o.threads },
  });
  const shape = { batch: batch * group, sequence, maxTokens: tokens, reference: kl.beta > 0 };
  let reference: Reference | null = null;

  const isMasked = ({ truncated }: Rollout) => maskTruncated && truncated;
  /** Σ log π − log π_ref over the tokens of each completion; 0 for one that must not teach. */
  const klSums = async (
    rollouts: readonly Rollout[],
    sampled: Scored["sampled"],
    { score }: Reference,
    ranks: Ranks,
  ) => {
    const rows = shape.batch;
    const sums = await divided(ranks, rollouts.length / rows, rows, async (place) => {
      const laid = rolloutRows(rollouts.slice(place * rows, (place + 1) * rows), rows, sequence, isMasked);
      const own = sampled?.[place] ?? laid.sampled;
      const referred = await score(laid);
      return Array.from({ length: rows }, (_, row) => {
        let sum = 0;
        for (let i = row * sequence; i < (row + 1) * sequence; i++) {
          if (laid.targets[i] >= 0) sum += own[i] - referred[i];
        }
        return sum;
      });
    });
    return sums.flat();
  };

  const source = createRolloutSource<Scored>({
    ...{ policy, prompts, batch, group, tokens, temperature: 1, updates, sequence, target, signal },
    order: { order: o.order ?? "shuffled", seed },
    async score(rollouts, training) {
      const { ranks } = training;
      const scored = await scoreDivided(rewards, rollouts, { rows: shape.batch, ranks, signal });
      // In bf16 the decoder's products round in other places than the trainer's.
      const isExact = training.program.plan.dtype === "fp32";
      const sampled = isExact ? null : await scoreAgain(rollouts, shape, policy, training);
      const sums = kl.inReward && reference !== null ? await klSums(rollouts, sampled, reference, ranks) : null;
      const penalties = sums?.map((sum) => kl.beta * sum);
      const { advantages, equalGroups } = advantagesOf(scored.parts, { ...options, penalties });
      return { ...scored, advantages: Array.from(advantages), equalGroups, sampled };
    },
    async batches({ rollouts, scored }, { step, accumulate }, { ranks }) {
      const rows = batch * group;
      const batches: TrainingBatch[] = [];
      for (let i = ranks.rank; i < accumulate; i += ranks.size) {
        const own = rollouts.slice(i * rows, (i + 1) * rows);
        const laid = rolloutRows(own, rows, sequence, isMasked);
        if (scored.sampled !== null) laid.sampled.set(scored.sampled[i]);
        batches.push({
          ...laid,
          advantages: Float32Array.from(scored.advantages.slice(i * rows, (i + 1) * rows)),
          ...(reference !== null && { reference: await reference.score(laid) }),
          ...dropoutValues(policy, seed, step * accumulate + i),
        });
      }
      const metrics = {
        ...rolloutMetrics(rollouts, scored.total, group),
        equal_groups: scored.equalGroups, // with the KL where it counts in the reward
        ...rewardMetrics(rewards, scored.parts),
      };
      return { batches, metrics };
    },
  });

  return {
    model: policy.config,
    trainer: grpoTrainer(policy, shape, losses),
    rows: shape.batch,
    sequence,
    batch,
    examples: prompts.length * updates,
    identity: [
      ...[prompts.map(({ ids }) => ids), losses, options, tokens, group, updates, o.reward, maskTruncated],
      ...(kl.inReward && kl.beta > 0 ? [kl] : []),
    ],
    ...learningRateFor(1e-6, policy),
    reasons: {
      ...learningRateFor(1e-6, policy).reasons,
      batch: `${counted(batch, "prompt")} with ${group} completions each`,
      sequence: `the longest prompt and ${counted(tokens, "token")}`,
    },
    warnings: [],
    writeWeights: ({ program }) => policy.writeWeights(program),
    async begin(training) {
      if (kl.beta > 0 && reference === null) reference = await openReference(policy, training, shape, target);
    },
    load: (step, accumulate, training) => source.load(step, accumulate, training),
    ahead: false,
    evaluation: null,
    evaluate: evaluateOn(opened, rewards, source, context),
    limits: rolloutLimits(o),
    state: source.state,
    format: ({ program }) => policy.format(program),
    close: async () => {
      source.close();
      reference?.dispose();
      await rewards.close();
    },
  };
}

/** The KL divergence from the reference: its weight, and whether it counts in the reward instead of the loss. */
interface Kl {
  readonly beta: number;
  readonly inReward: boolean;
}

/** RLOO has the KL in the reward (Ahmadian et al., arXiv:2402.14740, eq. 2); the defaults are TRL's. */
function klOf({ loss, beta, klIn }: Checked): Kl {
  const isRloo = loss === "rloo";
  return { beta: beta ?? (isRloo ? 0.05 : 0), inReward: (klIn ?? (isRloo ? "reward" : "loss")) === "reward" };
}

/** What is computed once of an iteration's completions. */
interface Scored extends RolloutRewards {
  readonly advantages: readonly number[];
  readonly equalGroups: number;
  /** Log-probabilities of the targets of each batch under the trainer's program (B·T); null for the decoder's own. */
  readonly sampled: readonly (readonly number[])[] | null;
}

/** Scores rollouts with the training program, before it is updated. */
async function scoreAgain(
  rollouts: readonly Rollout[],
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
  policy: OpenPolicy,
  { program, ranks }: TrainingProgram,
): Promise<number[][]> {
  return divided(ranks, rollouts.length / batch, batch * sequence, async (place) => {
    const { ids, targets } = rolloutRows(rollouts.slice(place * batch, (place + 1) * batch), batch, sequence);
    await program.run("score", { ids, targets, ...dropoutValues(policy, 0) });
    return program.read("log_probabilities");
  });
}

/** The loss that the options name, with its settings. */
function lossOptions(o: Checked, kl: Kl): GrpoLossOptions {
  const name = o.loss ?? "dapo";
  const loss = (LOSS_OF[name] ?? name) as GrpoLossName;
  return grpoDefaults({
    loss,
    ...(name === "gspo" && { level: "sequence" as const }),
    beta: kl.inReward ? 0 : kl.beta,
    ...(o.epsilon !== undefined && { epsilon: o.epsilon }),
    ...(o.epsilonHigh !== undefined && { epsilonHigh: o.epsilonHigh }),
    ...(o.entropyBonus !== undefined && { entropyBonus: o.entropyBonus }),
    correctedKl: !(o.classicKl ?? false),
  });
}

/** Names that are a loss with other ratios. */
const LOSS_OF: Readonly<Record<string, GrpoLossName>> = { gspo: "grpo" };

function advantageOptions(o: Checked, group: number): AdvantageOptions {
  const name = o.loss ?? "dapo";
  const estimator = name === "rloo" || name === "reinforce++" ? name : "grpo";
  const scale = o.scaleRewards ?? (name === "dr_grpo" ? "none" : "group");
  return { group, estimator, scale, weights: o.rewardWeights };
}
