/**
 * @file Memory of training and of serving, in bytes per device. Weights, gradients and AdamW's moments follow Rajbhandari et al.
 * (ZeRO, arXiv:1910.02054, section 3.1): 16 bytes per parameter, in fp32 (4 + 4 + 8) as in bf16 with fp32 master weights
 * (2 + 2 + 12). Activations are those that Quern's engine keeps (`activationBytes` of quern/model).
 */
import { activationBytes, countParameters, loraPairs, type ModelConfig, projectionNames } from "../../model/index.js";

export interface TrainingSetup {
  /** fp32: all in fp32, as Quern trains; bf16: weights, gradients and activations in bf16, master weights and moments in fp32. */
  readonly dtype: "fp32" | "bf16";
  /** Sequences per device and step, and tokens per sequence. */
  readonly batch: number;
  readonly sequence: number;
  readonly recompute: boolean;
  /** Devices that share data-parallel work; ZeRO divides among them. */
  readonly dataParallel: number;
  readonly zero: 0 | 1 | 2 | 3;
  /** Devices that share each layer. */
  readonly tensorParallel: number;
  /** Rank of LoRA adapters on all projections of the layers; null trains all weights. */
  readonly lora: number | null;
}

export interface TrainingMemory {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
  /** Values of one layer's backward pass, which live only from one kernel to the next; with ZeRO 2, gradients on their way to a rank. */
  readonly workspace: number;
  readonly total: number;
}

/** Returns the bytes per device of a training step; activations of an assumed shape are estimates. */
export function trainingMemory(config: ModelConfig, o: TrainingSetup): TrainingMemory {
  const share = 1 / o.tensorParallel;
  const params = countParameters(config) * share;
  const trained = o.lora === null ? params : loraParameters(config, o.lora) * share;
  const isHalf = o.dtype === "bf16";
  const divided = (stage: number) => (o.zero >= stage ? o.dataParallel : 1);
  // Frozen weights need no fp32 master; adapters do.
  const weightBytes = isHalf ? 2 : 4;
  const weights = ((params + (o.lora === null ? 0 : trained)) * weightBytes) / divided(3);
  const gradients = (trained * weightBytes) / divided(2);
  const optimizer = (trained * (isHalf ? 12 : 8)) / divided(1);
  const factor = (share * (isHalf ? 2 : 4)) / 4;
  const activations = activationsOf(config, o) * factor;
  const workspace = workspaceBytes(config, o) * factor + sentBytes(config, o, trained * weightBytes, activations);
  const total = weights + gradients + optimizer + activations + workspace;
  return { weights, gradients, optimizer, activations, workspace, total };
}

/**
 * Bytes of activations in fp32. With recomputation each layer keeps its input, and one layer at a time all of its values (Chen
 * et al., arXiv:1604.06174).
 */
function activationsOf(config: ModelConfig, { batch, sequence, recompute }: TrainingSetup): number {
  if (!recompute) return activationBytes(config, batch, sequence);
  const one = activationBytes({ ...config, layers: 1 }, batch, sequence);
  return one + 4 * batch * sequence * config.width * (config.layers - 1);
}

/**
 * Bytes in fp32 at the widest place of the backward pass, in the feed-forward layer: the recomputed activations and the gradients of
 * the hidden values, of gate and up too (test/scale/plan compares the sum with compiled programs). Recomputation also holds the
 * layer's input and its gradient.
 */
function workspaceBytes({ family, hidden, width }: ModelConfig, { batch, sequence, recompute }: TrainingSetup): number {
  const values = (family === "gpt2" ? 3 : 4) * hidden + (recompute ? 2 * width : 0);
  return 4 * batch * sequence * values;
}

/** As in quern/train: gradients are sent in at most 32 portions, of at least 4 MiB. */
const [MAX_PORTIONS, PORTION_BYTES] = [32, 4 << 20];

/**
 * Bytes of the gradients that a device holds until their owners have them, with ZeRO 2 and 3: the table's, which has two parts, from
 * the start of the backward pass to its end, and a portion of the others. Without recomputation it can use the memory that the
 * activations of the same layers had.
 */
function sentBytes({ vocabSize, width }: ModelConfig, o: TrainingSetup, gradientBytes: number, activations: number) {
  if (o.zero < 2 || o.dataParallel === 1) return 0;
  const table = o.lora === null ? (vocabSize * width * (o.dtype === "bf16" ? 2 : 4)) / o.tensorParallel : 0;
  const portion = Math.min(gradientBytes - table, Math.max(PORTION_BYTES, gradientBytes / MAX_PORTIONS));
  return table + portion * (o.recompute ? 1 : Math.max(0, 1 - activations / gradientBytes));
}

/** Weights of LoRA adapters of a rank on every projection of the layers: r · (in + out) each (Hu et al., arXiv:2106.09685). */
export function loraParameters(config: ModelConfig, rank: number): number {
  const settings = { rank, alpha: rank, targets: projectionNames(config), dropout: 0, rankStabilized: false };
  const size = ([rows, columns]: readonly [number, number]) => rows * columns;
  // All layers are alike.
  const pairs = loraPairs({ ...config, layers: 1 }, settings);
  return config.layers * pairs.reduce((sum, { a, b }) => sum + size(a.shape) + size(b.shape), 0);
}

/** Bytes of keys and values per token of context: 2 · L · G · D values. */
export const keyValueBytes = ({ layers, keyValueHeads, headWidth }: ModelConfig, bytesPerValue: number): number =>
  2 * layers * keyValueHeads * headWidth * bytesPerValue;

/** The largest batch (sequences per device) whose training step fits into `memory` bytes; 0 if none does. */
export function largestBatch(config: ModelConfig, o: TrainingSetup, memory: number): number {
  const fits = (batch: number) => trainingMemory(config, { ...o, batch }).total <= memory;
  if (!fits(1)) return 0;
  let low = 1;
  while (low < 2 ** 30 && fits(2 * low)) low *= 2;
  let high = 2 * low;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
