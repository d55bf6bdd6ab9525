/** @file A judge that is a language model on this machine. */
import type { CompileOptions } from "../../../backends/index.js";
import { QuernError } from "../../../errors.js";
import { CheckpointModel, openTextModel, requireChatTemplate } from "../../../infer/index.js";
import { type ChatMessage, renderChat } from "../../../tokenizer/index.js";
import type { Completion } from "../parsers.js";
import type { CompletionCache, StoredCompletion } from "./completion-cache.js";
import { dropped, hashOf, type Judge, type Judgement, type ShownPair } from "./judge.js";
import { modelIdentity } from "./model-identity.js";
import { type Asking, identityOfAsking, judgementsOf } from "./prompt-judge.js";
import { fillTemplate } from "./prompt-template.js";

export interface LocalJudgeOptions {
  readonly name?: string;
  readonly asking: Asking;
  /** Sampling of a configuration, such as `temperature`. Default greedy. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly cache?: CompletionCache;
  readonly target?: CompileOptions;
}

/** A prompt that is not in the cache. */
interface OpenPrompt {
  /** Index of its group of pairs. */
  readonly at: number;
  readonly key: string;
  readonly messages: readonly ChatMessage[];
  /** The messages in the chat template. */
  readonly text: string;
  /** Tokens of the text. */
  readonly length: number;
}

/** Prompts of one call, whose completions are stored together. */
const PROMPTS = 16;

/**
 * Opens a judge. A parser of log-probabilities gets those of its tokens as the first of the answer; other parsers get a generated
 * text. A prompt longer than the model's context drops its pair.
 * @throws QuernError for a model without a chat template
 */
export async function openLocalJudge(path: string, options: LocalJudgeOptions): Promise<Judge> {
  const { asking, parameters = {}, cache, target } = options;
  const opened = await openTextModel(path);
  try {
    requireChatTemplate(opened.tokenizer, opened.folder);
  } catch (error) {
    await opened.close();
    throw error;
  }
  const { tokenizer } = opened;
  const model = new CheckpointModel(opened, target);
  const identity = ["local", await modelIdentity(opened.folder)];
  const tokens = tokensOf(asking);
  const sampling = {
    tokens: asking.tokens,
    temperature: numberOr(parameters.temperature, 0),
    topP: numberOr(parameters.top_p, 1),
    seed: numberOr(parameters.seed, 0),
  };
  const most = model.sequence;

  /** Completes prompts that fit. */
  const complete = async (prompts: readonly OpenPrompt[], signal?: AbortSignal): Promise<readonly Completion[]> => {
    if (tokens !== null) {
      const requests = prompts.flatMap(({ text }) => tokens.map((continuation) => ({ context: text, continuation })));
      const scores = await model.logLikelihood(requests, { signal });
      return prompts.map((_, i) => {
        const top = tokens.map((token, t) => ({ token, logprob: scores[i * tokens.length + t].logLikelihood }));
        const best = top.reduce((one, other) => (other.logprob > one.logprob ? other : one));
        return { text: best.token, logprobs: [top] };
      });
    }
    const generations = await model.generate(
      prompts.map(({ messages }) => ({ messages })),
      { ...sampling, signal },
    );
    return generations.map(({ completions: [{ text }] }) => ({ text }));
  };

  return {
    ...{ name: options.name ?? path, model: path, seesOrder: true },
    ...{ group: PROMPTS * asking.template.pairs, concurrency: 1 },
    identity: [...identity, tokens === null ? sampling : null, identityOfAsking(asking)],
    async judge(pairs: readonly ShownPair[], { signal } = {}): Promise<readonly Judgement[]> {
      const groups: (readonly ShownPair[])[] = [];
      for (let at = 0; at < pairs.length; at += asking.template.pairs) {
        groups.push(pairs.slice(at, at + asking.template.pairs));
      }
      const judged: (readonly Judgement[])[] = groups.map(() => []);
      const open: OpenPrompt[] = [];
      for (const [at, group] of groups.entries()) {
        const messages = fillTemplate(asking.template, group);
        const text = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
        const key = hashOf([identity, text, tokens ?? sampling]);
        const found = await cache?.get(key);
        const length = found === undefined ? tokenizer.encode(text, { special: "allow" }).length : 0;
        const room = tokens === null ? Math.min(asking.tokens, most >> 3) : 1;
        if (found !== undefined) {
          judged[at] = judgementsOf(group, asking, { completion: found, seconds: 0, cached: true });
        } else if (length + room > most) {
          const detail = `the prompt has ${length} tokens, but the judge's context is ${most}`;
          judged[at] = group.map(() => dropped("too_long", detail));
        } else open.push({ at, key, messages, text, length });
      }
      if (open.length === 0) return judged.flat();
      const start = performance.now();
      const completions = await complete(open, signal);
      const seconds = (performance.now() - start) / 1000 / open.length;
      for (const [i, { at, key, length }] of open.entries()) {
        const written = tokens === null ? tokenizer.encode(completions[i].text).length : 1;
        const completion: StoredCompletion = {
          ...completions[i],
          finish_reason: null,
          prompt_tokens: length,
          completion_tokens: written,
        };
        await cache?.set(key, completion);
        judged[at] = judgementsOf(groups[at], asking, { completion, seconds, cached: false });
      }
      return judged.flat();
    },
    close: () => model.dispose(),
  };
}

/** The tokens whose log-probabilities a parser wants; null if it reads text. */
function tokensOf({ parserName, parserSettings, template }: Asking): readonly string[] | null {
  if (parserName !== "logprob_parser") return null;
  const { numerator_token, denominator_tokens, log_prob_index: index = "batch" } = parserSettings;
  if (template.pairs > 1 || (index !== "batch" && index !== 0)) {
    throw new QuernError("a local judge gives log-probabilities of its first token only: one pair, log_prob_index 0", {
      exitCode: 2,
    });
  }
  return [...new Set([...(denominator_tokens as readonly string[]), String(numerator_token)])];
}

const numberOr = (value: unknown, otherwise: number) => (typeof value === "number" ? value : otherwise);
