/** @file Straight lines and parabolas by least squares: power laws are lines between logarithms. */
import type { PowerLaw } from "../../train/index.js";

/** Fits y = coefficient · x^exponent through points (x, y), by least squares between logarithms; needs two different x. */
export function fitPowerLaw(points: readonly (readonly [x: number, y: number])[]): PowerLaw {
  const { slope, intercept } = fitLine(points.map(([x, y]) => [Math.log(x), Math.log(y)] as const));
  return { coefficient: Math.exp(intercept), exponent: slope };
}

/** Fits y = slope · x + intercept. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]) {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  let [xx, xy] = [0, 0];
  for (const [px, py] of points) {
    xx += (px - x) ** 2;
    xy += (px - x) * (py - y);
  }
  const slope = xy / xx;
  return { slope, intercept: y - slope * x };
}

/** y = lowest + curvature · (x − vertex)². */
export interface Parabola {
  readonly vertex: number;
  readonly lowest: number;
  readonly curvature: number;
}

/** Fits a parabola by least squares; null with fewer than three different x, or if it opens downwards. */
export function fitParabola(points: readonly (readonly [x: number, y: number])[]): Parabola | null {
  if (new Set(points.map(([x]) => x)).size < 3) return null;
  // Centred and scaled, the normal equations are well conditioned.
  const centre = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const scale = Math.max(...points.map(([x]) => Math.abs(x - centre)));
  const level = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const s = [0, 0, 0, 0, 0];
  const t = [0, 0, 0];
  for (const [x, y] of points) {
    const z = (x - centre) / scale;
    for (let k = 0; k < 5; k++) s[k] += z ** k;
    for (let k = 0; k < 3; k++) t[k] += z ** k * (y - level);
  }
  const det = (m: readonly (readonly number[])[]) =>
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
    m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
    m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  const rows = [0, 1, 2].map((r) => [s[r], s[r + 1], s[r + 2]]);
  const whole = det(rows);
  const [c0, c1, c2] = [0, 1, 2].map((column) => {
    const replaced = rows.map((row, r) => row.map((value, c) => (c === column ? t[r] : value)));
    return det(replaced) / whole;
  });
  if (!(c2 > 0)) return null;
  const z = -c1 / (2 * c2);
  return { vertex: centre + z * scale, lowest: level + c0 - c2 * z * z, curvature: c2 / scale ** 2 };
}

/**
 * Fits y = floor + coefficient · x^exponent (exponent < 0) through the losses of a frontier. The floor is searched, since the
 * rest is a line between logarithms; it is 0 with fewer than four points.
 */
export function fitFloored(
  points: readonly (readonly [x: number, y: number])[],
): PowerLaw & { readonly floor: number } {
  const least = Math.min(...points.map(([, y]) => y));
  const attempt = (floor: number) => {
    const law = fitPowerLaw(points.map(([x, y]) => [x, y - floor] as const));
    const error = points.reduce((sum, [x, y]) => {
      return (
        sum + (Math.log(y - floor) - Math.log(law.coefficient) - law.exponent * Math.log(x)) ** 2 * (y - floor) ** 2
      );
    }, 0);
    return { ...law, floor, error };
  };
  let best = attempt(0);
  if (points.length >= 4) {
    let [low, high] = [0, least * 0.999];
    for (let round = 0; round < 8; round++) {
      const step = (high - low) / 20;
      for (let i = 0; i <= 20; i++) {
        const next = attempt(low + i * step);
        if (next.error < best.error) best = next;
      }
      [low, high] = [Math.max(0, best.floor - step), Math.min(least * 0.9999, best.floor + step)];
    }
  }
  const { floor, coefficient, exponent } = best;
  return { floor, coefficient, exponent };
}
