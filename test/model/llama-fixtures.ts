/** @file The oracle's numbers (test/oracle/llama_fixture.py), opened for tests. */
import { fileURLToPath } from "node:url";
import { fromHuggingFaceConfig, type ModelConfig, openSafetensors } from "../../src/model/index.js";
import type { AdamWOptions } from "../../src/train/adamw.js";

export const FIXTURES = ["llama-grouped-tied", "llama-full-free"] as const;

export interface LlamaFixture {
  readonly config: ModelConfig;
  readonly optimizer: AdamWOptions;
  /** `parameter.NAME`, `gradient.NAME`, `after.NAME`, `moment1.NAME`, `logits` … */
  readonly floats: (name: string) => Float32Array;
  readonly integers: (name: string) => Int32Array;
  readonly shape: (name: string) => readonly number[];
}

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../oracle/fixtures/${name}.safetensors`, import.meta.url));
}

export async function loadFixture(name: (typeof FIXTURES)[number]): Promise<LlamaFixture> {
  const file = await openSafetensors(fixturePath(name));
  const floats = new Map<string, Float32Array>();
  const integers = new Map<string, Int32Array>();
  for (const { name, dtype } of file.tensors.values()) {
    if (dtype === "I32") integers.set(name, await file.readIntegers(name));
    else floats.set(name, await file.readFloats(name));
  }
  await file.close();
  const { config } = fromHuggingFaceConfig(JSON.parse(file.metadata.config), name);
  return {
    config,
    optimizer: JSON.parse(file.metadata.optimizer),
    floats: (key) => known(floats, key),
    integers: (key) => known(integers, key),
    shape: (key) => known(file.tensors, key).shape,
  };
}

function known<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new Error(`the fixture has no ${key}`);
  return value;
}

/** ids and targets of one of the twenty batches (B,T+1). */
export function batchOf(fixture: LlamaFixture, step: number) {
  const [, batch, length] = fixture.shape("batches");
  const rows = fixture.integers("batches").subarray(step * batch * length, (step + 1) * batch * length);
  const sequence = length - 1;
  const ids = new Int32Array(batch * sequence);
  const targets = new Int32Array(batch * sequence);
  for (let b = 0; b < batch; b++) {
    ids.set(rows.subarray(b * length, b * length + sequence), b * sequence);
    targets.set(rows.subarray(b * length + 1, (b + 1) * length), b * sequence);
  }
  return { batch, sequence, ids, targets };
}

/** ‖a − b‖ / ‖b‖ */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Math.sqrt(difference / Math.max(norm, Number.MIN_VALUE));
}

export function deviationOf(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((a, b) => a + b, 0) / all.length;
  return Math.sqrt(all.reduce((total, value) => total + (value - mean) ** 2, 0) / all.length);
}
