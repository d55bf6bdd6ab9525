/** @file Experiments at small scale that guide large runs: the mixture search. */
export { QuernError } from "../errors.js";
export {
  bestMixture,
  fitMixtureModel,
  type MixtureModel,
  type ProxyRun,
  rankCorrelation,
} from "./mixture-regression.js";
export { sampleMixtures } from "./mixture-sampling.js";
export { type MixtureSearch, type MixtureSearchRequest, optimiseMix, searchMixture } from "./mixture-search.js";
