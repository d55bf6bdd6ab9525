/**
 * @file The final evaluation of a run: samples, and bits per byte on the held-out text, in total and by source. The baselines
 * are compressors on the same bytes and an n-gram model on the same tokens.
 */
import type { CompileOptions, Program } from "../../backends/index.js";
import { completeText, createDecoder } from "../../infer/index.js";
import { type ModelConfig, randomStream } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import type { HeldOutSource, Tokenizer, TokenSplit } from "../../tokenizer/index.js";
import type { Ranks } from "../distributed/ranks.js";
import { type Evaluation, evaluate, type HeldOutText } from "../evaluation.js";
import type { TrainingShape } from "../pretrain/language-model.js";
import type { RunResult, SourceResult } from "../run/run-record.js";
import { type CompressionBaselines, compressionBaselines } from "./compression.js";
import { ngramLosses } from "./ngram.js";

/** Loads the held-out split into memory, for `evaluate`. */
export function loadHeldOut(split: TokenSplit, tokenizer: Tokenizer): HeldOutText {
  const ids = new Uint32Array(split.tokens + 1);
  ids[0] = tokenizer.endOfText ?? 0;
  split.read(0, split.tokens, ids.subarray(1));
  const bytesOf = new Uint8Array(tokenizer.vocabSize); // (V)
  const special = new Set(tokenizer.special.values());
  for (let id = 0; id < bytesOf.length; id++) {
    if (tokenizer.has(id) && !special.has(id)) bytesOf[id] = tokenizer.tokenBytes(id).length;
  }
  return { ids, bytesOf, documentStarts: [0, ...split.documentEnds.subarray(0, -1)] };
}

/** How many held-out tokens to evaluate, and the minimum context before each prediction. */
export interface EvaluationPlan {
  readonly limit: number;
  readonly context: number;
}

/**
 * Plans the evaluation for a time budget. It takes the whole text with half a sequence of context if `seconds` suffice,
 * else without context, else a part of the text (at least 20,000 tokens).
 * @param batchSeconds seconds per batch of the `evaluate` entry
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

/** Most training tokens for the n-gram model, which takes 13 bytes and half a microsecond per token. */
const NGRAM_TOKENS = 16e6;

/** Estimates the seconds of the baselines: every byte is compressed twice, in the whole text and in its source. */
export function baselineSeconds(trainingTokens: number, heldOutTokens: number): number {
  return 1e-6 * Math.min(NGRAM_TOKENS, trainingTokens) + 16e-6 * heldOutTokens;
}

/**
 * Evaluates the model, the compressors and the n-gram model in bits per byte, on the whole text and on each source if
 * there are several.
 * @param split the held-out split that `text` was loaded from
 * @param training the training split, from which the n-gram model learns
 */
export async function evaluateRun(
  program: Program,
  text: HeldOutText,
  tokenizer: Tokenizer,
  shape: Pick<TrainingShape, "batch" | "sequence">,
  plan: EvaluationPlan,
  {
    split,
    training,
    sources = [],
    baselines: compares = true,
    ranks,
    signal,
    onProgress,
  }: {
    readonly split: Pick<TokenSplit, "documentEnds">;
    readonly training: Pick<TokenSplit, "tokens" | "read">;
    readonly sources?: readonly HeldOutSource[];
    /** Whether to evaluate the compressors and the n-gram model. Default true. */
    readonly baselines?: boolean;
    /** They divide the evaluation of the model. */
    readonly ranks?: Ranks;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
  },
): Promise<{ readonly evaluation: Evaluation; readonly result: RunResult }> {
  const evaluation = await evaluate(program, text, shape, { ...plan, ranks, signal, onProgress });
  const ids = Array.from(text.ids).slice(0, 1 + evaluation.tokens);
  const parts = [{ source: "", from: 0, to: evaluation.tokens }];
  if (sources.length > 1) parts.push(...partsOf(sources, split.documentEnds, evaluation.tokens));
  const baselines = { task: "compress the held-out text", total: parts.length, unit: "source" };
  const bytesOf = ({ from, to }: Part) => tokenizer.decodeBytes(ids.slice(1 + from, 1 + to), { skipSpecial: true });
  const compressed: CompressionBaselines[] = [];
  for (const part of compares ? parts : []) {
    onProgress?.({ ...baselines, done: compressed.length });
    compressed.push(await compressionBaselines(bytesOf(part), signal));
  }
  if (compares) onProgress?.({ ...baselines, done: compressed.length });
  const ngramTokens = Math.min(NGRAM_TOKENS, training.tokens);
  const ngram = compares ? ngramLosses(await training.read(0, ngramTokens), ids, tokenizer.vocabSize) : null;
  const results = parts.map((part, i): SourceResult => {
    const bytes = bytesOf(part).length;
    const bitsOf = (losses: Float64Array) =>
      losses.subarray(part.from, part.to).reduce((sum, loss) => sum + loss, 0) / Math.LN2 / bytes;
    const nats = evaluation.losses.subarray(part.from, part.to).reduce((sum, loss) => sum + loss, 0);
    const own = {
      ...{ source: part.source, heldout_bytes: bytes, bits_per_byte: bitsOf(evaluation.losses) },
      nats_per_token: nats / (part.to - part.from),
    };
    if (ngram === null) return own;
    const { gzip, xz, brotli } = compressed[i];
    return {
      ...own,
      gzip_bits_per_byte: gzip,
      ...(xz === undefined ? {} : { xz_bits_per_byte: xz }),
      brotli_bits_per_byte: brotli,
      ngram_bits_per_byte: bitsOf(ngram),
    };
  });
  const { source: _, ...all } = results[0];
  return {
    evaluation,
    result: { ...all, ...(compares && { ngram_training_tokens: ngramTokens }), sources: results.slice(1) },
  };
}

/** Tokens [from, to) of the held-out split. */
interface Part {
  readonly source: string;
  readonly from: number;
  readonly to: number;
}

/** Returns the evaluated tokens of each source. */
function partsOf(sources: readonly HeldOutSource[], ends: ArrayLike<number>, evaluated: number): Part[] {
  const parts: Part[] = [];
  let documents = 0;
  for (const { source, documents: count } of sources) {
    const from = documents === 0 ? 0 : ends[documents - 1];
    documents += count;
    parts.push({ source, from, to: Math.min(evaluated, ends[documents - 1]) });
  }
  return parts.filter(({ from, to }) => to > from);
}

/** Returns the first six words of a long line in a few random held-out documents. */
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

/**
 * Continues each prompt with the sampling defaults of `quern generate`.
 * @param program program with the model's weights, which the decoder shares without copying
 */
export async function continuePrompts(
  config: ModelConfig,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  program: Program,
  options: Pick<CompileOptions, "backend"> & {
    readonly seed: number;
    readonly tokens?: number;
    readonly signal?: AbortSignal;
  },
): Promise<string[]> {
  const { seed, tokens = 80, signal, backend } = options;
  const decoder = createDecoder(config, program, { backend });
  try {
    const endOfText = tokenizer.endOfText === undefined ? [] : [tokenizer.endOfText];
    const requests = prompts.map((prompt) => {
      return { prompt: tokenizer.encode(prompt), temperature: 0.8, topK: 50, seed, tokens, endOfText };
    });
    const completions = await Promise.all(requests.map((each) => completeText(decoder, tokenizer, each, { signal })));
    return completions.map(([{ text }]) => text);
  } finally {
    decoder.dispose();
  }
}
