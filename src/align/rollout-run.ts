/** @file The parts that GRPO and PPO share: prompts and their policy, evaluation on held-out prompts, limits of collapse. */
import type { z } from "zod";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import type { TrainingProgram } from "../train/index.js";
import { longestOf } from "./data/batches.js";
import { type ExampleOf, readExamples } from "./data/examples.js";
import type { rolloutOptions } from "./grpo-options.js";
import { type OpenPolicy, openPolicy } from "./policy.js";
import type { Rewards } from "./rewards/open-rewards.js";
import { encodePrompts, type RolloutPrompt, rolloutMetrics, scoreRollouts, shownRollouts } from "./rollout.js";
import type { RolloutSource } from "./rollout-source.js";
import type { Context, Task } from "./task.js";

type RolloutOptions = z.output<typeof rolloutOptions>;

/** Files and folders that a run reads. */
export const rolloutInputs = ({ model, prompts = [], evalData = [], reward = [] }: RolloutOptions) => [
  model,
  ...prompts,
  ...evalData,
  ...reward.filter((name) => /[./\\]/.test(name)),
];

/** The prompts of a run, and the policy that answers them. */
export interface OpenPrompts {
  readonly policy: OpenPolicy;
  readonly prompts: readonly RolloutPrompt[];
  /** Null without evaluation data. */
  readonly heldOut: readonly RolloutPrompt[] | null;
  /** Names of the rewards. */
  readonly reward: readonly string[];
  /** Longest completion, and longest prompt with its completion, in tokens. */
  readonly tokens: number;
  readonly sequence: number;
}

/** @throws QuernError for a run without prompts or rewards, or prompts that cannot be used */
export async function openPrompts({ o, base, note, signal }: Context<RolloutOptions>): Promise<OpenPrompts> {
  if (o.prompts === undefined) throw new QuernError("--prompts is missing: the prompts to answer", { exitCode: 2 });
  if (o.reward === undefined) throw new QuernError("--reward is missing: how completions are scored", { exitCode: 2 });
  const read = async (paths: readonly string[]) => {
    const { examples, report } = await readExamples(paths, ["prompt"], { strict: o.strict, signal });
    for (const [reason, count] of Object.entries(report.skipped)) note(`skipped ${count}: ${reason}`);
    return examples as readonly ExampleOf<"prompt">[];
  };
  const examples = await read(o.prompts);
  note(counted(examples.length, "prompt"));
  const isChat = examples.some(({ prompt }) => typeof prompt !== "string");
  const policy = await openPolicy(base, o, { isChat, note });
  const { tokens = 128 } = o;
  const longest = Math.min(policy.config.sequence, o.maxLength ?? policy.config.sequence) - tokens;
  const encode = (list: readonly ExampleOf<"prompt">[]) => encodePrompts(list, policy.tokenizer, longest, note);
  const prompts = await encode(examples);
  const heldOut = o.evalData === undefined ? null : await encode(await read(o.evalData));
  const sequence = longestOf([...prompts, ...(heldOut ?? [])]) + tokens;
  return { policy, prompts, heldOut, reward: o.reward, tokens, sequence };
}

/** Evaluates the policy on held-out prompts: the mean reward of its greedy completions, whose negative is the loss. */
export function evaluateOn<T>(
  { heldOut }: OpenPrompts,
  rewards: Rewards,
  source: Pick<RolloutSource<T>, "greedy">,
  { signal, onProgress }: Pick<Context<unknown>, "signal" | "onProgress">,
): NonNullable<Task["evaluate"]> {
  return async (training: TrainingProgram) => {
    if (heldOut === null) return null;
    onProgress?.({ task: "evaluate", done: 0, total: heldOut.length, unit: "prompt" });
    const rollouts = await source.greedy(heldOut, training);
    const { total } = await scoreRollouts(rewards, rollouts, signal);
    const metrics = rolloutMetrics(rollouts, total, 1);
    return { loss: -metrics.reward, metrics, rollouts: shownRollouts(rollouts, total) };
  };
}

/** Beyond these the policy has collapsed. */
export const rolloutLimits = (o: RolloutOptions): NonNullable<Task["limits"]> => ({
  kl: { most: o.maxKl ?? 20 },
  entropy: { least: o.minEntropy ?? 0.001 },
  completion_length: { least: o.minCompletion, most: o.maxCompletion },
});
