/** @file Worker thread that measures WebAssembly's peak, in parallel with others. */
import { parentPort, workerData } from "node:worker_threads";
import type { PeakTask } from "./wasm-peak.js";

const { module, steps } = workerData as PeakTask;
const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
const peak = exports.peak as (steps: number) => number;

const RUNS = 12;

parentPort?.once("message", () => {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    peak(steps);
    best = Math.min(best, performance.now() - start);
  }
  parentPort?.postMessage(best);
});
parentPort?.postMessage("ready");
