/** @file Opens rewards by name, file, folder or function, and adds them up with weights. */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { counted } from "../../counted.js";
import { QuernError } from "../../errors.js";
import { nearest } from "../../options.js";
import type { Content } from "../data/examples.js";
import type { RewardModel } from "../reward-model.js";
import { BUILT_IN, parseBuiltIn } from "./built-in.js";
import { checkValue, functionSource, type Reward, type RewardCall, type RewardSource, textOf } from "./reward.js";
import { isRewardFile, openRewardFile } from "./reward-file.js";

export interface RewardsOptions {
  /** One weight per reward. Default 1 each. */
  readonly weights?: readonly number[];
  /** Calls of a reward at the same time. Default 16. */
  readonly concurrency?: number;
  /** Seconds for one call. Default 60. */
  readonly timeoutSeconds?: number;
  /** Whether generated code may run where the system cannot isolate it. Default false. */
  readonly allowCode?: boolean;
  /** Opens the reward model of a folder. Default `openRewardModel`. */
  readonly openModel?: (path: string) => Promise<Pick<RewardModel, "score" | "dispose">>;
}

/** Values of some completions, in their order. */
export interface RewardValues {
  /** The weighted sum of the rewards. */
  readonly total: Float64Array<ArrayBuffer>;
  /** The values of each reward, in the order of `names`, without weights. */
  readonly each: readonly (readonly number[])[];
}

export interface Rewards {
  /** A different name for each reward, for metrics. */
  readonly names: readonly string[];
  readonly weights: readonly number[];
  /**
   * Rewards some completions.
   * @throws QuernError that names the reward, the row and the completion, if a reward fails, returns something else than a
   * finite number, or returns nothing in time; the signal's reason
   */
  readonly score: (calls: readonly RewardCall[], options?: { readonly signal?: AbortSignal }) => Promise<RewardValues>;
  readonly close: () => Promise<void>;
}

/**
 * Opens rewards. Each is a built-in name with its options (`math`, `length:target=50`), a TypeScript or JavaScript file, a run
 * or folder with a reward model, or a function.
 * @throws QuernError for an unknown name, wrong options, a file without a reward, or another number of weights
 */
export async function openRewards(
  rewards: readonly (string | Reward)[],
  options: RewardsOptions = {},
): Promise<Rewards> {
  if (rewards.length === 0) throw new QuernError("no reward is given", { exitCode: 2 });
  const weights = options.weights ?? rewards.map(() => 1);
  if (weights.length !== rewards.length) {
    throw new QuernError(
      `${counted(rewards.length, "reward")} but ${counted(weights.length, "weight")}; give each reward a weight`,
      { exitCode: 2 },
    );
  }
  const sources: RewardSource[] = [];
  const close = async () => {
    await Promise.all(sources.map((source) => source.close()));
  };
  try {
    for (const reward of rewards) sources.push(await openReward(reward, options));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    names: distinct(sources.map(({ name }) => name)),
    weights,
    async score(calls, { signal } = {}) {
      const failed = new AbortController();
      const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
      const scoring = sources.map((source) => source.score(calls, either));
      for (const each of scoring) each.catch((error: unknown) => failed.abort(error));
      const each = await Promise.all(scoring).catch((error: unknown) => {
        throw failed.signal.aborted && !signal?.aborted ? failed.signal.reason : error;
      });
      const total = Float64Array.from(calls, (_, i) =>
        each.reduce((sum, values, r) => sum + weights[r] * values[i], 0),
      );
      return { total, each };
    },
    close,
  };
}

const MAX_SECONDS = (2 ** 31 - 1) / 1000;

async function openReward(reward: string | Reward, options: RewardsOptions): Promise<RewardSource> {
  const { concurrency = 16, allowCode = false } = options;
  const timeoutSeconds = Math.min(options.timeoutSeconds ?? 60, MAX_SECONDS);
  if (typeof reward === "function") {
    return functionSource(reward.name || "reward", reward, { concurrency, timeoutSeconds });
  }
  if (isRewardFile(reward)) return openRewardFile(reward, { concurrency, timeoutSeconds });
  const call = parseBuiltIn(reward);
  if (call !== undefined) {
    const opened = await call.builtIn.open(call.options, { allowCode });
    const limits = {
      concurrency: opened.concurrency ?? concurrency,
      timeoutSeconds: opened.hasOwnLimit ? MAX_SECONDS : timeoutSeconds,
    };
    return { ...functionSource(call.name, opened.reward, limits), close: opened.close ?? (async () => {}) };
  }
  const isFolder = await stat(reward).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder || reward.startsWith("hf://")) {
    const openModel = options.openModel ?? (await import("../reward-model.js")).openRewardModel;
    return modelSource(basename(resolve(reward)), await openModel(reward));
  }
  const near = nearest(reward.split(":")[0], Object.keys(BUILT_IN));
  throw new QuernError(
    `there is no reward ${reward}: it is neither a .ts or .js file, nor a folder with a reward model, nor one of ` +
      `${Object.keys(BUILT_IN).join(", ")}${near === undefined ? "" : `; did you mean ${near}?`}`,
    { exitCode: 2 },
  );
}

/** Makes a source of a reward model. It rates the whole text or conversation. */
function modelSource(name: string, model: Pick<RewardModel, "score" | "dispose">): RewardSource {
  return {
    name,
    async score(calls, signal) {
      const texts = calls.map(({ prompt, completion }): Content => {
        if (typeof prompt === "string" && typeof completion === "string") return prompt + completion;
        const turns = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
        return [...turns, { role: "assistant", content: textOf(completion) }];
      });
      const values = await model.score(texts, { signal });
      return calls.map((call, i) => checkValue(name, call, values[i]));
    },
    close: () => model.dispose(),
  };
}

/** Numbers the second and later ones of the same name: `regex`, `regex_2`. */
function distinct(names: readonly string[]): readonly string[] {
  return names.map((name, i) => {
    const earlier = names.slice(0, i).filter((other) => other === name).length;
    return earlier === 0 ? name : `${name}_${earlier + 1}`;
  });
}
