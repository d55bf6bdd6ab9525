/** @file Scores a text with a classifier: one calibrated number from the probabilities of its labels. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { fileError, QuernError } from "../../errors.js";
import { labelName, readClassifier } from "../classifier/file.js";
import { Predictor } from "../classifier/predict.js";

/** How a text is prepared: unchanged except for line breaks, or lower-cased with spaces around punctuation. */
export const PREPARATIONS = ["plain", "words"] as const;
export type Preparation = (typeof PREPARATIONS)[number];

const cardSchema = z.looseObject({
  preparation: z.enum(PREPARATIONS),
  /** The label whose probability is the score; null: labels are grades, and the score is the expected grade. */
  label: z.string().nullable(),
  /** Probability = 1 / (1 + exp(-(slope × logit + offset))); null: uncalibrated. */
  calibration: z.strictObject({ slope: z.number(), offset: z.number() }).nullable(),
});

/** The card that `fitClassifier` writes next to a model: `quality.json` for `quality.bin`. */
export type ScoreCard = z.output<typeof cardSchema>;

export const cardPath = (model: string) => `${model.replace(/\.(bin|ftz)$/i, "")}.json`;

/** Reads the card of a model; returns undefined if it has none. @throws QuernError for a file that is not a card */
export async function readCard(model: string): Promise<ScoreCard | undefined> {
  const path = cardPath(model);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(error, "read", path);
  }
  try {
    return cardSchema.parse(JSON.parse(text));
  } catch {
    throw new QuernError(`${path} is not a classifier's card; delete it or fit the classifier again`);
  }
}

/** Turns a text into one line for the classifier. */
export function prepareText(text: string, preparation: Preparation): string {
  if (preparation === "plain") return text.replace(/\s*\n\s*/g, " ");
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\s]/gu, " $& ")
    .replace(/\s+/g, " ")
    .trim();
}

/** Probabilities are clipped to [MIN, 1 - MIN] so that logits stay finite. */
const MIN = 1e-6;
export const logit = (probability: number) => {
  const p = Math.min(1 - MIN, Math.max(MIN, probability));
  return Math.log(p / (1 - p));
};
export const calibrated = (probability: number, calibration: ScoreCard["calibration"]) =>
  calibration === null
    ? probability
    : 1 / (1 + Math.exp(-(calibration.slope * logit(probability) + calibration.offset)));

/** Scores texts with a classifier. */
export class Scorer {
  readonly card: ScoreCard;
  readonly #predictor: Predictor;
  readonly #labels: number;
  readonly #most: number;

  private constructor(predictor: Predictor, card: ScoreCard, labels: readonly string[]) {
    this.#predictor = predictor;
    this.card = card;
    this.#labels = labels.length;
    this.#most = Math.max(...labels.map(Number));
  }

  /**
   * Opens a model, `.bin` or `.ftz`. If it has no card, give the label, unless the label is `hq`, `good` or `1`.
   *
   * @throws QuernError for a model that cannot be read or lacks the label
   */
  static async open(model: string, label?: string): Promise<Scorer> {
    const classifier = await readClassifier(model);
    const labels = classifier.vocabulary.labels.map(labelName);
    const saved = await readCard(model);
    const card: ScoreCard = {
      preparation: saved?.preparation ?? "plain",
      label:
        label ??
        (saved === undefined ? (["hq", "good", "1"].find((each) => labels.includes(each)) ?? "") : saved.label),
      calibration: label === undefined || label === saved?.label ? (saved?.calibration ?? null) : null,
    };
    if (card.label !== null && !labels.includes(card.label)) {
      const problem =
        card.label === "" ? `name the label of ${model} that means good` : `${model} has no label ${card.label}`;
      throw new QuernError(`${problem}; its labels are ${labels.slice(0, 10).join(", ")}`, { exitCode: 2 });
    }
    if (card.label === null && labels.some((each) => !Number.isFinite(Number(each)))) {
      throw new QuernError(
        `${cardPath(model)} says that labels are grades, but the label ${labels.find((each) => !Number.isFinite(Number(each)))} is not a number`,
      );
    }
    return new Scorer(new Predictor(classifier), card, labels);
  }

  /** Returns the calibrated score, 0 to 1. A text without a known word has the uncalibrated score 0. */
  score(text: string): number {
    return calibrated(this.raw(text), this.card.calibration);
  }

  /** Returns the score before calibration. */
  raw(text: string): number {
    const predictions = this.#predictor.text(prepareText(text, this.card.preparation), this.#labels);
    if (this.card.label !== null) return predictions.find(({ label }) => label === this.card.label)?.probability ?? 0;
    const expected = predictions.reduce((sum, { label, probability }) => sum + Number(label) * probability, 0);
    return this.#most > 0 ? expected / this.#most : 0;
  }
}
