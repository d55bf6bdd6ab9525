/** @file What a finished run is judged by: bits per byte on the held-out text beside two compressors, and samples. */
import type { CompileOptions, Program } from "../backends/index.js";
import { type ModelConfig, randomStream } from "../model/index.js";
import type { OnProgress } from "../progress.js";
import type { Tokenizer, TokenSplit } from "../tokenizer/index.js";
import { createDecoder } from "./decoder.js";
import { compressionBaselines, type Evaluation, evaluate, type HeldOutText } from "./evaluation.js";
import type { RunResult } from "./report.js";
import type { TrainingShape } from "./training-program.js";

/** The held-out split in memory, ready for `evaluate`. */
export function loadHeldOut(split: TokenSplit, tokenizer: Tokenizer): HeldOutText {
  const ids = new Uint32Array(split.tokens + 1);
  ids[0] = tokenizer.endOfText ?? 0;
  split.read(0, split.tokens, ids.subarray(1));
  const bytesOf = new Uint8Array(tokenizer.vocabSize);
  const special = new Set(tokenizer.special.values());
  for (let id = 0; id < bytesOf.length; id++) {
    if (tokenizer.has(id) && !special.has(id)) bytesOf[id] = tokenizer.tokenBytes(id).length;
  }
  return { ids, bytesOf };
}

/** How much of the held-out text is worth its time, in tokens, and what each prediction sees before it. */
export interface EvaluationPlan {
  readonly limit: number;
  readonly context: number;
}

/**
 * All of the text with half a sequence of context where that takes at most `seconds`, else without, else less of the
 * text (but never less than 20,000 tokens).
 * @param batchSeconds of the `evaluate` entry
 */
export function planEvaluation(
  tokens: number,
  { batch, sequence }: Pick<TrainingShape, "batch" | "sequence">,
  batchSeconds: number,
  seconds: number,
): EvaluationPlan & { readonly seconds: number } {
  const plain = (tokens / (batch * sequence)) * batchSeconds;
  if (plain * 2 <= seconds) return { limit: tokens, context: sequence >> 1, seconds: plain * 2 };
  const limit = Math.min(tokens, Math.max(20_000, Math.floor((tokens * seconds) / plain)));
  return { limit, context: 0, seconds: (plain * limit) / tokens };
}

/** Bits per byte of the model and of compressors, on the same bytes. */
export async function judge(
  program: Program,
  text: HeldOutText,
  tokenizer: Tokenizer,
  shape: Pick<TrainingShape, "batch" | "sequence">,
  plan: EvaluationPlan,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress } = {},
): Promise<{ readonly evaluation: Evaluation; readonly result: RunResult }> {
  const evaluation = await evaluate(program, text, shape, { ...plan, signal, onProgress });
  const judged = Array.from(text.ids).slice(1, 1 + evaluation.tokens);
  const bytes = tokenizer.decodeBytes(judged, { skipSpecial: true });
  const { gzip, brotli } = compressionBaselines(bytes);
  return {
    evaluation,
    result: {
      bits_per_byte: evaluation.bitsPerByte,
      gzip_bits_per_byte: gzip,
      brotli_bits_per_byte: brotli,
      heldout_bytes: evaluation.bytes,
    },
  };
}

/** The first words of a few held-out documents, drawn by the seed. */
export function drawPrompts(split: TokenSplit, tokenizer: Tokenizer, seed: number, count = 3): string[] {
  const random = randomStream(seed, "prompts");
  const prompts: string[] = [];
  for (let draw = 0; prompts.length < count && draw < 20 * count; draw++) {
    const document = Math.floor(random.uniform(draw) * split.documents);
    const start = document === 0 ? 0 : split.documentEnds[document - 1];
    const length = Math.min(split.documentEnds[document] - 1 - start, 40);
    const line = tokenizer
      .decode(split.read(start, length))
      .split("\n")
      .find((each) => each.trim().length > 30);
    const words = line?.trim().split(/\s+/).slice(0, 6).join(" ");
    if (words !== undefined && !prompts.includes(words)) prompts.push(words);
  }
  return prompts;
}

/** Continues each prompt as `quern generate` does by default. */
export async function continuePrompts(
  config: ModelConfig,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  readParameter: (name: string) => Float32Array | Promise<Float32Array>,
  options: CompileOptions & { readonly seed: number; readonly tokens?: number; readonly signal?: AbortSignal },
): Promise<string[]> {
  const { seed, tokens = 80, signal, ...compileOptions } = options;
  const decoder = await createDecoder(config, readParameter, compileOptions);
  try {
    const texts: string[] = [];
    const endOfText = tokenizer.endOfText === undefined ? [] : [tokenizer.endOfText];
    for (const prompt of prompts) {
      const sampling = { temperature: 0.8, topK: 50, seed, tokens, endOfText, signal };
      const ids: number[] = [];
      for await (const id of decoder.generate(tokenizer.encode(prompt), sampling)) ids.push(id);
      texts.push(tokenizer.decode(ids));
    }
    return texts;
  } finally {
    decoder.dispose();
  }
}
