/**
 * @file PPO, top to bottom: prompts → completions of the policy → their rewards, less the KL divergence from the reference, token by
 * token → advantages by a value model → clipped updates of both (`run.ts`). A step is one minibatch of one pass over a rollout.
 */
import { join } from "node:path";
import type { z } from "zod";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { openTextModel } from "../infer/index.js";
import { openSafetensors, writeSafetensors } from "../model/index.js";
import { type CheckpointFormat, permute, type TrainingBatch, type TrainingProgram } from "../train/index.js";
import { divided, isOwn } from "./divided.js";
import { GAE_DEFAULTS, nextKlCoefficient, ppoTargets } from "./gae.js";
import { PPO_DEFAULTS } from "./losses/ppo.js";
import { ppoTrainer } from "./losses/ppo-trainer.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { createValue, dropoutValues, type Value, writeValue } from "./policy.js";
import { ppoOptions } from "./ppo-options.js";
import { openReference, type Reference } from "./reference.js";
import {
  openRunRewards,
  type Rollout,
  type RolloutRewards,
  rewardMetrics,
  rolloutMetrics,
  rolloutRows,
  scoreDivided,
} from "./rollout.js";
import { evaluateOn, openPrompts, rolloutInputs, rolloutLimits } from "./rollout-run.js";
import { createRolloutSource, type RolloutSource } from "./rollout-source.js";
import { runAlignment } from "./run.js";
import type { AlignCalls, AlignResult, Context, Task } from "./task.js";

export type PpoOptions = z.input<typeof ppoOptions> & AlignCalls;
type Checked = z.output<typeof ppoOptions>;

/**
 * Trains a policy on rewards of its own completions by PPO, with a value model that learns beside it; writes a run folder.
 * @throws QuernError for prompts or rewards that cannot be used, a value model of another shape, or a policy that collapses
 */
export function ppo(options: PpoOptions): Promise<AlignResult> {
  const inputs = (o: Checked) => [o.value, ...rolloutInputs(o)];
  return runAlignment("ppo", ppoOptions, options, inputs, preparePpo);
}

/** What is computed once of an iteration's completions. Lists hold the (B·T) numbers of each batch. */
interface Scored extends RolloutRewards {
  readonly sampled: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
  readonly advantages: readonly (readonly number[])[];
  readonly returns: readonly (readonly number[])[];
  readonly metrics: Readonly<Record<string, number>>;
  /** Coefficient of the KL in the next iteration. */
  readonly nextKlCoefficient: number;
}

async function preparePpo(context: Context<Checked>): Promise<Task> {
  const { o, signal, target } = context;
  const { updates = 4, minibatches = 1, batch = 8, seed = 0, maskTruncated = false } = o;
  if (batch % minibatches !== 0) {
    throw new QuernError(
      `a batch of ${counted(batch, "prompt")} cannot be divided into ${minibatches} equal minibatches`,
      {
        exitCode: 2,
      },
    );
  }
  const opened = await openPrompts(context);
  const { policy, prompts, tokens, sequence } = opened;
  const value = createValue(policy.config, policy.lora);
  refuseMemory({ ...policy, trainable: [...policy.trainable, ...value.trainable] });
  const rows = batch / minibatches;
  const losses = {
    epsilon: o.epsilon ?? PPO_DEFAULTS.epsilon,
    valueEpsilon: o.valueEpsilon ?? PPO_DEFAULTS.valueEpsilon,
    valueWeight: o.valueWeight ?? PPO_DEFAULTS.valueWeight,
    entropyBonus: o.entropyBonus ?? PPO_DEFAULTS.entropyBonus,
  };
  const gae = {
    ...GAE_DEFAULTS,
    klEstimator: o.klEstimator ?? GAE_DEFAULTS.klEstimator,
    gamma: o.gamma ?? GAE_DEFAULTS.gamma,
    lambda: o.lambda ?? GAE_DEFAULTS.lambda,
    whitenRewards: o.whitenRewards ?? false,
    missingEndPenalty: o.missingEosPenalty ?? 0,
  };
  const firstKlCoefficient = o.klCoef ?? GAE_DEFAULTS.klCoefficient;
  const rewards = await openRunRewards(opened.reward, o, {
    ...target,
    cpu: { threads: o.threads },
  });
  const shape = { batch: rows, sequence };
  let reference: Reference | null = null;
  const isMasked = ({ truncated }: Rollout) => maskTruncated && truncated;

  const source: RolloutSource<Scored> = createRolloutSource<Scored>({
    ...{
      policy,
      prompts,
      batch,
      group: 1,
      tokens,
      temperature: 1,
      updates: updates * minibatches,
      sequence,
      target,
      signal,
    },
    order: { order: o.order ?? "shuffled", seed },
    async score(rollouts, training) {
      const { ranks } = training;
      const scored = await scoreDivided(rewards, rollouts, { rows: batch, ranks, signal });
      const laid = chunks(rollouts, rows).map((some) => rolloutRows(some, rows, sequence, isMasked));
      const size = rows * sequence;
      const forward = await divided(ranks, laid.length, 3 * size, async (place) => {
        const each = laid[place];
        const sampled = await sampledBy(training, each, policy);
        const values = await valuesBy(training, each, policy);
        return [...sampled, ...values, ...(await (reference as Reference).score(each))];
      });
      const [sampled, values, referred] = [0, 1, 2].map((k) =>
        forward.map((all) => all.slice(k * size, (k + 1) * size)),
      );
      const klCoefficient = source.current()?.scored.nextKlCoefficient ?? firstKlCoefficient;
      const found = ppoTargets(
        {
          sequence,
          ...{ sampled: sampled.flat(), reference: referred.flat(), values: values.flat() },
          counted: laid.flatMap(({ targets }) => Array.from(targets, (id) => (id < 0 ? 0 : 1))),
          scores: scored.total,
          truncated: rollouts.map(({ truncated }) => truncated),
        },
        { ...gae, klCoefficient },
      );
      const cut = (list: Float32Array) => chunks(Array.from(list), rows * sequence);
      return {
        ...scored,
        ...{ sampled, values, advantages: cut(found.advantages), returns: cut(found.returns) },
        metrics: {
          ...rolloutMetrics(rollouts, scored.total, 1),
          ...rewardMetrics(rewards, scored.parts),
          ...{ kl: found.kl, kl_k1: found.klK1, kl_coefficient: klCoefficient },
          ...(found.explainedVariance !== null && { explained_variance: found.explainedVariance }),
        },
        nextKlCoefficient:
          o.klTarget === undefined
            ? klCoefficient
            : nextKlCoefficient(klCoefficient, found.completionKl, { target: o.klTarget, gain: KL_GAIN }),
      };
    },
    async batches({ rollouts, scored }, { number, step, accumulate }, { ranks }) {
      const pass = Math.floor(number / minibatches);
      // Each pass over a rollout divides it anew.
      const places = Array.from({ length: batch }, (_, i) => permute(i, batch, seed, step - number + pass));
      const part = places.slice((number % minibatches) * rows, ((number % minibatches) + 1) * rows);
      const own = Array.from({ length: accumulate }, (_, a) => a).filter((a) => isOwn(a, ranks));
      const batches = own.map((a): TrainingBatch => {
        const chosen = part.map((place) => a * batch + place);
        const take = (lists: readonly (readonly number[])[]) => {
          const taken = new Float32Array(rows * sequence);
          for (const [row, n] of chosen.entries()) {
            const start = (n % rows) * sequence;
            taken.set(lists[Math.floor(n / rows)].slice(start, start + sequence), row * sequence);
          }
          return taken;
        };
        const { ids, targets } = rolloutRows(
          chosen.map((n) => rollouts[n]),
          rows,
          sequence,
          isMasked,
        );
        return {
          ...{ ids, targets, sampled: take(scored.sampled), old_values: take(scored.values) },
          ...{ advantages: take(scored.advantages), returns: take(scored.returns) },
          ...dropoutValues(policy, seed, step * accumulate + a),
        };
      });
      return { batches, metrics: scored.metrics };
    },
  });

  return {
    model: policy.config,
    trainer: ppoTrainer(policy, value, shape, losses),
    rows,
    sequence,
    batch,
    examples: prompts.length * updates * minibatches,
    identity: [
      ...[prompts.map(({ ids }) => ids), losses, gae, firstKlCoefficient, o.klTarget, tokens, updates, minibatches],
      ...[o.reward, o.rewardWeights, o.value, maskTruncated],
    ],
    ...learningRateFor(3e-6, policy),
    reasons: {
      ...learningRateFor(3e-6, policy).reasons,
      batch: `${counted(batch, "prompt")}, ${counted(minibatches, "minibatch", "minibatches")}, ${counted(updates, "pass", "passes")}`,
      sequence: `the longest prompt and ${counted(tokens, "token")}`,
    },
    warnings: [],
    async writeWeights({ program }) {
      await policy.writeWeights(program);
      const start = await valueStart(o, value);
      try {
        await writeValue(program, value, { read: start?.read ?? policy.read, score: start?.score, seed });
      } finally {
        await start?.close();
      }
    },
    async begin(training) {
      reference ??= await openReference(policy, training, shape, target);
    },
    load: (step, accumulate, training) => source.load(step, accumulate, training),
    ahead: false,
    evaluation: null,
    evaluate: evaluateOn(opened, rewards, source, context),
    limits: rolloutLimits(o),
    state: source.state,
    format: ({ program }) => withValue(policy.format(program), value, program),
    close: async () => {
      source.close();
      reference?.dispose();
      await rewards.close();
    },
  };
}

/** Gain of the adaptive coefficient: a fiftieth of it per rollout at most (Ziegler et al., arXiv:1909.08593). */
const KL_GAIN = 0.1;

const chunks = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

type Laid = ReturnType<typeof rolloutRows>;

/** Log-probabilities of the targets (B·T) before the update: the decoder's, or in bf16 the trainer's own. */
async function sampledBy({ program }: TrainingProgram, rows: Laid, policy: Parameters<typeof dropoutValues>[0]) {
  if (program.plan.dtype === "fp32") return Array.from(rows.sampled);
  await program.run("score", { ids: rows.ids, targets: rows.targets, ...dropoutValues(policy, 0) });
  return Array.from(await program.read("log_probabilities"));
}

/** The value model's estimates (B·T). */
async function valuesBy({ program }: TrainingProgram, { ids }: Laid, policy: Parameters<typeof dropoutValues>[0]) {
  await program.run("values", { ids, ...dropoutValues(policy, 0) });
  return Array.from(await program.read("values"));
}

/** The model that the value model starts from; null for the policy itself. */
async function valueStart(o: Checked, { config }: Value) {
  const path = o.value ?? (await rewardFolder(o.reward ?? []));
  if (path === null) return null;
  const { model, close } = await openTextModel(path, { classifier: true });
  const same = (["family", "layers", "width", "heads", "keyValueHeads", "hidden", "vocabSize"] as const).every(
    (key) => model.config[key] === config[key],
  );
  if (same) return { read: model.readParameter, score: await model.readScore?.(), close };
  await close();
  if (o.value === undefined) return null; // a reward model of another shape
  throw new QuernError(`${path} has other sizes than the policy: the value model must have its shape`, { exitCode: 2 });
}

/** The first reward that is a reward model. */
async function rewardFolder(names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const opened = await openTextModel(name, { classifier: true }).catch(() => null);
    await opened?.close();
    if (opened?.model.readScore !== undefined) return name;
  }
  return null;
}

const VALUE_FILE = "value_model.safetensors";

/** Checkpoints of a policy with the value model's own variables beside it, for a run that is resumed. */
function withValue(
  format: CheckpointFormat,
  { trainable }: Value,
  program: TrainingProgram["program"],
): CheckpointFormat {
  return {
    write: async (folder) => {
      await format.write(folder);
      const tensors = trainable.map(({ name, variable }) => ({
        ...{ name, shape: variable.shape, dtype: "F32" as const },
        data: () => program.read(name),
      }));
      await writeSafetensors(join(folder, VALUE_FILE), tensors);
    },
    read: async (folder) => {
      await format.read(folder);
      const stored = await openSafetensors(join(folder, VALUE_FILE));
      try {
        for (const { name } of trainable) program.write(name, await stored.readFloats(name));
      } finally {
        await stored.close();
      }
    },
  };
}
