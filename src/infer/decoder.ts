/**
 * @file Continuing texts. Requests may come at any time; their completions are decoded side by side, and each has the
 * tokens that it would have alone. The machine's part is in `decoding-program.ts`, the order of work in `slots.ts`.
 */
import { type CompileOptions, freeMemory, type Plan } from "../backends/index.js";
import { QuernError } from "../errors.js";
import type { ModelConfig } from "../model/index.js";
import type { Completion, GenerateCalls, GenerateRequest } from "./completion.js";
import { bytesPerSlot, cachedProgram, type DecodingProgram, wholeProgram } from "./decoding-program.js";
import { type ModelPrograms, modelPrograms, type WeightSource } from "./model-programs.js";
import { createSlots, type Shape } from "./slots.js";

export interface DecoderOptions extends CompileOptions {
  /** The longest text that is held, in tokens; chosen by the requests unless given, and never more than the model's sequence. */
  readonly sequence?: number;
  /** Completions decoded at a time; chosen by the requests unless given: 1, 8 or 64. */
  readonly slots?: number;
  /** False recomputes the whole text for every token: slow, to check the other against. */
  readonly cache?: boolean;
  /** The model's programs, where others than the decoder's share its weights. */
  readonly programs?: ModelPrograms;
}

export interface Decoder {
  /**
   * The n completions of a prompt. Requests join those under way: call it for all of them, then wait. A text longer than the
   * model's sequence loses its oldest half.
   * @throws QuernError for a prompt without tokens, and for logits that are not numbers
   */
  generate(request: GenerateRequest, calls?: GenerateCalls): Promise<Completion[]>;
  /** What the compiler made of the program in use; null before the first request. */
  readonly plan: Plan | null;
  /** Frees the memory; requests under way reject. */
  dispose(): void;
}

/**
 * The shortest text that a program is compiled for; longer ones come in powers of two. A model trained for 100,000
 * tokens need not hold the cache for them all to add a hundred, and few lengths mean few programs to build.
 */
const MIN_SEQUENCE = 256;
/** How many completions a program may hold. */
const SLOTS = [1, 8, 64];

/**
 * A decoder of a model. Its programs are compiled when requests need them.
 * @param source gives the weights, or has them
 */
export function createDecoder(
  config: ModelConfig,
  source: WeightSource,
  { cache = true, sequence, slots, programs: shared, ...options }: DecoderOptions = {},
): Decoder {
  const longest = Math.min(sequence ?? config.sequence, config.sequence);
  const programs = shared ?? modelPrograms(config, source, options);
  let program: DecodingProgram | null = null;
  let isDisposed = false;

  const shapeFor = (completions: number, tokens: number): Shape => {
    const needed = sequence ?? 2 ** Math.ceil(Math.log2(Math.max(MIN_SEQUENCE, tokens)));
    const capacity = Math.min(longest, needed);
    if (slots !== undefined) return { slots, sequence: capacity };
    // Half of the memory that is free may go to the cache.
    const fitting = SLOTS.filter((count) => count * bytesPerSlot(config, capacity) <= freeMemory() / 2);
    return { slots: fitting.find((count) => count >= completions) ?? fitting.at(-1) ?? 1, sequence: capacity };
  };

  const batch = createSlots({
    sequence: longest,
    shapeFor,
    async open(wanted) {
      if (program !== null && program.slots >= wanted.slots && program.sequence >= wanted.sequence) return program;
      const make = cache ? cachedProgram : wholeProgram;
      const made = await make(config, wanted, programs);
      program?.dispose(); // only now: the new one shares its weights
      program = null;
      if (isDisposed) made.dispose();
      else program = made;
      return made;
    },
  });

  return {
    async generate(request, calls = {}) {
      if (request.prompt.length === 0) {
        throw new QuernError("the prompt has no tokens; give it at least one", { exitCode: 2 });
      }
      return batch.generate(request, calls);
    },
    get plan() {
      return program?.plan ?? null;
    },
    dispose() {
      isDisposed = true;
      batch.close();
      program?.dispose();
      program = null;
    },
  };
}
