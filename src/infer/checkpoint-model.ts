/** @file A `LanguageModel` that runs a checkpoint on this machine. */
import { setMaxListeners } from "node:events";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import type { KvDType } from "../model/index.js";
import type { Tokenizer } from "../tokenizer/index.js";
import { endOfTurn } from "./conversation.js";
import { createDecoder, type Decoder } from "./decoder.js";
import type {
  Generation,
  GenerationOptions,
  LanguageModel,
  LikelihoodRequest,
  LogLikelihood,
  RollingLogLikelihood,
  ScoreRequestOptions,
} from "./language-model.js";
import { type ModelPrograms, modelPrograms } from "./model-programs.js";
import { encodePrompt, type Prompt } from "./prompts.js";
import { requestEncoder } from "./request-tokens.js";
import { createScorer, type Scorer } from "./scorer.js";
import { completeText } from "./text-completion.js";
import type { TextModel } from "./text-model.js";
import type { WeightType } from "./weight-type.js";
import { type TypedWeights, typedWeights } from "./weight-types.js";
import { rollingWindows, type Window } from "./windows.js";

/** A window with the index of its request. */
interface RequestWindow extends Window {
  readonly request: number;
}

/** An encoded prompt. */
interface Encoded {
  readonly ids: ArrayLike<number>;
  readonly endOfText: readonly number[];
  /** Special tokens are no text of an answer to a rendered prompt, as in lm-evaluation-harness. */
  readonly skipSpecial: boolean;
}

/** The defaults of `quern generate`. */
const SAMPLING = { temperature: 0.8, topK: 50, topP: 1, minP: 0, repetitionPenalty: 1 };

export interface CheckpointModelOptions extends CompileOptions {
  readonly weights?: WeightType;
  /** Type of the decoder's keys and values; default f32. */
  readonly kvDtype?: KvDType;
}

export class CheckpointModel implements LanguageModel {
  readonly #opened: TextModel;
  readonly #programs: ModelPrograms;
  #scorer: Scorer | undefined;
  #decoder: Decoder | undefined;
  readonly #source: TypedWeights["source"];
  readonly #weights: WeightType;
  readonly #kvDtype: KvDType | undefined;

  /**
   * @param opened the model, which `dispose` closes
   * @param options `weights`: how matrices are stored in memory; only f32 (the default) has log-likelihoods
   */
  constructor(opened: TextModel, { weights = "f32", kvDtype, ...options }: CheckpointModelOptions = {}) {
    this.#opened = opened;
    const { types, source } = typedWeights(opened.model, weights);
    this.#weights = weights;
    this.#kvDtype = kvDtype;
    this.#source = source;
    this.#programs = modelPrograms(opened.model.config, source, { ...options, types });
  }

  get name(): string {
    return this.#opened.folder;
  }

  get sequence(): number {
    return this.#opened.model.config.sequence;
  }

  get files(): readonly string[] {
    const { path, basePath } = this.#opened.model;
    return basePath === undefined ? [path] : [path, basePath];
  }

  get tokenizer(): Tokenizer {
    return this.#opened.tokenizer;
  }

  async countTokens(prompt: string | Prompt): Promise<number> {
    return (await this.#encode(prompt)).ids.length;
  }

  async logLikelihood(
    requests: readonly LikelihoodRequest[],
    options: ScoreRequestOptions = {},
  ): Promise<LogLikelihood[]> {
    const { tokenizer, beginning, model } = this.#opened;
    const longest = model.config.sequence;
    const encoder = requestEncoder(tokenizer, beginning);
    const results = requests.map(() => ({ logLikelihood: 0, isGreedy: true, tokens: 0 }));
    const windows = requests.flatMap((each, request): RequestWindow[] => {
      const { context, continuation } = encoder.encodePair(each);
      const count = continuation.length;
      if (count === 0) return [];
      if (count > longest) {
        throw new QuernError(
          `the continuation of request ${request} has ${count} tokens, but the model's limit is ${longest}; shorten it`,
          { exitCode: 2 },
        );
      }
      const whole = [...context, ...continuation];
      const ids = Int32Array.from(whole.slice(-(longest + 1))); // the last token is only predicted
      if (ids.length < whole.length) {
        const lost = whole.length - ids.length;
        options.onWarning?.(
          `request ${request} has ${whole.length} tokens, but the model's limit is ${longest}: the first ${lost} are dropped`,
          request,
        );
      }
      return [{ request, ids, start: 0, length: ids.length - 1, from: ids.length - count }];
    });
    await this.#score(windows, options, ({ request }, nats, greedy) => {
      const result = results[request];
      for (const each of nats) result.logLikelihood -= each;
      result.tokens += nats.length;
      result.isGreedy = greedy.every((each) => each === 1);
    });
    return results;
  }

  async rollingLogLikelihood(
    texts: readonly string[],
    options: ScoreRequestOptions = {},
  ): Promise<RollingLogLikelihood[]> {
    const { tokenizer, beginning, model } = this.#opened;
    const encoder = requestEncoder(tokenizer, beginning);
    const before = encoder.prefix === undefined ? [] : [encoder.prefix];
    const results = texts.map(() => ({ logLikelihood: 0, tokens: 0 }));
    const windows = texts.flatMap((text, request): RequestWindow[] => {
      const ids = Int32Array.from([...before, ...encoder.encodeText(text)]);
      return Array.from(rollingWindows(ids.length, model.config.sequence), (span) => ({ request, ids, ...span }));
    });
    await this.#score(windows, options, ({ request }, nats) => {
      const result = results[request];
      for (const each of nats) result.logLikelihood -= each;
      result.tokens += nats.length;
    });
    return results;
  }

  async generate(prompts: readonly (string | Prompt)[], options: GenerationOptions = {}): Promise<Generation[]> {
    const { tokens = 200, n = 1, seed = 0, stop, signal, onProgress, onWarning, onText, ...rest } = options;
    const { promptTokens, ...given } = rest;
    const { model, tokenizer } = this.#opened;
    const longest = Math.min(promptTokens ?? model.config.sequence, model.config.sequence);
    signal?.throwIfAborted();
    const encoded: Encoded[] = [];
    for (const [i, prompt] of prompts.entries()) {
      const each = await this.#encode(prompt);
      const lost = each.ids.length - longest;
      if (lost > 0) {
        onWarning?.(
          `prompt ${i} has ${each.ids.length} tokens, but the limit is ${longest}: the first ${lost} are dropped`,
          i,
        );
      }
      encoded.push(lost > 0 ? { ...each, ids: Array.from(each.ids).slice(lost) } : each);
    }
    this.#decoder ??= createDecoder(model.config, this.#source, {
      programs: this.#programs,
      kvDtype: this.#kvDtype,
    });
    const decoder = this.#decoder;
    // One failing prompt aborts the others.
    const failed = new AbortController();
    const both = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    setMaxListeners(0, both); // each prompt listens
    const sampling = {
      ...SAMPLING,
      ...Object.fromEntries(Object.entries(given).filter(([, each]) => each !== undefined)),
    };
    let done = 0;
    const complete = async ({ ids, endOfText, skipSpecial }: Encoded, i: number): Promise<Generation> => {
      const request = { ...sampling, prompt: ids, tokens, n, seed, stop, endOfText, skipSpecial };
      const completions = await completeText(decoder, tokenizer, request, {
        signal: both,
        onText: (piece, completion) => onText?.(piece, i, completion),
      });
      done += 1;
      onProgress?.({ task: "generate", done, total: prompts.length, unit: "prompt" });
      return { prompt: prompts[i], completions };
    };
    try {
      return await Promise.all(encoded.map(complete));
    } catch (error) {
      failed.abort();
      throw error;
    }
  }

  async dispose(): Promise<void> {
    this.#scorer?.dispose();
    this.#decoder?.dispose();
    await this.#opened.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #encode(given: string | Prompt): Promise<Encoded> {
    const { tokenizer, beginning, endOfText } = this.#opened;
    const prompt = typeof given === "string" ? { prompt: given } : given;
    const { ids } = await encodePrompt(tokenizer, beginning, prompt);
    const ends = "messages" in prompt ? [...endOfText, ...(await endOfTurn(tokenizer))] : endOfText;
    return { ids, endOfText: ends, skipSpecial: "rendered" in prompt };
  }

  async #score(
    windows: readonly RequestWindow[],
    { signal, onProgress, division }: ScoreRequestOptions,
    onWindow: (window: RequestWindow, nats: Float32Array, greedy: Float32Array) => void,
  ): Promise<void> {
    const { model, folder } = this.#opened;
    signal?.throwIfAborted();
    if (windows.length === 0) return;
    if (this.#weights !== "f32") {
      throw new QuernError(`log-likelihoods need f32 weights, but ${folder} was opened with weights ${this.#weights}`, {
        exitCode: 2,
      });
    }
    this.#scorer ??= createScorer(model.config, this.#source, { programs: this.#programs, greedy: true });
    let done = 0;
    let isNumber = true;
    await this.#scorer.score(windows, {
      ...{ signal, division },
      onWindow(window, nats, greedy) {
        done += 1;
        isNumber &&= nats.every(Number.isFinite);
        onWindow(window, nats, greedy);
      },
      onScored: () => onProgress?.({ task: "score", done, total: windows.length, unit: "request" }),
    });
    if (isNumber) return;
    throw new QuernError(`the losses of ${folder} are NaN or infinite: its weights are damaged, or training diverged`);
  }
}
