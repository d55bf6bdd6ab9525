/** @file Loads the reference results of PyTorch (test/oracle/model_fixtures.py) for tests. */
import { fileURLToPath } from "node:url";
import { fromHuggingFaceConfig, type ModelConfig, openSafetensors, parametersOf } from "../../src/model/index.js";
import type { AdamWOptions } from "../../src/train/optimizer/adamw.js";
import type { MuonOptions } from "../../src/train/optimizer/muon.js";

/** The most different ones come first. */
export const FIXTURES = [
  "gpt2-tied",
  "llama-full-free",
  "qwen3-biases-yarn",
  "llama-grouped-tied",
  "llama-biases-llama3",
  "llama-linear",
  "qwen3-grouped-tied",
  "gpt2-free",
] as const;
export const MUON_FIXTURES = FIXTURES.filter(
  (name) => !["llama-grouped-tied", "llama-full-free", "gpt2-free"].includes(name),
);

export interface ModelFixture {
  readonly config: ModelConfig;
  readonly optimizer: AdamWOptions;
  /** Null if there is no reference run with Muon. */
  readonly muon: MuonOptions | null;
  /** Returns `parameter.NAME`, `gradient.NAME`, `after.NAME`, `moment1.NAME`, `logits` …; matrices are always (out, in). */
  readonly floats: (name: string) => Float32Array;
  readonly integers: (name: string) => Int32Array;
  readonly shape: (name: string) => readonly number[];
}

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../oracle/fixtures/${name}.safetensors`, import.meta.url));
}

export async function loadFixture(name: (typeof FIXTURES)[number]): Promise<ModelFixture> {
  const file = await openSafetensors(fixturePath(name));
  const floats = new Map<string, Float32Array>();
  const integers = new Map<string, Int32Array>();
  for (const { name, dtype } of file.tensors.values()) {
    if (dtype === "I32") integers.set(name, await file.readIntegers(name));
    else floats.set(name, await file.readFloats(name));
  }
  await file.close();
  const { config } = fromHuggingFaceConfig(JSON.parse(file.metadata.config), name);
  const storedTransposed = new Set(parametersOf(config).flatMap((p) => (p.storedTransposed ? [p.name] : [])));
  for (const [key, values] of floats) {
    if ([...storedTransposed].some((parameter) => key.endsWith(`.${parameter}`))) {
      floats.set(key, transposed(values, known(file.tensors, key).shape));
    }
  }
  const optimizer: AdamWOptions = { kind: "adamw", ...JSON.parse(file.metadata.optimizer) };
  return {
    config,
    optimizer,
    muon: file.metadata.muon === undefined ? null : muonOptions(JSON.parse(file.metadata.muon), optimizer),
    floats: (key) => known(floats, key),
    integers: (key) => known(integers, key),
    shape: (key) => known(file.tensors, key).shape,
  };
}

/** Maps the options of torch.optim.Muon to ours. */
function muonOptions(group: Readonly<Record<string, unknown>>, adamw: AdamWOptions): MuonOptions {
  return {
    kind: "muon",
    momentum: group.momentum as number,
    nesterov: group.nesterov as boolean,
    coefficients: group.ns_coefficients as [number, number, number],
    iterations: group.ns_steps as number,
    epsilon: group.eps as number,
    decay: group.weight_decay as number,
    adjustRate: (group.adjust_lr_fn ?? "original") as MuonOptions["adjustRate"],
    adamw,
  };
}

function transposed(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]);
}

/**
 * Removes GPT-2's key biases from a parameter's values. Softmax does not depend on them, so their gradient is only rounding
 * error, which Adam turns into full steps.
 */
export function comparable(name: string, values: Float32Array): Float32Array {
  if (!name.endsWith("c_attn.bias")) return values;
  const third = values.length / 3;
  return values.filter((_, i) => i < third || i >= 2 * third);
}

/** Factor of a parameter before the reference runs: queries and keys start at half their values. */
export const startFactor = (name: string) => (/[qk]_(proj|norm)|c_attn/.test(name) ? 0.5 : 1);

function known<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new Error(`the fixture has no ${key}`);
  return value;
}

/** Returns ids and targets (B,T) of one of the twenty batches (B,T+1). */
export function batchOf(fixture: ModelFixture, step: number) {
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
