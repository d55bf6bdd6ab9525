/** @file Bits per byte on held-out text: a quality measure that does not depend on the tokenizer. */
import type { Program } from "../backends/index.js";
import { overlappingWindows, scoreWindows } from "../infer/index.js";
import type { OnProgress } from "../progress.js";
import { oneRank, type Ranks } from "./distributed/ranks.js";
import type { TrainingShape } from "./pretrain/language-model.js";

export interface HeldOutText {
  /** One end-of-text token, then the documents, each followed by end-of-text. */
  readonly ids: ArrayLike<number>;
  /**
   * Start of each document in `ids`, at the end-of-text token before it; ascending from 0. Tokens then attend only within
   * their own document, and the program must take `segments`. Without it, the text is one document.
   */
  readonly documentStarts?: ArrayLike<number>;
  /** UTF-8 bytes of each id, indexed by id; 0 for special tokens. */
  readonly bytesOf: ArrayLike<number>;
}

export interface Evaluation {
  /** Mean loss per token, in nats. */
  readonly loss: number;
  readonly bitsPerByte: number;
  /** Number of predicted tokens. */
  readonly tokens: number;
  /** UTF-8 bytes of these tokens. */
  readonly bytes: number;
  /** Loss of each predicted token, in nats; element i belongs to ids[i + 1]. */
  readonly losses: Float64Array;
}

/**
 * Runs the `evaluate` entry of a training program over a text. Predicts every token after the first exactly once, including
 * end-of-text, so the sum of the losses is the length of a lossless code.
 * @param options.context minimum number of preceding tokens per prediction, where available; more context means more overlap
 * @param options.limit maximum number of predicted tokens
 * @param options.ranks divide the windows among themselves; each must call this function, and gets the whole result
 */
export async function evaluate(
  program: Program,
  text: HeldOutText,
  { batch, sequence }: Pick<TrainingShape, "batch" | "sequence">,
  options: {
    readonly context?: number;
    readonly limit?: number;
    readonly ranks?: Ranks;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
  } = {},
): Promise<Evaluation> {
  const { context = 0, limit = Number.POSITIVE_INFINITY, ranks = oneRank, signal, onProgress } = options;
  const { ids, documentStarts, bytesOf } = text;
  const total = Math.max(0, Math.min(ids.length - 1, limit));
  const stride = Math.max(1, sequence - Math.min(context, sequence - 1));
  const spans = [...overlappingWindows(total + 1, { given: 1, sequence, stride })];
  const own = new Float64Array(total);
  let done = 0;
  await scoreWindows(
    {
      batch,
      sequence,
      packed: false,
      run: async ({ ids, targets, segments }) => {
        await program.run("evaluate", { ids, targets, ...(documentStarts && { segments }) });
        return program.read("token_losses");
      },
    },
    spans.filter((_, i) => i % ranks.size === ranks.rank).map((span) => ({ ids, documentStarts, ...span })),
    {
      signal,
      onWindow: ({ from }, nats) => own.set(nats, from - 1),
      onScored: (tokens) => {
        done += tokens;
        onProgress?.({ task: "evaluate on the held-out text", done, total, unit: "token" });
      },
    },
  );
  // Every token was scored by one rank, and is 0 in the others' losses.
  const losses = (await ranks.gatherNumbers(own)).reduce((sum, values) => sum.map((loss, i) => loss + values[i]));
  let bytes = 0;
  for (let i = 1; i <= total; i++) bytes += bytesOf[ids[i]];
  const nats = losses.reduce((sum, loss) => sum + loss, 0);
  return { loss: nats / total, bitsPerByte: nats / Math.LN2 / bytes, tokens: total, bytes, losses };
}
