/** @file Opens a judge by what names it: an address, a model, a configuration, a file with a function, or a function. */
import { readFile } from "node:fs/promises";
import type { CompileOptions } from "../../../backends/index.js";
import { fileError, QuernError } from "../../../errors.js";
import type { NameOption } from "../../../options.js";
import type { OnProgress } from "../../../progress.js";
import { completionParser } from "../parsers.js";
import { type AnnotatorConfig, findAnnotatorConfig, loadAnnotatorConfig } from "./annotator-config.js";
import { openCompletionCache } from "./completion-cache.js";
import { functionJudge, isFunctionFile, type JudgeFunction, openFunctionFile } from "./function-judge.js";
import type { Judge } from "./judge.js";
import { openLocalJudge } from "./local-judge.js";
import type { Asking } from "./prompt-judge.js";
import { parseTemplate, QUESTIONS, type Question } from "./prompt-template.js";
import { describe, openRewardJudge } from "./reward-judge.js";
import { addressOf, isAddress, onlyModel } from "./server-address.js";
import { openServerJudge } from "./server-judge.js";

/** What every function that judges takes beside its options. */
export interface JudgingCalls {
  /** What `openJudge` opens, a function, or an open judge, which stays open. */
  readonly judge: string | JudgeFunction | Judge;
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly named?: NameOption;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (warning: string) => void;
}

export interface OpenJudgeOptions {
  /** Name of the judging model at a server, or the path of a local model for a configuration. */
  readonly judgeModel?: string;
  /** Address of the server of a configuration. Default OPENAI_BASE_URL, else OpenAI's. */
  readonly judgeUrl?: string;
  /** How a model without a configuration gives its judgement. Default: verdict for servers, logprobs for local models. */
  readonly by?: Question;
  /** File with a prompt template. */
  readonly judgePrompt?: string;
  /** Maximum tokens of a judgement. */
  readonly judgeTokens?: number;
  readonly concurrency?: number;
  readonly requestsPerMinute?: number;
  readonly retries?: number;
  readonly timeout?: number;
  /** Folder of stored completions. */
  readonly cache?: string;
  readonly fresh?: boolean;
  readonly target?: CompileOptions;
  readonly signal?: AbortSignal;
  readonly onWarning?: (warning: string) => void;
}

const OPENAI = "https://api.openai.com/v1";
const THINKS = /^(o\d|gpt-5)/;

/**
 * Opens a judge:
 * - `http(s)://…/v1`, or `…/v1#NAME`: a model of an OpenAI-compatible server;
 * - `configs.yaml`, its folder, or `configs.yaml#NAME`: an annotator of AlpacaEval;
 * - a `.ts` or `.js` file that exports `judge(instruction, first, second)`;
 * - a run, folder, `.gguf` or `hf://` address: a reward model, or a language model with a chat template;
 * - a function.
 * @throws QuernError for what is none of these
 */
export async function openJudge(judge: string | JudgeFunction, options: OpenJudgeOptions = {}): Promise<Judge> {
  if (typeof judge === "function") return functionJudge(judge);
  if (isFunctionFile(judge)) return openFunctionFile(judge);
  const cache = () => openCompletionCache(options.cache, { fresh: options.fresh });
  if (isAddress(judge)) {
    const { url, model } = addressOf(judge);
    const asking = await askingOf("verdict", options);
    const name = options.judgeModel ?? model ?? (await onlyModel(url, options));
    return openServerJudge({
      ...connectionOf(url, options),
      ...{ model: name, asking, cache: await cache() },
      parameters: {
        // OpenAI's reasoning models refuse the older parameters.
        ...(THINKS.test(name)
          ? { max_completion_tokens: asking.tokens }
          : { max_tokens: asking.tokens, temperature: 0 }),
        ...(asking.parserName === "logprob_parser" && { logprobs: true, top_logprobs: 20 }),
      },
    });
  }
  if ((await findAnnotatorConfig(judge)) !== undefined) return openConfigured(judge, options, await cache());
  const { isReward } = await describe(judge);
  if (isReward) {
    for (const key of ["by", "judgePrompt", "judgeTokens", "judgeModel", "judgeUrl"] as const) {
      if (options[key] === undefined) continue;
      throw new QuernError(`${key} has no effect on ${judge}, which is a reward model`, { exitCode: 2 });
    }
    return openRewardJudge(judge, options);
  }
  return openLocalJudge(judge, {
    asking: await askingOf("logprobs", options),
    cache: await cache(),
    ...(options.target && { target: options.target }),
  });
}

type Cache = Awaited<ReturnType<typeof openCompletionCache>>;

async function openConfigured(path: string, options: OpenJudgeOptions, cache: Cache): Promise<Judge> {
  if (options.by !== undefined) {
    throw new QuernError(`by has no effect on ${path}, which names its parser`, { exitCode: 2 });
  }
  const config = await loadAnnotatorConfig(path, options.judgePrompt);
  const { name, ignored, parameters } = config;
  if (ignored.length > 0) options.onWarning?.(`${path}: ${ignored.join(", ")} ignored; see --orders and --seed`);
  const asking = { ...config, tokens: options.judgeTokens ?? tokensOf(config) };
  const model = options.judgeModel ?? config.model;
  const url = options.judgeUrl ?? config.url;
  // A local model takes the place of the configuration's.
  if (url === undefined && options.judgeModel !== undefined && (await isLocalModel(options.judgeModel))) {
    return openLocalJudge(options.judgeModel, { name, asking, parameters, cache, target: options.target });
  }
  if (model === undefined) throw new QuernError(`${path} names no model; give --judge-model NAME`, { exitCode: 2 });
  if (url === undefined && config.asks !== "openai_completions") {
    throw new QuernError(
      `${path} asks ${model} through ${config.asks}; give --judge-url URL of an OpenAI-compatible server, or a local --judge-model`,
      { exitCode: 2 },
    );
  }
  const { OPENAI_BASE_URL, OPENAI_API_BASE } = process.env;
  return openServerJudge({
    ...connectionOf(url ?? (OPENAI_BASE_URL || OPENAI_API_BASE || OPENAI), {
      ...options,
      concurrency: options.concurrency ?? config.concurrency,
      requestsPerMinute: options.requestsPerMinute ?? config.requestsPerMinute,
    }),
    ...{ name, model, asking, cache },
    parameters: { ...parameters, ...(options.judgeTokens !== undefined && { max_tokens: options.judgeTokens }) },
  });
}

const tokensOf = ({ parameters: { max_tokens: tokens } }: AnnotatorConfig) =>
  typeof tokens === "number" ? tokens : 1024;

const isLocalModel = async (name: string) =>
  name.startsWith("hf://") ||
  describe(name).then(
    () => true,
    () => false,
  );

const connectionOf = (baseUrl: string, { concurrency, requestsPerMinute, retries, timeout }: OpenJudgeOptions) => ({
  ...{ baseUrl, concurrency, requestsPerMinute, retries, timeoutSeconds: timeout },
});

async function askingOf(otherwise: Question, { by, judgePrompt, judgeTokens }: OpenJudgeOptions): Promise<Asking> {
  const { prompt, parser, settings, tokens } = QUESTIONS[by ?? otherwise];
  const template =
    judgePrompt === undefined
      ? parseTemplate(prompt, "of Quern")
      : parseTemplate(await readText(judgePrompt), judgePrompt);
  return {
    ...{ template, parser: completionParser(parser, settings), parserName: parser, parserSettings: settings },
    tokens: judgeTokens ?? tokens,
  };
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, "read", path);
  });
}
