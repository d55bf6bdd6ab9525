/** @file Text from a model: the library functions behind `quern generate`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { endOfTurn } from "./conversation.js";
import { createDecoder } from "./decoder.js";
import { generateOptions } from "./generate-options.js";
import { encodePrompt, type Prompt, readPrompts } from "./prompts.js";
import { largestLogits } from "./sampling.js";
import { completeText, type TextCompletion } from "./text-completion.js";
import { openTextModel, type TextModel } from "./text-model.js";

interface GenerateCalls {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  /** Called before the first piece with a sentence about each thing that may not be meant: a prompt that is cut, an odd model folder. */
  readonly onWarning?: (warning: string) => void;
}

export type GenerateOptions = z.input<typeof generateOptions> &
  GenerateCalls & {
    /** False gives the likeliest tokens after each prompt alone; `topLogits` says how many. */
    readonly completions?: boolean;
    readonly onProgress?: OnProgress;
    /** Called with the text of a completion piece by piece, whole characters at a time. Pieces of several come mixed. */
    readonly onText?: (piece: string, prompt: number, completion: number) => void;
    /** Called with each result as soon as it and all before it are there. */
    readonly onResult?: (result: PromptResult, prompt: number) => void;
  };

export type GenerateTextOptions = Omit<z.input<typeof generateOptions>, "prompt" | "prompts" | "n" | "topLogits"> &
  GenerateCalls & { readonly prompt: string };

/** A token that may come next. */
export interface NextToken {
  readonly id: number;
  readonly text: string;
  readonly logit: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

export interface CompletionResult {
  readonly text: string;
  readonly ids: readonly number[];
  /** Natural logarithm of the probability of all its tokens under the model, whatever the sampling. */
  readonly logprob: number;
  /** The same of each token. */
  readonly token_logprobs: readonly number[];
  /** `stop`: at the end of the text or before a stop string; `length`: after `tokens`. */
  readonly finish_reason: "stop" | "length";
}

export interface PromptResult {
  /** The text that was continued; of messages, what the chat template makes of them. */
  readonly prompt: string;
  readonly completions: readonly CompletionResult[];
  /** The likeliest tokens after the prompt, the likeliest first, before any change by sampling. */
  readonly top_logits?: readonly NextToken[];
}

export interface GenerateResult {
  /** In the order of the prompts. */
  readonly results: readonly PromptResult[];
  readonly warnings: readonly string[];
}

/**
 * Continues a prompt, or each of a file of them, `n` times. A completion ends at the end of the text, before the first stop
 * string, or after `tokens`; it does not depend on what is generated beside it. A prompt longer than the model takes
 * loses its beginning, and `onWarning` hears of it.
 * @throws QuernError for a file that holds no model, a tokenizer that is not the model's, or prompts that are none
 */
export async function generate(options: GenerateOptions): Promise<GenerateResult> {
  const { target = {}, signal, onWarning, completions: wanted = true, onProgress, onText, onResult, ...rest } = options;
  const o = checkOptions(generateOptions, rest);
  if (!Number.isSafeInteger(o.seed + o.n)) throw new QuernError("seed + n must be below 2^53", { exitCode: 2 });
  const given = await promptsOf(o);
  const warnings: string[] = [];
  const warn = (warning: string) => {
    warnings.push(warning);
    onWarning?.(warning);
  };
  const opened = await openTextModel(o.model);
  try {
    const { model, tokenizer, endOfText } = opened;
    for (const warning of model.warnings) warn(warning);
    const prompts = await encodeAll(opened, given, warn);
    const endOfAnswer = given.some(isConversation) ? [...endOfText, ...(await endOfTurn(tokenizer))] : endOfText;
    const decoder = createDecoder(model.config, model.readParameter, {
      ...target,
      cpu: { threads: o.threads, ...target?.cpu },
      cache: o.cache,
    });
    const progress = { task: "generate", total: prompts.length, unit: "prompt" };
    const results = new Array<PromptResult>(prompts.length);
    let told = 0;
    let done = 0;
    let tokens = 0;
    const requests = prompts.map(async ({ text, ids }, index) => {
      let top: NextToken[] | undefined;
      const completions = await completeText(
        decoder,
        tokenizer,
        {
          ...{ ...o, prompt: ids, ...(!wanted && { n: 1, tokens: 0 }) },
          endOfText: isConversation(given[index]) ? endOfAnswer : endOfText,
        },
        {
          signal,
          onText: (piece, completion) => onText?.(piece, index, completion),
          onToken: () => {
            tokens += 1;
            onProgress?.({ ...progress, done, note: `${tokens} tokens` });
            return false;
          },
          onLogits: (logits, logSumExp) => {
            if (o.topLogits !== undefined) top = nextTokens(opened, logits, logSumExp, o.topLogits);
          },
        },
      );
      done += 1;
      results[index] = {
        prompt: text,
        completions: wanted ? completions.map(resultOf) : [],
        ...(top && { top_logits: top }),
      };
      for (; told < prompts.length && results[told] !== undefined; told++) onResult?.(results[told], told);
    });
    try {
      await Promise.all(requests);
    } finally {
      decoder.dispose(); // also ends what is under way where one failed
      await Promise.allSettled(requests);
    }
    return { results, warnings };
  } finally {
    await opened.close();
  }
}

/** Continues a prompt as `generate` does; gives the continuation piece by piece as it is decoded. */
export async function* generateText(options: GenerateTextOptions): AsyncGenerator<string, void> {
  const enough = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, enough.signal]) : enough.signal;
  let pieces: string[] = [];
  let wake = () => {};
  let isDone = false;
  const onText = (piece: string) => {
    pieces.push(piece);
    wake();
  };
  const done = generate({ ...options, signal, onText }).finally(() => {
    isDone = true;
    wake();
  });
  done.catch(() => {}); // thrown below
  try {
    while (!isDone || pieces.length > 0) {
      if (pieces.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const ready = pieces;
      pieces = [];
      yield* ready;
    }
    await done;
  } finally {
    enough.abort();
    await done.catch(() => {});
  }
}

const THE_PROMPT = "the prompt";

interface GivenPrompt {
  /** How messages call it. */
  readonly name: string;
  readonly prompt: Prompt;
}

const isConversation = ({ prompt }: GivenPrompt) => "messages" in prompt;

async function promptsOf({ prompt, prompts }: z.output<typeof generateOptions>): Promise<readonly GivenPrompt[]> {
  if (prompt !== undefined && prompts === undefined) return [{ name: THE_PROMPT, prompt: { prompt } }];
  if (prompts !== undefined && prompt === undefined) {
    const read = await readPrompts(prompts);
    return read.map(({ line, prompt }) => ({ name: `the prompt of ${prompts}, line ${line},`, prompt }));
  }
  throw new QuernError(
    `${prompt === undefined ? "there is no prompt" : "there are both prompt and prompts"}; give one of the two`,
    { exitCode: 2 },
  );
}

async function encodeAll(
  { model, tokenizer, beginning }: TextModel,
  given: readonly GivenPrompt[],
  warn: (warning: string) => void,
) {
  const longest = model.config.sequence;
  const encoded = [];
  for (const { name, prompt } of given) {
    const each = await encodePrompt(tokenizer, beginning, prompt).catch((error: unknown) => {
      if (!(error instanceof QuernError) || name === THE_PROMPT) throw error;
      throw new QuernError(`${name} cannot be used: ${error.message}`, { exitCode: 2, cause: error });
    });
    const { length } = each.ids;
    if (length > longest) {
      warn(
        `${name} has ${length} tokens and the model takes ${longest}: the first ${length - longest} are left out; ` +
          "shorten it, or choose a model with a longer context",
      );
    }
    encoded.push(each);
  }
  return encoded;
}

function nextTokens({ tokenizer }: TextModel, logits: Float32Array, logSumExp: number, count: number): NextToken[] {
  return largestLogits(logits, count).map((id) => {
    const text = tokenizer.has(id) ? tokenizer.decode([id]) : "";
    return { id, text, logit: logits[id], logprob: logits[id] - logSumExp };
  });
}

function resultOf({ text, tokens, finishReason }: TextCompletion): CompletionResult {
  const token_logprobs = tokens.map(({ logprob }) => logprob);
  return {
    text,
    ids: tokens.map(({ id }) => id),
    logprob: token_logprobs.reduce((total, logprob) => total + logprob, 0),
    token_logprobs,
    finish_reason: finishReason,
  };
}
