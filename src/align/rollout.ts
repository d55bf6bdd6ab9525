/**
 * @file Rollouts: completions of prompts, sampled from the policy as it is now. They come from the batched decoder, which uses the
 * training program's weights without a copy.
 */
import { setMaxListeners } from "node:events";
import type { CompileOptions } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { createDecoder, type Decoder } from "../infer/index.js";
import type { Tokenizer } from "../tokenizer/index.js";
import type { Ranks, TrainingProgram } from "../train/index.js";
import { IGNORED } from "./data/batches.js";
import { encodePrompt } from "./data/encode.js";
import type { ExampleOf } from "./data/examples.js";
import { divided } from "./divided.js";
import type { OpenPolicy } from "./policy.js";
import { openRewardModel } from "./reward-model.js";
import { openRewards, type Rewards } from "./rewards/open-rewards.js";
import { textOf } from "./rewards/reward.js";

/** A prompt of a run, as the model sees it. */
export interface RolloutPrompt {
  readonly example: ExampleOf<"prompt">;
  readonly ids: readonly number[];
}

/** A completion that the policy sampled. */
export interface Rollout {
  readonly prompt: RolloutPrompt;
  /** Tokens of the completion, with the one that ends it. */
  readonly ids: readonly number[];
  /** Log-probability of each under the policy that sampled it. */
  readonly logProbabilities: readonly number[];
  /** The completion without the token that ends it. */
  readonly text: string;
  /** Whether the token limit cut it off. */
  readonly truncated: boolean;
}

export interface RolloutOptions {
  /** Completions of each prompt. */
  readonly group: number;
  /** Longest completion, in tokens. */
  readonly tokens: number;
  readonly temperature: number;
  readonly seed: number;
  /** Place of each prompt among those that draw from the seed; by default in the order given. */
  readonly places?: readonly number[];
  readonly signal?: AbortSignal;
}

/**
 * Encodes prompts; those that leave no room for a completion are dropped and counted.
 * @throws QuernError if no prompts remain
 */
export async function encodePrompts(
  examples: readonly ExampleOf<"prompt">[],
  tokenizer: Tokenizer,
  longest: number,
  note: (line: string) => void,
): Promise<RolloutPrompt[]> {
  if (longest < 1) {
    throw new QuernError("--tokens leaves no room for a prompt in the model's sequence, or in --max-length; lower it", {
      exitCode: 2,
    });
  }
  const prompts: RolloutPrompt[] = [];
  let dropped = 0;
  for (const example of examples) {
    const ids = Array.from(await encodePrompt(example.prompt, tokenizer, example));
    if (ids.length === 0) throw new QuernError(`${example.place}: the prompt is empty`, { exitCode: 2 });
    if (ids.length > longest) dropped += 1;
    else prompts.push({ example, ids });
  }
  if (dropped > 0)
    note(
      `${counted(dropped, "prompt")} dropped: longer than ${counted(longest, "token")}, which leaves no room for a completion`,
    );
  if (prompts.length > 0) return prompts;
  throw new QuernError(
    `${examples.length === 1 ? "the prompt is" : `all ${examples.length} prompts are`} longer than ${counted(longest, "token")}, which leaves no room for a completion; lower --tokens`,
    { exitCode: 2 },
  );
}

/** A decoder that samples from the weights of a training program. */
export function openRolloutDecoder(
  policy: OpenPolicy,
  training: TrainingProgram,
  sequence: number,
  target: { readonly backend?: string } | undefined,
): Decoder {
  const { program } = training;
  return createDecoder(policy.config, program, {
    ...(target as object),
    lora: policy.lora,
    dtype: program.plan.dtype,
    kvDtype: program.plan.dtype === "fp32" ? "f32" : "bf16",
    sequence: Math.min(sequence, policy.config.sequence),
  });
}

/** Samples completions of each prompt, prompt by prompt; a function of the weights, the prompts and the seed alone. */
export async function sampleRollouts(
  decoder: Decoder,
  policy: OpenPolicy,
  prompts: readonly RolloutPrompt[],
  { group, tokens, temperature, seed, places, signal }: RolloutOptions,
): Promise<Rollout[]> {
  decoder.reset(); // the weights have changed since the last rollouts
  if (signal !== undefined) setMaxListeners(0, signal); // each prompt listens
  const sampled = await Promise.all(
    prompts.map((prompt, i) =>
      decoder.generate(
        {
          prompt: prompt.ids,
          ...{ tokens, temperature, topK: 0, n: group, endOfText: policy.ends },
          seed: seed + (places?.[i] ?? i) * group,
        },
        { signal },
      ),
    ),
  );
  return sampled.flatMap((completions, i) =>
    completions.map(({ tokens: drawn, end, finishReason }): Rollout => {
      const all = end === null ? drawn : [...drawn, end];
      return {
        prompt: prompts[i],
        ids: all.map(({ id }) => id),
        logProbabilities: all.map(({ logprob }) => logprob),
        text: policy.tokenizer.decode(drawn.map(({ id }) => id)),
        truncated: finishReason === "length",
      };
    }),
  );
}

/** Rollouts as rows of a batch, (rows, sequence) each. */
export interface RolloutRows {
  readonly ids: Int32Array;
  /** The tokens of the completions; −100 elsewhere, and in rows that must not teach. */
  readonly targets: Int32Array;
  /** Log-probabilities of the targets when they were sampled; 0 elsewhere. */
  readonly sampled: Float32Array;
}

/** @param isMasked rows that must not teach: their targets are all −100 */
export function rolloutRows(
  rollouts: readonly Rollout[],
  rows: number,
  sequence: number,
  isMasked: (rollout: Rollout) => boolean = () => false,
): RolloutRows {
  const ids = new Int32Array(rows * sequence);
  const targets = new Int32Array(rows * sequence).fill(IGNORED);
  const sampled = new Float32Array(rows * sequence);
  for (const [row, rollout] of rollouts.entries()) {
    const { prompt } = rollout;
    ids.set(prompt.ids, row * sequence);
    ids.set(rollout.ids, row * sequence + prompt.ids.length);
    if (isMasked(rollout)) continue;
    const first = row * sequence + prompt.ids.length - 1; // the place that predicts the completion's first token
    targets.set(rollout.ids, first);
    sampled.set(rollout.logProbabilities, first);
  }
  return { ids, targets, sampled };
}

/** Tokens that were not padding. */
export const tokensIn = (rollouts: readonly Rollout[]) =>
  rollouts.reduce((total, { prompt, ids }) => total + prompt.ids.length + ids.length, 0);

/** What the host measures of rollouts and their rewards, for the metrics. */
export function rolloutMetrics(
  rollouts: readonly Rollout[],
  rewards: readonly number[],
  group: number,
): Record<string, number> {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = (values: readonly number[]) => {
    const center = mean(values);
    return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
  };
  const groups = Array.from({ length: rollouts.length / group }, (_, g) => rewards.slice(g * group, (g + 1) * group));
  return {
    reward: mean(rewards),
    reward_std: deviation(rewards),
    completion_length: mean(rollouts.map(({ ids }) => ids.length)),
    truncated: mean(rollouts.map(({ truncated }) => (truncated ? 1 : 0))),
    ...(group > 1 && {
      equal_groups: mean(groups.map((values) => (values.every((one) => one === values[0]) ? 1 : 0))),
    }),
  };
}

/** Rewards of some rollouts. */
export interface RolloutRewards {
  /** Weighted sums. */
  readonly total: readonly number[];
  /** (N,K): each of K rewards of each of N rollouts. */
  readonly parts: readonly (readonly number[])[];
}

/** Rewards the rollouts of a step, of which each rank scores those of its own batches; all get the rewards of all. */
export async function scoreDivided(
  rewards: Rewards,
  rollouts: readonly Rollout[],
  { rows, ranks, signal }: { readonly rows: number; readonly ranks: Ranks; readonly signal?: AbortSignal },
): Promise<RolloutRewards> {
  const width = 1 + rewards.names.length;
  const found = await divided(ranks, rollouts.length / rows, rows * width, async (place) => {
    const { total, parts } = await scoreRollouts(rewards, rollouts.slice(place * rows, (place + 1) * rows), signal);
    return total.flatMap((value, i) => [value, ...parts[i]]);
  });
  const each = found.flatMap((values) =>
    Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width)),
  );
  return { total: each.map(([total]) => total), parts: each.map(([, ...parts]) => parts) };
}

export async function scoreRollouts(
  rewards: Rewards,
  rollouts: readonly Rollout[],
  signal?: AbortSignal,
): Promise<RolloutRewards> {
  const calls = rollouts.map(({ prompt: { example }, text, ids, truncated }) => ({
    prompt: example.prompt,
    completion: typeof example.prompt === "string" ? text : [{ role: "assistant", content: text }],
    example: example.fields,
    place: example.place,
    tokens: truncated ? ids.length : ids.length - 1,
  }));
  const { total, each } = await rewards.score(calls, { signal });
  return { total: Array.from(total), parts: rollouts.map((_, i) => each.map((values) => values[i])) };
}

/** The mean of each of several rewards, for the metrics. */
export function rewardMetrics({ names }: Rewards, parts: RolloutRewards["parts"]): Record<string, number> {
  if (names.length < 2) return {};
  const mean = (k: number) => parts.reduce((total, part) => total + part[k], 0) / parts.length;
  return Object.fromEntries(names.map((name, k) => [`reward_${name.replace(/\W+/g, "_")}`, mean(k)]));
}

interface RewardSettings {
  readonly rewardWeights?: readonly number[];
  readonly rewardTimeout?: number;
  readonly allowCode?: boolean;
}

/** Opens the rewards of a run; a folder is a reward model. */
export function openRunRewards(
  names: readonly string[],
  { rewardWeights, rewardTimeout, allowCode }: RewardSettings,
  options: CompileOptions,
): Promise<Rewards> {
  return openRewards(names, {
    ...{ weights: rewardWeights, timeoutSeconds: rewardTimeout, allowCode },
    openModel: (path) => openRewardModel(path, options),
  });
}

/** Rollouts that a report shows beside each other at each evaluation. */
const SHOWN_ROLLOUTS = 20;

export const shownRollouts = (rollouts: readonly Rollout[], rewards: readonly number[]) =>
  rollouts.slice(0, SHOWN_ROLLOUTS).map(({ prompt: { example }, text }, i) => ({
    prompt: typeof example.prompt === "string" ? example.prompt : textOf(example.prompt),
    text,
    reward: rewards[i],
  }));
