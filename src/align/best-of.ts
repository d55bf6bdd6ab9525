/**
 * @file Best of n: completions of each prompt ranked by rewards; and rejection sampling, which keeps the good ones as examples
 * for fine-tuning (Yuan et al. 2023, Touvron et al. 2023). The library function behind `quern generate --best-of`.
 */
import type { z } from "zod";
import { LineFile, readRows, withOutput } from "../documents/index.js";
import { QuernError } from "../errors.js";
import {
  type CompletionResult,
  type GenerateOptions,
  generate,
  generateOptions,
  type NamedPrompt,
  type PromptResult,
} from "../infer/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { rankingOptions } from "./best-of-options.js";
import { type Content, exampleOf, formOf } from "./data/examples.js";
import { openRewards, type Rewards, type RewardsOptions } from "./rewards/open-rewards.js";
import type { Fields, Reward, RewardCall } from "./rewards/reward.js";

const bestOfOptions = generateOptions.extend(rankingOptions.shape);

export type BestOfOptions = Omit<z.input<typeof bestOfOptions>, "n" | "topLogits" | "reward" | "bestOf"> & {
  /** Completions per prompt. */
  readonly bestOf: number;
  /** Names, files, folders or functions. */
  readonly reward: readonly (string | Reward)[];
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onWarning?: (warning: string) => void;
  /** Called with each result, in prompt order, as soon as it and all earlier ones are rewarded. */
  readonly onResult?: (result: RankedResult, prompt: number) => void;
  readonly target?: GenerateOptions["target"];
  readonly openModel?: RewardsOptions["openModel"];
};

export interface RankedCompletion extends CompletionResult {
  /** The weighted sum of the rewards. */
  readonly reward: number;
  /** The value of each reward, without weights. */
  readonly rewards: Readonly<Record<string, number>>;
}

export interface RankedResult extends PromptResult {
  /** The best first; those with equal rewards in the order of their seeds. */
  readonly completions: readonly RankedCompletion[];
}

export interface BestOfResult {
  /** In the order of the prompts. */
  readonly results: readonly RankedResult[];
  /** Mean reward of all completions. */
  readonly reward: number;
  /** Mean reward of the best completions. */
  readonly best_reward: number;
  /**
   * Upper bound of the KL divergence between the best of n and the model in nats: ln n − (n − 1) / n (Stiennon et al. 2020).
   */
  readonly kl_bound: number;
  /** The file that was written, and its rows. */
  readonly out?: string;
  readonly rows?: number;
  readonly warnings: readonly string[];
}

/** A prompt with what a reward needs. */
interface Question {
  readonly content: Content;
  readonly fields: Fields;
  readonly place: string;
}

/**
 * Generates `bestOf` completions of each prompt and ranks them by their rewards. Prompts are rows with `prompt` or `messages`
 * and whatever else the rewards need. With `out`, writes the best completion of each prompt, or with `keepAbove` every
 * different one above that reward, as rows with `prompt`, `completion`, `reward` and the other fields.
 * @throws QuernError as `generate` and `openRewards`, and if a reward fails
 */
export async function bestOf(options: BestOfOptions): Promise<BestOfResult> {
  const { signal, onProgress, onWarning, onResult, target, openModel, reward, ...rest } = options;
  const names = reward.filter((each) => typeof each === "string");
  const o = checkOptions(bestOfOptions, { ...rest, ...(names.length > 0 && { reward: names }) });
  if (o.bestOf === undefined) throw new QuernError("bestOf is missing: the completions per prompt", { exitCode: 2 });
  if (o.keepAbove !== undefined && o.out === undefined) {
    throw new QuernError("keepAbove chooses what is written to out; give out too", { exitCode: 2 });
  }
  const work = async (): Promise<BestOfResult> => {
    const questions = await readQuestions(o, signal);
    const rewards = await openRewards(reward, {
      weights: o.rewardWeights,
      timeoutSeconds: o.rewardTimeout,
      allowCode: o.allowCode,
      openModel,
    });
    try {
      const ranked = await rankAll(questions, rewards, { ...options, o });
      const summary = summaryOf(ranked.results, o.bestOf as number);
      if (o.out === undefined) return { ...ranked, ...summary };
      const rows = rowsOf(questions, ranked.results, o.keepAbove);
      const file = await LineFile.create(o.out);
      for (const row of rows) await file.write(JSON.stringify(row));
      await file.commit();
      return { ...ranked, ...summary, out: o.out, rows: rows.length };
    } finally {
      await rewards.close();
    }
  };
  if (o.out === undefined) return work();
  const inputs = [o.model, o.prompts ?? "", ...names].filter((path) => path !== "" && !/^\w+:/.test(path));
  return withOutput({ verb: "generate", out: o.out, inputs, force: o.force }, work);
}

type Checked = z.output<typeof bestOfOptions>;

async function readQuestions({ prompt, prompts }: Checked, signal?: AbortSignal): Promise<readonly Question[]> {
  if ((prompt === undefined) === (prompts === undefined)) {
    throw new QuernError("give prompt or prompts, and not both", { exitCode: 2 });
  }
  if (prompt !== undefined) return [{ content: prompt, fields: { prompt }, place: "the prompt" }];
  const questions: Question[] = [];
  for await (const row of readRows([prompts as string], { strict: true, signal })) {
    const example = exampleOf(row, formOf(row, ["prompt", "messages"]));
    const content = example.form === "messages" ? example.messages : example.form === "prompt" ? example.prompt : "";
    questions.push({ content, fields: row.fields, place: row.place });
  }
  return questions;
}

interface RankOptions extends Pick<BestOfOptions, "signal" | "onProgress" | "onWarning" | "onResult" | "target"> {
  readonly o: Checked;
}

/** Generates and rewards; a prompt is rewarded while others are still generated. */
async function rankAll(
  questions: readonly Question[],
  rewards: Rewards,
  { o, signal, onProgress, onWarning, onResult, target }: RankOptions,
): Promise<{ readonly results: readonly RankedResult[]; readonly warnings: readonly string[] }> {
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const ranking: Promise<RankedResult>[] = [];
  let reported: Promise<void> = Promise.resolve();
  const add = (result: PromptResult, index: number) => {
    const ranked = rank(result, questions[index], rewards, either);
    ranking.push(ranked);
    reported = Promise.all([ranked, reported]).then(([done]) => onResult?.(done, index));
    reported.catch((error: unknown) => stop.abort(error));
  };
  const list = questions.map(({ content, place }): NamedPrompt => {
    return { name: place, prompt: typeof content === "string" ? { prompt: content } : { messages: content } };
  });
  const sampling = Object.fromEntries(Object.entries(o).filter(([key]) => key in generateOptions.shape));
  const { model, prompt: _, prompts: __, ...settings } = sampling as z.output<typeof generateOptions>;
  try {
    const given = { ...settings, model, list, n: o.bestOf, target, signal: either, onProgress, onWarning };
    const { warnings } = await generate({ ...given, onResult: add });
    const results = await Promise.all(ranking);
    await reported;
    return { results, warnings };
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled([...ranking, reported]);
    throw signal?.aborted ? signal.reason : stop.signal.reason;
  }
}

async function rank(
  result: PromptResult,
  { content, fields, place }: Question,
  rewards: Rewards,
  signal: AbortSignal,
): Promise<RankedResult> {
  const calls = result.completions.map(
    ({ text, ids }): RewardCall => ({
      ...{ prompt: content, completion: answerTo(content, text) },
      ...{ example: fields, place, tokens: ids.length },
    }),
  );
  const { total, each } = await rewards.score(calls, { signal });
  const completions = result.completions.map((completion, i): RankedCompletion => {
    const values = Object.fromEntries(rewards.names.map((name, r) => [name, each[r][i]]));
    return { ...completion, reward: total[i], rewards: values };
  });
  return { ...result, completions: completions.toSorted((a, b) => b.reward - a.reward) };
}

/** A completion in the form of its prompt. */
const answerTo = (prompt: Content, text: string): Content =>
  typeof prompt === "string" ? text : [{ role: "assistant", content: text }];

function summaryOf(results: readonly RankedResult[], n: number) {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    reward: mean(results.flatMap(({ completions }) => completions.map(({ reward }) => reward))),
    best_reward: mean(results.map(({ completions }) => completions[0].reward)),
    kl_bound: Math.log(n) - (n - 1) / n,
  };
}

/** Rows for fine-tuning: the best completion of each prompt, or all different ones with a reward above a bound. */
function rowsOf(questions: readonly Question[], results: readonly RankedResult[], above?: number): readonly object[] {
  return results.flatMap(({ completions }, i) => {
    const { messages: _, ...fields } = questions[i].fields;
    const prompt = questions[i].content;
    const good = above === undefined ? completions.slice(0, 1) : completions.filter(({ reward }) => reward > above);
    const different = good.filter(({ text }, at) => good.findIndex((other) => other.text === text) === at);
    return different.map(({ text, reward }) => ({ ...fields, prompt, completion: answerTo(prompt, text), reward }));
  });
}
