/** @file What a reward is: a function of a prompt, a completion and the example, whose value is a number. */
import { setMaxListeners } from "node:events";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { Content } from "../data/examples.js";

/** The fields of an example's row; its answer stands in `answer`. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Returns a number, the higher the better. Prompt and completion are texts or lists of messages, as the data had them: the
 * completion of a conversation is a list with one message of the assistant.
 */
export type Reward = (
  prompt: Content,
  completion: Content,
  example: Fields,
  context: RewardContext,
) => number | Promise<number>;

export interface RewardContext {
  /** Tokens of the completion, without the one that ends the text; undefined if the caller does not count them. */
  readonly tokens?: number;
  /** Aborted when the value is no longer needed, or the time for it is over. */
  readonly signal: AbortSignal;
}

/** A completion to be rewarded. */
export interface RewardCall {
  readonly prompt: Content;
  readonly completion: Content;
  readonly example: Fields;
  /** Where the example stands, for errors: `prompts.jsonl, line 7`. */
  readonly place: string;
  readonly tokens?: number;
}

/** Rewards many completions at once, and says by an error which one it failed on. */
export interface RewardSource {
  /** The name in metrics and errors. */
  readonly name: string;
  readonly score: (calls: readonly RewardCall[], signal: AbortSignal) => Promise<readonly number[]>;
  readonly close: () => Promise<void>;
}

/** Returns the text of a completion, or of the last message of a prompt. */
export function textOf(content: Content): string {
  if (typeof content === "string") return content;
  const body: unknown = content.at(-1)?.content;
  if (typeof body === "string") return body;
  if (!Array.isArray(body)) return "";
  // Parts of a message, as servers of several media take them.
  return (body as readonly { readonly text?: unknown }[])
    .map(({ text }) => (typeof text === "string" ? text : ""))
    .join("");
}

/** The error for a completion that a reward failed on. */
export function rewardError(name: string, { place, completion }: RewardCall, problem: string, cause?: unknown) {
  const text = textOf(completion);
  const shown = quoted(text.length > 80 ? `${text.slice(0, 79)}…` : text);
  const { exitCode } = cause instanceof QuernError ? cause : {};
  return new QuernError(`the reward ${name} ${problem} for ${place}, completion "${shown}"`, { exitCode, cause });
}

/** Checks a value that a reward returned. @throws QuernError for what is no finite number */
export function checkValue(name: string, call: RewardCall, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "number") throw rewardError(name, call, `returned ${value}`);
  const what = value === undefined ? "nothing" : value === null ? "null" : `a value of type ${typeof value}`;
  throw rewardError(name, call, `returned ${what} instead of a number`);
}

export interface FunctionOptions {
  /** Calls at the same time. */
  readonly concurrency: number;
  readonly timeoutSeconds: number;
}

/** Makes a source of a function. Calls run at the same time as far as the function waits. */
export function functionSource(
  name: string,
  reward: Reward,
  { concurrency, timeoutSeconds }: FunctionOptions,
): RewardSource {
  return {
    name,
    async score(calls, signal) {
      const values = new Array<number>(calls.length);
      const failed = new AbortController();
      const either = AbortSignal.any([signal, failed.signal]);
      setMaxListeners(0, either); // one for each call
      let next = 0;
      const work = async () => {
        while (next < calls.length && !either.aborted) {
          const index = next++;
          values[index] = await callReward(name, reward, calls[index], { timeoutSeconds, signal: either });
        }
      };
      const workers = Array.from({ length: Math.min(concurrency, calls.length) }, work);
      try {
        await Promise.all(workers);
      } catch (error) {
        failed.abort(error);
        await Promise.allSettled(workers);
        throw error;
      }
      signal.throwIfAborted();
      return values;
    },
    close: async () => {},
  };
}

interface CallOptions {
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

async function callReward(
  name: string,
  reward: Reward,
  call: RewardCall,
  { timeoutSeconds, signal }: CallOptions,
): Promise<number> {
  const over = new AbortController();
  const stop = () => over.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => over.abort(timedOut(name, call, timeoutSeconds)), 1000 * timeoutSeconds);
  const ended = new Promise<never>((_, reject) => {
    over.signal.addEventListener("abort", () => reject(over.signal.reason), { once: true });
  });
  ended.catch(() => {}); // also rejects when the reward came first
  let value: unknown;
  try {
    const { prompt, completion, example, tokens } = call;
    value = await Promise.race([reward(prompt, completion, example, { tokens, signal: over.signal }), ended]);
  } catch (error) {
    if (over.signal.aborted) throw over.signal.reason;
    throw rewardError(name, call, `failed (${quoted(messageOf(error))})`, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    over.abort();
  }
  return checkValue(name, call, value);
}

export const timedOut = (name: string, call: RewardCall, seconds: number) =>
  rewardError(name, call, `returned nothing within ${seconds} seconds`);

export const messageOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0].slice(0, 400);
