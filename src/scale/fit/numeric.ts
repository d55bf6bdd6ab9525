/** @file Gradients by central differences, for small objectives whose gradient nobody needs to be fast. */
import type { Objective } from "./lbfgs.js";

/** Returns f with its gradient; steps are 1e-5 of each variable's size (at least 1e-5). */
export function numericObjective(f: (x: Float64Array) => number, P: number): Objective {
  const probe = new Float64Array(P);
  return (x, gradient) => {
    for (let i = 0; i < P; i++) {
      const step = 1e-5 * Math.max(1, Math.abs(x[i]));
      probe.set(x.subarray(0, P));
      probe[i] = x[i] + step;
      const above = f(probe);
      probe[i] = x[i] - step;
      gradient[i] = (above - f(probe)) / (2 * step);
    }
    return f(x);
  };
}
