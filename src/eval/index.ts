/** @file Evaluation: how well a model predicts text, benchmarks, judges, and how models rank by votes. */
export { QuernError } from "../errors.js";
export * from "./aggregates/index.js";
export * from "./arena/index.js";
export { type EvaluateOptions, type EvaluateResult, evaluate, evaluateByRanks } from "./evaluate.js";
export { evaluateOptions } from "./evaluate-options.js";
export * from "./graders/index.js";
export * from "./harness/index.js";
export * from "./judge/index.js";
export { type PerplexityOptions, type PerplexityResult, perplexity, type TextScore } from "./perplexity.js";
export {
  comparePerplexity,
  type DividedScore,
  type PerplexityComparison,
  type PerplexityComparisonOptions,
} from "./perplexity-comparison.js";
export { perplexityComparisonOptions, perplexityOptions } from "./perplexity-options.js";
export { type QuantisedFile, type QuantiseOptions, type QuantiseResult, quantiseModel } from "./quantise/quantise.js";
export { quantiseOptions } from "./quantise/quantise-options.js";
export * from "./report/index.js";
export { factorCholesky, invertCholesky, normalCdf, normalQuantile, quantile } from "./statistics/index.js";
