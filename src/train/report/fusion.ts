/** @file What fusion saves in a training program, as a few numbers for the run's record. */
import { type ComputeDType, explain, type Totals } from "../../backends/index.js";
import type { ModelConfig } from "../../model/index.js";
import { languageModelTrainer, type TrainingShape } from "../pretrain/language-model.js";
import { type TrainingOptions, traceTrainer } from "../trainer.js";

/** Costs of a step of one batch (forward, backward, update), with fusion and with one kernel per operation. */
export interface FusionSavings {
  readonly fused: Totals;
  readonly unfused: Totals;
  /** Memory of the program in bytes, without the kernels' scratch. */
  readonly arena_bytes: number;
  readonly unfused_arena_bytes: number;
  /** The fused kernels with the most memory traffic. */
  readonly kernels: readonly { readonly what: string; readonly launches: number; readonly bytes: number }[];
}

const SHOWN = 8;

/** Compiles the program of a plan with and without fusion and compares the costs; runs nothing. */
export function fusionSavings(
  plan: TrainingShape &
    TrainingOptions & { readonly model: ModelConfig; readonly precision: ComputeDType; readonly target?: string },
): FusionSavings {
  const { firstGradient, update } = traceTrainer(languageModelTrainer(plan.model, plan), plan).entries;
  const { entries, arenaBytes, unfusedArenaBytes } = explain({ firstGradient, update }, plan.precision, plan.target);
  const sum = (which: "fused" | "unfused"): Totals => {
    const add = (key: keyof Totals) => entries.reduce((total, entry) => total + entry[which][key], 0);
    return { launches: add("launches"), flops: add("flops"), bytes: add("bytes"), bf16Flops: add("bf16Flops") };
  };
  const kernels = entries.flatMap((entry) => entry.kernels).sort((a, b) => b.bytes - a.bytes);
  return {
    fused: sum("fused"),
    unfused: sum("unfused"),
    arena_bytes: arenaBytes,
    unfused_arena_bytes: unfusedArenaBytes,
    kernels: kernels.slice(0, SHOWN).map(({ what, launches, bytes }) => ({ what, launches, bytes })),
  };
}
