/**
 * @file How well a model knows a text that it was not trained on: bits per byte, the measure that does not depend on
 * the tokenizer.
 */
import type { Program } from "../backends/index.js";
import type { OnProgress } from "../progress.js";
import type { TrainingShape } from "./pretrain/language-model.js";

export interface HeldOutText {
  /** The tokens, each document followed by the end-of-text token, and one such token before the first. */
  readonly ids: ArrayLike<number>;
  /**
   * Where in `ids` each document begins, with the end of text before it, ascending from 0: tokens then see their own document
   * alone, and the program takes `segments`. Without, the text is one.
   */
  readonly documentStarts?: ArrayLike<number>;
  /** UTF-8 bytes that each id stands for, by id; special tokens 0. */
  readonly bytesOf: ArrayLike<number>;
}

export interface Evaluation {
  /** Mean loss of a token, in nats. */
  readonly loss: number;
  readonly bitsPerByte: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** Bytes that they stand for. */
  readonly bytes: number;
  /** The nats of each of them; element i belongs to ids[i + 1]. */
  readonly losses: Float64Array;
}

/**
 * Runs the `evaluate` entry of a training program over a text. Every token after the first is predicted once, the end
 * of text too, so the text could be decoded from as many bits.
 * @param context tokens that each prediction sees at least, where there are so many; the more, the more windows overlap
 * @param limit stops after about so many tokens
 */
export async function evaluate(
  program: Program,
  text: HeldOutText,
  shape: Pick<TrainingShape, "batch" | "sequence">,
  options: {
    readonly context?: number;
    readonly limit?: number;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
  } = {},
): Promise<Evaluation> {
  const { batch, sequence } = shape;
  const { context = 0, limit = Number.POSITIVE_INFINITY, signal, onProgress } = options;
  const { documentStarts: starts } = text;
  const last = Math.min(text.ids.length - 1, limit); // number of targets
  const stride = Math.max(1, sequence - Math.min(context, sequence - 1));
  const losses = new Float64Array(Math.max(0, last));
  let bytes = 0;
  let start = 0;
  let scored = 0; // targets 1 … scored are done
  while (scored < last) {
    signal?.throwIfAborted();
    const ids = new Int32Array(batch * sequence);
    const targets = new Int32Array(batch * sequence).fill(-100);
    const segments = new Int32Array(batch * sequence);
    const places = new Int32Array(batch * sequence).fill(-1);
    for (let row = 0; row < batch && scored < last; row++) {
      let document = starts === undefined ? 0 : lastUpTo(starts, start);
      for (let t = 0; t < sequence && start + t < last; t++) {
        ids[row * sequence + t] = text.ids[start + t];
        if (starts !== undefined && starts[document + 1] <= start + t) document++;
        segments[row * sequence + t] = document;
        const target = start + t + 1;
        if (target <= scored) continue;
        targets[row * sequence + t] = text.ids[target];
        places[row * sequence + t] = target - 1;
        bytes += text.bytesOf[text.ids[target]];
      }
      scored = Math.min(last, start + sequence);
      start += stride;
    }
    await program.run("evaluate", { ids, targets, ...(starts && { segments }) });
    const batchLosses = await program.read("token_losses");
    for (const [i, place] of places.entries()) if (place >= 0) losses[place] = batchLosses[i];
    onProgress?.({ task: "judge on the held-out text", done: scored, total: last, unit: "token" });
  }
  const nats = losses.reduce((sum, loss) => sum + loss, 0);
  return { loss: nats / losses.length, bitsPerByte: nats / Math.LN2 / bytes, tokens: losses.length, bytes, losses };
}

/** The place of the last of ascending numbers, the first of them 0, that is at most `limit`. */
function lastUpTo(numbers: ArrayLike<number>, limit: number): number {
  let [low, high] = [0, numbers.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= limit) low = middle;
    else high = middle;
  }
  return low;
}
