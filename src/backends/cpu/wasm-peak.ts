/** @file Measures the peak of WebAssembly on this machine, the reference for programs without a C compiler. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { builtModule } from "../../built-module.js";
import { cachedOnce, keyOf } from "../program-cache.js";
import { build, keyOfTools, libraryOf, type Tools } from "./build.js";
import { instructionSet } from "./instruction-sets.js";

const CHAINS = 12;
const STEPS = 1_000_000;

/** WebAssembly has no fused multiply-add, so this measures chains of a product and a sum, like its kernels. */
const SOURCE = `typedef float vf __attribute__((vector_size(16)));
__attribute__((export_name("peak"))) float peak(int steps) {
  vf c[${CHAINS}], a = (vf){0} + 0.999f, b = (vf){0} + 1e-3f;
  for (int i = 0; i < ${CHAINS}; i++) c[i] = (vf){0} + (float)i;
  for (int step = 0; step < steps; step++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < ${CHAINS}; i++) c[i] = c[i] * a + b;
  }
  float sum = 0;
  for (int i = 0; i < ${CHAINS}; i++) sum += c[i][0];
  return sum;
}
`;

/** Data of a worker. It posts "ready", waits for a message, and posts its shortest time in milliseconds. */
export interface PeakTask {
  readonly module: WebAssembly.Module;
  readonly steps: number;
}

/** Measures GFLOP/s of all threads together: the sum of each one's best run while all are busy. */
export async function measureWasmPeak(threads: number): Promise<number> {
  const tools: Tools = { set: instructionSet("wasm"), compiler: null, slot: 0 };
  const library = libraryOf(tools);
  const key = keyOf([SOURCE, await keyOfTools(tools)]);
  const { folder } = await cachedOnce(key, [library], (into) => build({ source: SOURCE }, tools, into));
  const module = await WebAssembly.compile(await readFile(join(folder, library)));
  const workerData: PeakTask = { module, steps: STEPS };
  const workers = Array.from(
    { length: threads },
    () => new Worker(builtModule(new URL("./wasm-peak-worker.js", import.meta.url)), { workerData, execArgv: [] }),
  );
  try {
    await Promise.all(workers.map((worker) => once(worker, "message")));
    const times = workers.map((worker) => once(worker, "message"));
    for (const worker of workers) worker.postMessage("begin");
    const rates = (await Promise.all(times)).map(([milliseconds]) => (2 * 4 * CHAINS * STEPS) / milliseconds / 1e6);
    return Math.round(10 * rates.reduce((a, b) => a + b)) / 10;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
