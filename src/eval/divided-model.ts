/**
 * @file A model on several ranks, which divide its requests. Rank 0 has the requests: it sends each call to the others, and gets the
 * answers of all. The others have the model, and nothing else.
 *
 * Log-likelihoods of a local model have the bits of one process: which texts a row of the scorer holds affects rounding, so
 * the ranks divide rows, not requests. Completions do not depend on one another.
 */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { InterruptedError, isAbortError, QuernError } from "../errors.js";
import type {
  Generation,
  GenerationOptions,
  LanguageModel,
  LikelihoodRequest,
  LogLikelihood,
  Prompt,
  RequestOptions,
  RollingLogLikelihood,
  ScoreRequestOptions,
} from "../infer/index.js";
import type { Ranks } from "../train/index.js";
import { filesOf } from "./model-files.js";

/** The requests of one call and what they return. */
interface Calls {
  readonly likelihood: { readonly request: LikelihoodRequest; readonly answer: LogLikelihood };
  readonly rolling: { readonly request: string; readonly answer: RollingLogLikelihood };
  readonly generate: { readonly request: string | Prompt; readonly answer: Generation };
}
type Kind = keyof Calls;
type Order = { readonly [K in Kind]: OrderOf<K> }[Kind];
interface OrderOf<K extends Kind> {
  readonly kind: K;
  readonly requests: readonly Calls[K]["request"][];
  readonly options: Omit<GenerationOptions, keyof RequestOptions | "onText">;
}

/** A rank's answers to its share, and the requests that were truncated, by their index in the share. */
interface Share<K extends Kind> {
  readonly answers: readonly Calls[K]["answer"][];
  readonly warnings: readonly { readonly warning: string; readonly index: number }[];
}

/**
 * Runs `work` on rank 0 with a model whose requests all ranks divide; the others must call `answerRequests`. Text does not
 * stream from it: `onText` is not called.
 * @throws QuernError if a rank has another model
 */
export async function withDividedModel<T>(
  model: LanguageModel,
  ranks: Ranks,
  work: (model: LanguageModel) => Promise<T>,
): Promise<T> {
  if (ranks.size === 1) return work(model);
  await refuseOtherModels(model, ranks);
  const divided = async <K extends Kind>(
    kind: K,
    requests: readonly Calls[K]["request"][],
    { signal, onProgress, onWarning, onText: _, ...options }: GenerationOptions = {},
  ) => {
    const order: OrderOf<K> = { kind, requests, options };
    await send(ranks, order);
    return answered<K>(model, ranks, order, { ...options, signal, onProgress, onWarning });
  };
  const { name, sequence, files, tokenizer } = model;
  const result = await work({
    ...{ name, sequence, files, tokenizer },
    countTokens: (prompt) => model.countTokens(prompt),
    logLikelihood: (requests, options) => divided("likelihood", requests, options),
    rollingLogLikelihood: (texts, options) => divided("rolling", texts, options),
    generate: (prompts, options) => divided("generate", prompts, options),
    dispose: () => model.dispose(),
    [Symbol.asyncDispose]: () => model.dispose(),
  });
  await send(ranks, null);
  return result;
}

/** What the ranks other than 0 do: answer their share of rank 0's requests until its work is done. */
export async function answerRequests(model: LanguageModel, ranks: Ranks, signal?: AbortSignal): Promise<void> {
  await refuseOtherModels(model, ranks);
  try {
    for (;;) {
      const [order] = await send<Order | null>(ranks, null);
      if (order === null) return;
      await answered(model, ranks, order as OrderOf<Kind>, { ...order.options, signal });
    }
  } catch (error) {
    // Rank 0 was interrupted too, and says so.
    if (!isAbortError(error)) throw error;
    throw new InterruptedError("interrupted", "", { cause: error });
  }
}

/** Answers an order together with the other ranks; returns all answers, in the order of the requests. */
async function answered<K extends Kind>(
  model: LanguageModel,
  ranks: Ranks,
  order: OrderOf<K>,
  options: GenerationOptions,
): Promise<Calls[K]["answer"][]> {
  const { rank, size } = ranks;
  if (order.kind !== "generate" && model.files !== undefined) {
    return ask(model, order, { ...options, division: { rank, size, gather: (own) => send(ranks, own) } });
  }
  const warnings: { warning: string; index: number }[] = [];
  const answers = await ask(
    model,
    { ...order, requests: order.requests.filter((_, i) => i % size === rank) },
    { ...options, onWarning: (warning, index) => warnings.push({ warning, index }) },
  );
  const all = await send<Share<K>>(ranks, { answers, warnings });
  for (const [by, share] of all.entries()) {
    for (const { warning, index } of share.warnings) options.onWarning?.(warning, index * size + by);
  }
  return order.requests.map((_, i) => all[i % size].answers[Math.floor(i / size)]);
}

function ask<K extends Kind>(
  model: LanguageModel,
  { kind, requests }: OrderOf<K>,
  options: GenerationOptions & ScoreRequestOptions,
): Promise<Calls[K]["answer"][]> {
  if (requests.length === 0) return Promise.resolve([]);
  switch (kind) {
    case "likelihood":
      return model.logLikelihood(requests as readonly LikelihoodRequest[], options);
    case "rolling":
      return model.rollingLogLikelihood(requests as readonly string[], options);
    case "generate":
      return model.generate(requests as readonly (string | Prompt)[], options);
    default:
      throw new Error(`unknown kind ${kind satisfies never}`);
  }
}

/** JSON has no such numbers. */
const SPECIAL: readonly number[] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];

/** `ranks.share` of messages with any number. */
async function send<T>(ranks: Ranks, message: T): Promise<T[]> {
  const texts = await ranks.share(
    JSON.stringify(message, (_, value: unknown) => {
      const special = SPECIAL.findIndex((each) => Object.is(each, value));
      return special < 0 ? value : { special };
    }),
  );
  return texts.map((text) =>
    JSON.parse(text, (_, value: unknown) => {
      const { special } = (value ?? {}) as { readonly special?: unknown };
      return typeof special === "number" ? SPECIAL[special] : value;
    }),
  );
}

/** @throws QuernError on every rank if a rank has another model than rank 0 */
async function refuseOtherModels(model: LanguageModel, ranks: Ranks): Promise<void> {
  const files = model.files === undefined ? [] : await filesOf(model.files);
  const sizes = await Promise.all(files.map(async (file) => [basename(file), (await stat(file)).size]));
  const all = await ranks.share(JSON.stringify([model.files === undefined ? model.name : null, model.sequence, sizes]));
  const other = all.findIndex((each) => each !== all[0]);
  if (other < 0) return;
  throw new QuernError(
    `rank ${other} on ${ranks.nodes[other]} has other files of ${model.name} than rank 0; give all nodes the same model`,
  );
}
