/** @file What fusing a training program's operations saves, in numbers small enough to keep with a run. */
import { explain, type Precision, type Totals } from "../../backends/index.js";
import type { ModelConfig } from "../../model/index.js";
import { languageModelTrainer, type TrainingShape } from "../pretrain/language-model.js";
import { type TrainingOptions, traceTrainer } from "../trainer.js";

/** A step of one batch, forward, backward and update: as it runs, and with a kernel for every operation. */
export interface FusionSavings {
  readonly fused: Totals;
  readonly unfused: Totals;
  /** All memory of the program without the kernels' own scratch. */
  readonly arena_bytes: number;
  readonly unfused_arena_bytes: number;
  /** The kernels that touch most memory, with those operations that were melted into them. */
  readonly kernels: readonly { readonly what: string; readonly launches: number; readonly bytes: number }[];
}

const SHOWN = 8;

/** Compiles the program of a plan twice, with fusion and without, and compares; runs nothing. */
export function fusionSavings(
  plan: TrainingShape & TrainingOptions & { readonly model: ModelConfig; readonly precision: Precision },
): FusionSavings {
  const { firstGradient, update } = traceTrainer(languageModelTrainer(plan.model, plan), plan).entries;
  const { entries, arenaBytes, unfusedArenaBytes } = explain({ firstGradient, update }, plan.precision);
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
