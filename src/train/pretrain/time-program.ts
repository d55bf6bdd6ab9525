/** @file Times the training program of given sizes, without a run. */

import type { ComputeDType } from "../../backends/index.js";
import { initialValues, parametersOf } from "../../model/index.js";
import { batchesOf } from "../data/loader.js";
import { optimizerOf } from "../optimizer/optimizer.js";
import { measureThroughput } from "../throughput.js";
import { compileTrainer, resetOptimizer } from "../trainer.js";
import { languageModelTrainer } from "./language-model.js";
import type { Sizes } from "./plan.js";
import { randomTokens } from "./prepare-run.js";

export interface ProgramTime {
  /** Seconds to build the program, less if it was in the cache. */
  readonly compile: number;
  /** Seconds per optimizer step, and per batch of the evaluation; 0 if not timed. */
  readonly step: number;
  readonly evaluate: number;
}

/** Builds a program and times it for some `seconds` on random tokens; with 0 it only builds it. */
export async function timeProgram(
  sizes: Sizes,
  options: {
    readonly threads?: number;
    readonly dtype?: "auto" | ComputeDType;
    readonly seconds: number;
    readonly signal?: AbortSignal;
  },
): Promise<ProgramTime> {
  const { threads, dtype = "auto", seconds, signal } = options;
  const started = performance.now();
  const training = await compileTrainer(languageModelTrainer(sizes.model, { ...sizes, packed: true }), {
    ...{ optimizer: optimizerOf(sizes), accumulate: sizes.accumulate, cpu: { threads }, dtype },
  });
  try {
    const compile = (performance.now() - started) / 1000;
    if (seconds === 0) return { compile, step: 0, evaluate: 0 };
    for (const parameter of parametersOf(sizes.model)) {
      training.program.write(parameter.name, initialValues(parameter, 0));
    }
    resetOptimizer(training);
    const source = batchesOf(randomTokens(sizes), sizes.accumulate);
    return { compile, ...(await measureThroughput(training, source, seconds, signal)) };
  } finally {
    training.dispose();
  }
}
