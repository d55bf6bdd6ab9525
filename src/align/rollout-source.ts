/**
 * @file Batches made of rollouts. An iteration samples completions of some prompts with the policy as it is then, scores them, and
 * feeds `updates` optimizer steps. Which prompts, and which random numbers, depends on the iteration alone. Checkpoints keep the
 * rollouts that are in use, so that a run that is resumed between two updates continues with the same bits.
 */
import type { Decoder } from "../infer/index.js";
import type { TrainingBatch, TrainingProgram } from "../train/index.js";
import { type ExampleOrder, examplesOf } from "./data/batches.js";
import { isOwn } from "./divided.js";
import type { OpenPolicy } from "./policy.js";
import { openRolloutDecoder, type Rollout, type RolloutPrompt, sampleRollouts, tokensIn } from "./rollout.js";
import type { StepBatches, Task } from "./task.js";

/** Rollouts of an iteration with what was computed of them once. */
export interface Iteration<T> {
  readonly rollouts: readonly Rollout[];
  /** JSON. */
  readonly scored: T;
}

export interface RolloutSourceOptions<T> {
  readonly policy: OpenPolicy;
  readonly prompts: readonly RolloutPrompt[];
  readonly order: ExampleOrder;
  /** Prompts of a batch, and completions of each prompt. */
  readonly batch: number;
  readonly group: number;
  /** Longest completion, in tokens. */
  readonly tokens: number;
  readonly temperature: number;
  /** Optimizer steps per iteration. */
  readonly updates: number;
  /** T, of the program's rows. */
  readonly sequence: number;
  readonly target: object | undefined;
  readonly signal?: AbortSignal;
  /** Scores the rollouts of an iteration, the same on all ranks; called once. */
  score(rollouts: readonly Rollout[], training: TrainingProgram): Promise<T>;
  /** This rank's batches of one of its updates, and the metrics of all. */
  batches(
    iteration: Iteration<T>,
    update: { readonly number: number; readonly step: number; readonly accumulate: number },
    training: TrainingProgram,
  ): Promise<{ readonly batches: readonly TrainingBatch[]; readonly metrics: Readonly<Record<string, number>> }>;
}

export interface RolloutSource<T> extends Required<Pick<Task, "state">> {
  load(step: number, accumulate: number, training: TrainingProgram): Promise<StepBatches>;
  /** Completions of other prompts, greedy, such as held-out ones. */
  greedy(prompts: readonly RolloutPrompt[], training: TrainingProgram): Promise<Rollout[]>;
  /** The iteration in use. */
  current(): Iteration<T> | null;
  close(): void;
}

interface StoredIteration<T> {
  readonly number: number;
  readonly scored: T;
  readonly rollouts: readonly (Omit<Rollout, "prompt"> & { readonly prompt: number })[];
}

export function createRolloutSource<T>(options: RolloutSourceOptions<T>): RolloutSource<T> {
  const { policy, prompts, order, batch, group, tokens, temperature, updates, sequence, target, signal } = options;
  let decoder: Decoder | null = null;
  let iteration: (Iteration<T> & { readonly number: number; readonly promptNumbers: readonly number[] }) | null = null;
  const decoderFor = (training: TrainingProgram) => {
    decoder ??= openRolloutDecoder(policy, training, sequence, target);
    return decoder;
  };

  /** What the last iteration's rollouts and their scores took. */
  let seconds = { rollout_seconds: 0, scoring_seconds: 0 };
  async function sample(number: number, accumulate: number, training: TrainingProgram) {
    const started = performance.now();
    const promptNumbers = Array.from({ length: accumulate }, (_, i) =>
      examplesOf(number * accumulate + i, batch, prompts.length, order),
    ).flat();
    const chosen = promptNumbers.map((i) => prompts[i]);
    // Seeds of completions follow each other: those of two iterations never meet.
    const seed = order.seed * 2 ** 32 + number * chosen.length * group;
    const { ranks } = training;
    // Each rank samples the completions of its own batches.
    const places = chosen.flatMap((_, place) => (isOwn(Math.floor(place / batch), ranks) ? [place] : []));
    const own = await sampleRollouts(
      decoderFor(training),
      policy,
      places.map((place) => chosen[place]),
      { ...{ group, tokens, temperature, seed, places, signal } },
    );
    const all = await ranks.share(own.map(({ prompt: _, ...rollout }) => rollout));
    const rollouts = chosen.flatMap((prompt, place) => {
      const at = Math.floor(place / batch);
      const first = (Math.floor(at / ranks.size) * batch + (place % batch)) * group;
      return all[at % ranks.size].slice(first, first + group).map((rollout): Rollout => ({ ...rollout, prompt }));
    });
    const sampledAt = performance.now();
    const scored = await options.score(rollouts, training);
    seconds = {
      rollout_seconds: (sampledAt - started) / 1000,
      scoring_seconds: (performance.now() - sampledAt) / 1000,
    };
    return { number, promptNumbers, rollouts, scored };
  }

  return {
    async load(step, accumulate, training) {
      const number = Math.floor(step / updates);
      seconds = { rollout_seconds: 0, scoring_seconds: 0 };
      if (iteration?.number !== number) iteration = await sample(number, accumulate, training);
      const update = { number: step % updates, step, accumulate };
      const { batches, metrics } = await options.batches(iteration, update, training);
      return { batches, metrics: { ...metrics, ...seconds }, tokens: tokensIn(iteration.rollouts) };
    },
    async greedy(others, training) {
      const settings = { group: 1, tokens, temperature: 0, seed: 0, signal };
      return sampleRollouts(decoderFor(training), policy, others, settings);
    },
    current: () => iteration,
    state: {
      read(): StoredIteration<T> | null {
        if (iteration === null) return null;
        const { number, scored, rollouts, promptNumbers } = iteration;
        const stored = rollouts.map((rollout, i) => ({ ...rollout, prompt: promptNumbers[Math.floor(i / group)] }));
        return { number, scored, rollouts: stored };
      },
      write(value) {
        const stored = value as StoredIteration<T> | null;
        iteration = stored && {
          number: stored.number,
          scored: stored.scored,
          rollouts: stored.rollouts.map((rollout) => ({ ...rollout, prompt: prompts[rollout.prompt] })),
          promptNumbers: stored.rollouts.filter((_, i) => i % group === 0).map(({ prompt }) => prompt),
        };
      },
    },
    close: () => decoder?.dispose(),
  };
}
