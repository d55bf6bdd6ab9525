/** @file Judges: win rates from judgements, length control, biases, agreement with humans. */
export { cohenKappa, type Label, leaveOneOutAgreement, type MajorityAgreement } from "./agreement.js";
export {
  type LengthBias,
  lengthBias,
  type PositionBias,
  positionBias,
  type SelfPreference,
  selfPreference,
  type TwoOrders,
} from "./biases.js";
export {
  type BootstrapInterval,
  type BootstrapOptions,
  bootstrapInterval,
  type Interval,
  normalInterval,
  type SampleSizeOptions,
  sampleSize,
  wilsonInterval,
} from "./intervals.js";
export type { LengthWeights } from "./length-controlled.js";
export {
  evaluateJudge,
  type LlmbarStatistics,
  type MetaEvaluation,
  type MetaEvaluationOptions,
} from "./meta-evaluation.js";
export {
  type Completion,
  type CompletionParser,
  completionParser,
  scorePair,
  type TopLogprobs,
  verdict,
} from "./parsers.js";
export { type JudgeRates, type JudgeRatesOptions, judgeRates, type ModelRates } from "./rates.js";
export { isSwitched, unswitched } from "./shown-order.js";
export { type Preference, type WinRate, winRate } from "./win-rate.js";
