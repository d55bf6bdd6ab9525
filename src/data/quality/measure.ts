/** @file Measures a score: precision and recall per threshold, calibration by Platt scaling, and calibration error. */
import { logit, type ScoreCard } from "./score.js";

/** A score of a text, and whether the text is good. */
export interface Scored {
  readonly score: number;
  readonly good: boolean;
}

/** The effect of keeping texts that score at least `threshold`. */
export interface ThresholdRow {
  /** Share of all texts that are kept. */
  readonly keep: number;
  readonly threshold: number;
  /** Share of the kept texts that are good. */
  readonly precision: number;
  /** Share of the good texts that are kept. */
  readonly recall: number;
}

const FRACTIONS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Returns one row per share of best-scoring texts. Texts with equal scores are kept or dropped together. */
export function thresholdTable(scored: readonly Scored[], fractions: readonly number[] = FRACTIONS): ThresholdRow[] {
  const sorted = [...scored].sort((a, b) => b.score - a.score);
  const goods = sorted.filter(({ good }) => good).length;
  return fractions.flatMap((fraction) => {
    if (sorted.length === 0) return [];
    const threshold = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)].score;
    const kept = sorted.filter(({ score }) => score >= threshold);
    const right = kept.filter(({ good }) => good).length;
    const recall = goods === 0 ? 0 : right / goods;
    return [{ keep: kept.length / sorted.length, threshold, precision: right / kept.length, recall }];
  });
}

/**
 * Fits Platt scaling (1999) by Newton's method: the slope and offset of the logit that maximise the likelihood of
 * Platt's smoothed targets. Smoothing prevents overconfidence with few examples. Returns null if all texts are of one
 * kind.
 */
export function calibrate(scored: readonly Scored[]): ScoreCard["calibration"] {
  const goods = scored.filter(({ good }) => good).length;
  const bads = scored.length - goods;
  if (goods === 0 || bads === 0) return null;
  const [high, low] = [(goods + 1) / (goods + 2), 1 / (bads + 2)];
  let [slope, offset] = [1, 0];
  const loss = (a: number, b: number) =>
    scored.reduce((sum, { score, good }) => {
      const z = a * logit(score) + b;
      const target = good ? high : low;
      return sum + Math.log1p(Math.exp(-Math.abs(z))) + (z > 0 ? (1 - target) * z : -target * z);
    }, 0);
  for (let round = 0; round < 100; round++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, 1e-9, 0, 1e-9];
    for (const { score, good } of scored) {
      const x = logit(score);
      const p = 1 / (1 + Math.exp(-(slope * x + offset)));
      const d = p - (good ? high : low);
      const w = p * (1 - p);
      ga += d * x;
      gb += d;
      haa += w * x * x;
      hab += w * x;
      hbb += w;
    }
    const determinant = haa * hbb - hab * hab;
    if (!(Math.abs(determinant) > 1e-18)) break;
    const [da, db] = [(hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant];
    let step = 1;
    const now = loss(slope, offset);
    while (step > 1e-6 && loss(slope - step * da, offset - step * db) > now) step /= 2;
    slope -= step * da;
    offset -= step * db;
    if (Math.abs(step * da) + Math.abs(step * db) < 1e-9) break;
  }
  // A negative slope would reverse the order. Then the score carries no information, and it stays uncalibrated.
  return slope > 0 && Number.isFinite(slope) && Number.isFinite(offset) ? { slope, offset } : null;
}

/** Returns the expected calibration error over ten equal bins: mean distance between score and share of good texts. */
export function calibrationError(scored: readonly Scored[]): number {
  const parts = Array.from({ length: 10 }, () => ({ count: 0, score: 0, good: 0 }));
  for (const { score, good } of scored) {
    const part = parts[Math.min(9, Math.floor(score * 10))];
    part.count += 1;
    part.score += score;
    part.good += good ? 1 : 0;
  }
  return parts.reduce((sum, { score, good }) => sum + Math.abs(score - good), 0) / Math.max(1, scored.length);
}
