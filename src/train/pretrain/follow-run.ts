/**
 * @file Pretraining on the ranks other than 0. They follow rank 0: its plan, its weights, its decisions. All that they read is the
 * token shards, and they write nothing.
 */
import { type Plan, withMemory } from "../../backends/index.js";
import { QuernError } from "../../errors.js";
import { checkpointPath, parametersOf } from "../../model/index.js";
import { loadTokenizer } from "../../tokenizer/index.js";
import { openDataset } from "../data/dataset.js";
import { batchesOf } from "../data/loader.js";
import type { Ranks } from "../distributed/ranks.js";
import { refuseSeparateFolders } from "../distributed/shared-folder.js";
import { type Evaluation, evaluate, type HeldOutText } from "../evaluation.js";
import { type Evaluated, train } from "../loop.js";
import { optimizerState } from "../optimizer/optimizer.js";
import { type EvaluationPlan, loadHeldOut } from "../report/final-evaluation.js";
import { restoreState } from "../run/checkpoints.js";
import { runPaths } from "../run/run-folder.js";
import { compileTrainer, contributeState, storedState, type TrainingProgram, type ZeroStage } from "../trainer.js";
import { languageModelTrainer } from "./language-model.js";
import type { PretrainPlan } from "./plan.js";
import { type PretrainOptions, settingsOf } from "./prepare-run.js";
import { createRunLoader } from "./sampled-head.js";

/** What rank 0 tells the others before the first step. */
export interface Orders {
  readonly plan: PretrainPlan;
  /** Steps that the restored checkpoint has, and the seconds they took; 0 for a new run. */
  readonly done: { readonly step: number; readonly seconds: number };
  /** The checkpoint that the run continues from. */
  readonly restored?: string;
  /** Instruction set, dtype and threads of rank 0's program: the same program gives the same bits on every rank. */
  readonly program: Pick<Plan, "target" | "dtype" | "threads" | "backend">;
  /** What the ranks divide. */
  readonly zero: ZeroStage;
  /** No validation during training. */
  readonly brief: boolean;
}

/** Sends the orders, and the weights and optimizer state of rank 0's program. */
export async function sendOrders(ranks: Ranks, training: TrainingProgram, orders: Orders): Promise<void> {
  if (ranks.size === 1) return;
  await ranks.share(orders);
  await copyState(ranks, training, orders.plan);
}

/** Copies weights from rank 0 to all ranks, and the optimizer's state unless the ranks divide it. */
async function copyState(ranks: Ranks, training: TrainingProgram, { model }: PretrainPlan): Promise<void> {
  const state = training.sharded === null ? optimizerState(training.trainable, training.optimizer) : [];
  const names = [...parametersOf(model), ...state].map(({ name }) => name);
  await withMemory(training.program, names, (memory) => ranks.broadcast(memory, 0));
}

/**
 * Trains with rank 0 and returns null.
 * @throws QuernError if this node lacks the token shards, or cannot run rank 0's program
 */
export async function followRun(options: PretrainOptions, ranks: Ranks): Promise<null> {
  const { target = {}, signal } = options;
  const o = settingsOf(options);
  await refuseSeparateFolders(ranks, o.out);
  const [orders] = await ranks.share<Orders | null>(null);
  const { plan, done, program: same, brief, zero, restored } = orders as Orders;
  const { model, batch, sequence, seed, order } = plan;
  const paths = runPaths(o.out);
  const tokenizer = await loadTokenizer(paths.tokenizer);
  const dataset = openDataset(o.data ?? paths.tokens, tokenizer);
  try {
    if (plan.dataset !== "" && dataset.hash !== plan.dataset) {
      throw new QuernError(`${o.data ?? paths.tokens} has other tokens than on rank 0; give all nodes the same files`);
    }
    const heldOut = loadHeldOut(dataset.heldout, tokenizer);
    const { candidates } = plan;
    const loader = await createRunLoader(dataset.train, {
      ...{ model, batch, sequence, candidates, seed, order, endOfText: tokenizer.endOfText },
    });
    const training = await compileTrainer(languageModelTrainer(model, plan), {
      ...{ optimizer: plan.optimizer, accumulate: plan.accumulate, ranks, zero },
      ...target,
      cpu: { ...target.cpu, threads: same.threads, instructionSet: same.target },
      dtype: same.dtype,
    });
    const { program } = training;
    try {
      await copyState(ranks, training, plan);
      if (training.sharded !== null && restored !== undefined) {
        await restoreState(restored, storedState(training));
      }
      await train({
        ...{ training, plan, done, signal },
        source: batchesOf(loader, plan.accumulate, ranks),
        blindLoss: Math.log(model.vocabSize),
        hooks: {
          record: async () => {},
          save: async (step) => {
            await contributeState(training);
            return checkpointPath(o.out, step);
          },
          evaluate: async () => (brief ? null : validate(program, heldOut, plan, ranks)),
        },
      });
      const [evaluation] = await ranks.share<EvaluationPlan | null>(null);
      await evaluate(program, heldOut, plan, { ...(evaluation as EvaluationPlan), ranks, signal });
      return null;
    } finally {
      training.dispose();
    }
  } finally {
    dataset.close();
  }
}

/** Held-out tokens of each validation during training, always the same ones; bounded to 2 to 16 batches. */
const VALIDATION_TOKENS = 8192;

/** Evaluates on the beginning of the held-out text, divided among the ranks; null if there is none. */
export async function validate(
  program: TrainingProgram["program"],
  heldOut: HeldOutText,
  plan: PretrainPlan,
  ranks: Ranks,
): Promise<Evaluated | null> {
  if (heldOut.ids.length < 2) return null;
  const batch = plan.batch * plan.sequence;
  const limit = Math.max(2 * batch, Math.min(16 * batch, VALIDATION_TOKENS));
  const { loss, bitsPerByte }: Evaluation = await evaluate(program, heldOut, plan, { limit, ranks });
  return { loss, line: { validation_loss: loss, perplexity: Math.exp(loss), bits_per_byte: bitsPerByte } };
}

/** Options that each node may give in its own way. */
const OWN_OPTIONS = ["threads"];

/** @throws QuernError on every rank if a rank was started with other options */
export async function refuseOtherOptions(ranks: Ranks, settings: Readonly<Record<string, unknown>>): Promise<void> {
  const [first, ...others] = await ranks.share(settings);
  for (const [i, other] of others.entries()) {
    const keys = new Set([...Object.keys(first), ...Object.keys(other)]);
    const key = [...keys].find((key) => !OWN_OPTIONS.includes(key) && text(first[key]) !== text(other[key]));
    if (key === undefined) continue;
    throw new QuernError(
      `rank ${i + 1} on ${ranks.nodes[i + 1]} was started with ${key} ${text(other[key])}, and rank 0 with ${text(first[key])}; ` +
        "start all ranks with the same options",
      { exitCode: 2 },
    );
  }
}

const text = (value: unknown) => JSON.stringify(value) ?? "none";
