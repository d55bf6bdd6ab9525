/** @file Win rates of a model from a judge's preferences, with AlpacaEval's numbers. */

/**
 * Preferences between a baseline and a model: 1 prefers the baseline, 2 the model, values between are weighted, 1.5 and
 * 0 are ties. Null marks an answer of the judge that could not be read.
 */
export type Preference = number | null;

/** Rates are percentages. */
export interface WinRate {
  /** Mean preference; a tie is half a win. */
  readonly win_rate: number;
  /** Standard deviation (n − 1) divided by √n; null for fewer than two judgements. */
  readonly standard_error: number | null;
  /** Win rate with each preference rounded to a win, a loss or a tie. */
  readonly discrete_win_rate: number;
  readonly n_wins: number;
  readonly n_wins_base: number;
  readonly n_draws: number;
  readonly n_total: number;
  /** Judgements without a preference in 1…2, left out above. */
  readonly n_dropped: number;
}

/**
 * Returns the model's share of a preference in [0, 1]; null where there is none.
 */
export function shareOf(preference: Preference): number | null {
  if (preference === 0) return 0.5;
  return preference === null || !(preference >= 1 && preference <= 2) ? null : preference - 1;
}

/**
 * Computes the win rate of the second answers (Li et al. 2023, AlpacaEval).
 * Returns null if no judgement has a preference.
 */
export function winRate(preferences: readonly Preference[]): WinRate | null {
  const shares = preferences.map(shareOf).filter((share) => share !== null);
  if (shares.length === 0) return null;
  const wins = shares.filter((share) => share > 0.5).length;
  const losses = shares.filter((share) => share < 0.5).length;
  const draws = shares.length - wins - losses;
  const error = standardError(shares);
  return {
    win_rate: 100 * mean(shares),
    standard_error: error === null ? null : 100 * error,
    discrete_win_rate: (100 * (wins + draws / 2)) / shares.length,
    n_wins: wins,
    n_wins_base: losses,
    n_draws: draws,
    n_total: shares.length,
    n_dropped: preferences.length - shares.length,
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation with n − 1; null for fewer than two values. */
export function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
}

/** Standard error of the mean; null for fewer than two values. */
export function standardError(values: readonly number[]): number | null {
  const spread = deviation(values);
  return spread === null ? null : spread / Math.sqrt(values.length);
}
