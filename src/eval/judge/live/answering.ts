/** @file Lets a model answer prompts before a judge compares them. Each group of answers is on disk before the next. */
import type { CompileOptions } from "../../../backends/index.js";
import { type AppendFile, openAppendFile, writeFileAtomic } from "../../../documents/index.js";
import {
  CheckpointModel,
  type GenerationOptions,
  type LanguageModel,
  openTextModel,
  requireChatTemplate,
  ServerModel,
} from "../../../infer/index.js";
import type { OnProgress } from "../../../progress.js";
import type { ChatMessage } from "../../../tokenizer/index.js";
import { outputRows } from "./annotation-files.js";
import { type AnswerSet, isAnswerFile, type JudgePrompt, readAnswers } from "./answers.js";
import { hashOf } from "./judge.js";
import { modelIdentity } from "./model-identity.js";
import { rowsOf } from "./rows.js";
import { addressOf, isAddress, onlyModel } from "./server-address.js";

export interface AnsweringOptions {
  readonly system?: string;
  /** Maximum tokens of an answer. */
  readonly tokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly seed: number;
  /** File of finished answers, which the same call resumes. */
  readonly log: string;
  readonly target?: CompileOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (warning: string) => void;
}

/** Prompts that a model answers at the same time. */
const PROMPTS = 32;

interface Answerer {
  readonly generator: string;
  readonly model: LanguageModel;
  readonly identity: unknown;
}

/**
 * Returns the answers of a file, or those of a model, which are also written to `outputs` as AlpacaEval's model outputs.
 * @throws QuernError as `readAnswers` and `answerPrompts`
 */
export async function answersOf(
  name: string,
  prompts: readonly JudgePrompt[],
  { outputs, ...options }: AnsweringOptions & { readonly outputs: string },
): Promise<AnswerSet> {
  if (isAnswerFile(name)) return readAnswers(name, prompts, options.signal);
  const set = await answerPrompts(name, prompts, options);
  const rows = outputRows(prompts, set.outputs as readonly string[], set.generator);
  await writeFileAtomic(outputs, `${JSON.stringify(rows, null, 1)}\n`);
  return set;
}

/**
 * Answers prompts with a model: a run, folder, `.gguf`, `hf://` address, or `URL#NAME` of a server.
 * @throws QuernError for a path without a model, or a model without a chat template
 */
export async function answerPrompts(
  name: string,
  prompts: readonly JudgePrompt[],
  options: AnsweringOptions,
): Promise<AnswerSet> {
  const { system, tokens, temperature, seed, log, signal, onProgress, onWarning } = options;
  const { generator, model, identity } = await openAnswerer(name, options);
  let file: AppendFile | undefined;
  try {
    file = await openAppendFile(log);
    const known = new Map<string, string>();
    for (const { key, output } of rowsOf(file.before)) {
      if (typeof key === "string" && typeof output === "string") known.set(key, output);
    }
    const sampling = { tokens, temperature, seed };
    const asked = prompts.map((prompt) => {
      const messages: readonly ChatMessage[] =
        system === undefined ? prompt.messages : [{ role: "system", content: system }, ...prompt.messages];
      return { prompt, messages, key: hashOf([identity, messages, sampling]) };
    });
    const open = [...new Map(asked.filter(({ key }) => !known.has(key)).map((each) => [each.key, each])).values()];
    for (let at = 0; at < open.length; at += PROMPTS) {
      const group = open.slice(at, at + PROMPTS);
      const calls: GenerationOptions = {
        ...{ ...sampling, signal },
        onWarning: (warning) => onWarning?.(`${generator}: ${warning}`),
        onProgress: ({ done }) =>
          onProgress?.({ task: `${generator} answers`, done: at + done, total: open.length, unit: "prompt" }),
      };
      const generations = await model.generate(
        group.map(({ messages }) => ({ messages })),
        calls,
      );
      const rows = generations.map(({ completions: [{ text, finishReason }] }, i) => {
        const { key, prompt } = group[i];
        known.set(key, text);
        return { key, instruction: prompt.instruction, output: text, generator, finish_reason: finishReason };
      });
      await file.append(rows);
    }
    return { generator, outputs: asked.map(({ key }) => known.get(key) as string) };
  } finally {
    await file?.close();
    await model.dispose();
  }
}

async function openAnswerer(
  name: string,
  { target, signal, onWarning }: Pick<AnsweringOptions, "target" | "signal" | "onWarning">,
): Promise<Answerer> {
  if (isAddress(name)) {
    const { url, model = await onlyModel(url, { signal, onWarning }) } = addressOf(name);
    return { generator: model, model: new ServerModel({ baseUrl: url, model }), identity: ["server", url, model] };
  }
  const opened = await openTextModel(name);
  try {
    requireChatTemplate(opened.tokenizer, opened.folder);
  } catch (error) {
    await opened.close();
    throw error;
  }
  const identity = ["local", await modelIdentity(opened.folder)];
  return { generator: name, model: new CheckpointModel(opened, target), identity };
}
