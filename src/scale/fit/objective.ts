/**
 * @file The objective of the parametric fit (Hoffmann et al., arXiv:2203.15556, section 3.3): the sum of Huber losses of
 * log L − log(A/N^α + B/D^β + E), with its analytic gradient.
 *
 * Variables are θ = (a, b, e, α, β) with A = exp(a), B = exp(b), E = exp(e). The minimiser sees them centred and scaled:
 * a' = a − α·mean(ln N) and α' = α·deviation(ln N), b' and β' likewise. That makes them almost uncorrelated.
 */
import { exponential, logarithm } from "./exponential.js";
import type { Objective } from "./lbfgs.js";

/** Huber's threshold for the difference of log losses. */
export const HUBER = 1e-3;

/** Points as logarithms, each (R). */
export interface LogPoints {
  readonly logN: Float64Array;
  readonly logD: Float64Array;
  readonly logL: Float64Array;
}

/** Centres and scales of ln N and ln D. */
export interface Scaling {
  readonly centreN: number;
  readonly scaleN: number;
  readonly centreD: number;
  readonly scaleD: number;
}

export function scalingOf({ logN, logD }: LogPoints): Scaling {
  const describe = (values: Float64Array) => {
    const centre = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length;
    return { centre, scale: Math.sqrt(variance) || 1 };
  };
  const [n, d] = [describe(logN), describe(logD)];
  return { centreN: n.centre, scaleN: n.scale, centreD: d.centre, scaleD: d.scale };
}

/** (a, b, e, α, β) → the minimiser's variables. */
export function toScaled([a, b, e, alpha, beta]: ArrayLike<number> & Iterable<number>, s: Scaling): Float64Array {
  return Float64Array.of(a - alpha * s.centreN, b - beta * s.centreD, e, alpha * s.scaleN, beta * s.scaleD);
}

/** The minimiser's variables → (a, b, e, α, β). */
export function fromScaled([a, b, e, alpha, beta]: ArrayLike<number> & Iterable<number>, s: Scaling): Float64Array {
  const [p, q] = [alpha / s.scaleN, beta / s.scaleD];
  return Float64Array.of(a + p * s.centreN, b + q * s.centreD, e, p, q);
}

/** Points of one objective, centred and scaled, with their weights; `count` may be below the length of the arrays. */
export interface ScaledPoints {
  readonly zN: Float64Array;
  readonly zD: Float64Array;
  readonly logL: Float64Array;
  readonly weights: Float64Array;
  count: number;
}

export function scaledPoints({ logN, logD, logL }: LogPoints, s: Scaling): ScaledPoints {
  return {
    zN: logN.map((value) => (value - s.centreN) / s.scaleN),
    zD: logD.map((value) => (value - s.centreD) / s.scaleD),
    logL: logL.slice(),
    weights: new Float64Array(logL.length).fill(1),
    count: logL.length,
  };
}

/** Returns the objective of `points`, whose weights and count may change between calls. */
export function huberObjective(points: ScaledPoints, delta = HUBER): Objective {
  const { zN, zD, logL, weights } = points;
  return (x, gradient) => {
    const a = x[0];
    const b = x[1];
    const E = Math.exp(x[2]);
    const alpha = x[3];
    const beta = x[4];
    let [sum, ga, gb, ge, gAlpha, gBeta] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < points.count; i++) {
      const n = zN[i];
      const d = zD[i];
      const A = exponential(a - alpha * n);
      const B = exponential(b - beta * d);
      const S = A + B + E;
      const residual = logL[i] - logarithm(S);
      const size = Math.abs(residual);
      const weight = weights[i];
      // The Huber loss and its derivative by the prediction log S, divided by S.
      let slope: number;
      if (size <= delta) {
        sum += weight * 0.5 * residual * residual;
        slope = (-weight * residual) / S;
      } else {
        sum += weight * delta * (size - 0.5 * delta);
        slope = (residual > 0 ? -weight * delta : weight * delta) / S;
      }
      const sA = slope * A;
      const sB = slope * B;
      ga += sA;
      gb += sB;
      ge += slope;
      gAlpha -= sA * n;
      gBeta -= sB * d;
    }
    gradient[0] = ga;
    gradient[1] = gb;
    gradient[2] = ge * E;
    gradient[3] = gAlpha;
    gradient[4] = gBeta;
    return sum;
  };
}

/** The grid of Hoffmann et al.: 4,500 starts (a, b, e, α, β). */
export function publishedGrid(): Float64Array[] {
  const steps = (count: number, step: number, first = 0) => Array.from({ length: count }, (_, i) => first + step * i);
  const starts: Float64Array[] = [];
  for (const alpha of steps(5, 0.5))
    for (const beta of steps(5, 0.5))
      for (const e of steps(5, 0.5, -1))
        for (const a of steps(6, 5)) for (const b of steps(6, 5)) starts.push(Float64Array.of(a, b, e, alpha, beta));
  return starts;
}
