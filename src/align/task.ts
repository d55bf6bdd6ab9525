/**
 * @file What a post-training run is made of: an algorithm as a `Task`, its plan and its result. `run.ts` runs them.
 */
import type { CompileOptions } from "../backends/index.js";
import type { TextModel } from "../infer/index.js";
import type { ModelConfig } from "../model/index.js";
import type { OnProgress } from "../progress.js";
import type {
  CheckpointFormat,
  MetricsLine,
  RankReport,
  RunPlan,
  Team,
  Trainer,
  TrainingBatch,
  TrainingProgram,
} from "../train/index.js";
import type { Preview } from "./data/preview.js";

/** What every library function of post-training takes beside its options. */
export interface AlignCalls {
  /** Where to run; by default the cpu backend with the widest instruction set. */
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  /** The ranks that train together, all of which make this call; by default this process alone. */
  readonly team?: Team;
  /** Called with the plan before the first step. */
  readonly onPlan?: (plan: AlignPlan) => void;
  /** Called with sentences about the data: what was read, cut and left out. */
  readonly onNote?: (line: string) => void;
  /** Plans the run, and writes nothing. */
  readonly dryRun?: boolean;
  /** Reports the kernels of the compiled program to `onNote`, with and without fusion. */
  readonly explain?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Options of a run without its folder, which a preview does not need. */
export type Previewed<O extends { readonly out: string }> = Omit<O, "out"> & { readonly out?: string };

export interface AlignPlan extends RunPlan {
  readonly algorithm: string;
  readonly model: ModelConfig;
  /** Parameters of the model, and those that learn. */
  readonly parameters: number;
  readonly trainable_parameters: number;
  /** Of the encoded examples and their order. */
  readonly dataset: string;
  readonly examples: number;
}

export interface AlignResult {
  readonly run: string;
  /** The newest checkpoint, and the best on the evaluation data. */
  readonly checkpoint: string;
  readonly best_checkpoint: string;
  readonly report: string;
  readonly plan: AlignPlan;
  readonly steps: number;
  /** Loss of the last step; null where a finished run was resumed. */
  readonly loss: number | null;
  /** The last line of the metrics. */
  readonly metrics: Readonly<Record<string, unknown>>;
  /** Of the last evaluation; null without evaluation data. */
  readonly evaluation: Readonly<Record<string, unknown>> | null;
  readonly tokens_per_second: number | null;
  readonly seconds: number;
  /** Absent for a single rank. */
  readonly ranks?: RankReport;
  /** Of an algorithm with rollouts: shares of the steps' time spent in them, in scoring and in updates. */
  readonly time_shares?: { readonly rollouts: number; readonly scoring: number; readonly updates: number };
}

/** What an algorithm is given to prepare itself. */
export interface Context<O> {
  readonly o: O;
  readonly base: TextModel;
  readonly note: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly target?: AlignCalls["target"];
  /** Where the algorithm may keep files of the run; null for a dry run. */
  readonly folder: string | null;
}

/** A step's batches, with the number of tokens that are no padding. */
export interface StepBatches {
  readonly batches: readonly TrainingBatch[];
  readonly tokens: number;
  /** What the host measured while it made the batches, for the step's line of the metrics. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** The result of an evaluation on held-out data: lower losses are better. */
export interface Evaluation {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Completions for the report, the same prompts at each evaluation. */
  readonly rollouts?: MetricsLine["rollouts"];
}

/** An algorithm that is ready to run. */
export interface Task {
  readonly model: ModelConfig;
  readonly trainer: Trainer;
  /** Rows of a batch and tokens of a row, as the program is compiled for. */
  readonly rows: number;
  readonly sequence: number;
  /** Examples of a batch, and examples in all: an epoch. */
  readonly batch: number;
  readonly examples: number;
  /** What decides the numbers beside the plan: encoded examples, settings of the loss. */
  readonly identity: readonly unknown[];
  /** The learning rate unless one is given. */
  readonly learningRate: number;
  readonly reasons: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** Writes the first values of all variables of the model. */
  writeWeights(training: TrainingProgram): Promise<void>;
  /** Called once the program has its first weights, before the first step. */
  begin?(training: TrainingProgram): Promise<void>;
  /**
   * Loads this rank's share of the `accumulate` batches of a step: those whose place in it, divided by the number of ranks, leaves
   * the rank. Tokens and metrics are of all batches.
   */
  load(step: number, accumulate: number, training: TrainingProgram): Promise<StepBatches>;
  /** False where batches depend on the model as the last step left it. */
  readonly ahead?: boolean;
  /** Parameters in all, if they are not those of the model. */
  readonly parameters?: number;
  /** Makes the held-out batches; null without evaluation data. */
  readonly evaluation: (() => readonly TrainingBatch[]) | null;
  /** Evaluates in another way than by the trainer's loss on `evaluation`. */
  evaluate?(training: TrainingProgram, step: number): Promise<Evaluation | null>;
  /** What the algorithm itself must remember between steps, as JSON; checkpoints keep it. */
  readonly state?: { read(): unknown /** Null before the first step. */; write(value: unknown): void };
  /** The smallest and largest values of metrics; beyond them the run has collapsed, and stops. */
  readonly limits?: Readonly<Record<string, { readonly least?: number; readonly most?: number }>>;
  /** Further results on the evaluation data, once after the last step. */
  summarize?(training: TrainingProgram): Promise<Readonly<Record<string, unknown>>>;
  format(training: TrainingProgram): CheckpointFormat;
  /** The first examples as the model sees them. */
  preview?(count: number): readonly Preview[];
  close(): Promise<void>;
}
