/** @file Sends the requests of tasks to a model: in batches, equal requests once, with a cache that survives a stop. */
import { QuernError } from "../../errors.js";
import type { LanguageModel, Prompt } from "../../infer/index.js";
import type { OnProgress } from "../../progress.js";
import type { ScoredContinuation } from "./choice-metrics.js";
import { type GenerationRequest, generationRequestOf } from "./generation-request.js";
import { type RequestCache, requestKey } from "./request-cache.js";
import type { EvalRequest } from "./requests.js";

/** Of a `loglikelihood` request, a rolling one (nats), or a generated text. */
export type Answer = ScoredContinuation | number | string;

export interface AnswerOptions {
  /** Requests between two writes to the cache. Default 1024. */
  readonly batch?: number;
  /** Of sampled completions. Default 1234, lm-eval's for PyTorch. */
  readonly seed?: number;
  readonly cache?: RequestCache;
  /** Tells models apart in the cache. Default the model's name. */
  readonly identity?: string;
  /** Prompts are turns as JSON, for a server that renders its chat template itself. */
  readonly turnsAsJson?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called once for each request that was cut to fit the model. */
  readonly onTruncated?: (request: EvalRequest) => void;
}

export interface ModelAnswers {
  /** By request: one answer per repeat. */
  readonly answers: readonly (readonly Answer[])[];
  /** Requests to the model: equal ones once, those of the cache not. */
  readonly asked: number;
  /** Different requests that the cache held. */
  readonly cached: number;
}

const BATCH = 1024;
const SAMPLING_SEED = 1234;

/** A request that the model gets, for all equal ones. */
interface Job {
  readonly key: string;
  readonly request: EvalRequest;
  readonly generation?: GenerationRequest;
}

/**
 * Returns the model's answers in the order of the requests.
 * @throws QuernError for options of a task that Quern does not have, or as the model does
 */
export async function answersOf(
  model: LanguageModel,
  requests: readonly EvalRequest[],
  options: AnswerOptions = {},
): Promise<ModelAnswers> {
  const { batch = BATCH, seed = SAMPLING_SEED, cache, identity = model.name, signal, onProgress } = options;
  const found = new Map<string, readonly Answer[]>();
  const jobs = new Map<string, Job>();
  let cached = 0;
  const keys = requests.map((request) => {
    const generation = request.type === "generate_until" ? generationOf(request) : undefined;
    const key = keyOf(request, generation, identity, seed);
    if (found.has(key) || jobs.has(key)) return key;
    const known = cache?.get(key) as readonly Answer[] | undefined;
    if (known === undefined) jobs.set(key, { key, request, generation });
    else {
      found.set(key, known);
      cached += 1;
    }
    return key;
  });
  const total = jobs.size;
  let done = 0;
  for (const group of groupsOf([...jobs.values()])) {
    for (let first = 0; first < group.length; first += batch) {
      signal?.throwIfAborted();
      const part = group.slice(first, first + batch);
      const within: OnProgress = (progress) => {
        const share = progress.total ? progress.done / progress.total : 0;
        onProgress?.({ task: "evaluate", done: done + Math.floor(part.length * share), total, unit: "request" });
      };
      const answers = await ask(model, part, { ...options, seed, onProgress: within });
      const entries = part.map(({ key }, i) => [key, answers[i]!] as const);
      cache?.add(entries);
      for (const [key, answer] of entries) found.set(key, answer);
      done += part.length;
      onProgress?.({ task: "evaluate", done, total, unit: "request" });
    }
  }
  return { answers: keys.map((key) => found.get(key)!), asked: total, cached };
}

function generationOf(request: EvalRequest & { readonly type: "generate_until" }): GenerationRequest {
  try {
    return generationRequestOf(request.options);
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`task ${request.task}: ${error.message}`, { cause: error });
  }
}

function keyOf(
  request: EvalRequest,
  generation: GenerationRequest | undefined,
  identity: string,
  seed: number,
): string {
  switch (request.type) {
    case "loglikelihood":
      return requestKey(identity, request.type, request.context, request.continuation, request.repeats);
    case "loglikelihood_rolling":
      return requestKey(identity, request.type, request.text, request.repeats);
    case "generate_until": {
      // Sampling is another for every request, so that equal prompts do not share their luck.
      const luck = generation!.temperature === 0 ? [] : [seed, request.task, request.documentIndex];
      return requestKey(identity, request.type, request.context, generation, request.repeats, ...luck);
    }
    default:
      return request satisfies never;
  }
}

/** Requests of one kind and, if they generate, of the same options, in order. */
function groupsOf(jobs: readonly Job[]): readonly (readonly Job[])[] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const key = JSON.stringify([job.request.type, job.generation ?? null, job.request.repeats]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [job]);
    else group.push(job);
  }
  return [...groups.values()];
}

async function ask(
  model: LanguageModel,
  jobs: readonly Job[],
  { signal, onProgress, onTruncated, turnsAsJson, seed }: AnswerOptions & { readonly seed: number },
): Promise<readonly (readonly Answer[])[]> {
  const { request, generation } = jobs[0]!;
  const { repeats, type } = request;
  const shared = { signal, onProgress };
  const onWarning = (_: string, index: number) => onTruncated?.(jobs[index]!.request);
  switch (type) {
    case "loglikelihood": {
      if (turnsAsJson === true) {
        throw new QuernError(
          "a chat server gives no log-likelihood of an answer; leave out --apply-chat-template, or give tasks that generate",
          { exitCode: 2 },
        );
      }
      const pairs = jobs.map((job) => job.request as EvalRequest & { readonly type: "loglikelihood" });
      const scores = await model.logLikelihood(pairs, { ...shared, onWarning });
      return scores.map(({ logLikelihood, isGreedy }) => repeated({ logLikelihood, isGreedy }, repeats));
    }
    case "loglikelihood_rolling": {
      const texts = jobs.map((job) => (job.request as EvalRequest & { readonly type: typeof type }).text);
      const scores = await model.rollingLogLikelihood(texts, shared);
      return scores.map(({ logLikelihood }) => repeated(logLikelihood, repeats));
    }
    case "generate_until": {
      const options = generation!;
      const room = model.sequence === null ? undefined : model.sequence - options.tokens;
      if (room !== undefined && room < 1) {
        throw new QuernError(
          `task ${request.task} generates up to ${options.tokens} tokens, but the model's context is ${model.sequence}; ` +
            "give a smaller number with --gen-kwargs max_gen_toks=N",
          { exitCode: 2 },
        );
      }
      const isGreedy = options.temperature === 0;
      const prompts = jobs.map((job): Prompt => {
        const { context } = job.request as EvalRequest & { readonly type: typeof type };
        return turnsAsJson === true ? { messages: JSON.parse(context) } : { rendered: context };
      });
      const n = isGreedy ? 1 : repeats;
      const made = await model.generate(prompts, { ...shared, ...options, promptTokens: room, n, seed, onWarning });
      return made.map(({ completions }) =>
        isGreedy ? repeated(completions[0]!.text, repeats) : completions.map(({ text }) => text),
      );
    }
    default:
      return type satisfies never;
  }
}

const repeated = <T>(value: T, times: number): readonly T[] => Array.from({ length: times }, () => value);
