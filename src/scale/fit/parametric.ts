/**
 * @file Fits L(N, D) = E + A/N^α + B/D^β, the third approach of Hoffmann et al. (arXiv:2203.15556): the best of 4,500 starts,
 * and a bootstrap whose refits start from it (Besiroglu et al., arXiv:2404.10102).
 */
import { WorkerPool } from "../../executors/index.js";
import { randomStream } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import { type LogPoints, publishedGrid } from "./objective.js";
import type { FitTask } from "./parametric-worker.js";
import { minimiseStarts, polish, refitSamples, START_ROW, VARIABLES } from "./refit.js";

/** The constants of the law. */
export interface LawConstants {
  readonly A: number;
  readonly B: number;
  readonly E: number;
  readonly alpha: number;
  readonly beta: number;
}

export interface ParametricFit extends LawConstants {
  /** (a, b, e, α, β) with A = exp(a), B = exp(b), E = exp(e). */
  readonly theta: Float64Array;
  readonly objective: number;
  /** Other minima (θ) whose objective is within 1 % of the best, one per distinct optimum. */
  readonly rivals: readonly Float64Array[];
}

export interface FitCalls {
  /** Default 2. 1 fits in this thread. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Starts, or draws, of one task of a worker. */
const PER_TASK = 50;
/** The first pass over the starts reads at most this many points: it has only to find the valleys. */
const FIRST_POINTS = 500;
/** Starts that are minimised to the end: those that the first pass leaves best. */
const POLISHED = 60;
const NEARLY = { tolerance: 1e-9, enough: 1e-12 };
const RIVAL = 1.01;

export const constantsOf = ([a, b, e, alpha, beta]: Float64Array): LawConstants => ({
  ...{ A: Math.exp(a), B: Math.exp(b), E: Math.exp(e), alpha, beta },
});

export const thetaOf = ({ A, B, E, alpha, beta }: LawConstants): Float64Array =>
  Float64Array.of(Math.log(A), Math.log(B), Math.log(E), alpha, beta);

/** Fits the points from each start (default: the published grid). @throws the signal's reason */
export async function fitParametric(
  points: LogPoints,
  { starts = publishedGrid(), ...calls }: FitCalls & { readonly starts?: readonly Float64Array[] } = {},
): Promise<ParametricFit> {
  const tasks = Array.from({ length: Math.ceil(starts.length / PER_TASK) }, (_, i): FitTask => {
    const part = starts.slice(i * PER_TASK, (i + 1) * PER_TASK);
    return { kind: "starts", starts: Float64Array.from(part.flatMap((start) => [...start])) };
  });
  const some = thinned(points, FIRST_POINTS);
  const parts = await runTasks(some, tasks, { ...calls, task: "fit", unit: "start", total: starts.length });
  return bestOf(points, parts);
}

/** At most `most` of the points, drawn without replacement: an even stride could meet a single size of a grid. */
function thinned(points: LogPoints, most: number): LogPoints {
  const R = points.logL.length;
  if (R <= most) return points;
  const random = randomStream(0, "points of the first pass");
  const keys = Float64Array.from({ length: R }, (_, i) => random.uniform(i));
  const kept = Array.from({ length: R }, (_, i) => i)
    .sort((a, b) => keys[a] - keys[b])
    .slice(0, most);
  const of = (values: Float64Array) => Float64Array.from(kept, (i) => values[i]);
  return { logN: of(points.logN), logD: of(points.logD), logL: of(points.logL) };
}

/** The same in this thread and at once, for few starts. */
export function fitFrom(points: LogPoints, starts: readonly Float64Array[]): ParametricFit {
  return bestOf(points, [minimiseStarts(points, Float64Array.from(starts.flatMap((start) => [...start])))]);
}

function bestOf(points: LogPoints, parts: readonly Float64Array[]): ParametricFit {
  const rows = parts.flatMap((part) =>
    Array.from({ length: part.length / START_ROW }, (_, i) => part.subarray(i * START_ROW, (i + 1) * START_ROW)),
  );
  // Starts of one valley end at nearly the same place; the first of each is enough.
  const ranked = rows.sort((x, y) => x[VARIABLES] - y[VARIABLES]);
  const polished = ranked.slice(0, POLISHED).map((row) => polish(points, row.slice(0, VARIABLES), NEARLY));
  polished.sort((x, y) => x.value - y.value);
  const best = polish(points, polished[0].theta);
  const rivals: Float64Array[] = [];
  for (const { theta, value } of polished.slice(1)) {
    if (value > RIVAL * best.value + 1e-12) break;
    if ([best.theta, ...rivals].every((known) => isOther(known, theta))) rivals.push(theta);
  }
  return { ...constantsOf(best.theta), theta: best.theta, objective: best.value, rivals };
}

/** Whether an exponent differs by more than 2 % of itself, or a constant by more than .05 of its logarithm. */
function isOther(a: Float64Array, b: Float64Array): boolean {
  return a.some((value, i) => Math.abs(value - b[i]) > (i > 2 ? 0.02 * Math.abs(value) : 0.05));
}

/** Refits `draws` samples of the points from the optimum θ; returns (draws × 5), θ of each. */
export async function bootstrapParametric(
  points: LogPoints,
  theta: Float64Array,
  { draws, seed, ...calls }: FitCalls & { readonly draws: number; readonly seed: number },
): Promise<Float64Array> {
  const tasks = Array.from({ length: Math.ceil(draws / PER_TASK) }, (_, i): FitTask => {
    const first = i * PER_TASK;
    return { kind: "samples", theta, first, count: Math.min(PER_TASK, draws - first), seed };
  });
  const parts = await runTasks(points, tasks, { ...calls, task: "bootstrap", unit: "fit", total: draws });
  const all = new Float64Array(draws * VARIABLES);
  parts.forEach((part, i) => {
    all.set(part, i * PER_TASK * VARIABLES);
  });
  return all;
}

async function runTasks(
  points: LogPoints,
  tasks: readonly FitTask[],
  {
    threads = 2,
    signal,
    onProgress,
    ...about
  }: FitCalls & { readonly task: string; readonly unit: string; readonly total: number },
): Promise<Float64Array[]> {
  let done = 0;
  const finished = (part: Float64Array): Float64Array => {
    done += 1;
    onProgress?.({ ...about, done: Math.min(about.total, done * PER_TASK) });
    return part;
  };
  if (threads === 1 || tasks.length === 1) {
    const parts: Float64Array[] = [];
    for (const task of tasks) {
      signal?.throwIfAborted();
      parts.push(
        finished(task.kind === "starts" ? minimiseStarts(points, task.starts) : refitSamples(points, task.theta, task)),
      );
      // Lets an interrupt arrive.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return parts;
  }
  const module = new URL("./parametric-worker.js", import.meta.url);
  const pool = new WorkerPool<FitTask, Float64Array>({ module, setup: points, threads, signal });
  try {
    // One queue per worker; each takes the next task when it has finished one.
    const parts = new Array<Float64Array>(tasks.length);
    let next = 0;
    const work = async (worker: number) => {
      while (next < tasks.length) {
        const index = next++;
        parts[index] = finished(await pool.runOn(worker, tasks[index]));
      }
    };
    await Promise.all(Array.from({ length: threads }, (_, worker) => work(worker)));
    return parts;
  } finally {
    await pool.close();
  }
}
