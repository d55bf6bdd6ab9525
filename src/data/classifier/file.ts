/** @file fastText's model files, version 12: reads and writes `.bin`, reads `.ftz` (product-quantised, Jégou et al. 2011). */
import { type FileHandle, open } from "node:fs/promises";
import { createAtomicFile } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import {
  Classifier,
  type ClassifierLoss,
  type ClassifierShape,
  type Entry,
  LABEL_PREFIX,
  type Vocabulary,
} from "./model.js";

const MAGIC = 793712314;
const VERSION = 12;
const LOSSES: ReadonlyMap<number, ClassifierLoss> = new Map([
  [1, "hs"],
  [2, "independent"],
  [3, "softmax"],
  [4, "independent"],
]);
/** Longest word, in bytes. */
const LONGEST_WORD = 2 ** 20;
/** The placeholder for counts of tree nodes that are not built yet; larger than any real count. */
const NO_COUNT = 1e15;
const within = (value: number, max: number) => value >= 0 && value <= max;
const LOSS_NUMBERS: Readonly<Record<ClassifierLoss, number>> = { hs: 1, softmax: 3, independent: 4 };
const SUPERVISED = 3;

/** Training options that the file records although the model does not depend on them. */
export interface TrainingRecord {
  readonly epoch: number;
  readonly minCount: number;
}

/**
 * Reads a model.
 *
 * @throws QuernError for a file that is not a supervised fastText model, is truncated, or contains invalid numbers
 */
export async function readClassifier(path: string): Promise<Classifier> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    return await read(new Reader(path, file, (await file.stat()).size));
  } catch (error) {
    throw fileError(error, "read", path);
  } finally {
    await file?.close();
  }
}

async function read(r: Reader): Promise<Classifier> {
  if ((await r.int32()) !== MAGIC) throw r.wrong("it is not a fastText model");
  const version = await r.int32();
  if (version !== VERSION && version !== 11) throw r.wrong(`its version is ${version}, not 11 or ${VERSION}`);
  const args: number[] = [];
  for (let i = 0; i < 12; i++) args.push(await r.int32());
  await r.bytes(8); // t, used by unsupervised models only
  const [dim, , , , , wordNgrams, loss, model, bucket, minn, maxn] = args;
  if (model !== SUPERVISED) throw r.wrong("it is a model of word vectors, not a classifier");
  const kind = LOSSES.get(loss);
  if (
    kind === undefined ||
    dim < 1 ||
    dim > 65536 ||
    bucket < 0 ||
    !within(wordNgrams, 100) ||
    maxn > 100 ||
    minn < 0
  ) {
    throw r.wrong("its header contains invalid numbers");
  }
  const [size, wordCount, labelCount] = [await r.int32(), await r.int32(), await r.int32()];
  const tokens = await r.int64();
  const keptPairs = await r.int64();
  if (size !== wordCount + labelCount || wordCount < 0 || labelCount < 1 || keptPairs > bucket || keptPairs < -1) {
    throw r.wrong("its dictionary sizes are invalid");
  }
  const entries: Entry[] = [];
  for (let i = 0; i < size; i++) {
    const bytes = await r.string();
    const count = await r.int64();
    const isLabel = (await r.bytes(1))[0] === 1;
    if (isLabel !== i >= wordCount) throw r.wrong("its words and labels are out of order");
    entries.push({ bytes, count });
  }
  const labels = entries.slice(wordCount);
  if (labels.some(({ count }) => count < 0) || labels.reduce((sum, { count }) => sum + count, 0) >= NO_COUNT) {
    throw r.wrong("its label counts are invalid");
  }
  r.expect(8 * Math.max(0, keptPairs));
  const pairs: [number, number][] = [];
  for (let i = 0; i < keptPairs; i++) pairs.push([await r.int32(), await r.int32()]);
  pairs.sort((a, b) => a[0] - b[0]);
  if (pairs.some(([, row]) => row < 0 || row >= pairs.length))
    throw r.wrong("its table of kept buckets points outside the input matrix");

  const quantised = (await r.bytes(1))[0] === 1;
  const input = await Matrix.head(r, quantised);
  const kept = keptPairs >= 0 ? Int32Array.from(pairs.flat()) : null;
  const inputRows = wordCount + (kept === null ? bucket : pairs.length);
  if (input.rows !== inputRows || input.columns !== dim) throw r.wrong("its input matrix has the wrong size");
  // The output matrix follows, and the classifier allocates both at once, so check both sizes first.
  r.expect(input.bytes + (quantised ? labelCount : 4 * labelCount * dim));
  const classifier = makeClassifier(
    r,
    // Classifiers of version 11 had no character n-grams.
    { dim, wordNgrams: Math.max(1, wordNgrams), bucket, minn, maxn: version === 11 ? 0 : maxn, loss: kind },
    { words: entries.slice(0, wordCount), labels, tokens, kept },
  );
  await input.into(classifier.input, classifier.stride);
  const quantisedOutput = (await r.bytes(1))[0] === 1;
  const output = await Matrix.head(r, quantised && quantisedOutput);
  if (output.rows !== labelCount || output.columns !== dim) throw r.wrong("its output matrix has the wrong size");
  await output.into(classifier.output, classifier.stride);
  return classifier;
}

function makeClassifier(r: Reader, shape: ClassifierShape, vocabulary: Vocabulary): Classifier {
  try {
    return new Classifier(shape, vocabulary);
  } catch (error) {
    throw error instanceof QuernError ? r.wrong(error.message) : error;
  }
}

/** A product-quantised matrix: codes[rows][parts] are centroid numbers in the codebook. */
interface Codes {
  readonly codes: Buffer;
  readonly codebook: Codebook;
  readonly norms: boolean;
}

/** A matrix of the file. `head` reads its size, `into` its values. */
class Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly #r: Reader;
  /** Minimum number of bytes of the file that its values occupy. */
  readonly bytes: number;
  readonly #codes: Codes | null;

  private constructor(r: Reader, rows: number, columns: number, bytes: number, codes: Codes | null) {
    this.#r = r;
    this.rows = rows;
    this.columns = columns;
    this.bytes = bytes;
    this.#codes = codes;
  }

  static async head(r: Reader, quantised: boolean): Promise<Matrix> {
    const norms = quantised ? (await r.bytes(1))[0] === 1 : null;
    const [rows, columns] = [await r.int64(), await r.int64()];
    if (rows < 0 || columns < 1) throw r.wrong("a matrix has an invalid size");
    if (norms === null) {
      r.expect(rows * columns * 4);
      return new Matrix(r, rows, columns, rows * columns * 4, null);
    }
    const codes = await r.bytes(await r.int32());
    const codebook = await Codebook.read(r);
    if (codebook.dim !== columns || codes.length !== rows * codebook.parts) {
      throw r.wrong("a quantised matrix has the wrong size");
    }
    return new Matrix(r, rows, columns, norms ? rows : 0, { codes, codebook, norms });
  }

  async into(target: Float32Array, stride: number): Promise<void> {
    if (this.#codes !== null) return this.#unquantise(this.#codes, target, stride);
    const rowsAtOnce = Math.max(1, Math.floor(2 ** 22 / (4 * this.columns)));
    for (let row = 0; row < this.rows; row += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, this.rows - row);
      const values = floats(await this.#r.bytes(4 * count * this.columns));
      if (!areNumbers(values)) throw this.#r.wrong("a weight is not a finite number");
      for (let i = 0; i < count; i++) {
        target.set(values.subarray(i * this.columns, (i + 1) * this.columns), (row + i) * stride);
      }
    }
  }

  async #unquantise({ codes, codebook, norms: hasNorms }: Codes, target: Float32Array, stride: number): Promise<void> {
    const r = this.#r;
    const normCodes = hasNorms ? await r.bytes(this.rows) : null;
    const norms = normCodes === null ? null : await Codebook.read(r);
    for (let row = 0; row < this.rows; row++) {
      const norm = normCodes === null || norms === null ? 1 : norms.centroids[normCodes[row]];
      codebook.add(codes, row, norm, target, row * stride);
    }
  }
}

class Codebook {
  readonly dim: number;
  readonly parts: number;
  readonly centroids: Float32Array;
  readonly #width: number;
  readonly #last: number;

  private constructor(dim: number, parts: number, width: number, last: number, centroids: Float32Array) {
    this.dim = dim;
    this.parts = parts;
    this.#width = width;
    this.#last = last;
    this.centroids = centroids;
  }

  static async read(r: Reader): Promise<Codebook> {
    const [dim, parts, width, last] = [await r.int32(), await r.int32(), await r.int32(), await r.int32()];
    if (dim < 1 || parts < 1 || width < 1 || last < 1 || (parts - 1) * width + last !== dim) {
      throw r.wrong("a codebook has an invalid size");
    }
    const centroids = floats(await r.bytes(4 * dim * 256));
    if (!areNumbers(centroids)) throw r.wrong("a weight is not a finite number");
    return new Codebook(dim, parts, width, last, centroids);
  }

  add(codes: Uint8Array, row: number, norm: number, target: Float32Array, at: number): void {
    for (let part = 0; part < this.parts; part++) {
      const width = part === this.parts - 1 ? this.#last : this.#width;
      const from = part * 256 * this.#width + codes[row * this.parts + part] * width;
      for (let i = 0; i < width; i++) target[at + part * this.#width + i] = norm * this.centroids[from + i];
    }
  }
}

/** Copies little-endian bytes to an aligned float array. */
const floats = (bytes: Uint8Array) => new Float32Array(Uint8Array.from(bytes).buffer);

/** Whether all values are finite: 0 times NaN or infinity is NaN. */
function areNumbers(values: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * 0;
  return sum === 0;
}

/** Reads a file sequentially; its errors name the file and the position. */
class Reader {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  #at = 0;
  #buffer = Buffer.alloc(0);
  #start = 0; // of #buffer in the file

  constructor(path: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  wrong(what: string): QuernError {
    return new QuernError(`cannot read ${this.#path} as a classifier: ${what} (before byte ${this.#at})`);
  }

  /** Throws unless the file has that many more bytes. Call it before allocating memory for them. */
  expect(bytes: number): void {
    if (bytes < 0 || this.#at + bytes > this.#size) throw this.wrong(`it is truncated at ${this.#size} bytes`);
  }

  async bytes(count: number): Promise<Buffer> {
    this.expect(count);
    const offset = this.#at - this.#start;
    if (offset + count > this.#buffer.length) {
      const wanted = Math.min(Math.max(count, 2 ** 20), this.#size - this.#at);
      const buffer = Buffer.alloc(wanted);
      let filled = 0;
      while (filled < wanted) {
        const { bytesRead } = await this.#file.read(buffer, filled, wanted - filled, this.#at + filled);
        if (bytesRead === 0) throw this.wrong("it is truncated");
        filled += bytesRead;
      }
      this.#buffer = buffer;
      this.#start = this.#at;
    }
    const from = this.#at - this.#start;
    this.#at += count;
    return this.#buffer.subarray(from, from + count);
  }

  async int32(): Promise<number> {
    return (await this.bytes(4)).readInt32LE();
  }

  async int64(): Promise<number> {
    const value = (await this.bytes(8)).readBigInt64LE();
    if (value > 2n ** 50n || value < -1n) throw this.wrong(`the size ${value} is invalid`);
    return Number(value);
  }

  /** Reads bytes up to a zero byte, as latin-1. */
  async string(): Promise<string> {
    const at = this.#at;
    for (let length = 256; ; length *= 2) {
      const taken = Math.min(length, this.#size - at);
      this.#at = at;
      const bytes = await this.bytes(taken);
      const end = bytes.indexOf(0);
      this.#at = at + (end < 0 ? 0 : end + 1);
      if (end >= 0) return bytes.toString("latin1", 0, end);
      if (taken < length) throw this.wrong(`it is truncated at ${this.#size} bytes`);
      if (length > LONGEST_WORD) throw this.wrong("a word does not end");
    }
  }
}

/**
 * Writes a model atomically in fastText's `.bin` format.
 *
 * @throws QuernError if it cannot be written
 */
export async function writeClassifier(path: string, model: Classifier, record: TrainingRecord): Promise<void> {
  const { shape, vocabulary } = model;
  const file = await createAtomicFile(path);
  try {
    const head = Buffer.alloc(8 + 48 + 8);
    const args = [
      ...[shape.dim, 5, record.epoch, record.minCount, 5, shape.wordNgrams, LOSS_NUMBERS[shape.loss], SUPERVISED],
      ...[shape.bucket, shape.minn, shape.maxn, 100],
    ];
    [MAGIC, VERSION, ...args].forEach((value, i) => {
      head.writeInt32LE(value, 4 * i);
    });
    head.writeDoubleLE(1e-4, 56);
    await file.write(head);
    const { words, labels, tokens, kept } = vocabulary;
    const sizes = Buffer.alloc(28);
    sizes.writeInt32LE(words.length + labels.length, 0);
    sizes.writeInt32LE(words.length, 4);
    sizes.writeInt32LE(labels.length, 8);
    sizes.writeBigInt64LE(BigInt(tokens), 12);
    sizes.writeBigInt64LE(BigInt(kept === null ? -1 : kept.length / 2), 20);
    await file.write(sizes);
    let parts: Buffer[] = [];
    for (const [i, { bytes, count }] of [...words, ...labels].entries()) {
      const end = Buffer.alloc(10);
      end.writeBigInt64LE(BigInt(count), 1);
      end[9] = i < words.length ? 0 : 1;
      parts.push(Buffer.from(bytes, "latin1"), end);
      if (parts.length > 8192) {
        await file.write(Buffer.concat(parts));
        parts = [];
      }
    }
    await file.write(Buffer.concat(parts));
    if (kept !== null) await file.write(kept);
    await file.write(Buffer.from([0]));
    await writeMatrix(file, model.input, model.inputRows, model);
    await file.write(Buffer.from([0]));
    await writeMatrix(file, model.output, model.outputRows, model);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw fileError(error, "write", path);
  }
}

async function writeMatrix(
  file: { write(data: NodeJS.ArrayBufferView): Promise<void> },
  values: Float32Array,
  rows: number,
  { stride, shape: { dim } }: Classifier,
): Promise<void> {
  const head = Buffer.alloc(16);
  head.writeBigInt64LE(BigInt(rows), 0);
  head.writeBigInt64LE(BigInt(dim), 8);
  await file.write(head);
  const rowsAtOnce = Math.max(1, Math.floor(2 ** 20 / dim));
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const part = new Float32Array(count * dim); // a copy, since files cannot be written from shared memory
    for (let i = 0; i < count; i++) part.set(values.subarray((row + i) * stride, (row + i) * stride + dim), i * dim);
    await file.write(part);
  }
}

/** Returns a label's name, without the prefix. */
export const labelName = (entry: Entry) =>
  Buffer.from(entry.bytes, "latin1")
    .toString("utf8")
    .replace(new RegExp(`^${LABEL_PREFIX}`), "");
