/**
 * @file Length-controlled win rates: what a judge would prefer if both answers had the same length
 * (Dubois et al. 2024, "Length-Controlled AlpacaEval", arXiv 2404.04475).
 *
 * The preference for a model on instruction x is logistic(θ + φ · tanh(Δ / σ) + ψ · γ(x)): θ the model's strength,
 * Δ the difference of the two lengths with standard deviation σ, γ the instruction's difficulty. The length-controlled
 * win rate is the mean prediction with Δ = 0.
 */
import { QuernError } from "../../errors.js";
import { numberAt, parseCsv } from "../csv.js";
import { readJsonItems, readTextInput, textAt } from "../json-input.js";
import { type Annotation, type AnnotationSet, codePointsOf } from "./annotations.js";
import { fitLassoCrossValidated, logistic } from "./lasso.js";
import { deviation, mean, shareOf, standardError } from "./win-rate.js";

/** Coefficients of a model. */
export interface LengthWeights {
  /** φ, of tanh(Δ / σ); Δ is the baseline's length minus the model's, in code points. */
  readonly length: number;
  /** ψ; null if the instructions' difficulty is not part of the model. */
  readonly difficulty: number | null;
  /** θ. */
  readonly strength: number;
}

/** Difficulty γ by instruction. */
export type Difficulties = ReadonlyMap<string, number>;

export interface LengthControlled {
  /** Percent. */
  readonly length_controlled_winrate: number;
  /** Standard error of the mean prediction, in percent; it ignores the uncertainty of the weights. */
  readonly lc_standard_error: number | null;
}

const LENGTH = "np.tanh(std_delta_len)";
const DIFFICULTY = "instruction_difficulty";
const STRENGTH = "not_gamed_baseline.astype(float)";

/**
 * Reads AlpacaEval's table of weights (CSV): the model's name in the first column, one column per coefficient. Of two
 * rows for one model the last counts.
 */
export async function readLengthWeights(path: string, signal?: AbortSignal): Promise<Map<string, LengthWeights>> {
  const { columns, rows } = parseCsv(await readTextInput(path, signal), path);
  return new Map(
    rows.map((row) => [
      row.cells[columns[0]],
      {
        length: numberAt(row, LENGTH, path),
        difficulty: columns.includes(DIFFICULTY) ? numberAt(row, DIFFICULTY, path) : null,
        strength: numberAt(row, STRENGTH, path),
      },
    ]),
  );
}

/** Reads the difficulty of each instruction: objects {instruction, difficulty}, as JSON lines or an array. */
export async function readDifficulties(path: string, signal?: AbortSignal): Promise<Difficulties> {
  const difficulties = new Map<string, number>();
  for (const item of await readJsonItems(path, signal)) {
    const { difficulty } = item.value;
    if (typeof difficulty !== "number" || !Number.isFinite(difficulty))
      throw new QuernError(`${item.place} has no number "difficulty"`);
    const instruction = textAt(item, "instruction");
    if (difficulties.has(instruction)) {
      throw new QuernError(`${item.place} gives a second difficulty for its instruction; remove one of them`);
    }
    difficulties.set(instruction, difficulty);
  }
  return difficulties;
}

/**
 * Predicts the win rate at equal lengths from fitted weights.
 * @param difficulties required if the weights have a coefficient for them
 * @throws QuernError for an instruction without difficulty
 */
export function lengthControlled(
  annotations: readonly Annotation[],
  weights: LengthWeights,
  difficulties: Difficulties | null,
): LengthControlled {
  const predictions = annotations.map((annotation) => {
    const term = weights.difficulty === null ? 0 : weights.difficulty * difficultyOf(annotation, difficulties);
    return logistic(weights.strength + term);
  });
  const error = standardError(predictions);
  return {
    length_controlled_winrate: 100 * mean(predictions),
    lc_standard_error: error === null ? null : 100 * error,
  };
}

/** Fits need rows in every fold. */
const FOLDS = 5;

/**
 * Fits the weights of one model on its own judgements: L1-penalised logistic regression whose C five-fold
 * cross-validation chooses. This is AlpacaEval's `length_controlled_noreg`, or `length_controlled_minimal` without
 * difficulties. The published weights (`length_controlled_v1`) were also drawn towards two verbosity variants of the
 * baseline, so they differ slightly.
 * @throws QuernError for fewer than 5 judgements with a preference, or an instruction without difficulty
 */
export function fitLengthWeights(set: AnnotationSet, difficulties: Difficulties | null): LengthWeights {
  if (set.model === set.baseline) return { length: 0, difficulty: difficulties && 0, strength: 0 };
  const deltas = set.annotations.map(({ output1, output2 }) => codePointsOf(output1) - codePointsOf(output2));
  const spread = deviation(deltas) ?? 0;
  const features: number[][] = [];
  const targets: number[] = [];
  for (const [n, annotation] of set.annotations.entries()) {
    const share = shareOf(annotation.preference);
    if (share === null) continue;
    // Without any spread the lengths explain nothing.
    const length = spread === 0 ? 0 : Math.tanh(deltas[n] / spread);
    features.push(difficulties === null ? [length, 1] : [length, difficultyOf(annotation, difficulties), 1]);
    targets.push(share);
  }
  if (targets.length < FOLDS) {
    throw new QuernError(
      `${set.model} has ${targets.length} judgements; fitting length control takes at least ${FOLDS}, so give --weights`,
    );
  }
  const { weights } = fitLassoCrossValidated({ features, targets }, FOLDS);
  const [length, second, third] = weights;
  return difficulties === null
    ? { length, difficulty: null, strength: second }
    : { length, difficulty: second, strength: third };
}

function difficultyOf({ instruction, place }: Annotation, difficulties: Difficulties | null): number {
  if (difficulties === null) {
    throw new QuernError("these weights need the difficulty of each instruction; give --difficulty FILE", {
      exitCode: 2,
    });
  }
  const difficulty = difficulties.get(instruction);
  if (difficulty !== undefined) return difficulty;
  throw new QuernError(`the instruction of ${place} is not in the file of difficulties`);
}
