/**
 * @file The part of a run's plan that all trainers share: every setting that determines its results, fixed before the
 * first step.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { ComputeDType } from "../../backends/index.js";
import type { OptimizerOptions } from "../optimizer/optimizer.js";
import { SCHEDULES, type Schedule } from "../optimizer/schedule.js";

/** An earlier end for a run that was much too slow: from step `from` on, the run has `steps` steps in total. */
export interface Cut {
  readonly from: number;
  readonly steps: number;
}

export interface RunPlan {
  /** B, rows per batch; T, tokens per row; and batches per optimizer step. */
  readonly batch: number;
  readonly sequence: number;
  readonly accumulate: number;
  readonly steps: number;
  /** Empty, unless a run with `minutes` would have taken far longer than that. */
  readonly cuts: readonly Cut[];
  readonly schedule: Schedule;
  readonly optimizer: OptimizerOptions;
  readonly seed: number;
  readonly threads: number;
  /** Dtype of the matrix products. */
  readonly precision: ComputeDType;
  /** Instruction set of the program. */
  readonly target: string;
  /** Steps between evaluations on held-out data; null for one after the last step. */
  readonly validate_every: number | null;
  /** Steps between checkpoints; null for one every ten minutes. The last step always saves one. */
  readonly save_every: number | null;
  /** Estimates for the run. */
  readonly expected: {
    readonly minutes: number;
    readonly memory_bytes: number;
    readonly disk_bytes: number;
  };
  /** The reason for each derived setting, by its name. */
  readonly reasons: Readonly<Record<string, string>>;
  /** Warnings about settings that may be unintended, one sentence each. */
  readonly warnings: readonly string[];
}

const count = z.int().min(1);

/** The fields of a plan that the loop reads; the rest is for people. Accepts older runs, whose optimizers have no `kind`. */
export const runPlanFields = {
  batch: count,
  sequence: count,
  accumulate: count,
  steps: count,
  cuts: z.array(z.object({ from: count, steps: count })),
  schedule: z.object({
    kind: z.enum(SCHEDULES),
    learningRate: z.number().positive(),
    warmupSteps: z.int().min(0),
    decaySteps: z.int().min(0),
    finalShare: z.number().min(0).max(1),
  }),
  optimizer: z.looseObject({}).transform(withKind),
  seed: z.int().min(0),
  threads: count,
  precision: z.enum(["fp32", "bf16", "fp8"]),
  validate_every: count.optional(),
  save_every: count.nullable().default(null),
};

function withKind(options: Readonly<Record<string, unknown>>): OptimizerOptions {
  const kind = options.kind ?? ("adamw" in options ? "muon" : "adamw");
  const own = kind === "muon" ? { adamw: { kind: "adamw", ...(options.adamw as object) } } : {};
  return { ...options, ...own, kind } as OptimizerOptions;
}

/** About ten evaluations on held-out data per run; each takes as long as a few steps. */
export const validationInterval = (steps: number) => Math.max(5, Math.ceil(steps / 10));

/** Returns the planned number of steps as of a given step; the learning rate depends on it. */
export function stepsAt(plan: RunPlan, step: number): number {
  return plan.cuts.reduce((steps, cut) => (cut.from <= step ? cut.steps : steps), plan.steps);
}

/** Returns the number of steps after all cuts. */
export function endOf(plan: RunPlan): number {
  return plan.cuts.at(-1)?.steps ?? plan.steps;
}

/**
 * Returns a hash of everything that determines what a plan trains; its checkpoints store it. Cuts come later and are left
 * out.
 * @param model the model's config
 * @param more further values of the trainer that determine the result
 */
export function identityOf(plan: RunPlan, model: unknown, ...more: readonly unknown[]): string {
  const { batch, sequence, accumulate, steps, schedule, optimizer, seed } = plan;
  const deciding = [model, batch, sequence, accumulate, steps, schedule, optimizer, seed, ...more];
  // Leaves out the optimizer's `kind`: it follows from the other fields, and older checkpoints were hashed without it.
  const text = JSON.stringify(deciding, (key, value) =>
    key === "kind" && OPTIMIZER_KINDS.has(value) ? undefined : value,
  );
  return createHash("sha256").update(text).digest("hex");
}

const OPTIMIZER_KINDS: ReadonlySet<unknown> = new Set(["adamw", "muon"]);
