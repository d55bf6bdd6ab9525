/**
 * @file The decoder continues texts with continuous batching. Requests may arrive at any time; each completion has the same
 * tokens as if it were decoded alone. `decoding-program.ts` compiles the model, `slots.ts` schedules the work.
 */
import { freeMemory, type Plan } from "../backends/index.js";
import { QuernError } from "../errors.js";
import type { KvDType, ModelConfig } from "../model/index.js";
import type { Completion, GenerateCallbacks, GenerateRequest } from "./completion.js";
import { bytesPerSlot, cachedProgram, type DecodingProgram, wholeProgram } from "./decoding-program.js";
import { type ModelPrograms, type ModelProgramsOptions, modelPrograms, type WeightSource } from "./model-programs.js";
import { createSlots, type Shape } from "./slots.js";

export interface DecoderOptions extends ModelProgramsOptions {
  /** Maximum text length in tokens, at most the model's sequence. Default as long as the requests need. */
  readonly sequence?: number;
  /** Completions decoded at once. Default 1, 8 or 64, as the requests need. */
  readonly slots?: number;
  /** False recomputes the whole text for every token: a slow reference for the cached path. */
  readonly cache?: boolean;
  /**
   * Prefills the tokens of ended completions while nothing else runs, so that the next turn of a conversation starts sooner.
   * Default false.
   */
  readonly keepAnswers?: boolean;
  /** Type of the stored keys and values. Default f32; 16 bits are faster for many or long texts. */
  readonly kvDtype?: KvDType;
  /** The model's programs, if other programs share its weights. */
  readonly programs?: ModelPrograms;
}

export interface Decoder {
  /**
   * Returns the n completions of a prompt. Requests are batched with those already running, so call it for all requests
   * before awaiting. A text that outgrows the model's sequence loses its oldest half, unless `contextShift` is false.
   * @throws QuernError for a prompt without tokens, and for NaN or infinite logits; PromptTooLongError with `tooLong: "error"`
   */
  generate(request: GenerateRequest, callbacks?: GenerateCallbacks): Promise<Completion[]>;
  /** The compiler's plan of the program in use; null before the first request. */
  readonly plan: Plan | null;
  /** Forgets the texts in the cache: the weights have changed. Call it while no request is running. */
  reset(): void;
  /** Frees the memory; running requests reject. */
  dispose(): void;
}

/**
 * The shortest text that a program is compiled for; longer lengths are powers of two. Generating 100 tokens with a model
 * whose context is 100,000 then needs no cache for 100,000, and few lengths mean few programs to compile.
 */
const MIN_SEQUENCE = 256;
/** Slot counts that programs are compiled for. */
const SLOTS = [1, 8, 64];

/** @throws QuernError if the keys and values of a model cannot be stored in this type */
export function checkKvDtype({ headWidth }: ModelConfig, kvDtype: KvDType | undefined): void {
  if (kvDtype !== "q8_0" || headWidth % 32 === 0) return;
  throw new QuernError(
    `a q8_0 cache needs a head width that is a multiple of 32, but the model's is ${headWidth}; use f16`,
    { exitCode: 2 },
  );
}

/**
 * Creates a decoder. It compiles programs when requests need them.
 * @param source reads the weights, or is a program that already has them
 */
export function createDecoder(
  config: ModelConfig,
  source: WeightSource,
  { cache = true, sequence, slots, keepAnswers, kvDtype, programs: shared, ...options }: DecoderOptions = {},
): Decoder {
  checkKvDtype(config, kvDtype);
  const longest = Math.min(sequence ?? config.sequence, config.sequence);
  const programs = shared ?? modelPrograms(config, source, options);
  let program: DecodingProgram | null = null;
  let isDisposed = false;

  const shapeFor = (completions: number, tokens: number): Shape => {
    const needed = sequence ?? 2 ** Math.ceil(Math.log2(Math.max(MIN_SEQUENCE, tokens)));
    const capacity = Math.min(longest, needed);
    if (slots !== undefined) return { slots, sequence: capacity };
    // The cache may use half of the free memory.
    const fitting = SLOTS.filter((count) => count * bytesPerSlot(config, capacity, kvDtype) <= freeMemory() / 2);
    return { slots: fitting.find((count) => count >= completions) ?? fitting.at(-1) ?? 1, sequence: capacity };
  };

  const batch = createSlots({
    sequence: longest,
    shapeFor,
    keepAnswers,
    async open(wanted) {
      if (program !== null && program.slots >= wanted.slots && program.sequence >= wanted.sequence) return program;
      const make = cache ? cachedProgram : wholeProgram;
      const made = await make(config, { ...wanted, kvDtype }, programs);
      program?.dispose(); // not before: the new program shares its weights
      program = null;
      if (isDisposed) made.dispose();
      else program = made;
      return made;
    },
  });

  return {
    async generate(request, callbacks = {}) {
      if (request.prompt.length === 0) {
        throw new QuernError("the prompt has no tokens; give it at least one", { exitCode: 2 });
      }
      return batch.generate(request, callbacks);
    },
    get plan() {
      return program?.plan ?? null;
    },
    reset: () => batch.reset(),
    dispose() {
      isDisposed = true;
      batch.close();
      program?.dispose();
      program = null;
    },
  };
}
