/**
 * @file Elo ratings (Elo, "The rating of chessplayers, past and present", 1978): after each vote the winner takes points from the
 * loser, more if the win was unexpected. They follow models that change, and depend on the order of the votes.
 */
import { QuernError } from "../../errors.js";
import type { Votes } from "./votes.js";

/** The rating of a new model, towards which ratings revert. */
export const ELO_START = 1000;
/** Points that multiply the odds of a win by ten. */
const ELO_SCALE = 400;

export interface EloOptions {
  /** Points that an even vote moves. */
  readonly k: number;
  /** Points added to model_a's rating when a result is predicted. */
  readonly homeAdvantage: number;
  /** Whether a larger margin of victory moves more points. */
  readonly usesMargin: boolean;
  /** Share of its distance from 1000 that each rating loses between two seasons. */
  readonly reversion: number;
  /** Days in a season. */
  readonly season: number;
}

/** Returns the order of the votes (N): by time, votes of the same time as in the files. @throws QuernError without times */
export function voteOrder({ time, outcome }: Votes, order: "time" | "file" | undefined): Int32Array {
  const indices = Int32Array.from(outcome, (_, n) => n);
  if (order === "time" && time === undefined) {
    throw new QuernError("some votes have no tstamp, so they cannot be ordered by time; give --order file");
  }
  if (order === "file" || time === undefined) return indices;
  return indices.sort((a, b) => time[a] - time[b] || a - b);
}

/**
 * Returns the ratings (M) after all votes. A vote moves k·m·(y − e) points from model_b to model_a, where y is the result (1, ½,
 * 0), e = 1 / (1 + 10^((b − a − homeAdvantage) / 400)) its prediction, and m = 1, or with margins
 * ln(max(margin, 1) + 1)·2.2 / (0.001·(winner − loser) + 2.2), which keeps favourites from inflating (Silver, FiveThirtyEight, 2014).
 * @param times (N) how often each vote counts, for a bootstrap; default once
 */
export function eloRatings(votes: Votes, order: Int32Array, options: EloOptions, times?: Float64Array): Float64Array {
  const { models, first, second, outcome, time, margin } = votes;
  const { k, homeAdvantage, usesMargin, reversion, season } = options;
  const ratings = new Float64Array(models.length).fill(ELO_START);
  const start = time === undefined || order.length === 0 ? 0 : time[order[0]];
  let seasonNow = 0;
  for (const n of order) {
    if (reversion > 0 && time !== undefined) {
      const seasonThen = Math.floor((time[n] - start) / (season * 86_400));
      if (seasonThen > seasonNow) {
        const kept = (1 - reversion) ** (seasonThen - seasonNow);
        for (let m = 0; m < ratings.length; m++) ratings[m] = ELO_START + kept * (ratings[m] - ELO_START);
        seasonNow = seasonThen;
      }
    }
    const [a, b, y] = [first[n], second[n], outcome[n]];
    for (let again = times?.[n] ?? 1; again > 0; again--) {
      const lead = ratings[a] + homeAdvantage - ratings[b];
      const expected = 1 / (1 + 10 ** (-lead / ELO_SCALE));
      const factor = usesMargin ? marginFactor(margin[n], y === 1 ? lead : y === 0 ? -lead : 0) : 1;
      const points = k * factor * (y - expected);
      ratings[a] += points;
      ratings[b] -= points;
    }
  }
  return ratings;
}

/** @param lead the winner's rating minus the loser's; no less than −1000, where the factor would grow without limit */
function marginFactor(margin: number, lead: number): number {
  return (Math.log(Math.max(margin, 1) + 1) * 2.2) / (0.001 * Math.max(lead, -1000) + 2.2);
}
