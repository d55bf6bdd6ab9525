/** @file Statistics of evaluation: linear systems, distributions, resampling, paired tests. */
export { factorCholesky, invertCholesky, logDeterminant, sandwich, solveCholesky } from "./cholesky.js";
export { drawBinomial, drawMultinomial, logFactorial, type Uniform, uniformNumbers } from "./multinomial.js";
export { normalCdf, normalQuantile, quantile } from "./normal.js";
export { mcnemarExact, type PairedDifference, pairedShares, pairedT } from "./paired.js";
export { logGamma, studentQuantile, studentTwoSided } from "./student.js";
