/** @file Embeddings of texts: the mean of a model's final hidden states over the tokens of a text. */
import type { CompileOptions, Program } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { forward, type ModelConfig } from "../model/index.js";
import { input, mul, reshape, sum } from "../tensor/index.js";
import { PromptTooLongError } from "./completion.js";
import { type ModelPrograms, modelPrograms, type WeightSource } from "./model-programs.js";

export interface EmbedderOptions extends CompileOptions {
  /** Maximum text length in tokens, at most the model's sequence, which is the default. */
  readonly sequence?: number;
  /** The model's programs, if other programs share its weights. */
  readonly programs?: ModelPrograms;
}

export interface Embedder {
  /**
   * Returns the mean over a text's tokens of the final hidden states, after the final norm: (C), not normalized. Texts that
   * are waiting together run in batches.
   * @throws QuernError for a text without tokens, and for NaN or infinite values; PromptTooLongError for one that is too long
   */
  embed(ids: ArrayLike<number>, options?: { readonly signal?: AbortSignal }): Promise<Float32Array>;
  /** Frees the memory; waiting texts reject. */
  dispose(): void;
}

interface WaitingText {
  readonly ids: ArrayLike<number>;
  /** T of its row: a power of two, or the longest sequence. */
  readonly rowLength: number;
  resolve(embedding: Float32Array): void;
  reject(error: unknown): void;
}

/** Rows per batch. Few shapes mean few programs to compile. */
const ROWS = [1, 8];
const MIN_ROW = 32;

/** Creates an embedder. It compiles a program when a shape is first needed. */
export function createEmbedder(
  config: ModelConfig,
  source: WeightSource,
  { sequence = config.sequence, programs: shared, ...options }: EmbedderOptions = {},
): Embedder {
  const programs = shared ?? modelPrograms(config, source, options);
  const longest = Math.min(sequence, config.sequence);
  const opened = new Map<string, Promise<Program>>();
  let waiting: WaitingText[] = [];
  let isRunning = false;
  let isDisposed = false;

  const open = (B: number, T: number): Promise<Program> => {
    const key = `${B} ${T}`;
    const found = opened.get(key) ?? programs.open(embeddingEntry(config, programs, B, T));
    opened.set(key, found);
    found.catch(() => opened.delete(key));
    return found;
  };

  async function run(): Promise<void> {
    for (; waiting.length > 0; await null) {
      const T = waiting[0].rowLength;
      const alike = waiting.filter(({ rowLength }) => rowLength === T).slice(0, ROWS[ROWS.length - 1]);
      const texts = alike.length > 2 ? alike : alike.slice(0, 1);
      waiting = waiting.filter((text) => !texts.includes(text));
      const B = ROWS.find((rows) => rows >= texts.length) as number;
      try {
        const program = await open(B, T);
        const found = await embedRows(program, texts, { B, T, C: config.width });
        for (const [i, text] of texts.entries()) text.resolve(found[i]);
      } catch (error) {
        for (const text of texts) text.reject(error);
      }
    }
    isRunning = false;
  }

  return {
    async embed(ids, { signal } = {}) {
      if (isDisposed) throw disposed();
      signal?.throwIfAborted();
      if (ids.length === 0) throw new QuernError("the text has no tokens; give it at least one", { exitCode: 2 });
      if (ids.length > longest) throw new PromptTooLongError(ids.length, longest);
      const rowLength = Math.min(longest, Math.max(MIN_ROW, 2 ** Math.ceil(Math.log2(ids.length))));
      return new Promise((resolve, reject) => {
        const text = { ids, rowLength, resolve, reject };
        const abort = () => {
          waiting = waiting.filter((each) => each !== text);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", abort, { once: true });
        waiting.push(text);
        if (isRunning) return;
        isRunning = true;
        // Starts after the current task, so that texts that arrive together run together.
        queueMicrotask(() => void run());
      });
    },
    dispose() {
      isDisposed = true;
      for (const text of waiting) text.reject(disposed());
      waiting = [];
      for (const each of opened.values()) void each.then((program) => programs.close(program)).catch(() => {});
      opened.clear();
    },
  };
}

const disposed = () => new QuernError("the embedder was disposed of and cannot be used any more");

/** ids (B,T), lengths (B), shares (B,T) → embeddings (B,C); a share is 1 / length for the tokens of the text, else 0. */
function embeddingEntry(config: ModelConfig, { weights }: ModelPrograms, B: number, T: number) {
  const lengths = input("lengths", [B], "i32");
  const { hidden } = forward(config, weights, input("ids", [B, T], "i32"), { lengths }); // (B,T,C)
  const shares = reshape(input("shares", [B, T]), [B, T, 1]);
  return { embed: { outputs: { embeddings: sum(mul(hidden, shares), [1]) } } }; // (B,C)
}

async function embedRows(
  program: Program,
  texts: readonly WaitingText[],
  { B, T, C }: { readonly B: number; readonly T: number; readonly C: number },
): Promise<Float32Array[]> {
  const ids = new Int32Array(B * T);
  const lengths = new Int32Array(B);
  const shares = new Float32Array(B * T);
  for (const [row, text] of texts.entries()) {
    const { length } = text.ids;
    ids.set(Array.from(text.ids), row * T);
    lengths[row] = length;
    shares.fill(1 / length, row * T, row * T + length);
  }
  const [, embeddings] = await Promise.all([
    program.run("embed", { ids, lengths, shares }),
    program.read("embeddings"),
  ]);
  return texts.map((_, row) => {
    const found = embeddings.slice(row * C, (row + 1) * C);
    if (found.every(Number.isFinite)) return found;
    throw new QuernError("the embedding is NaN or infinite: the model's weights are damaged, or training diverged");
  });
}
