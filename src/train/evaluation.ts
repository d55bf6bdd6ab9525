/**
 * @file How well a model knows a text that it was not trained on: bits per byte, the measure that does not depend on
 * the tokenizer.
 */
import type { Program } from "../backends/index.js";
import { overlappingWindows, scoreWindows } from "../infer/index.js";
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
  { batch, sequence }: Pick<TrainingShape, "batch" | "sequence">,
  options: {
    readonly context?: number;
    readonly limit?: number;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
  } = {},
): Promise<Evaluation> {
  const { context = 0, limit = Number.POSITIVE_INFINITY, signal, onProgress } = options;
  const { ids, documentStarts, bytesOf } = text;
  const total = Math.max(0, Math.min(ids.length - 1, limit));
  const stride = Math.max(1, sequence - Math.min(context, sequence - 1));
  const spans = overlappingWindows(total + 1, { given: 1, sequence, stride });
  const losses = new Float64Array(total);
  let done = 0;
  await scoreWindows(
    {
      batch,
      sequence,
      packed: false,
      run: async ({ ids, targets, segments }) => {
        await program.run("evaluate", { ids, targets, ...(documentStarts && { segments }) });
        return { nats: await program.read("token_losses"), greedy: null };
      },
    },
    Array.from(spans, (span) => ({ ids, documentStarts, ...span })),
    {
      signal,
      onWindow: ({ from }, nats) => losses.set(nats, from - 1),
      onScored: (tokens) => {
        done += tokens;
        onProgress?.({ task: "judge on the held-out text", done, total, unit: "token" });
      },
    },
  );
  let bytes = 0;
  for (let i = 1; i <= total; i++) bytes += bytesOf[ids[i]];
  const nats = losses.reduce((sum, loss) => sum + loss, 0);
  return { loss: nats / total, bitsPerByte: nats / Math.LN2 / bytes, tokens: total, bytes, losses };
}
