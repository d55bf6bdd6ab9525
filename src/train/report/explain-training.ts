/** @file Describes a training program as lines of text: its kernels, and what fusion saved. */
import { type EntryCost, type Explanation, explain, type Totals } from "../../backends/index.js";
import { languageModelTrainer } from "../pretrain/language-model.js";
import type { PretrainPlan } from "../pretrain/plan.js";
import type { RunPlan } from "../run/plan.js";
import { type Trainer, traceTrainer } from "../trainer.js";

/** Kernels of an entry that get their own line; the rest are summed. */
const SHOWN = 12;

/** Lists the kernels of a plan's program, with and without fusion. Compiles both, which takes seconds for large models. */
export function explainTraining(plan: PretrainPlan): string[] {
  return explainTrainer(languageModelTrainer(plan.model, plan), plan);
}

/** The same of any trainer. */
export function explainTrainer(
  trainer: Trainer,
  plan: Pick<RunPlan, "optimizer" | "accumulate" | "precision" | "target">,
): string[] {
  const explanation = explain(traceTrainer(trainer, plan).entries, plan.precision, plan.target);
  return ["", ...explanation.entries.flatMap(entryLines), ...memoryLines(explanation)];
}

function entryLines({ name, fused, unfused, kernels }: EntryCost): string[] {
  const rest = kernels.slice(SHOWN);
  const sum = (key: keyof Totals) => rest.reduce((total, kernel) => total + kernel[key], 0);
  const others = {
    what: `${rest.length} more kinds`,
    launches: sum("launches"),
    flops: sum("flops"),
    bytes: sum("bytes"),
    bf16Flops: sum("bf16Flops"),
  };
  return [
    `${name}:`,
    row("kernels", "GFLOP", "MB", ""),
    ...[...kernels.slice(0, SHOWN), ...(rest.length > 0 ? [others] : [])].map((kernel) => totals(kernel, kernel.what)),
    totals(
      fused,
      `fused, all${fused.bf16Flops > 0 ? `; ${percent(fused.bf16Flops / fused.flops)} of the operations in bf16` : ""}`,
    ),
    totals(unfused, "unfused, all"),
    `  ${savedLine(fused, unfused)}`,
    "",
  ];
}

/** Describes what fusion saved. It saves few FLOPs, because fused operations are still computed. */
function savedLine(fused: Totals, unfused: Totals): string {
  const less = (key: keyof Totals) => percent(1 - fused[key] / unfused[key]);
  return `saved by fusion: ${less("launches")} of the kernels, ${less("flops")} of the operations, ${less("bytes")} of the bytes`;
}

function memoryLines({ arenaBytes, unfusedArenaBytes, stateBytes }: Explanation): string[] {
  const mb = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  return [`arena: ${mb(arenaBytes)} fused, ${mb(unfusedArenaBytes)} unfused, of which ${mb(stateBytes)} state`];
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

const totals = ({ launches, flops, bytes }: Totals, what: string) =>
  row(String(launches), (flops / 1e9).toFixed(3), (bytes / 2 ** 20).toFixed(1), what);

function row(launches: string, flops: string, bytes: string, what: string): string {
  return `  ${launches.padStart(7)} ${flops.padStart(10)} ${bytes.padStart(10)}  ${what}`.trimEnd();
}
