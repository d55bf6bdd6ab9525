/**
 * @file Checks a prediction: trains its plan on the tokens of the law's sweep, and compares the held-out loss with the interval. The
 * prediction is written before the training starts.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { type PlanAhead, pretrain } from "../../train/index.js";
import type { Interval } from "../fit/uncertainty.js";
import { readSweepFile, SWEEP_FILE } from "../sweep/sweep-plan.js";
import type { SweepConfig } from "../sweep/sweep-tasks.js";

/** The plan that is trained, and what the law says about its size and tokens, which are rounded to whole layers and steps. */
export interface CheckedPlan {
  readonly plan: PlanAhead;
  readonly params: number;
  readonly tokens: number;
  readonly loss: number;
  readonly loss_interval: Interval | null;
}

export interface PredictionCheck {
  /** The run folder. */
  readonly run: string;
  /** The file with the prediction. */
  readonly prediction: string;
  /** Of the trained model. */
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  /** Predicted for this size and token count, in nats per token. */
  readonly predicted: number;
  readonly predicted_interval: Interval | null;
  /** Measured on the held-out text of the sweep. */
  readonly loss: number;
  readonly bits_per_byte: number;
  /** (measured − predicted) / predicted */
  readonly error: number;
  /** Whether the measured loss lies within the predicted interval; null if the law gives no interval. */
  readonly held: boolean | null;
  readonly seconds: number;
}

/** Finds the sweep of a law: the named one, the source of the fit, or the folder of the law or the one above. */
export async function sweepOfLaw(law: { readonly path: string; readonly source?: unknown }, named?: string) {
  const beside = dirname(law.path);
  const places =
    named === undefined ? [...(typeof law.source === "string" ? [law.source] : []), beside, dirname(beside)] : [named];
  const folder = places.find((place) => existsSync(join(place, SWEEP_FILE)));
  if (folder === undefined) {
    throw new QuernError(
      `--check trains on the tokens of a sweep, but ${places.join(", ")} contain${places.length === 1 ? "s" : ""} no ${SWEEP_FILE}; name the sweep with --sweep`,
      { exitCode: 2 },
    );
  }
  return { folder, config: (await readSweepFile(folder)).config };
}

/** Trains the plan. A check that was interrupted continues from its last checkpoint, and a finished one is only evaluated again. */
export async function checkPlan(
  { plan: ahead, params, tokens, loss: predicted, loss_interval: interval }: CheckedPlan,
  sweep: { readonly folder: string; readonly config: SweepConfig },
  calls: { readonly threads?: number; readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<PredictionCheck> {
  const { model, steps, batch, sequence, accumulate } = ahead.plan;
  const checks = join(sweep.folder, "checks");
  const name = `l${model.layers}w${model.width}-b${batch * accumulate}x${sequence}-${steps}`;
  const [run, plan, prediction] = [join(checks, name), join(checks, `${name}-plan.json`), join(checks, `${name}.json`)];
  const started = performance.now();
  const before = { params, tokens, predicted, predicted_interval: interval, predicted_at: new Date().toISOString() };
  if (!existsSync(run)) {
    await writeFileAtomic(plan, `${JSON.stringify(ahead, null, 2)}\n`);
    await writeFileAtomic(prediction, `${JSON.stringify(before, null, 2)}\n`);
  }
  const { shards, tokenizer, heldOut } = sweep.config;
  const trained = await pretrain({
    ...{ plan, data: shards, tokenizer, out: run, resume: true, keep: 1, ...calls },
    brief: { heldOutTokens: heldOut },
  });
  const loss = trained.heldOutLoss;
  return {
    ...{ run, prediction, params, tokens, flops: tokens * trained.plan.training_flops_per_token },
    ...{ predicted, predicted_interval: interval, loss, bits_per_byte: trained.result.bits_per_byte ?? Number.NaN },
    error: loss / predicted - 1,
    held: interval === null ? null : loss >= interval[0] && loss <= interval[1],
    seconds: (performance.now() - started) / 1000,
  };
}
