/** @file Helpers of all benchmarks: medians, timing, the machine's description, Python peers, flags. */
import { execFileSync } from "node:child_process";
import { examineMachine } from "../src/backends/index.js";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Returns the seconds of `count` calls of f, after `warmup` calls that are not timed. */
export async function timed(f: () => Promise<unknown>, count: number, warmup = 1): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = -warmup; i < count; i++) {
    const start = performance.now();
    await f();
    if (i >= 0) seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}

/** The machine's description from `quern doctor`, without measurements. */
export async function machineLine(): Promise<string> {
  return (await examineMachine({ measure: false })).line;
}

/** The Python with torch; null, with a message, if none is configured. */
export function torchPython(): string | null {
  const python = process.env.QUERN_TORCH_PYTHON;
  if (!python) console.error("no comparison: QUERN_TORCH_PYTHON must name a Python with torch 2.13");
  return python || null;
}

/** Runs a peer script and returns its last line, which is JSON. `env` is added to the environment. */
export function runPeer<T>(
  python: string,
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): T {
  const output = execFileSync(python, [script, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  return JSON.parse(output.trim().split("\n").at(-1) as string) as T;
}

/** Parses numeric flags of the form --name 3. */
export function flags<K extends string>(defaults: Readonly<Record<K, number>>): Record<K, number> {
  const values: Record<K, number> = { ...defaults };
  const args = process.argv.slice(2);
  for (let i = 0; i < args.length; i += 2) {
    const key = args[i].replace(/^--/, "") as K;
    if (!(key in defaults) || !Number.isFinite(Number(args[i + 1]))) {
      throw new Error(`unknown flag ${args[i]}; known, each with a number: ${Object.keys(defaults).join(", ")}`);
    }
    values[key] = Number(args[i + 1]);
  }
  return values;
}

/** Uniform numbers in ±scale/2, the same in every run. */
export function randomNumbers(size: number, scale = 1): Float32Array {
  let state = 12345;
  return Float32Array.from({ length: size }, () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647 - 0.5) * scale;
  });
}
