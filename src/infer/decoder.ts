/**
 * @file Continuing a text, one token after the other. A prompt goes through in chunks of fixed size and each new token
 * alone, against a cache of keys and values; so a new prompt length compiles nothing. Without the cache every token
 * costs a whole forward pass: the same text, slowly, to check the other against.
 */
import { type CompileOptions, compile, type Plan, type Program, type Written } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { forward, keyValueCache, logits, type ModelConfig, modelVariables, randomStream } from "../model/index.js";
import { type Entry, embedding, input, reshape, scalar } from "../tensor/index.js";
import { chooseToken, type SamplingOptions } from "./sampling.js";

export interface DecoderOptions extends CompileOptions {
  /** The longest text, in tokens; the model's own sequence unless given, and never more. */
  readonly sequence?: number;
  /** False recomputes the whole text for every token. */
  readonly cache?: boolean;
}

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to add. */
  readonly tokens: number;
  readonly seed: number;
  /** Ids at which the text is over; they are not given. */
  readonly endOfText: readonly number[];
  readonly signal?: AbortSignal;
}

export interface Decoder {
  /** The tokens that follow a prompt of at least one token. A text longer than the model's sequence loses its oldest half. */
  generate(prompt: ArrayLike<number>, options: GenerateOptions): AsyncGenerator<number, void>;
  /** What the compiler made of it. */
  readonly plan: Plan;
  dispose(): void;
}

/** Tokens of a prompt that go through at once. */
const CHUNK = 32;

/**
 * Compiles a model for generation and loads its weights.
 * @param readParameter gives the values of each parameter, by name, or what fills its memory
 */
export async function createDecoder(
  config: ModelConfig,
  readParameter: (name: string) => Written | Promise<Written>,
  { cache = true, sequence = config.sequence, ...options }: DecoderOptions = {},
): Promise<Decoder> {
  const longest = Math.min(sequence, config.sequence);
  const program = await compile(
    cache ? cachedEntries(config, longest) : { whole: wholeEntry(config, longest) },
    options,
  );
  try {
    for (const name of modelVariables(config).keys()) program.write(name, await readParameter(name));
  } catch (error) {
    program.dispose();
    throw error;
  }
  const next = cache ? cachedNext(program) : wholeNext(longest, program);
  return {
    generate: (prompt, generation) => generate(longest, next(), prompt, generation),
    plan: program.plan,
    dispose: () => program.dispose(),
  };
}

/** Logits of the token after a text; called with texts that each continue the one before, or begin anew. */
type NextLogits = (text: readonly number[]) => Promise<Float32Array>;

async function* generate(
  sequence: number,
  next: NextLogits,
  prompt: ArrayLike<number>,
  { tokens, seed, endOfText, signal, ...sampling }: GenerateOptions,
): AsyncGenerator<number, void> {
  const random = randomStream(seed, "generate");
  const text = Array.from(prompt).slice(-sequence);
  const seen = new Set(Array.from(prompt)); // also what the sequence has no room for any more
  for (let drawn = 0; drawn < tokens; drawn++) {
    signal?.throwIfAborted();
    const scores = await next(text);
    checkNumbers(scores);
    const token = chooseToken(scores, sampling, random.uniform(drawn), seen);
    if (endOfText.includes(token)) return;
    yield token;
    // The trained positions are used up: the newer half goes on as a text of its own.
    if (text.length === sequence) text.splice(0, Math.ceil(sequence / 2));
    text.push(token);
    seen.add(token);
  }
}

/** @throws QuernError for logits that no healthy model gives: every token would be as good as any other */
function checkNumbers(scores: Float32Array): void {
  for (const score of scores) {
    if (score < Number.POSITIVE_INFINITY) continue;
    throw new QuernError("the model's logits are not numbers: its weights are damaged, or training diverged");
  }
}

function cachedEntries(config: ModelConfig, sequence: number): Readonly<Record<string, Entry>> {
  const weights = modelVariables(config);
  const capacity = Math.ceil(sequence / CHUNK) * CHUNK; // a last chunk may reach past the sequence
  const cache = keyValueCache(config, 1, capacity);
  const position = scalar("position", "i32");
  const prefill = forward(config, weights, input("chunk", [1, CHUNK], "i32"), { cache, position });
  const decode = forward(config, weights, input("token", [1, 1], "i32"), { cache, position });
  return {
    prefill: { outputs: {}, assign: prefill.assign },
    decode: {
      outputs: { logits: logits(config, weights, reshape(decode.hidden, [1, config.width])) },
      assign: decode.assign,
    },
  };
}

function cachedNext(program: Program): () => NextLogits {
  return () => {
    let cached: readonly number[] = [];
    return async (text) => {
      const continues = cached.length < text.length && cached.every((token, i) => token === text[i]);
      let at = continues ? cached.length : 0;
      while (at < text.length - 1) {
        const left = text.length - 1 - at;
        if (left >= CHUNK / 4) {
          // What pads the chunk lands behind the text, where the next tokens overwrite it before anyone looks.
          const chunk = new Int32Array(CHUNK);
          chunk.set(text.slice(at, at + Math.min(left, CHUNK)));
          await program.run("prefill", { chunk, position: at });
          at += Math.min(left, CHUNK);
        } else {
          await program.run("decode", { token: [text[at]], position: at });
          at += 1;
        }
      }
      await program.run("decode", { token: [text[at]], position: at });
      cached = text.slice();
      return await program.read("logits");
    };
  };
}

function wholeEntry(config: ModelConfig, sequence: number): Entry {
  const weights = modelVariables(config);
  const { hidden } = forward(config, weights, input("ids", [1, sequence], "i32"));
  const rows = reshape(hidden, [sequence, config.width]);
  const last = embedding(rows, input("last", [1], "i32")); // one row of it, picked as from a table
  return { outputs: { logits: logits(config, weights, last) } };
}

function wholeNext(sequence: number, program: Program): () => NextLogits {
  return () => async (text) => {
    const ids = new Int32Array(sequence);
    ids.set(text);
    await program.run("whole", { ids, last: [text.length - 1] });
    return await program.read("logits");
  };
}
