/** @file Text generation: the library functions behind `quern generate`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { readJsonFile } from "../json-file.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { endOfTurn } from "./conversation.js";
import { createDecoder } from "./decoder.js";
import { generateOptions } from "./generate-options.js";
import { compileJsonSchema, grammarVocabulary } from "./grammar/index.js";
import { encodePrompt, type Prompt, readPrompts } from "./prompts.js";
import { largestLogits } from "./sampling.js";
import { completeText, type TextCompletion } from "./text-completion.js";
import { openTextModel, type TextModel } from "./text-model.js";
import { typedWeights } from "./weight-types.js";

interface GenerateCallbacks {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  /** Called before the first piece with each warning: a truncated prompt, an unusual model folder. */
  readonly onWarning?: (warning: string) => void;
}

export type GenerateOptions = z.input<typeof generateOptions> &
  GenerateCallbacks & {
    /** The prompts themselves, instead of `prompt` or `prompts`. */
    readonly list?: readonly NamedPrompt[];
    /** False returns only the `topLogits` likeliest tokens after each prompt. */
    readonly completions?: boolean;
    readonly onProgress?: OnProgress;
    /**
     * Called with each piece of a completion's text, in whole characters. Pieces of different completions interleave.
     */
    readonly onText?: (piece: string, prompt: number, completion: number) => void;
    /** Called with each result, in prompt order, as soon as it and all earlier ones are complete. */
    readonly onResult?: (result: PromptResult, prompt: number) => void;
  };

export type GenerateTextOptions = Omit<z.input<typeof generateOptions>, "prompt" | "prompts" | "n" | "topLogits"> &
  GenerateCallbacks & { readonly prompt: string };

export interface NamedPrompt {
  /** Its name in warnings and errors. */
  readonly name: string;
  readonly prompt: Prompt;
}

/** A candidate for the next token. */
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
  /** Natural logarithm of the completion's probability under the unfiltered model. */
  readonly logprob: number;
  /** The same for each token. */
  readonly token_logprobs: readonly number[];
  /** `stop`: end of text or a stop string; `length`: `tokens` reached. */
  readonly finish_reason: "stop" | "length";
}

export interface PromptResult {
  /** The prompt text; for messages, the output of the chat template. */
  readonly prompt: string;
  readonly completions: readonly CompletionResult[];
  /** The likeliest tokens after the prompt, the likeliest first, from the model's raw logits. */
  readonly top_logits?: readonly NextToken[];
}

export interface GenerateResult {
  /** In the order of the prompts. */
  readonly results: readonly PromptResult[];
  readonly warnings: readonly string[];
}

/**
 * Continues a prompt, or each prompt of a file, `n` times. A completion ends at the end of the text, before the first
 * stop string, or after `tokens`. It does not depend on other completions of the same call. A prompt longer than the
 * model's context loses its start, and `onWarning` is called.
 * @throws QuernError for a path without a model, a tokenizer that does not fit the model, or invalid prompts
 */
export async function generate(options: GenerateOptions): Promise<GenerateResult> {
  const { target = {}, signal, onWarning, list, completions: wanted = true, ...others } = options;
  const { onProgress, onText, onResult, ...rest } = others;
  const o = checkOptions(generateOptions, rest);
  if (!Number.isSafeInteger(o.seed + o.n)) throw new QuernError("seed + n must be below 2^53", { exitCode: 2 });
  const given = list ?? (await promptsOf(o));
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
    const constraint = o.schema === undefined ? undefined : await schemaConstraint(o.schema, opened, endOfAnswer);
    const { types, source } = typedWeights(model, o.weights);
    const decoder = createDecoder(model.config, source, {
      ...target,
      types,
      kvDtype: o.kvDtype,
      cpu: { threads: o.threads, ...target?.cpu },
      cache: o.cache,
    });
    const progress = { task: "generate", total: prompts.length, unit: "prompt" };
    const results = new Array<PromptResult>(prompts.length);
    let reported = 0;
    let done = 0;
    let tokens = 0;
    const requests = prompts.map(async ({ text, ids }, index) => {
      let top: NextToken[] | undefined;
      const completions = await completeText(
        decoder,
        tokenizer,
        {
          ...{ ...o, prompt: ids, ...(!wanted && { n: 1, tokens: 0 }) },
          endOfText: isConversation(given[index]) || constraint !== undefined ? endOfAnswer : endOfText,
          constraint,
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
      for (; reported < prompts.length && results[reported] !== undefined; reported++)
        onResult?.(results[reported], reported);
    });
    try {
      await Promise.all(requests);
    } finally {
      decoder.dispose(); // after a failure this also ends the other requests
      await Promise.allSettled(requests);
    }
    return { results, warnings };
  } finally {
    await opened.close();
  }
}

/** Continues a prompt as `generate` does and yields the continuation piece by piece. */
export async function* generateText(options: GenerateTextOptions): AsyncGenerator<string, void> {
  const stopped = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stopped.signal]) : stopped.signal;
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
  done.catch(() => {}); // `await done` below throws it
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
    stopped.abort();
    await done.catch(() => {});
  }
}

const THE_PROMPT = "the prompt";

const isConversation = ({ prompt }: NamedPrompt) => "messages" in prompt;

async function promptsOf({ prompt, prompts }: z.output<typeof generateOptions>): Promise<readonly NamedPrompt[]> {
  if (prompt !== undefined && prompts === undefined) return [{ name: THE_PROMPT, prompt: { prompt } }];
  if (prompts !== undefined && prompt === undefined) {
    const read = await readPrompts(prompts);
    return read.map(({ line, prompt }) => ({ name: `the prompt of ${prompts}, line ${line},`, prompt }));
  }
  throw new QuernError(
    `${prompt === undefined ? "neither prompt nor prompts is given" : "both prompt and prompts are given"}; give one of them`,
    { exitCode: 2 },
  );
}

async function encodeAll(
  { model, tokenizer, beginning }: TextModel,
  given: readonly NamedPrompt[],
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
        `${name} has ${length} tokens, but the model's limit is ${longest}: the first ${length - longest} are dropped; ` +
          "shorten it, or choose a model with a longer context",
      );
    }
    encoded.push(each);
  }
  return encoded;
}

/** @throws QuernError (exit code 2) for a file that is not JSON, and for a keyword that is not supported, by its name */
async function schemaConstraint(path: string, { model, tokenizer }: TextModel, endOfText: readonly number[]) {
  const schema = await readJsonFile(path, { exitCode: 2 });
  return compileJsonSchema(schema, grammarVocabulary(tokenizer, endOfText, model.config.vocabSize));
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
