/**
 * @file The first approach of Hoffmann et al. (arXiv:2203.15556, section 3.1): at each of many FLOPs, which size reaches the
 * lowest loss? The loss of a size between its runs is interpolated between logarithms. A power law fits the winners.
 */
import { randomStream } from "../../model/index.js";
import type { PowerLaw } from "../../train/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import { fitFloored, fitPowerLaw } from "./power-law.js";

/** FLOPs at which sizes are compared, as many as in the paper. */
const LEVELS = 1500;
/** Sizes that differ by less than this factor are one. */
const SAME_SIZE = 1.02;

/** The best size at some FLOPs. */
export interface EnvelopePoint {
  readonly flops: number;
  readonly params: number;
  readonly loss: number;
}

export interface EnvelopeFit {
  /** The best size at each level at which at least one size has runs on both sides. */
  readonly points: readonly EnvelopePoint[];
  /** Sizes that are best somewhere. */
  readonly sizes: number;
  readonly params: PowerLaw;
  readonly tokens: PowerLaw;
  readonly loss: PowerLaw & { readonly floor: number };
}

interface Curve {
  readonly params: number;
  /** (ln C, ln L), ascending in C. */
  readonly points: readonly (readonly [number, number])[];
}

function curvesOf(runs: readonly ScalingRun[]): Curve[] {
  const sorted = [...runs].sort((a, b) => a.params - b.params || a.flops - b.flops);
  const groups: ScalingRun[][] = [];
  for (const run of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && run.params <= SAME_SIZE * group[0].params) group.push(run);
    else groups.push([run]);
  }
  return groups.map((group) => ({
    params: group[0].params,
    points: group
      .map(({ flops, loss }) => [Math.log(flops), Math.log(loss)] as const)
      .sort(([a], [b]) => a - b)
      // Of several runs with the same FLOPs only the best counts.
      .reduce<(readonly [number, number])[]>((kept, point) => {
        const last = kept.at(-1);
        if (last === undefined || point[0] > last[0] + 1e-9) kept.push(point);
        else if (point[1] < last[1]) kept[kept.length - 1] = point;
        return kept;
      }, []),
  }));
}

/** Fits the envelope; null if fewer than two sizes are best anywhere. */
export function fitEnvelope(runs: readonly ScalingRun[], levels = LEVELS): EnvelopeFit | null {
  const curves = curvesOf(runs);
  const whole = curves.filter(({ points }) => points.length >= 2);
  const points = whole.length >= 2 ? onCurves(whole, levels) : onFront(runs);
  const sizes = new Set(points.map(({ params }) => params)).size;
  if (sizes < 2 || new Set(points.map(({ flops }) => flops)).size < 2) return null;
  return {
    ...{ points, sizes },
    params: fitPowerLaw(points.map(({ flops, params }) => [flops, params] as const)),
    tokens: fitPowerLaw(points.map(({ flops, params }) => [flops, flops / (6 * params)] as const)),
    loss: fitFloored(thin(points).map(({ flops, loss }) => [flops, loss] as const)),
  };
}

/** Levels are far closer than the runs; the loss of the frontier needs few of them. */
function thin(points: readonly EnvelopePoint[]): EnvelopePoint[] {
  const stride = Math.ceil(points.length / 30);
  return points.filter((_, i) => i % stride === 0);
}

function onCurves(curves: readonly Curve[], levels: number): EnvelopePoint[] {
  const ends = curves.flatMap(({ points }) => [points[0][0], (points.at(-1) as readonly [number, number])[0]]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const found: EnvelopePoint[] = [];
  for (let level = 0; level < levels; level++) {
    const x = low + ((high - low) * level) / (levels - 1);
    let best: EnvelopePoint | null = null;
    let covering = 0;
    for (const { params, points } of curves) {
      const after = points.findIndex(([c]) => c >= x);
      if (after < 0 || (after === 0 && points[0][0] > x)) continue;
      covering += 1;
      const [x1, y1] = points[after];
      const [x0, y0] = points[Math.max(0, after - 1)];
      const loss = Math.exp(x1 === x0 ? y1 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0));
      if (best === null || loss < best.loss) best = { flops: Math.exp(x), params, loss };
    }
    // Where only one size has runs, it is best for want of others.
    if (best !== null && covering > 1) found.push(best);
  }
  return found;
}

/** Without curves: runs that no run of equal or fewer FLOPs beats. */
function onFront(runs: readonly ScalingRun[]): EnvelopePoint[] {
  const found: EnvelopePoint[] = [];
  for (const { flops, params, loss } of [...runs].sort((a, b) => a.flops - b.flops || a.loss - b.loss)) {
    if (loss < (found.at(-1)?.loss ?? Number.POSITIVE_INFINITY)) found.push({ flops, params, loss });
  }
  return found;
}

/** Refits resampled runs. Draws whose envelope has one size are left out. */
export function bootstrapEnvelope(runs: readonly ScalingRun[], draws: number, seed: number): EnvelopeFit[] {
  const found: EnvelopeFit[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const random = randomStream(seed, `envelope draw ${draw}`);
    const drawn = fitEnvelope(
      runs.map((_, i) => runs[Math.floor(random.uniform(i) * runs.length)]),
      150,
    );
    if (drawn !== null) found.push(drawn);
  }
  return found;
}
