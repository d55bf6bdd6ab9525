/**
 * @file A client for OpenAI-compatible servers, with limits on concurrency and rate, retries with exponential backoff,
 * timeouts and streams of server-sent events. `server-model.ts` builds a `LanguageModel` on it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Agent } from "undici";
import type { z } from "zod";
import { QuernError } from "../errors.js";
import { hideCredentials, quoted } from "../printable.js";
import { chatSchema, chunkSchema, completionSchema, modelsSchema, type usageSchema } from "./openai-responses.js";
import { readEvents } from "./server-sent-events.js";

export interface OpenAIClientOptions {
  /** Address up to and including `/v1`. A user name and password in it are sent as basic authentication. */
  readonly baseUrl: string;
  /** Sent as a bearer token. Default `OPENAI_API_KEY`. */
  readonly apiKey?: string;
  /** Concurrent requests. Default 8. */
  readonly concurrency?: number;
  /** Requests started per minute, evenly spaced. Default no limit. */
  readonly requestsPerMinute?: number;
  /** Retries after 408, 409, 429, 5xx, a dropped connection, a timeout or a response that is not JSON. Default 6. */
  readonly retries?: number;
  /** Timeout in seconds for one response, or for the next piece of a stream. Default 600. */
  readonly timeoutSeconds?: number;
  /** Seconds before the first retry. Each later delay doubles, up to a minute, with jitter. Default .5. */
  readonly firstDelaySeconds?: number;
}

/** A request that the server refused, or that still failed after all retries. */
export class ServerError extends QuernError {
  /** HTTP status of the last response; undefined if there was none. */
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.status = status;
  }
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly object[];
  readonly [parameter: string]: unknown;
}

export interface CompletionRequest {
  readonly model: string;
  /** Text, or ids of the server's own tokenizer. */
  readonly prompt: string | readonly number[];
  readonly [parameter: string]: unknown;
}

export interface TokenLogProbabilities {
  readonly tokens: readonly string[];
  /** Null for the first token of a text. */
  readonly token_logprobs: readonly (number | null)[];
  /** Start of each token in the text, in code points. */
  readonly text_offset: readonly number[];
  /** The likeliest tokens at each position, with their log-probabilities. */
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
}

export interface ServerChoice {
  readonly text: string;
  readonly finishReason: string | null;
  readonly logProbabilities: readonly number[] | null;
}

/** A choice of `/chat/completions`. The text of an answer that only calls a function is the function's arguments. */
export interface ChatChoice extends ServerChoice {
  /** The likeliest tokens at each position, if `top_logprobs` was requested. */
  readonly topLogProbabilities?: readonly (readonly { readonly token: string; readonly logprob: number }[])[];
}

/** A choice of `/completions`. If `echo` was requested, `echo` also contains the prompt's tokens. */
export interface CompletionChoice extends ServerChoice {
  readonly echo: TokenLogProbabilities | null;
}

/** Total usage of all requests of a client. */
export interface Usage {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

interface CallOptions {
  readonly signal?: AbortSignal;
  /** Called with the tokens of this request, if the server reports them. */
  readonly onUsage?: (usage: Pick<Usage, "promptTokens" | "completionTokens">) => void;
}

/** Seconds; the maximum backoff. */
const MAX_DELAY_SECONDS = 60;
/** Seconds; a request fails if the server asks for a longer wait. */
const MAX_WAIT_SECONDS = 600;
/** Attempts until a server has answered once. More are pointless, since the address is probably wrong. */
const MAX_FIRST_TRIES = 3;
const MAX_RESPONSE_BYTES = 256 << 20;

export class OpenAIClient {
  readonly #base: string;
  readonly #authorization: string | undefined;
  readonly #secrets: readonly string[];
  readonly #options: Required<Omit<OpenAIClientOptions, "baseUrl" | "apiKey">>;
  #agent: Agent | undefined;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** No request starts before these times of `performance.now()`. */
  #nextStart = 0;
  #pausedUntil = 0;
  #hasAnswered = false;
  #usage: Usage = { requests: 0, promptTokens: 0, completionTokens: 0 };

  /** @throws QuernError for an address that is not http(s) */
  constructor({ baseUrl, apiKey = process.env.OPENAI_API_KEY, ...options }: OpenAIClientOptions) {
    const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new QuernError(`the server's address must begin with http:// or https://, not ${quoted(baseUrl)}`, {
        exitCode: 2,
      });
    }
    const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    if (apiKey !== undefined && apiKey !== "") {
      if (/[^\x20-\x7e]/.test(apiKey)) {
        throw new QuernError(
          "the API key has characters that are not allowed in an HTTP header; check OPENAI_API_KEY",
          {
            exitCode: 2,
          },
        );
      }
      this.#authorization = `Bearer ${apiKey}`;
    } else if (user !== ":") this.#authorization = `Basic ${Buffer.from(user).toString("base64")}`;
    this.#secrets = [apiKey ?? "", decodeURIComponent(url.password)].filter((secret) => secret.length > 3);
    url.username = "";
    url.password = "";
    this.#base = url.href.replace(/\/+$/, "");
    this.#options = {
      concurrency: options.concurrency ?? 8,
      requestsPerMinute: options.requestsPerMinute ?? Number.POSITIVE_INFINITY,
      retries: options.retries ?? 6,
      timeoutSeconds: options.timeoutSeconds ?? 600,
      firstDelaySeconds: options.firstDelaySeconds ?? 0.5,
    };
  }

  /** The address without credentials. */
  get baseUrl(): string {
    return hideCredentials(this.#base);
  }

  get usage(): Usage {
    return this.#usage;
  }

  /** Returns the choices of `/chat/completions`. */
  async chat(request: ChatRequest, { signal, onUsage }: CallOptions = {}): Promise<ChatChoice[]> {
    const { choices, usage } = await this.#ask("chat/completions", request, chatSchema, signal);
    if (usage) onUsage?.({ promptTokens: usage.prompt_tokens ?? 0, completionTokens: usage.completion_tokens ?? 0 });
    return choices.map(({ message, finish_reason, logprobs }) => {
      const { content, function_call, tool_calls } = message;
      const top = logprobs?.content?.map(({ top_logprobs }) => top_logprobs ?? []) ?? [];
      return {
        text: content || (function_call?.arguments ?? tool_calls?.[0]?.function?.arguments ?? ""),
        finishReason: finish_reason ?? null,
        logProbabilities: logprobs?.content?.map(({ logprob }) => logprob) ?? null,
        ...(top.some((tokens) => tokens.length > 0) && { topLogProbabilities: top }),
      };
    });
  }

  /** Returns the names of the server's models (`GET /models`). It is not retried: many servers lack it. */
  async models({ signal }: CallOptions = {}): Promise<string[]> {
    const { data } = await this.#ask("models", undefined, modelsSchema, signal, 0);
    return data.map(({ id }) => id);
  }

  /**
   * Yields the response of `/chat/completions` piece by piece. Returns the finish reason, or null if the server sends none.
   */
  async *streamChat(request: ChatRequest, { signal }: CallOptions = {}): AsyncGenerator<string, string | null> {
    let finishReason: string | null = null;
    const body = { ...request, stream: true };
    for await (const { choices, usage } of this.#stream("chat/completions", body, chunkSchema, signal)) {
      this.#count(usage);
      const [choice] = choices;
      finishReason = choice?.finish_reason ?? finishReason;
      const text = choice?.delta?.content ?? "";
      if (text !== "") yield text;
    }
    return finishReason;
  }

  /** Returns the choices of `/completions`. */
  async complete(request: CompletionRequest, { signal }: CallOptions = {}): Promise<CompletionChoice[]> {
    const { choices } = await this.#ask("completions", request, completionSchema, signal);
    return choices.map(({ text, finish_reason, logprobs }) => ({
      text,
      finishReason: finish_reason ?? null,
      logProbabilities: logprobs?.token_logprobs?.map((each) => each ?? 0) ?? null,
      echo:
        logprobs?.tokens && logprobs.token_logprobs
          ? {
              tokens: logprobs.tokens,
              token_logprobs: logprobs.token_logprobs,
              text_offset: logprobs.text_offset ?? offsetsOf(logprobs.tokens),
              top_logprobs: logprobs.top_logprobs ?? [],
            }
          : null,
    }));
  }

  /** Closes idle connections. */
  async dispose(): Promise<void> {
    await this.#agent?.close();
    this.#agent = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** @param body undefined sends a GET request */
  async #ask<S extends z.ZodType<{ usage?: z.output<typeof usageSchema> | null }>>(
    path: string,
    body: object | undefined,
    schema: S,
    signal: AbortSignal | undefined,
    retries = this.#options.retries,
  ): Promise<z.output<S>> {
    const release = await this.#admit(signal);
    try {
      return await this.#retrying(path, { signal, retries }, async () => {
        const attempt = new Attempt(this.#options.timeoutSeconds, signal);
        try {
          const response = await this.#send(path, body, attempt.signal);
          const answer = this.#check(path, await bodyOf(response), schema);
          this.#count(answer.usage);
          return answer;
        } catch (error) {
          throw attempt.reasonOf(error);
        } finally {
          attempt.end();
        }
      });
    } finally {
      release();
    }
  }

  async *#stream<S extends z.ZodType>(
    path: string,
    body: object,
    schema: S,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<z.output<S>, void> {
    const release = await this.#admit(signal);
    let abandon = () => {};
    try {
      // Yielded pieces cannot be taken back, so only the start of a stream is retried.
      const { attempt, events, first } = await this.#retrying(
        path,
        { signal, retries: this.#options.retries },
        async () => {
          const attempt = new Attempt(this.#options.timeoutSeconds, signal);
          abandon = () => attempt.abandon();
          try {
            const response = await this.#send(path, body, attempt.signal);
            const events = readEvents(response.body);
            return { attempt, events, first: await events.next() };
          } catch (error) {
            attempt.end();
            throw attempt.reasonOf(error);
          }
        },
      );
      try {
        for (let next = first; !next.done; next = await events.next()) {
          attempt.end(); // the time that the caller takes does not count
          yield this.#check(path, next.value, schema);
          attempt.begin();
        }
      } catch (error) {
        const reason = attempt.reasonOf(error);
        throw reason instanceof Failure ? this.#errorOf(path, reason) : reason;
      }
    } finally {
      abandon();
      release();
    }
  }

  async #send(path: string, body: object | undefined, signal: AbortSignal) {
    const { Agent, fetch } = await import("undici");
    // Disables undici's timeouts: a slow machine may need more than their five minutes for a long prompt. `Attempt` has its own.
    this.#agent ??= new Agent({ headersTimeout: 0, bodyTimeout: 0 });
    const headers = {
      "content-type": "application/json",
      ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
    };
    const content = body === undefined ? { method: "GET" } : { method: "POST", body: JSON.stringify(body) };
    const init = { ...content, headers, signal, dispatcher: this.#agent };
    let response: Awaited<ReturnType<typeof fetch>>;
    try {
      response = await fetch(`${this.#base}/${path}`, init);
    } catch (error) {
      const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
      throw new Failure(cause?.message || cause?.code || (error as Error).message, { canRetry: true, cause: error });
    }
    this.#hasAnswered = true;
    this.#usage = { ...this.#usage, requests: this.#usage.requests + 1 };
    if (response.ok) return response;
    const { status } = response;
    const { message, code } = messageIn(await bodyOf(response).catch(() => ""));
    throw new Failure(`status ${status}${message === "" ? "" : `: ${message}`}`, {
      status,
      // An exhausted quota also returns 429, but retrying does not help.
      canRetry: (status >= 500 || [408, 409, 429].includes(status)) && code !== "insufficient_quota",
      wait: secondsToWait(response.headers),
    });
  }

  /** Retries `work` while it fails with an error that may be temporary. */
  async #retrying<T>(
    path: string,
    { signal, retries }: { readonly signal: AbortSignal | undefined; readonly retries: number },
    work: () => Promise<T>,
  ): Promise<T> {
    const { firstDelaySeconds } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        await this.#pause(signal);
        return await work();
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!(error instanceof Failure)) throw error;
        const maximum = this.#hasAnswered ? retries : Math.min(retries, MAX_FIRST_TRIES - 1);
        const tooLong = (error.wait ?? 0) > MAX_WAIT_SECONDS;
        if (!error.canRetry || tries > maximum || tooLong) throw this.#errorOf(path, error);
        const delay = Math.min(MAX_DELAY_SECONDS, firstDelaySeconds * 2 ** (tries - 1)) * (0.5 + Math.random() / 2);
        if (error.wait !== undefined) {
          // A Retry-After applies to all requests.
          this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + 1000 * error.wait);
        }
        if (error.wait === undefined || error.wait < delay) await wait(1000 * delay, signal);
      }
    }
  }

  async #pause(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    for (let left = 1; left > 0; ) {
      left = this.#pausedUntil - performance.now();
      if (left > 0) await wait(left, signal);
    }
  }

  /** Waits until one more request may run. Returns the function that releases its place. */
  async #admit(signal: AbortSignal | undefined): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#running < this.#options.concurrency) this.#running += 1;
    else await this.#queue(signal);
    const release = () => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    };
    try {
      signal?.throwIfAborted();
      const now = performance.now();
      const start = Math.max(now, this.#nextStart);
      this.#nextStart = start + 60_000 / this.#options.requestsPerMinute;
      if (start > now) await wait(start - now, signal);
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }

  #check<S extends z.ZodType>(path: string, text: string, schema: S): z.output<S> {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw new Failure(`the response is not JSON (${quoted(text.slice(0, 80))})`, { canRetry: true });
    }
    const result = schema.safeParse(answer);
    if (result.success) return result.data;
    const { message } = messageIn(text);
    if (message !== "" && typeof answer === "object" && answer !== null && "error" in answer)
      throw new Failure(message, { canRetry: true });
    const [issue] = result.error.issues;
    const place = issue.path.map(String).join(".") || "the response";
    throw new Failure(`the response does not have the format of ${path} (${place}: ${issue.message})`, {
      canRetry: true,
    });
  }

  #count(usage: z.output<typeof usageSchema> | null | undefined): void {
    const { requests, promptTokens, completionTokens } = this.#usage;
    this.#usage = {
      requests,
      promptTokens: promptTokens + (usage?.prompt_tokens ?? 0),
      completionTokens: completionTokens + (usage?.completion_tokens ?? 0),
    };
  }

  #errorOf(path: string, failure: Failure): ServerError {
    const { status, wait } = failure;
    const advice =
      (wait ?? 0) > MAX_WAIT_SECONDS
        ? `the server asks to wait ${Math.round(wait ?? 0)} seconds; try again then`
        : adviceOn(status, this.#hasAnswered);
    const message = `${this.#base}/${path}: ${failure.message}${advice === "" ? "" : `; ${advice}`}`;
    return new ServerError(this.#hide(message), status, { cause: failure.cause });
  }

  #hide(text: string): string {
    return this.#secrets.reduce((hidden, secret) => hidden.replaceAll(secret, "***"), hideCredentials(text));
  }
}

/** @throws the signal's reason once it is aborted */
async function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch((error: unknown) => {
    throw signal?.aborted ? signal.reason : error;
  });
}

/** A failed attempt of a request. */
class Failure extends Error {
  readonly status: number | undefined;
  readonly canRetry: boolean;
  /** Seconds that the server asks to wait. */
  readonly wait: number | undefined;

  constructor(
    message: string,
    options: { readonly status?: number; readonly canRetry: boolean; readonly wait?: number; readonly cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.canRetry = options.canRetry;
    this.wait = options.wait;
  }
}

/** The timeout of one attempt, combined with the caller's signal. */
class Attempt {
  readonly #timeout = new AbortController();
  readonly #seconds: number;
  readonly #callerSignal: AbortSignal | undefined;
  readonly signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #timedOut = false;

  constructor(seconds: number, callerSignal: AbortSignal | undefined) {
    this.#seconds = seconds;
    this.#callerSignal = callerSignal;
    this.signal =
      callerSignal === undefined ? this.#timeout.signal : AbortSignal.any([callerSignal, this.#timeout.signal]);
    this.begin();
  }

  /** Starts or restarts the timer. */
  begin(): void {
    this.end();
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#timeout.abort();
    }, 1000 * this.#seconds);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** Drops the connection if it is still open. */
  abandon(): void {
    this.end();
    this.#timeout.abort();
  }

  /** Returns the reason behind an error: the caller's abort, the timeout, or a failed attempt. */
  reasonOf(error: unknown): unknown {
    if (this.#callerSignal?.aborted) return this.#callerSignal.reason;
    if (this.#timedOut)
      return new Failure(`no response within ${this.#seconds} seconds`, { canRetry: true, cause: error });
    if (error instanceof Failure || error instanceof QuernError) return error;
    const cause = (error as Error).cause as Error | undefined;
    return new Failure(`the connection was lost (${cause?.message ?? (error as Error).message})`, {
      canRetry: true,
      cause: error,
    });
  }
}

async function bodyOf(response: { readonly body: AsyncIterable<Uint8Array> | null }): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MAX_RESPONSE_BYTES) {
      throw new Failure(`the response is longer than ${MAX_RESPONSE_BYTES >> 20} MiB`, { canRetry: false });
    }
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Returns the message of an error response: OpenAI's `error.message`, FastAPI's `detail`, or the text itself. */
function messageIn(body: string): { readonly message: string; readonly code: string } {
  const find = (value: unknown): string => {
    if (typeof value === "string") return value;
    if (typeof value !== "object" || value === null) return "";
    const { message, error, detail, msg } = value as Record<string, unknown>;
    return find(error) || find(message) || find(detail) || find(msg) || (Array.isArray(value) ? find(value[0]) : "");
  };
  try {
    const parsed = JSON.parse(body) as { error?: { code?: unknown; type?: unknown } } | null;
    return { message: quoted(find(parsed)), code: String(parsed?.error?.code ?? parsed?.error?.type ?? "") };
  } catch {
    return {
      message: quoted(
        body
          .replace(/<[^>]*>/g, " ")
          .replace(/\s+/g, " ")
          .trim(),
      ),
      code: "",
    };
  }
}

function secondsToWait(headers: { get(name: string): string | null }): number | undefined {
  const milliseconds = Number(headers.get("retry-after-ms") ?? Number.NaN);
  if (milliseconds >= 0) return milliseconds / 1000;
  const after = headers.get("retry-after");
  if (after === null) return undefined;
  const seconds = after.trim() === "" ? Number.NaN : Number(after);
  if (seconds >= 0) return seconds;
  const date = Date.parse(after);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

function adviceOn(status: number | undefined, hasAnswered: boolean): string {
  if (status === undefined) return hasAnswered ? "" : "check the address and that the server is running";
  if (status === 401 || status === 403) return "check the API key (OPENAI_API_KEY)";
  if (status === 404) return "check the address (it usually ends in /v1) and the model's name";
  if (status === 429) return "lower the concurrency or try again later";
  return status >= 500 ? "try again later" : "";
}

/** Computes token offsets in code points, for a server that does not send them. */
function offsetsOf(tokens: readonly string[]): number[] {
  let offset = 0;
  return tokens.map((token) => {
    const start = offset;
    offset += [...token].length;
    return start;
  });
}
