/** @file What to do before it is done large: the mixture search. */
export { QuernError } from "../errors.js";
export {
  bestMixture,
  fitMixtureModel,
  type MixtureModel,
  type ProxyRun,
  rankCorrelation,
} from "./mixture-regression.js";
export { drawMixtures } from "./mixture-sampling.js";
export { type MixtureSearch, type MixtureSearchCall, optimiseMix, searchMixture } from "./mixture-search.js";
