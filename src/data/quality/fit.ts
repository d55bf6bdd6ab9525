/**
 * @file Fitting a classifier to labelled texts, from the texts to a model that can be trusted: a part is learned, a part
 * calibrates the scores, and a part that neither saw says how good they are. Texts of one group stay on one side.
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

/** A text of which it is known what it is. */
export interface Labelled {
  readonly text: string;
  readonly label: string;
  /** Texts of one group (a thread, a site) are all learned from or all held out. By default the text alone. */
  readonly group?: string;
  /** Which part it is for; by default the group's hash says. */
  readonly part?: "train" | "calibrate" | "test";
}

export interface FitOptions {
  readonly examples: Iterable<Labelled> | AsyncIterable<Labelled>;
  /** `quality.bin`; its card, `quality.json`, comes beside it. */
  readonly out: string;
  /** Whether the model of an earlier call is replaced. */
  readonly force?: boolean;
  /** The label whose probability is the score; null where labels are grades. */
  readonly good: string | null;
  /** From this grade on a text counts as good in the tables, where labels are grades. Default 3. */
  readonly goodGrade?: number;
  readonly preparation?: Preparation;
  readonly training?: Omit<TrainClassifierOptions, "signal" | "onProgress">;
  /** Shares of the groups that calibrate and that test. Default .1 each. */
  readonly shares?: { readonly calibrate: number; readonly test: number };
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface FitResult {
  readonly model: string;
  readonly labels: Readonly<Record<string, number>>;
  /** Labels that occur once: nothing learned of them could be tested. */
  readonly once: readonly string[];
  readonly trained: number;
  readonly tested: number;
  /** Share of the tested texts whose likeliest label is theirs, and that of always saying the commonest label. */
  readonly accuracy: number;
  readonly commonest: number;
  /** Share of the tested texts that the calibrated score, from one half on good, tells rightly good or not. */
  readonly right: number;
  readonly card: ScoreCard;
  /** Expected calibration error before and after. */
  readonly calibrationError: { readonly before: number; readonly after: number };
  /** By the share that is kept, on the tested texts. */
  readonly thresholds: readonly ThresholdRow[];
}

const PARTS = ["train", "calibrate", "test"] as const;

/**
 * Fits, calibrates and tests; writes the model and its card.
 *
 * @throws QuernError where there are not two labels to tell apart, or a part has no text
 */
export async function fitClassifier(options: FitOptions): Promise<FitResult> {
  return withOutput(fitClaim(options.out, [], options.force), () => fitInto(options));
}

export const fitClaim = (out: string, inputs: readonly string[], force?: boolean): OutputRequest => ({
  ...{ verb: "data classifier fit", out, inputs, force, beside: [basename(cardPath(out))] },
});

/** `fitClassifier` to files that the caller has claimed. */
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
        `of the ${counts.total} labelled texts none is left to ${part}; give more, or more groups of them`,
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

/** One file of labelled lines a part. */
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
        throw new QuernError(`a label is one word, not ${JSON.stringify(label)}`, { exitCode: 2 });
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
    const there = labels.size === 0 ? "there is no labelled text" : `all texts have the label ${[...labels.keys()][0]}`;
    throw new QuernError(`${there}; a classifier tells at least two labels apart`, { exitCode: 2 });
  }
  if (good !== null && !labels.has(good)) {
    throw new QuernError(`no text has the label ${good}; there are ${[...labels.keys()].slice(0, 10).join(", ")}`, {
      exitCode: 2,
    });
  }
  const strange = good === null ? [...labels.keys()].find((label) => !Number.isFinite(Number(label))) : undefined;
  if (strange !== undefined)
    throw new QuernError(`the label ${strange} is no grade; grades are numbers`, { exitCode: 2 });
}

async function scoresOf(scorer: Scorer, path: string, isGood: (label: string) => boolean): Promise<Scored[]> {
  const scored: Scored[] = [];
  for await (const line of readLines(path)) {
    const end = line.indexOf(" ");
    if (end < 0) continue;
    // The line is prepared already; preparing it again changes nothing.
    scored.push({ score: scorer.raw(line.slice(end + 1)), good: isGood(line.slice("__label__".length, end)) });
  }
  return scored;
}
