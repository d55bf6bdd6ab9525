/**
 * @file Trains a text classifier on lines `__label__x the text`, as fastText's `supervised` does. One pass over the file
 * counts words and labels, `epoch` more passes train. With one thread, runs are reproducible to the bit.
 */
import { open } from "node:fs/promises";
import type { z } from "zod";
import { isFolder, type ReadReport } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { WorkerPool } from "../../executors/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { labelName } from "./file.js";
import { LabelWords, treeOfLabels } from "./label-tree.js";
import { Classifier, type Entry, LABEL_PREFIX, LONGEST_LINE } from "./model.js";
import { trainClassifierOptions } from "./train-options.js";

export interface TrainClassifierOptions extends z.input<typeof trainClassifierOptions> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface TrainedClassifier extends ReadReport {
  readonly classifier: Classifier;
  readonly record: { readonly epoch: number; readonly minCount: number };
  readonly words: number;
  readonly labels: number;
  /** Labels that occur only once, so they cannot be both trained on and tested. */
  readonly once: readonly string[];
  readonly tokens: number;
  /** Mean loss in nats per example, over the whole training. */
  readonly loss: number;
  /** Training throughput. */
  readonly tokensPerSecond: number;
}

/**
 * Trains on the lines of a file.
 *
 * @throws QuernError for a file that cannot be read or has no labelled line, or for conflicting options
 */
export async function trainClassifier(path: string, options: TrainClassifierOptions = {}): Promise<TrainedClassifier> {
  const { signal, onProgress, ...rest } = options;
  const o = checkOptions(trainClassifierOptions, rest);
  if (o.maxn > 0 && o.minn > o.maxn) {
    throw new QuernError(`--minn ${o.minn} is greater than --maxn ${o.maxn}`, { exitCode: 2 });
  }
  // As in fastText, character n-grams are off unless both lengths are set.
  const [minn, maxn] = o.minn > 0 && o.maxn > 0 ? [o.minn, o.maxn] : [0, 0];
  const { words, labels: counted, tokens, lines, unlabelled } = await count(path, o.minCount, { signal, onProgress });
  if (counted.length === 0) {
    throw new QuernError(`${path} has no labelled line; expected lines of the form "${LABEL_PREFIX}NAME text"`, {
      exitCode: 2,
    });
  }
  const bucket = o.wordNgrams > 1 || maxn > 0 ? o.bucket : 0;
  const tree = o.loss === "hs" ? treeOfLabels(counted, await wordsOfLabels(path, counted, words, signal)) : undefined;
  const labels = tree?.map(({ bytes, count: weight }) => ({ bytes, count: weight })) ?? counted;
  const classifier = new Classifier(
    { dim: o.dim, wordNgrams: o.wordNgrams, bucket, minn, maxn, loss: o.loss },
    { words, labels, tokens, kept: null },
    tree?.map(({ was }) => counted[was].count),
  );
  const { kernel, stride, inputRows } = classifier;
  kernel.fill_random(classifier.get("input"), inputRows, o.dim, stride, o.seed + 1);
  const start = performance.now();
  const note = (seen: number) =>
    onProgress?.({ task: "train classifier", done: seen, total: tokens * o.epoch, unit: "token" });
  const sums =
    o.threads === 1
      ? await trainSingle(path, classifier, o.epoch, o.lr, note, signal)
      : await trainHogwild(path, classifier, o, signal);
  const seconds = (performance.now() - start) / 1000;
  if (sums.examples === 0) {
    throw new QuernError(
      `${path}: none of the ${lines} lines has both a label and a word, so there is nothing to train on`,
    );
  }
  const loss = sums.loss / sums.examples;
  // The loss alone does not show divergence: kernel.c's logarithm returns a finite number even for NaN.
  if (!(loss >= 0) || !classifier.output.every(Number.isFinite)) {
    throw new QuernError(`training diverged: some weights are not finite; lower --lr (${o.lr})`);
  }
  return {
    classifier,
    record: { epoch: o.epoch, minCount: o.minCount },
    read: { files: 1, documents: lines - unlabelled, rows: lines - unlabelled },
    skipped: unlabelled === 0 ? {} : { no_label: unlabelled },
    skippedAt: unlabelled === 0 ? {} : { no_label: [path] },
    words: words.length,
    labels: labels.length,
    once: counted.filter((label) => label.count === 1).map(labelName),
    tokens,
    loss,
    tokensPerSecond: (tokens * o.epoch) / seconds,
  };
}

/** Trains in this thread. */
async function trainSingle(
  path: string,
  classifier: Classifier,
  epochs: number,
  rate: number,
  note: (seen: number) => void,
  signal?: AbortSignal,
): Promise<{ readonly loss: number; readonly examples: number }> {
  const { kernel, struct, vocabulary } = classifier;
  const total = vocabulary.tokens * epochs;
  const buffer = classifier.reserve(2 * LONGEST_LINE);
  let seen = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for await (const lines of wholeLines(path)) {
      signal?.throwIfAborted();
      new Uint8Array(classifier.memory.buffer).set(lines, buffer);
      seen += kernel.train_text(struct, buffer, buffer + lines.length, seen, total, rate);
      note(seen);
    }
  }
  return classifier.sums();
}

/** Settings that all threads share. */
export interface HogwildSetup {
  readonly memory: WebAssembly.Memory;
  readonly path: string;
  readonly epoch: number;
  readonly lr: number;
  /** Tokens per thread over all epochs, for the learning rate schedule. */
  readonly total: number;
}

/** One thread's part of the file, from byte `from` to byte `to`, and its addresses in the shared memory. */
export interface HogwildPart {
  readonly struct: number;
  readonly stack: number;
  readonly buffer: number;
  readonly from: number;
  readonly to: number;
}

/** Trains with Hogwild (Recht et al. 2011): every thread updates the same matrices from its part of the file. */
async function trainHogwild(
  path: string,
  classifier: Classifier,
  { threads, epoch, lr }: { readonly threads: number; readonly epoch: number; readonly lr: number },
  signal?: AbortSignal,
): Promise<{ readonly loss: number; readonly examples: number }> {
  const file = await open(path);
  const { size } = await file.stat();
  await file.close();
  const parts: readonly HogwildPart[] = Array.from({ length: threads }, (_, i) => ({
    ...classifier.addThread(i),
    buffer: classifier.reserve(2 * LONGEST_LINE),
    from: Math.floor((size * i) / threads),
    to: Math.floor((size * (i + 1)) / threads),
  }));
  const total = (classifier.vocabulary.tokens * epoch) / threads;
  const pool = new WorkerPool<HogwildPart, undefined>({
    module: new URL("./train-worker.js", import.meta.url),
    setup: { memory: classifier.memory, path, epoch, lr, total } satisfies HogwildSetup,
    threads,
    signal,
  });
  try {
    await Promise.all(parts.map((part, index) => pool.runOn(index, part)));
  } finally {
    await pool.close();
  }
  const sums = parts.map(({ struct }) => classifier.sums(struct));
  return {
    loss: sums.reduce((sum, { loss }) => sum + loss, 0),
    examples: sums.reduce((sum, { examples }) => sum + examples, 0),
  };
}

/**
 * Yields a file in chunks of whole lines, each at most 2 * LONGEST_LINE bytes. Splits longer lines. With a range, yields the
 * lines that begin in it.
 */
export async function* wholeLines(path: string, from = 0, to = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    // Rejects pipes and devices, which cannot be read by ranges.
    await isFolder(path);
    handle = await open(path);
    const buffer = Buffer.alloc(2 * LONGEST_LINE);
    let kept = 0;
    let position = from;
    let skipping = from > 0; // a line that begins before the range belongs to another thread
    if (skipping) position -= 1;
    for (let last = false; !last; ) {
      const { bytesRead } = await handle.read(buffer, kept, buffer.length - kept, position);
      position += bytesRead;
      let end = kept + bytesRead;
      let start = 0;
      last = bytesRead === 0;
      if (skipping) {
        const newline = buffer.indexOf(10);
        if (newline < 0 || newline >= end) {
          if (last) return;
          kept = 0;
          continue;
        }
        start = newline + 1;
        skipping = false;
      }
      if (position - (end - start) >= to && start > 0) return;
      if (position >= to) {
        // A line that begins before the range's end is read to its own end.
        const over = Math.max(start, end - (position - to));
        const newline = over > start && buffer[over - 1] === 10 ? over - 1 : buffer.indexOf(10, over);
        if (newline >= 0 && newline < end) {
          end = newline + 1;
          last = true;
        }
      }
      const lastLine = last ? end : buffer.lastIndexOf(10, end - 1) + 1;
      const stop = lastLine > start ? lastLine : end - start >= LONGEST_LINE || last ? end : start;
      if (stop > start) yield buffer.subarray(start, stop);
      buffer.copyWithin(0, stop, end);
      kept = end - stop;
    }
  } catch (error) {
    throw fileError(error, "read", path);
  } finally {
    await handle?.close();
  }
}

/** Maximum number of lines for label statistics, divided equally among the labels. */
const LINES_READ = 100_000;

/** Describes each label by the words of its first lines, weighted by inverse frequency. */
async function wordsOfLabels(
  path: string,
  labels: readonly Entry[],
  words: readonly Entry[],
  signal?: AbortSignal,
): Promise<LabelWords> {
  const gathered = new LabelWords(labels.length);
  const number = new Map(labels.map(({ bytes }, i) => [bytes, i]));
  const counts = new Map(words.map(({ bytes, count: times }) => [bytes, times]));
  const total = words.reduce((sum, { count: times }) => sum + times, 0);
  const left = new Int32Array(labels.length).fill(Math.max(1, Math.floor(LINES_READ / labels.length)));
  for await (const bytes of wholeLines(path)) {
    signal?.throwIfAborted();
    for (const line of Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1").split("\n")) {
      const parts = line.split(/[ \r\t\v\f\0]+/);
      for (const label of new Set(parts)) {
        const which = number.get(label);
        if (which === undefined || left[which] === 0) continue;
        left[which] -= 1;
        for (const word of parts) {
          const times = counts.get(word);
          if (times !== undefined) gathered.add(which, word, Math.log(total / times));
        }
      }
    }
  }
  return gathered;
}

interface Counted {
  readonly words: readonly Entry[];
  readonly labels: readonly Entry[];
  readonly tokens: number;
  readonly lines: number;
  readonly unlabelled: number;
}

/** Counts the words and labels of a file. Sorted by descending count; ties in order of first occurrence. */
async function count(
  path: string,
  minCount: number,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
): Promise<Counted> {
  const counts = new Map<string, { count: number }>();
  let tokens = 0;
  let lines = 0;
  let unlabelled = 0;
  for await (const bytes of wholeLines(path)) {
    signal?.throwIfAborted();
    // One character per byte: the model treats words as bytes, whatever their encoding.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    for (let from = 0, label = -1, at = text.indexOf("\n"); at >= 0; from = at + 1, at = text.indexOf("\n", from)) {
      lines += 1;
      if (label < from) label = text.indexOf(LABEL_PREFIX, from);
      if (label < 0) label = Number.POSITIVE_INFINITY;
      if (label > at) unlabelled += 1;
    }
    for (const word of text.split(/[ \n\r\t\v\f\0]+/)) {
      if (word === "") continue;
      tokens += 1;
      const known = counts.get(word);
      if (known !== undefined) known.count += 1;
      // Copies the word, because a substring keeps the whole string in memory.
      else counts.set(Buffer.from(word, "latin1").toString("latin1"), { count: 1 });
    }
    onProgress?.({ task: "count words", done: tokens, unit: "token" });
  }
  tokens += lines;
  const prefix = Buffer.from(LABEL_PREFIX).toString("latin1");
  // The line end counts as a word.
  if (lines > 0) counts.set("</s>", { count: lines + (counts.get("</s>")?.count ?? 0) });
  const entries = [...counts].map(([bytes, { count: times }]) => ({ bytes, count: times }));
  const sorted = entries.sort((a, b) => b.count - a.count);
  return {
    words: sorted.filter(({ bytes, count: times }) => !bytes.startsWith(prefix) && times >= minCount),
    labels: sorted.filter(({ bytes }) => bytes.startsWith(prefix)),
    tokens,
    lines,
    unlabelled,
  };
}
