/**
 * @file The reference of reinforcement learning: the model as it was before training. Without LoRA it is a second copy of the
 * weights; with LoRA it is the policy without its adapters, on the same memory.
 */
import { type CompileOptions, compile, type Program } from "../backends/index.js";
import { modelVariables, parametersOf, tokenStatistics } from "../model/index.js";
import { input } from "../tensor/index.js";
import type { TrainingProgram } from "../train/index.js";
import type { OpenPolicy } from "./policy.js";
import type { RolloutRows } from "./rollout.js";

export interface Reference {
  /** Log-probabilities of the targets of some rows (B,T); 0 where a target is −100. */
  score(rows: Pick<RolloutRows, "ids" | "targets">): Promise<Float32Array>;
  dispose(): void;
}

/** @param shape rows B and tokens T of what is scored */
export async function openReference(
  policy: OpenPolicy,
  training: TrainingProgram,
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
  target: Pick<CompileOptions, "backend" | "cpu"> | undefined,
): Promise<Reference> {
  const { config, lora, read } = policy;
  const rows = (name: string) => input(name, [batch, sequence], "i32");
  const statistics = tokenStatistics(config, modelVariables(config), rows("ids"), rows("targets"));
  const entries = { score: { outputs: { log_probabilities: statistics.logProbability } } };
  const { plan } = training.program;
  const program: Program = await compile(entries, {
    ...target,
    cpu: { threads: plan.threads, ...target?.cpu },
    dtype: plan.dtype,
    ...(lora !== null && { shareWith: training.program }),
  });
  if (lora === null) for (const { name } of parametersOf(config)) program.write(name, await read(name));
  return {
    async score({ ids, targets }) {
      await program.run("score", { ids, targets });
      return Float32Array.from(await program.read("log_probabilities"));
    },
    dispose: () => program.dispose(),
  };
}
