/** @file Predicts the labels of lines of text, and measures precision and recall. */
import { fileError } from "../../errors.js";
import { labelName } from "./file.js";
import { type Classifier, LABEL_PREFIX, LONGEST_LINE } from "./model.js";
import { wholeLines } from "./train.js";

export interface Prediction {
  /** Without the prefix `__label__`. */
  readonly label: string;
  readonly probability: number;
}

export interface LinePrediction {
  /** Most likely first; empty if the line has no word in the vocabulary. */
  readonly predictions: readonly Prediction[];
  /** Numbers of the labels that the line contains, if the model has them. */
  readonly labels: readonly number[];
  /** Numbers of the predicted labels. */
  readonly numbers: readonly number[];
}

/** Predicts labels with a model; reusable for any number of texts. */
export class Predictor {
  readonly #model: Classifier;
  readonly #names: readonly string[];
  readonly #buffer: number;

  constructor(model: Classifier) {
    this.#model = model;
    this.#names = model.vocabulary.labels.map(labelName);
    this.#buffer = model.reserve(2 * LONGEST_LINE + 1);
  }

  /** Yields the `k` most likely labels of each line in `bytes`, if at least as likely as `threshold`. */
  *lines(bytes: Uint8Array, k: number, threshold = 0): Generator<LinePrediction> {
    const { memory, kernel, struct, outputRows } = this.#model;
    new Uint8Array(memory.buffer).set(bytes, this.#buffer);
    const end = this.#buffer + bytes.length;
    const scores = new Float32Array(memory.buffer, this.#model.get("scores"), outputRows);
    for (let at = this.#buffer; at < end; ) {
      at = kernel.read_line(struct, at, end) >>> 0;
      const labels = Array.from(
        new Int32Array(memory.buffer, this.#model.get("lineLabels"), this.#model.get("labelCount")),
      );
      const numbers = kernel.score_line(struct) === 1 ? topK(scores, k, threshold) : [];
      const predictions = numbers.map((i) => ({ label: this.#names[i], probability: scores[i] }));
      yield { predictions, labels, numbers };
    }
  }

  /** Returns the `k` most likely labels of one text. Treats its line breaks as spaces. */
  text(text: string, k = 1, threshold = 0): readonly Prediction[] {
    // A line of a text file ends with a line break, for which the model has a vector.
    const bytes = Buffer.from(`${text.replace(/\n/g, " ")}\n`).subarray(0, LONGEST_LINE);
    return this.lines(bytes, k, threshold).next().value?.predictions ?? [];
  }
}

/** Returns the indices of the k largest scores in descending order of score; ties by index. */
function topK(scores: Float32Array, k: number, threshold: number): number[] {
  if (k === 1) {
    let best = 0;
    for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
    return scores[best] >= threshold ? [best] : [];
  }
  const order = Array.from(scores.keys()).filter((i) => scores[i] >= threshold);
  return order.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k);
}

/** Yields the predictions for every line of a file, in order. */
export async function* predictFile(
  model: Classifier,
  path: string,
  {
    k = 1,
    threshold = 0,
    signal,
  }: { readonly k?: number; readonly threshold?: number; readonly signal?: AbortSignal } = {},
): AsyncGenerator<LinePrediction> {
  const predictor = new Predictor(model);
  try {
    for await (const lines of wholeLines(path)) {
      signal?.throwIfAborted();
      yield* predictor.lines(lines, k, threshold);
    }
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

export interface ClassifierTest {
  /** Lines with a label and a word that the model has. */
  readonly examples: number;
  /** Share of the predicted labels that are correct. */
  readonly precision: number;
  /** Share of the true labels that are predicted. */
  readonly recall: number;
}

/** Computes precision and recall at k over the lines of a file, as fastText's `test` does. */
export async function testClassifier(
  model: Classifier,
  path: string,
  options: { readonly k?: number; readonly threshold?: number; readonly signal?: AbortSignal } = {},
): Promise<ClassifierTest> {
  let examples = 0;
  let predicted = 0;
  let right = 0;
  let given = 0;
  for await (const { labels, numbers } of predictFile(model, path, options)) {
    if (labels.length === 0 || numbers.length === 0) continue;
    examples += 1;
    predicted += numbers.length;
    given += labels.length;
    for (const number of numbers) if (labels.includes(number)) right += 1;
  }
  return { examples, precision: right / predicted, recall: right / given };
}

/** Returns a label with the prefix `__label__`, as in files of labelled lines. */
export const labelled = (label: string) => `${LABEL_PREFIX}${label}`;
