/**
 * @file Fits a classifier to labelled texts. One split trains it, one calibrates its scores, and one, unseen by both, tests
 * it. All texts of a group go to the same split.
 */
import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type AtomicFile,
  createAtomicFile,
  makeFolder,
  type OutputRequest,
  temporaryName,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { writeClassifier } from "../classifier/file.js";
import { testClassifier } from "../classifier/predict.js";
import { type TrainClassifierOptions, trainClassifier } from "../classifier/train.js";
import { readLines } from "../lines.js";
import { calibrate, calibrationError, type Scored, type ThresholdRow, thresholdTable } from "./measure.js";
import { calibrated, cardPath, type Preparation, prepareText, type ScoreCard, Scorer } from "./score.js";

/** A labelled text. */
export interface Labelled {
  readonly text: string;
  readonly label: string;
  /** All texts of a group (a thread, a site) go to the same split. Default: the text is its own group. */
  readonly group?: string;
  /** The split; default: chosen by the group's hash. */
  readonly part?: "train" | "calibrate" | "test";
}

export interface FitOptions {
  readonly examples: Iterable<Labelled> | AsyncIterable<Labelled>;
  /** The model file, such as `quality.bin`; its card `quality.json` is written next to it. */
  readonly out: string;
  /** Whether to replace an existing model. */
  readonly force?: boolean;
  /** The label whose probability is the score; null where labels are grades. */
  readonly good: string | null;
  /** If labels are grades: the lowest grade that counts as good in the tables. Default 3. */
  readonly goodGrade?: number;
  readonly preparation?: Preparation;
  readonly training?: Omit<TrainClassifierOptions, "signal" | "onProgress">;
  /** Shares of the groups used for calibration and for testing. Default 0.1 each. */
  readonly shares?: { readonly calibrate: number; readonly test: number };
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface FitResult {
  readonly model: string;
  readonly labels: Readonly<Record<string, number>>;
  /** Labels that occur only once, so they are never both trained on and tested. */
  readonly once: readonly string[];
  readonly trained: number;
  readonly tested: number;
  /** Share of the test texts whose most likely label is correct. */
  readonly accuracy: number;
  /** Accuracy of always predicting the most common label. */
  readonly commonest: number;
  /** Accuracy on the test texts of "good if the calibrated score is at least 0.5". */
  readonly right: number;
  readonly card: ScoreCard;
  /** Expected calibration error before and after calibration, on the test texts. */
  readonly calibrationError: { readonly before: number; readonly after: number };
  /** Precision and recall on the test texts, by the share of texts kept. */
  readonly thresholds: readonly ThresholdRow[];
}

const PARTS = ["train", "calibrate", "test"] as const;
const SPLITS = { train: "training", calibrate: "calibration", test: "test" } as const;

/**
 * Trains, calibrates and tests a classifier; writes the model and its card.
 *
 * @throws QuernError if there are fewer than two labels, or a split has no text
 */
export async function fitClassifier(options: FitOptions): Promise<FitResult> {
  return withOutput(fitClaim(options.out, [], options.force), () => fitInto(options));
}

export const fitClaim = (out: string, inputs: readonly string[], force?: boolean): OutputRequest => ({
  ...{ verb: "data classifier fit", out, inputs, force, beside: [basename(cardPath(out))] },
});

/** Runs `fitClassifier` on output files that the caller has already claimed. */
export async function fitInto(options: FitOptions): Promise<FitResult> {
  const { out, good, goodGrade = 3, preparation = "words", signal, onProgress } = options;
  await makeFolder(dirname(out));
  const folder = temporaryName(out);
  await mkdir(folder);
  try {
    const files = Object.fromEntries(PARTS.map((part) => [part, join(folder, `${part}.txt`)])) as Record<Part, string>;
    const counts = await writeParts(options, files, preparation);
    const { labels, once } = counts;
    refuseLabels(labels, good);
    for (const part of PARTS) {
      if (counts.parts[part] > 0) continue;
      throw new QuernError(
        `none of the ${counts.total} labelled texts went to the ${SPLITS[part]} split; give more texts, from more groups`,
      );
    }
    const training = { dim: 32, lr: 0.5, epoch: 10, wordNgrams: 2, bucket: 200_000, ...options.training };
    const { classifier, record } = await trainClassifier(files.train, { ...training, signal, onProgress });
    await writeClassifier(out, classifier, record);
    const plain: ScoreCard = { preparation, label: good, calibration: null };
    await writeFileAtomic(cardPath(out), `${JSON.stringify(plain)}\n`);
    const scorer = await Scorer.open(out);
    const isGood = (label: string) => (good === null ? Number(label) >= goodGrade : label === good);
    const calibration = calibrate(await scoresOf(scorer, files.calibrate, isGood));
    const raw = await scoresOf(scorer, files.test, isGood);
    const scored = raw.map(({ score, good: is }) => ({ score: calibrated(score, calibration), good: is }));
    const { precision } = await testClassifier(classifier, files.test, { signal });
    const result: FitResult = {
      model: out,
      labels: Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1))),
      once,
      trained: counts.parts.train,
      tested: counts.parts.test,
      accuracy: precision,
      commonest: counts.commonest,
      right: scored.filter(({ score, good: is }) => score >= 0.5 === is).length / scored.length,
      card: { ...plain, calibration },
      calibrationError: { before: calibrationError(raw), after: calibrationError(scored) },
      thresholds: thresholdTable(scored),
    };
    const { card, model: _, ...measured } = result;
    await writeFileAtomic(cardPath(out), `${JSON.stringify({ ...card, ...measured }, null, 2)}\n`);
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Part = (typeof PARTS)[number];

/** Writes one file of labelled lines per split. */
async function writeParts(
  { examples, shares = { calibrate: 0.1, test: 0.1 } }: FitOptions,
  paths: Readonly<Record<Part, string>>,
  preparation: Preparation,
) {
  const labels = new Map<string, number>();
  const tested = new Map<string, number>();
  const parts = { train: 0, calibrate: 0, test: 0 };
  let total = 0;
  const files: Partial<Record<Part, AtomicFile>> = {};
  try {
    for (const part of PARTS) files[part] = await createAtomicFile(paths[part]);
    for await (const { text, label, group = text, part: wanted } of examples) {
      const line = prepareText(text, preparation);
      if (line === "") continue;
      if (label === "" || /\s/.test(label))
        throw new QuernError(`a label must be a single word without spaces, not ${JSON.stringify(label)}`, {
          exitCode: 2,
        });
      const place = createHash("sha1").update(group).digest().readUInt32LE(0) / 2 ** 32;
      const own: Part = place < shares.test ? "test" : place < shares.test + shares.calibrate ? "calibrate" : "train";
      const part = wanted ?? own;
      await files[part]?.write(`__label__${label} ${line}\n`);
      labels.set(label, (labels.get(label) ?? 0) + 1);
      if (part === "test") tested.set(label, (tested.get(label) ?? 0) + 1);
      parts[part] += 1;
      total += 1;
    }
    for (const part of PARTS) await files[part]?.commit();
  } catch (error) {
    for (const part of PARTS) await files[part]?.discard();
    throw error;
  }
  const once = [...labels].filter(([, count]) => count === 1).map(([label]) => label);
  const commonest = Math.max(0, ...tested.values()) / Math.max(1, parts.test);
  return { labels, parts, total, once: once.sort(), commonest };
}

function refuseLabels(labels: ReadonlyMap<string, number>, good: string | null): void {
  if (labels.size < 2) {
    const problem =
      labels.size === 0 ? "there is no labelled text" : `all texts have the label ${[...labels.keys()][0]}`;
    throw new QuernError(`${problem}; a classifier needs at least two different labels`, { exitCode: 2 });
  }
  if (good !== null && !labels.has(good)) {
    throw new QuernError(
      `no text has the label ${good}; the labels are ${[...labels.keys()].slice(0, 10).join(", ")}`,
      {
        exitCode: 2,
      },
    );
  }
  const invalid = good === null ? [...labels.keys()].find((label) => !Number.isFinite(Number(label))) : undefined;
  if (invalid !== undefined)
    throw new QuernError(`the label ${invalid} is not a grade; grades must be numbers`, { exitCode: 2 });
}

async function scoresOf(scorer: Scorer, path: string, isGood: (label: string) => boolean): Promise<Scored[]> {
  const scored: Scored[] = [];
  for await (const line of readLines(path)) {
    const end = line.indexOf(" ");
    if (end < 0) continue;
    // The line is already prepared; `raw` prepares it again, which changes nothing.
    scored.push({ score: scorer.raw(line.slice(end + 1)), good: isGood(line.slice("__label__".length, end)) });
  }
  return scored;
}
