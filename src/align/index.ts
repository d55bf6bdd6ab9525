/** @file Post-training: supervised fine-tuning, reward models, preferences and reinforcement learning. */
export { QuernError } from "../errors.js";
export {
  type BestOfOptions,
  type BestOfResult,
  bestOf,
  type RankedCompletion,
  type RankedResult,
} from "./best-of.js";
export { rankingOptions } from "./best-of-options.js";
export { type Content, type Example, type Form, readExamples } from "./data/examples.js";
export { type Preview, type PreviewToken, previewText } from "./data/preview.js";
export { CHAT_FORMATS } from "./data/templates.js";
export { type DpoOptions, dpo, previewDpo } from "./dpo.js";
export { dpoOptions } from "./dpo-options.js";
export { type GrpoOptions, grpo } from "./grpo.js";
export { GRPO_NAMES, grpoOptions } from "./grpo-options.js";
export { GRPO_LOSSES } from "./losses/grpo.js";
export { UNPAIRED_LOSSES } from "./losses/kto.js";
export { F_DIVERGENCES, PREFERENCE_LOSSES } from "./losses/preference.js";
export { type MergeOptions, type MergeResult, merge } from "./merge.js";
export { mergeOptions } from "./merge-options.js";
export { type PpoOptions, ppo } from "./ppo.js";
export { ppoOptions } from "./ppo-options.js";
export { previewReward, type RewardOptions, reward } from "./reward.js";
export { openRewardModel, type RewardModel, type ScoreOptions } from "./reward-model.js";
export { rewardOptions } from "./reward-options.js";
export { type PairStatistics, pairStatistics, type ReliabilityBin, wilsonInterval } from "./reward-statistics.js";
export { openRewards, type Rewards, type RewardsOptions, type RewardValues } from "./rewards/open-rewards.js";
export type { Reward, RewardCall, RewardContext } from "./rewards/reward.js";
export { rewardingOptions } from "./rewards/rewarding-options.js";
export { previewSft, type SftOptions, sft } from "./sft.js";
export { sftOptions } from "./sft-options.js";
export type { AlignCalls, AlignPlan, AlignResult } from "./task.js";
