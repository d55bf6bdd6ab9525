/** @file The plan of a run whose text is not known yet: from a law, a size and tokens. `pretrain --plan` takes it for any text. */
import { type Peak, peakOnce } from "../../backends/index.js";
import { countParameters } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import { oneRank } from "../distributed/ranks.js";
import { readLaw } from "../law.js";
import { chooseSizes, type PretrainPlan } from "./plan.js";
import { estimate, planFrom } from "./prepare-run.js";
import { type CheckedPretrainOptions, pretrainOptions } from "./pretrain-options.js";

/** What a plan file contains: a `run.json` without a run. */
export interface PlanAhead {
  readonly config: Partial<CheckedPretrainOptions>;
  readonly plan: PretrainPlan;
}

/**
 * Plans a run of about `params` parameters. It has `tokens` tokens, or as many as the FLOPs allow for the size in whole layers: a law may
 * want a smaller model than there is. The vocabulary, if none is given, follows from the FLOPs.
 * @throws QuernError if `law` is no law
 */
export async function planAhead(request: {
  readonly law: string;
  readonly flops: number;
  readonly params: number;
  readonly tokens?: number;
  readonly vocabSize?: number;
  /** Further options of the run. */
  readonly options?: Pick<CheckedPretrainOptions, "schedule" | "sequence" | "dtype" | "seed">;
  /** Bytes of the training text, if it is known; a small one limits the batch. */
  readonly textBytes?: number;
  readonly signal?: AbortSignal;
}): Promise<PlanAhead> {
  const { flops, params, vocabSize, options = {}, textBytes = Number.POSITIVE_INFINITY, signal } = request;
  const law = await readLaw(request.law);
  const given = { out: "run", ...definedOf({ vocabSize, ...options }) };
  const o = checkOptions(pretrainOptions, given);
  const sizes = chooseSizes(o, flops, textBytes, {
    law: { ...law, path: request.law },
    params,
  });
  const tokens = request.tokens ?? flops / (6 * countParameters(sizes.model));
  const steps = Math.max(1, Math.round(tokens / (sizes.batch * sizes.accumulate * sizes.sequence)));
  const peak: Peak | null = await peakOnce({ signal }).catch(() => null);
  const run = {
    o: { ...o, steps },
    before: null,
    fixed: null,
    law: null,
    minutes: null,
    peak,
    ranks: oneRank,
    threads: undefined,
  };
  const prepared = {
    ...{ sizes, dataset: null, encodingSeconds: 0, base: null, report: null, close: async () => {} },
    tokens: { training: Math.round(tokens), heldout: 0, bytes: 2 },
  };
  const plan = planFrom(run, prepared, await estimate(run, sizes), () => 0);
  const config = Object.fromEntries(Object.entries(given).filter(([key]) => key !== "out"));
  return { config, plan };
}

const definedOf = (options: object) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
