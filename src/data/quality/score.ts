/** @file How good a text is by a classifier: one number from its labels' probabilities, made honest by a calibration. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { fileError, QuernError } from "../../errors.js";
import { labelName, readClassifier } from "../classifier/file.js";
import { Predictor } from "../classifier/predict.js";

/** How a text becomes a line: as it is, or in lower case with its punctuation apart. */
export const PREPARATIONS = ["plain", "words"] as const;
export type Preparation = (typeof PREPARATIONS)[number];

const cardSchema = z.looseObject({
  preparation: z.enum(PREPARATIONS),
  /** The label whose probability is the score; null where labels are grades, and the score the expected one. */
  label: z.string().nullable(),
  /** Probability = 1 / (1 + exp(-(slope × logit + offset))); null: as the classifier says. */
  calibration: z.strictObject({ slope: z.number(), offset: z.number() }).nullable(),
});

/** What `fitClassifier` writes beside a model, `quality.json` beside `quality.bin`. */
export type ScoreCard = z.output<typeof cardSchema>;

export const cardPath = (model: string) => `${model.replace(/\.(bin|ftz)$/i, "")}.json`;

/** The card of a model; undefined where it has none. Throws a `QuernError` for one that is something else. */
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
    throw new QuernError(`${path} is no card of a classifier; take it away, or fit the classifier again`);
  }
}

/** A text as one line. */
export function prepareText(text: string, preparation: Preparation): string {
  if (preparation === "plain") return text.replace(/\s*\n\s*/g, " ");
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\s]/gu, " $& ")
    .replace(/\s+/g, " ")
    .trim();
}

const LEAST = 1e-6;
export const logit = (probability: number) => {
  const p = Math.min(1 - LEAST, Math.max(LEAST, probability));
  return Math.log(p / (1 - p));
};
export const calibrated = (probability: number, calibration: ScoreCard["calibration"]) =>
  calibration === null
    ? probability
    : 1 / (1 + Math.exp(-(calibration.slope * logit(probability) + calibration.offset)));

/** A classifier as a judge of texts. */
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
   * Opens a model, `.bin` or `.ftz`. Without a card the label must be said, or be `hq`, `good` or `1`.
   * @throws QuernError for a model that cannot be read or does not have the label
   */
  static async open(model: string, label?: string): Promise<Scorer> {
    const classifier = await readClassifier(model);
    const labels = classifier.vocabulary.labels.map(labelName);
    const known = await readCard(model);
    const card: ScoreCard = {
      preparation: known?.preparation ?? "plain",
      label:
        label ??
        (known === undefined ? (["hq", "good", "1"].find((each) => labels.includes(each)) ?? "") : known.label),
      calibration: label === undefined || label === known?.label ? (known?.calibration ?? null) : null,
    };
    if (card.label !== null && !labels.includes(card.label)) {
      const which = card.label === "" ? "the label that is good is not named" : `${model} has no label ${card.label}`;
      throw new QuernError(`${which}; its labels are ${labels.slice(0, 10).join(", ")}`, { exitCode: 2 });
    }
    if (card.label === null && labels.some((each) => !Number.isFinite(Number(each)))) {
      throw new QuernError(
        `${cardPath(model)} says that labels are grades, but there is ${labels.find((each) => !Number.isFinite(Number(each)))}`,
      );
    }
    return new Scorer(new Predictor(classifier), card, labels);
  }

  /** From 0 to 1; 0 for a text without a word that the model knows. */
  score(text: string): number {
    return calibrated(this.raw(text), this.card.calibration);
  }

  /** The same before calibration. */
  raw(text: string): number {
    const predictions = this.#predictor.text(prepareText(text, this.card.preparation), this.#labels);
    if (this.card.label !== null) return predictions.find(({ label }) => label === this.card.label)?.probability ?? 0;
    const expected = predictions.reduce((sum, { label, probability }) => sum + Number(label) * probability, 0);
    return this.#most > 0 ? expected / this.#most : 0;
  }
}
