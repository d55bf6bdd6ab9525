/** @file The worker of a parametric fit: minimises from starts, or refits samples of the points. */
import type { Answer } from "../../executors/index.js";
import type { LogPoints } from "./objective.js";
import { minimiseStarts, refitSamples } from "./refit.js";

export type FitTask =
  | { readonly kind: "starts"; readonly starts: Float64Array }
  | {
      readonly kind: "samples";
      readonly theta: Float64Array;
      readonly first: number;
      readonly count: number;
      readonly seed: number;
    };

export function openWorker(setup: unknown): Answer<FitTask, Float64Array> {
  const points = setup as LogPoints;
  return (task) => {
    const result =
      task.kind === "starts" ? minimiseStarts(points, task.starts) : refitSamples(points, task.theta, task);
    return { result, transfer: [result.buffer as ArrayBuffer] };
  };
}
