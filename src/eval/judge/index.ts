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
export { type AnswerSet, type JudgePrompt, readAnswers, readJudgePrompts } from "./live/answers.js";
export type { JudgeContext, JudgeFunction } from "./live/function-judge.js";
export { functionJudge } from "./live/function-judge.js";
export type { Drop, Judge, Judgement, ShownPair } from "./live/judge.js";
export { type JudgeAnswersOptions, type JudgeSummary, judgeAnswers } from "./live/judge-answers.js";
export { type JudgeLabelledOptions, judgeLabelled, type LabelledSummary } from "./live/judge-labelled.js";
export { judgeOptions, labelledOptions } from "./live/judge-options.js";
export { type JudgedPair, type JudgingOptions, judgePairs, type Pair } from "./live/judging.js";
export { type OpenJudgeOptions, openJudge } from "./live/open-judge.js";
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
