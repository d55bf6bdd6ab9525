/** @file Statistics of evaluation: linear systems, distributions, resampling. */
export { factorCholesky, invertCholesky, logDeterminant, sandwich, solveCholesky } from "./cholesky.js";
export { drawBinomial, drawMultinomial, logFactorial, type Uniform, uniformNumbers } from "./multinomial.js";
export { normalCdf, normalQuantile, quantile } from "./normal.js";
