/**
 * @file Kaplan's form L = ((Nc/N)^(αN/αD) + Dc/D)^αD (Kaplan et al., arXiv:2001.08361, equation 1.5), fitted with the Huber
 * loss of the parametric fit. It has no irreducible loss, so it extrapolates too low.
 */
import { randomStream } from "../../model/index.js";
import { Minimiser, type Objective } from "./lbfgs.js";
import { HUBER, type LogPoints } from "./objective.js";

export interface KaplanConstants {
  readonly Nc: number;
  readonly Dc: number;
  readonly alpha_N: number;
  readonly alpha_D: number;
}

export interface KaplanFit extends KaplanConstants {
  readonly objective: number;
}

/** Variables (u, v, p, q) at the means n̄, d̄: log L = q · log(exp(u − p·(ln N − n̄)) + exp(v − (ln D − d̄))). */
const VARIABLES = 4;

interface Centred {
  readonly n: Float64Array;
  readonly d: Float64Array;
  readonly logL: Float64Array;
  readonly weights: Float64Array;
  readonly meanN: number;
  readonly meanD: number;
}

function centred({ logN, logD, logL }: LogPoints): Centred {
  const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanN, meanD] = [mean(logN), mean(logD)];
  return {
    ...{ n: logN.map((value) => value - meanN), d: logD.map((value) => value - meanD), logL, meanN, meanD },
    weights: new Float64Array(logL.length).fill(1),
  };
}

const objectiveOf = ({ n, d, logL, weights }: Centred): Objective => {
  return (x, gradient) => {
    const [u, v, p, q] = x;
    let [sum, gu, gv, gp, gq] = [0, 0, 0, 0, 0];
    for (let i = 0; i < logL.length; i++) {
      if (weights[i] === 0) continue;
      const byN = Math.exp(u - p * n[i]);
      const byD = Math.exp(v - d[i]);
      const S = byN + byD;
      const logS = Math.log(S);
      const residual = logL[i] - q * logS;
      const size = Math.abs(residual);
      sum += weights[i] * (size <= HUBER ? 0.5 * residual * residual : HUBER * (size - 0.5 * HUBER));
      const slope = -weights[i] * Math.max(-HUBER, Math.min(HUBER, residual));
      const inner = (slope * q) / S;
      gu += inner * byN;
      gv += inner * byD;
      gp -= inner * byN * n[i];
      gq += slope * logS;
    }
    gradient[0] = gu;
    gradient[1] = gv;
    gradient[2] = gp;
    gradient[3] = gq;
    return sum;
  };
};

const constants = ([u, v, p, q]: Float64Array, { meanN, meanD }: Centred): KaplanConstants => ({
  ...{ Nc: Math.exp((u + p * meanN) / p), Dc: Math.exp(v + meanD), alpha_N: p * q, alpha_D: q },
});

/** Fits the points from 108 starts; also returns the refits of resampled points, from the optimum. */
export function fitKaplan(points: LogPoints, { draws, seed }: { readonly draws: number; readonly seed: number }) {
  const data = centred(points);
  const minimiser = new Minimiser(objectiveOf(data), VARIABLES);
  const level = data.logL.reduce((sum, value) => sum + value, 0) / data.logL.length;
  let best: { readonly x: Float64Array; readonly value: number } | null = null;
  for (const q of [0.03, 0.1, 0.2, 0.4])
    for (const p of [0.3, 0.8, 1.2])
      for (const toN of [-4, -1, 0]) // logarithm of each term's share of S = exp(level / q)
        for (const toD of [-4, -1, 0]) {
          const start = Float64Array.of(level / q + toN, level / q + toD, p, q);
          const found = minimiser.minimise(start, { tolerance: 1e-12, iterations: 1000 });
          if (best === null || found.value < best.value) best = found;
        }
  const { x, value } = best as { readonly x: Float64Array; readonly value: number };
  const fit: KaplanFit = { ...constants(x, data), objective: value };
  const R = points.logL.length;
  const drawn: KaplanConstants[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const random = randomStream(seed, `kaplan draw ${draw}`);
    data.weights.fill(0);
    for (let i = 0; i < R; i++) data.weights[Math.floor(random.uniform(i) * R)] += 1;
    drawn.push(constants(minimiser.minimise(x, { tolerance: 1e-8 }).x, data));
  }
  return { fit, drawn };
}

/**
 * The optimal params and tokens over compute: C = 6ND minimises (Nc/N)^p + 6·Dc·N/C at N^(p+1) = p·Nc^p·C / (6·Dc), p = αN/αD.
 */
export function kaplanFrontier({ Nc, Dc, alpha_N, alpha_D }: KaplanConstants) {
  const p = alpha_N / alpha_D;
  const exponent = 1 / (p + 1);
  const coefficient = Math.exp((Math.log(p / (6 * Dc)) + p * Math.log(Nc)) * exponent);
  return {
    params: { coefficient, exponent },
    tokens: { coefficient: 1 / (6 * coefficient), exponent: 1 - exponent },
  };
}
