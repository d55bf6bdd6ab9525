/** @file Ranks models by votes: ratings with intervals, ranks with confidence, and the votes behind them. */
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { normalQuantile } from "../statistics/index.js";
import { bootstrapEstimates, percentileInterval } from "./bootstrap.js";
import { covarianceOf, type Design, designOf, type Fit, fitBradleyTerry, refitNearby } from "./bradley-terry.js";
import { aggregate, type Comparisons, type PairSums, pairsOf, sumsOfPairs, withFeatures } from "./comparisons.js";
import { type Connection, connectionOf, listed, membersOf, separations } from "./connection.js";
import { type EloOptions, eloRatings, voteOrder } from "./elo.js";
import { STYLE_FEATURES, standardise } from "./style.js";
import type { Votes } from "./votes.js";

/** Rating points per unit of θ: 400 points multiply the odds by ten. */
export const POINTS = 400 / Math.LN10;
const START = 1000;

export interface RankedModel {
  readonly model: string;
  readonly rating: number;
  /** Ends of the interval of the rating. */
  readonly lower: number;
  readonly upper: number;
  /** 1 + the number of models whose lower end is above this model's upper end. */
  readonly rank: number;
  /** Votes in which it took part. */
  readonly votes: number;
}

/** Two models with neighbouring ratings. */
export interface Neighbours {
  readonly above: string;
  readonly below: string;
  /** Difference of the ratings, with the interval of the difference. */
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  /**
   * Further votes between the two after which the interval excludes 0, if the difference stays; 0 if it does already, null if
   * the ratings are equal.
   */
  readonly more_votes: number | null;
}

export interface StyleEffect {
  readonly feature: string;
  /** Rating points that one standard deviation of the feature's difference is worth. */
  readonly points: number;
  readonly lower: number;
  readonly upper: number;
}

export interface Ranking {
  readonly method: "bt" | "elo";
  readonly confidence: number;
  readonly intervals: "sandwich" | "model" | "bootstrap";
  readonly votes: number;
  /** Best first. */
  readonly models: readonly RankedModel[];
  /** Only bt. */
  readonly neighbours?: readonly Neighbours[];
  /** Only with style control. */
  readonly style?: readonly StyleEffect[];
  readonly pairs: readonly {
    readonly model_a: string;
    readonly model_b: string;
    readonly wins_a: number;
    readonly wins_b: number;
    readonly ties: number;
  }[];
  readonly warnings: readonly string[];
}

export interface RankOptions {
  readonly method?: "bt" | "elo";
  /** Resamples for the intervals; default: sandwich intervals for bt, 100 for elo. */
  readonly bootstrap?: number;
  /** Default 0.95. */
  readonly confidence?: number;
  readonly seed?: number;
  /** Whether to control for style; the votes must contain it. */
  readonly style?: boolean;
  /** The model rated 1000 (bt); default the first. */
  readonly anchor?: string;
  readonly order?: "time" | "file";
  readonly elo?: Partial<EloOptions>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Ratings (M) with the ends of their intervals, before sorting. */
interface Rated {
  readonly ratings: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  readonly more: Pick<Ranking, "intervals" | "style" | "warnings">;
  /** Variance of the difference of two models' θ (bt). */
  readonly variance?: (a: number, b: number) => number;
}

/** Ranks the models of some votes. @throws QuernError if the votes do not determine the ratings, naming the models */
export async function rankVotes(votes: Votes, options: RankOptions = {}): Promise<Ranking> {
  const { method = "bt", confidence = 0.95 } = options;
  const { models } = votes;
  const { ratings, lower, upper, more, variance } = await (method === "bt"
    ? rateBradleyTerry(votes, options)
    : rateElo(votes, options));
  const played = new Float64Array(models.length);
  for (let n = 0; n < votes.outcome.length; n++) {
    played[votes.first[n]] += 1;
    played[votes.second[n]] += 1;
  }
  const best = models.map((_, m) => m).sort((a, b) => ratings[b] - ratings[a] || a - b);
  const { warnings, style, intervals } = more;
  return {
    ...{ method, confidence, intervals, votes: votes.outcome.length },
    models: best.map((m) => ({
      model: models[m],
      ...{ rating: ratings[m], lower: lower[m], upper: upper[m] },
      rank: 1 + lower.reduce((count, other) => count + (other > upper[m] ? 1 : 0), 0),
      votes: played[m],
    })),
    ...(variance && { neighbours: neighboursOf(best, votes, ratings, variance, confidence) }),
    ...(style && { style }),
    pairs: pairsOf(votes).map(({ a, b, ...results }) => ({ model_a: models[a], model_b: models[b], ...results })),
    warnings,
  };
}

async function rateBradleyTerry(votes: Votes, options: RankOptions): Promise<Rated> {
  const { models } = votes;
  const { confidence = 0.95, bootstrap, seed = 1234, signal, onProgress } = options;
  const M = models.length;
  const anchor = options.anchor === undefined ? 0 : models.indexOf(options.anchor);
  if (anchor < 0) {
    throw new QuernError(`no vote is about the model ${options.anchor}; the votes' models are ${listed(models)}`, {
      exitCode: 2,
    });
  }
  const warnings: string[] = [];
  const { comparisons, names } = options.style ? styled(votes, warnings) : { comparisons: aggregate(votes), names: [] };
  const connection = connectionOf(comparisons);
  refuseGroups(connection, models);
  const firth = connection.classCount > 1;
  if (firth) {
    const who = separations(comparisons, connection, models);
    warnings.push(
      `${who.slice(0, 5).join("; ")}${who.length > 5 ? `; and ${who.length - 5} more` : ""}: the likelihood has no finite maximum, ` +
        "so all ratings are fitted with Firth's bias reduction, and the intervals trust the model",
    );
  }
  const design = designOf(comparisons, anchor);
  const fit = fitBradleyTerry(design, { firth });
  const covariance = covarianceOf(design, fit, { robust: !firth });
  const { P, slots } = design;
  const theta = (parameters: Float64Array, m: number) => (slots[m] < 0 ? 0 : parameters[slots[m]]);
  const variance = (a: number, b: number) => {
    const of = (i: number, j: number) => (i < 0 || j < 0 ? 0 : covariance[i * P + j]);
    const [i, j] = [slots[a], slots[b]];
    return of(i, i) + of(j, j) - 2 * of(i, j);
  };
  const z = normalQuantile((1 + confidence) / 2);
  /** Interval of a linear function of the parameters, in their units. */
  let interval = (p: number): readonly [number, number] => {
    const half = z * Math.sqrt(covariance[p * P + p]);
    return [fit.parameters[p] - half, fit.parameters[p] + half];
  };
  if (bootstrap !== undefined) {
    // With style every vote is an observation of its own.
    const sums = comparisons.F === 0 ? sumsOfPairs(comparisons) : undefined;
    const estimates = await bootstrapEstimates(
      comparisons.count,
      (weights) => refit(design, fit, weights, { firth, sums }),
      { resamples: bootstrap, seed, signal, onProgress },
    );
    const lost = bootstrap - estimates.length;
    if (lost > 0) warnings.push(`${lost} of ${bootstrap} resamples do not connect all models and are left out`);
    interval = (p) =>
      percentileInterval(
        Float64Array.from(estimates, (parameters) => parameters[p]),
        confidence,
      );
  }
  const ends = models.map((_, m) => (slots[m] < 0 ? ([0, 0] as const) : interval(slots[m])));
  const rating = (value: number) => START + POINTS * value;
  return {
    ratings: Float64Array.from(models, (_, m) => rating(theta(fit.parameters, m))),
    lower: Float64Array.from(ends, ([low]) => rating(low)),
    upper: Float64Array.from(ends, ([, high]) => rating(high)),
    variance,
    more: {
      intervals: bootstrap === undefined ? (firth ? "model" : "sandwich") : "bootstrap",
      warnings,
      ...(options.style && {
        style: names.map((feature, f) => {
          const [low, high] = interval(M - 1 + f);
          return { feature, points: POINTS * fit.parameters[M - 1 + f], lower: POINTS * low, upper: POINTS * high };
        }),
      }),
    },
  };
}

/** The estimate of one resample; undefined if its votes do not connect all models. */
function refit(
  design: Design,
  fit: Fit,
  weights: Float64Array,
  { firth, sums }: { readonly firth: boolean; readonly sums: PairSums | undefined },
): Float64Array | undefined {
  const { groupCount, classCount } = connectionOf(design.comparisons, weights);
  if (groupCount > 1) return undefined;
  if (firth || classCount > 1) return fitBradleyTerry(design, { weights, firth: true }).parameters;
  sums?.sum(weights);
  const near = sums === undefined ? design : { ...design, comparisons: sums.pairs };
  return refitNearby(near, fit, sums?.pairs.count ?? weights) ?? fitBradleyTerry(design, { weights }).parameters;
}

function refuseGroups({ groups, groupCount }: Connection, models: readonly string[]): void {
  if (groupCount === 1) return;
  const sets = membersOf(groups, groupCount, models).map((names) => `{${listed(names)}}`);
  const shown = sets.length <= 5 ? sets.join(" and ") : `${sets.slice(0, 5).join(", ")} and ${sets.length - 5} more`;
  throw new QuernError(
    `no vote connects the models ${shown}, so their ratings cannot be compared; rank them in separate files, or collect votes between them`,
  );
}

/** The votes with standardised differences of style; features that never differ are left out. */
function styled(votes: Votes, warnings: string[]): { comparisons: Comparisons; names: readonly string[] } {
  const F = STYLE_FEATURES.length;
  const N = votes.outcome.length;
  const style = votes.style.slice();
  const deviations = standardise(style, F);
  const kept = deviations.flatMap((deviation, f) => (deviation > 0 ? [f] : []));
  const names = kept.map((f) => STYLE_FEATURES[f]);
  const absent = STYLE_FEATURES.filter((_, f) => deviations[f] === 0);
  if (absent.length > 0) warnings.push(`the two answers never differ in ${absent.join(", ")}`);
  const features = new Float64Array(N * kept.length);
  for (let n = 0; n < N; n++) {
    for (let at = 0; at < kept.length; at++) features[n * kept.length + at] = style[n * F + kept[at]];
  }
  return { comparisons: withFeatures(votes, features, kept.length), names };
}

async function rateElo(votes: Votes, options: RankOptions): Promise<Rated> {
  const { confidence = 0.95, bootstrap = 100, seed = 1234, signal, onProgress } = options;
  const elo = { k: 4, homeAdvantage: 0, usesMargin: false, reversion: 0, season: 30, ...options.elo };
  if (elo.reversion > 0 && votes.time === undefined) {
    throw new QuernError("some votes have no tstamp, so there are no seasons; give them one, or leave out --reversion");
  }
  const order = voteOrder(votes, options.order);
  const ratings = eloRatings(votes, order, elo);
  const once = new Float64Array(votes.outcome.length).fill(1);
  const estimates = await bootstrapEstimates(once, (times) => eloRatings(votes, order, elo, times), {
    ...{ resamples: bootstrap, seed, signal, onProgress },
  });
  const ends = votes.models.map((_, m) =>
    percentileInterval(
      Float64Array.from(estimates, (each) => each[m]),
      confidence,
    ),
  );
  return {
    ratings,
    lower: Float64Array.from(ends, ([low]) => low),
    upper: Float64Array.from(ends, ([, high]) => high),
    more: { intervals: "bootstrap", warnings: [] },
  };
}

/**
 * Compares each model with the next. A vote between the two adds the information p (1 − p) to that of their difference, 1 / v,
 * so m votes make its variance 1 / (1 / v + m·p·(1 − p)).
 */
function neighboursOf(
  best: readonly number[],
  { models }: Votes,
  ratings: Float64Array,
  variance: (a: number, b: number) => number,
  confidence: number,
): readonly Neighbours[] {
  const z = normalQuantile((1 + confidence) / 2);
  return best.slice(1).map((below, i) => {
    const above = best[i];
    const difference = ratings[above] - ratings[below];
    const theta = difference / POINTS;
    const v = variance(above, below);
    const half = z * POINTS * Math.sqrt(v);
    const p = 1 / (1 + Math.exp(-theta));
    const needed = ((z / theta) ** 2 - 1 / v) / (p * (1 - p));
    return {
      ...{ above: models[above], below: models[below], difference },
      ...{ lower: difference - half, upper: difference + half },
      more_votes: needed <= 0 ? 0 : Number.isSafeInteger(Math.ceil(needed)) ? Math.ceil(needed) : null,
    };
  });
}
