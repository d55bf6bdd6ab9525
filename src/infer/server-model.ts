/** @file A `LanguageModel` on an OpenAI-compatible server. */
import { QuernError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/index.js";
import type {
  Generation,
  GenerationOptions,
  LanguageModel,
  LikelihoodRequest,
  LogLikelihood,
  RequestOptions,
  RollingLogLikelihood,
} from "./language-model.js";
import {
  OpenAIClient,
  type OpenAIClientOptions,
  type ServerChoice,
  type TokenLogProbabilities,
} from "./openai-client.js";
import type { Prompt } from "./prompts.js";
import { requestEncoder } from "./request-tokens.js";
import type { TextCompletion } from "./text-completion.js";
import { rollingWindows } from "./windows.js";

export interface ServerModelOptions extends OpenAIClientOptions {
  /** The model's name at the server. */
  readonly model: string;
  /** The model's own tokenizer: likelihood requests then send ids. Without it they send text. */
  readonly tokenizer?: Tokenizer;
  /** Context length in tokens, used to divide long texts; needs a tokenizer. Default 2048. */
  readonly sequence?: number;
}

/** The score of the last tokens of an echoed prompt. */
interface Echo {
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
  readonly tokens: number;
}

export class ServerModel implements LanguageModel {
  readonly name: string;
  readonly #client: OpenAIClient;
  readonly #tokenizer: Tokenizer | undefined;
  readonly #sequence: number;

  constructor({ model, tokenizer, sequence = 2048, ...options }: ServerModelOptions) {
    this.name = model;
    this.#client = new OpenAIClient(options);
    this.#tokenizer = tokenizer;
    this.#sequence = sequence;
  }

  readonly sequence = null;

  get tokenizer(): Tokenizer | undefined {
    return this.#tokenizer;
  }

  async countTokens(): Promise<null> {
    return null;
  }

  /** Requests and tokens used since the model was opened. */
  get usage(): OpenAIClient["usage"] {
    return this.#client.usage;
  }

  /**
   * Scores continuations through `/completions` with `echo` and `logprobs`. Without a tokenizer, a token that spans the end
   * of the context counts as part of the continuation.
   * @throws QuernError if the server does not echo log-probabilities
   */
  async logLikelihood(requests: readonly LikelihoodRequest[], options: RequestOptions = {}): Promise<LogLikelihood[]> {
    const encoder = this.#tokenizer && requestEncoder(this.#tokenizer, []);
    return this.#all(requests, options, async (request, i) => {
      if (encoder === undefined) {
        return this.#echo(request.context + request.continuation, [...request.context].length, options);
      }
      const { context, continuation } = encoder.encodePair(request);
      const whole = [...context, ...continuation];
      const ids = whole.slice(-this.#sequence);
      if (continuation.length >= this.#sequence) {
        throw new QuernError(
          `the continuation of request ${i} has ${continuation.length} tokens, but the model's limit is ${this.#sequence}; shorten it`,
          { exitCode: 2 },
        );
      }
      if (ids.length < whole.length)
        options.onWarning?.(`request ${i} is truncated to its last ${this.#sequence} tokens`, i);
      return this.#echo(ids, ids.length - continuation.length, options);
    });
  }

  /** Scores whole texts. Without a tokenizer each text is one request, and its first token is not scored. */
  async rollingLogLikelihood(texts: readonly string[], options: RequestOptions = {}): Promise<RollingLogLikelihood[]> {
    const encoder = this.#tokenizer && requestEncoder(this.#tokenizer, []);
    return this.#all(texts, options, async (text) => {
      if (text === "") return { logLikelihood: 0, tokens: 0 };
      if (encoder === undefined) return this.#echo(text, 0, options);
      const ids = [...(encoder.prefix === undefined ? [] : [encoder.prefix]), ...encoder.encodeText(text)];
      // The server also reads the last token, which here is only predicted.
      const windows = Array.from(rollingWindows(ids.length, this.#sequence - 1), ({ start, length, from }) =>
        this.#echo(ids.slice(start, start + length + 1), from - start, options),
      );
      const scores = await Promise.all(windows);
      return {
        logLikelihood: scores.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0),
        tokens: scores.reduce((sum, { tokens }) => sum + tokens, 0),
      };
    });
  }

  /** Sends texts to `/completions` and conversations to `/chat/completions`, with only the options that the caller sets. */
  async generate(prompts: readonly (string | Prompt)[], options: GenerationOptions = {}): Promise<Generation[]> {
    const { n = 1, seed, onText, signal } = options;
    const parameters = defined({
      max_tokens: options.tokens ?? 200,
      temperature: options.temperature,
      top_p: options.topP,
      top_k: options.topK,
      min_p: options.minP,
      repetition_penalty: options.repetitionPenalty,
      stop: options.stop?.length ? options.stop : undefined,
    });
    return this.#all(prompts, options, async (given, i) => {
      const prompt = typeof given === "string" ? { prompt: given } : given;
      const one = async (_: unknown, completion: number): Promise<TextCompletion> => {
        const seeds = n > 1 || seed !== undefined ? { seed: (seed ?? 0) + completion } : {};
        const body = { model: this.name, ...parameters, ...seeds };
        if (!("messages" in prompt)) {
          const text = "rendered" in prompt ? prompt.rendered : prompt.prompt;
          const [choice] = await this.#client.complete({ ...body, prompt: text }, { signal });
          onText?.(choice.text, i, completion);
          return completionOf(choice);
        }
        if (onText === undefined) {
          const [choice] = await this.#client.chat({ ...body, ...prompt }, { signal });
          return completionOf(choice);
        }
        const pieces = this.#client.streamChat({ ...body, ...prompt }, { signal });
        let text = "";
        for (;;) {
          const next = await pieces.next();
          if (next.done) return completionOf({ text, finishReason: next.value, logProbabilities: null });
          text += next.value;
          onText(next.value, i, completion);
        }
      };
      return { prompt: given, completions: await Promise.all(Array.from({ length: n }, one)) };
    });
  }

  async dispose(): Promise<void> {
    await this.#client.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Starts all requests; the client limits their concurrency. Results keep the request order, and one failure rejects. */
  async #all<R, T>(
    requests: readonly R[],
    { signal, onProgress }: RequestOptions,
    work: (request: R, index: number) => Promise<T>,
  ): Promise<T[]> {
    signal?.throwIfAborted();
    let done = 0;
    return Promise.all(
      requests.map(async (request, i) => {
        const result = await work(request, i);
        done += 1;
        onProgress?.({ task: "query the server", done, total: requests.length, unit: "request" });
        return result;
      }),
    );
  }

  /** @param from the first id to score, or for a text prompt the first code point */
  async #echo(prompt: string | readonly number[], from: number, { signal }: RequestOptions): Promise<Echo> {
    const body = { model: this.name, prompt, max_tokens: 1, temperature: 0, echo: true, logprobs: 1 };
    const [{ echo, text }] = await this.#client.complete(body, { signal });
    const isEchoed =
      echo !== null && (typeof prompt === "string" ? text.startsWith(prompt) : echo.tokens.length >= prompt.length);
    if (!isEchoed) {
      throw new QuernError(
        `${this.#client.baseUrl} does not echo prompts with log-probabilities, which likelihood requests need; use a server ` +
          "that does, such as vLLM, or open the model locally",
      );
    }
    const ends = typeof prompt === "string" ? [...prompt].length : prompt.length;
    return scoresOf(echo, typeof prompt === "string", from, ends);
  }
}

/** Sums the log-probabilities of an echoed prompt in [from, to), in code points or ids. */
function scoresOf(
  { tokens, token_logprobs, text_offset, top_logprobs }: TokenLogProbabilities,
  isText: boolean,
  from: number,
  to: number,
): Echo {
  let [logLikelihood, isGreedy, count] = [0, true, 0];
  for (const [i, logprob] of token_logprobs.entries()) {
    const start = isText ? text_offset[i] : i;
    const end = isText ? (text_offset[i + 1] ?? start + [...tokens[i]].length) : i + 1;
    // The server also returns one generated token, which starts at the prompt's end.
    if (end <= from || start >= to || logprob === null) continue;
    logLikelihood += logprob;
    count += 1;
    const best = Math.max(...Object.values(top_logprobs[i] ?? {}));
    if (best > logprob) isGreedy = false;
  }
  return { logLikelihood, isGreedy, tokens: count };
}

function completionOf({ text, finishReason }: ServerChoice): TextCompletion {
  return { text, tokens: [], end: null, finishReason: finishReason === "length" ? "length" : "stop" };
}

const defined = (values: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
