/**
 * @file Minimises a smooth function of a few variables in float64: L-BFGS (Liu and Nocedal, "On the limited memory BFGS method
 * for large scale optimization", 1989) with the line search of Lewis and Overton ("Nonsmooth optimization via
 * quasi-Newton methods", 2013), which halves and doubles steps until both weak Wolfe conditions hold.
 */

/** Returns f(x), and writes its gradient into `gradient` (P). A value that is not finite rejects the step. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  /** Ends after two iterations that lower f by less than this share. Default 1e-12. */
  readonly tolerance?: number;
  /** Default 400. */
  readonly iterations?: number;
  /** Ends once f is at most this. Default: never. */
  readonly enough?: number;
}

export interface Minimum {
  /** (P) */
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
}

/** Pairs of steps and gradient changes that are kept. */
const MEMORY = 8;
const SUFFICIENT_DECREASE = 1e-4;
const CURVATURE = 0.9;
const MOST_TRIALS = 40;

/** Minimises `objective` (P variables) from one start after another, without allocating in between. */
export class Minimiser {
  readonly #objective: Objective;
  readonly #P: number;
  readonly #steps: Float64Array[];
  readonly #changes: Float64Array[];
  readonly #rho = new Float64Array(MEMORY);
  readonly #alpha = new Float64Array(MEMORY);
  readonly #direction: Float64Array;
  #x: Float64Array;
  #gradient: Float64Array;
  #nextX: Float64Array;
  #nextGradient: Float64Array;

  constructor(objective: Objective, P: number) {
    const vector = () => new Float64Array(P);
    this.#objective = objective;
    this.#P = P;
    this.#steps = Array.from({ length: MEMORY }, vector);
    this.#changes = Array.from({ length: MEMORY }, vector);
    this.#direction = vector();
    this.#x = vector();
    this.#gradient = vector();
    this.#nextX = vector();
    this.#nextGradient = vector();
  }

  /** Minimises from `start` (P), which is not changed. A start whose value is not finite is returned as it is. */
  minimise(start: Float64Array, options: MinimiseOptions = {}): Minimum {
    const { tolerance = 1e-12, iterations: most = 400, enough = Number.NEGATIVE_INFINITY } = options;
    const P = this.#P;
    this.#x.set(start);
    let value = this.#objective(this.#x, this.#gradient);
    let pairs = 0; // pairs stored so far; the newest is at (pairs − 1) % MEMORY
    let small = 0;
    let iterations = 0;
    if (!Number.isFinite(value)) return { x: start.slice(), value: Number.POSITIVE_INFINITY, iterations };
    while (iterations < most) {
      let slope = this.#findDirection(pairs);
      if (!(slope < 0)) {
        if (pairs === 0) break;
        pairs = 0; // the memory is useless here: start again from the gradient
        slope = this.#findDirection(0);
        if (!(slope < 0)) break;
      }
      const next = this.#search(value, slope, pairs === 0 ? 1 / Math.max(1, Math.sqrt(-slope)) : 1);
      if (next === null) {
        if (pairs === 0) break;
        pairs = 0;
        continue;
      }
      iterations += 1;
      const step = this.#steps[pairs % MEMORY];
      const change = this.#changes[pairs % MEMORY];
      let product = 0;
      for (let i = 0; i < P; i++) {
        step[i] = this.#nextX[i] - this.#x[i];
        change[i] = this.#nextGradient[i] - this.#gradient[i];
        product += step[i] * change[i];
      }
      if (product > 0) {
        this.#rho[pairs % MEMORY] = 1 / product;
        pairs += 1;
      }
      [this.#x, this.#nextX] = [this.#nextX, this.#x];
      [this.#gradient, this.#nextGradient] = [this.#nextGradient, this.#gradient];
      small = value - next <= tolerance * Math.abs(value) ? small + 1 : 0;
      value = next;
      if (small === 2 || value <= enough) break;
    }
    return { x: this.#x.slice(), value, iterations };
  }

  /** Writes −H·gradient into the direction by the two-loop recursion; returns its slope. */
  #findDirection(pairs: number): number {
    const P = this.#P;
    const direction = this.#direction;
    const gradient = this.#gradient;
    for (let i = 0; i < P; i++) direction[i] = -gradient[i];
    const oldest = Math.max(0, pairs - MEMORY);
    for (let k = pairs - 1; k >= oldest; k--) {
      const at = k % MEMORY;
      const step = this.#steps[at];
      const change = this.#changes[at];
      let dot = 0;
      for (let i = 0; i < P; i++) dot += step[i] * direction[i];
      const alpha = this.#rho[at] * dot;
      this.#alpha[at] = alpha;
      for (let i = 0; i < P; i++) direction[i] -= alpha * change[i];
    }
    if (pairs > 0) {
      const change = this.#changes[(pairs - 1) % MEMORY];
      let square = 0;
      for (let i = 0; i < P; i++) square += change[i] * change[i];
      const scale = 1 / (this.#rho[(pairs - 1) % MEMORY] * square);
      for (let i = 0; i < P; i++) direction[i] *= scale;
    }
    for (let k = oldest; k < pairs; k++) {
      const at = k % MEMORY;
      const step = this.#steps[at];
      const change = this.#changes[at];
      let dot = 0;
      for (let i = 0; i < P; i++) dot += change[i] * direction[i];
      const beta = this.#alpha[at] - this.#rho[at] * dot;
      for (let i = 0; i < P; i++) direction[i] += beta * step[i];
    }
    let slope = 0;
    for (let i = 0; i < P; i++) slope += direction[i] * gradient[i];
    return slope;
  }

  /** Finds a step that meets both conditions; returns its value, or null if rounding allows no decrease. */
  #search(value: number, slope: number, first: number): number | null {
    const P = this.#P;
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let length = first;
    let found: number | null = null;
    for (let trial = 0; trial < MOST_TRIALS; trial++) {
      for (let i = 0; i < P; i++) this.#nextX[i] = this.#x[i] + length * this.#direction[i];
      const next = this.#objective(this.#nextX, this.#nextGradient);
      if (!(next <= value + SUFFICIENT_DECREASE * length * slope)) high = length;
      else {
        let nextSlope = 0;
        for (let i = 0; i < P; i++) nextSlope += this.#nextGradient[i] * this.#direction[i];
        found = next;
        if (nextSlope >= CURVATURE * slope) return next < value ? next : null;
        low = length;
      }
      length = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
      if (high - low <= 1e-14 * high) break;
    }
    if (found === null || low === 0) return null;
    // The last step that lowered the value enough, although the slope is still steep there.
    for (let i = 0; i < P; i++) this.#nextX[i] = this.#x[i] + low * this.#direction[i];
    found = this.#objective(this.#nextX, this.#nextGradient);
    return found < value ? found : null;
  }
}
