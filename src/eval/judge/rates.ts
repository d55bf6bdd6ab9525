/** @file Win rates of models from stored judgements: `quern judge rates`. */
import { QuernError } from "../../errors.js";
import { type AnnotationSet, codePointsOf, readAnnotations } from "./annotations.js";
import { lengthBias } from "./biases.js";
import { type Interval, normalInterval, sampleSize } from "./intervals.js";
import {
  type Difficulties,
  fitLengthWeights,
  type LengthControlled,
  type LengthWeights,
  lengthControlled,
  readDifficulties,
  readLengthWeights,
} from "./length-controlled.js";
import { mean, type WinRate, winRate } from "./win-rate.js";

export interface JudgeRatesOptions {
  /** Annotation files of AlpacaEval: JSON arrays or JSON lines, .gz too. */
  readonly annotations: readonly string[];
  /** Also computes length-controlled win rates. */
  readonly lengthControlled?: boolean;
  /** CSV of fitted coefficients by model. Without it they are fitted on the judgements. */
  readonly weights?: string;
  /** Difficulty of each instruction; required with `weights` that have a coefficient for it. */
  readonly difficulty?: string;
  /** Wanted half width of the win rate's 95 % interval, in percentage points; adds `judgements_needed`. */
  readonly within?: number;
  readonly signal?: AbortSignal;
}

/** Rates and errors in percent, lengths in code points. */
export interface ModelRates extends WinRate, LengthFigures {
  readonly model: string;
  readonly baseline: string;
  readonly annotator: string | null;
  /** 95 % interval of the win rate. */
  readonly interval: Interval | null;
  /** Judgements that an interval of ± `within` takes; null unless asked for, and if all preferences are equal. */
  readonly judgements_needed: number | null;
  readonly avg_length: number;
  /** Share of the judgements in percent that prefer the longer answer; null if all lengths are equal. */
  readonly longer_preferred: number | null;
}

interface LengthFigures {
  /** Null unless asked for, and for a model without weights. */
  readonly length_controlled_winrate: number | null;
  readonly lc_standard_error: number | null;
  /** Coefficients of length, difficulty and strength, as given or fitted. */
  readonly length_weights: LengthWeights | null;
}

export interface JudgeRates {
  /** One row for each model, baseline and judge, in the order of the files. */
  readonly models: readonly ModelRates[];
  readonly warnings: readonly string[];
}

/**
 * Computes win rates, standard errors and, if asked, length-controlled win rates, with AlpacaEval's numbers.
 * @throws QuernError for a damaged file, a model without any readable preference, weights that name none of the models
 */
export async function judgeRates(options: JudgeRatesOptions): Promise<JudgeRates> {
  const { annotations, signal } = options;
  for (const key of ["weights", "difficulty"] as const) {
    if (options[key] !== undefined && options.lengthControlled !== true) {
      throw new QuernError(`${key} has no effect without length control; add --length-controlled`, { exitCode: 2 });
    }
  }
  const weights = options.weights === undefined ? null : await readLengthWeights(options.weights, signal);
  const difficulties = options.difficulty === undefined ? null : await readDifficulties(options.difficulty, signal);
  const warnings: string[] = [];
  if (options.lengthControlled === true && weights === null && difficulties === null) {
    warnings.push(
      "length control was fitted without difficulties, which may shift it by many points; give --difficulty",
    );
  }
  const sets = await readAnnotations(annotations, signal);
  if (weights !== null && !sets.some(({ model }) => weights.has(model))) {
    throw new QuernError(`${options.weights} has no weights for ${sets.map(({ model }) => model).join(", ")}`);
  }
  const models = sets.map((set): ModelRates => {
    signal?.throwIfAborted();
    const rate = winRate(set.annotations.map(({ preference }) => preference));
    if (rate === null) throw new QuernError(`no judgement of ${set.model} has a preference between 1 and 2`);
    if (rate.n_dropped > 0) {
      warnings.push(
        `${rate.n_dropped} judgements of ${set.model} have no preference between 1 and 2 and were left out`,
      );
    }
    let lengths = NO_LENGTHS;
    if (options.lengthControlled === true) {
      const own = weights === null ? fitLengthWeights(set, difficulties) : weights.get(set.model);
      if (own === undefined) {
        warnings.push(`${options.weights} has no weights for ${set.model}; it has no length-controlled win rate`);
      } else lengths = lengthFigures(set, own, difficulties);
    }
    const longer = lengthBias(set.annotations);
    return {
      model: set.model,
      ...rate,
      ...lengths,
      interval: intervalOf(rate),
      judgements_needed: options.within === undefined ? null : judgementsFor(rate, options.within),
      avg_length: mean(set.annotations.map(({ output2 }) => codePointsOf(output2))),
      longer_preferred: longer === null ? null : 100 * longer.longer_preferred,
      baseline: set.baseline,
      annotator: set.annotator,
    };
  });
  return { models, warnings };
}

const NO_LENGTHS: LengthFigures = { length_controlled_winrate: null, lc_standard_error: null, length_weights: null };

function lengthFigures(set: AnnotationSet, weights: LengthWeights, difficulties: Difficulties | null): LengthFigures {
  const controlled: LengthControlled = lengthControlled(set.annotations, weights, difficulties);
  return { ...controlled, length_weights: weights };
}

function intervalOf({ win_rate, standard_error }: WinRate): Interval | null {
  return standard_error === null ? null : normalInterval(win_rate, standard_error, { least: 0, most: 100 });
}

function judgementsFor({ standard_error, n_total }: WinRate, within: number): number | null {
  // Without any spread its size cannot be estimated.
  if (standard_error === null || standard_error === 0) return null;
  return sampleSize({ halfWidth: within, deviation: standard_error * Math.sqrt(n_total) });
}
