/** @file Evaluation: what a model knows of a text. */
export { QuernError } from "../errors.js";
export { type PerplexityOptions, type PerplexityResult, perplexity, type TextScore } from "./perplexity.js";
export { perplexityOptions } from "./perplexity-options.js";
