/** @file Measures how fast a model decodes one text. */
import type { CompileOptions } from "../../backends/index.js";
import { createDecoder, type TextModel, typedWeights } from "../../infer/index.js";
import { median } from "../../train/index.js";

export interface DecodingSpeedOptions {
  /** Tokens to decode; fewer if the model's context is shorter. */
  readonly tokens: number;
  readonly target: CompileOptions;
  readonly signal?: AbortSignal;
}

/** Tokens before the timed ones. */
const PROMPT = 16;

/**
 * Returns tokens per second of greedy decoding at batch 1: the inverse of the median step after a short prompt. Weights are
 * stored in memory as in a GGUF file, and as f32 for other models.
 */
export async function decodingSpeed(
  { model }: Pick<TextModel, "model">,
  { tokens, target, signal }: DecodingSpeedOptions,
): Promise<number> {
  const { sequence, vocabSize } = model.config;
  const length = Math.max(1, Math.min(PROMPT, sequence - tokens));
  const prompt = Array.from({ length }, (_, i) => (i * 997) % vocabSize);
  const { types, source } = typedWeights(model, model.readStored === undefined ? "f32" : "stored");
  const decoder = createDecoder(model.config, source, { ...target, types });
  const seconds: number[] = [];
  let last = 0;
  const onToken = () => {
    const now = performance.now();
    if (last > 0) seconds.push((now - last) / 1000); // the first token includes compiling and the prompt
    last = now;
    return false;
  };
  try {
    const request = { prompt, tokens: Math.min(tokens, sequence - length) + 1, temperature: 0, topK: 0, seed: 0 };
    await decoder.generate({ ...request, endOfText: [] }, { signal, onToken });
    return 1 / median(seconds);
  } finally {
    decoder.dispose();
  }
}
