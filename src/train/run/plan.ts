/**
 * @file The part of a run's plan that all trainers share: everything that decides its numbers, fixed before the first
 * step.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Precision } from "../../backends/index.js";
import type { OptimizerOptions } from "../optimizer/optimizer.js";
import { SCHEDULES, type Schedule } from "../optimizer/schedule.js";

/** A nearer end, given to a run that turned out much too slow: from step `from` on it has `steps` steps. */
export interface Cut {
  readonly from: number;
  readonly steps: number;
}

export interface RunPlan {
  /** B, rows that go through the model at once; T, their tokens; and batches of a step. */
  readonly batch: number;
  readonly sequence: number;
  readonly accumulate: number;
  readonly steps: number;
  /** None, except where a run with `minutes` would have taken far longer than that. */
  readonly cuts: readonly Cut[];
  readonly schedule: Schedule;
  readonly optimizer: OptimizerOptions;
  readonly seed: number;
  readonly threads: number;
  /** Of the matrix products. */
  readonly precision: Precision;
  /** The instruction set's row. */
  readonly target: string;
  /** Steps between measurements on held-out data. */
  readonly validate_every: number;
  /** Steps between checkpoints; null for one every ten minutes. There is always one at the end. */
  readonly save_every: number | null;
  /** What the run is expected to take. */
  readonly expected: {
    readonly minutes: number;
    readonly memory_bytes: number;
    readonly disk_bytes: number;
  };
  /** Why each number is what it is. */
  readonly reasons: Readonly<Record<string, string>>;
  /** Warnings about settings that may be unintended, one sentence each. */
  readonly warnings: readonly string[];
}

const count = z.int().min(1);

/** What a loop reads of a plan; the rest is for people. Runs begun before optimizers had a `kind` are read as well. */
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
  precision: z.enum(["fp32", "bf16"]),
  validate_every: count.optional(),
  save_every: count.nullable().default(null),
};

function withKind(options: Readonly<Record<string, unknown>>): OptimizerOptions {
  const kind = options.kind ?? ("adamw" in options ? "muon" : "adamw");
  const own = kind === "muon" ? { adamw: { kind: "adamw", ...(options.adamw as object) } } : {};
  return { ...options, ...own, kind } as OptimizerOptions;
}

/** About ten measurements on held-out data a run; each takes about as long as a few steps. */
export const validationInterval = (steps: number) => Math.max(5, Math.ceil(steps / 10));

/** The planned number of steps, as seen at a given step: the learning rate follows it. */
export function stepsAt(plan: RunPlan, step: number): number {
  return plan.cuts.reduce((steps, cut) => (cut.from <= step ? cut.steps : steps), plan.steps);
}

/** How many steps the run has in the end. */
export function endOf(plan: RunPlan): number {
  return plan.cuts.at(-1)?.steps ?? plan.steps;
}

/**
 * A name for what a plan trains: its checkpoints carry it. Cuts come later and are no part of it.
 * @param model what is trained
 * @param more what else decides the numbers, by the trainer
 */
export function identityOf(plan: RunPlan, model: unknown, ...more: readonly unknown[]): string {
  const { batch, sequence, accumulate, steps, schedule, optimizer, seed } = plan;
  const deciding = [model, batch, sequence, accumulate, steps, schedule, optimizer, seed, ...more];
  // An optimizer's `kind` follows from its other fields, and checkpoints of older runs do not know it.
  const text = JSON.stringify(deciding, (key, value) =>
    key === "kind" && OPTIMIZER_KINDS.has(value) ? undefined : value,
  );
  return createHash("sha256").update(text).digest("hex");
}

const OPTIMIZER_KINDS: ReadonlySet<unknown> = new Set(["adamw", "muon"]);
