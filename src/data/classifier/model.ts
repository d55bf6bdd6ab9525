/**
 * @file A text classifier in memory, equivalent to fastText's supervised models (Joulin et al. 2016). It is laid out in one
 * WebAssembly memory for kernel.c.
 */
import { QuernError } from "../../errors.js";
import { growTo, instantiateKernel, type KernelBase, kernelMemory } from "../../kernel.js";

export type ClassifierLoss = "softmax" | "hs" | "independent";

/** The hyperparameters that determine a model's structure, with fastText's names. */
export interface ClassifierShape {
  readonly dim: number;
  readonly wordNgrams: number;
  /** Rows for hashed n-grams; 0 without n-grams. */
  readonly bucket: number;
  readonly minn: number;
  readonly maxn: number;
  readonly loss: ClassifierLoss;
}

/** A word or label: its UTF-8 bytes as a latin-1 string (one character per byte) and its number of occurrences. */
export interface Entry {
  readonly bytes: string;
  readonly count: number;
}

export interface Vocabulary {
  readonly words: readonly Entry[];
  readonly labels: readonly Entry[];
  /** Tokens of the training text, including line ends and rare words. */
  readonly tokens: number;
  /** For a pruned model: (bucket, row) pairs of the buckets it keeps, sorted by bucket. Null: all are kept. */
  readonly kept: Int32Array | null;
}

export const LABEL_PREFIX = "__label__";

interface Kernel {
  fill_table(struct: number): void;
  list_subwords(struct: number, word: number, out: number): number;
  read_line(struct: number, at: number, end: number): number;
  train_text(struct: number, at: number, end: number, seen: number, total: number, rate: number): number;
  score_line(struct: number): number;
  fill_random(matrix: number, rows: number, dim: number, stride: number, seed: number): void;
}

/** Instantiates the kernel on a memory; each thread needs its own instance. */
export const classifierKernel = (memory: WebAssembly.Memory) =>
  instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), memory);

/** The 32-bit fields of kernel.c's struct, in order. */
const FIELDS = [
  ...["words", "labels", "text", "start", "table", "tableMask", "subwordStart", "subwords", "bucket", "ngrams"],
  ...["minn", "maxn", "prefix", "prefixLength", "kept", "keptPairs", "input", "output", "dim", "stride"],
  ...["lossKind", "pathStart", "nodes", "left", "right", "codes", "rateScale", "ids", "lineLabels", "hashes", "hidden"],
  ...["gradient", "scores", "random", "idCount", "labelCount", "tokenCount"],
] as const;
/** Offset of the training sums, two doubles after the fields. */
const SUMS = 8 * Math.ceil(FIELDS.length / 2);
const STRUCT_BYTES = SUMS + 16;
const LOSS_KINDS: Readonly<Record<ClassifierLoss, number>> = { softmax: 0, hs: 1, independent: 2 };

/** Longest line, in bytes. The rest of a longer line is read as the next line. */
export const LONGEST_LINE = 2 ** 20;
const PAGE = 65536;
const MOST_BYTES = 65536 * PAGE - 2 * PAGE;

/** A model. Its matrices are zero until filled. Its memory is garbage-collected with the object. */
export class Classifier {
  readonly shape: ClassifierShape;
  readonly vocabulary: Vocabulary;
  readonly inputRows: number;
  readonly outputRows: number;
  /** Floats per row: `dim` rounded up to a multiple of 4; the padding is 0. */
  readonly stride: number;
  readonly memory: WebAssembly.Memory;
  readonly kernel: Kernel & KernelBase;
  /** Address of the main thread's struct; `addThread` makes a copy for another thread. */
  readonly struct: number;
  readonly #words = new Map<string, number>();
  #top: number;

  /**
   * @param examples number per label; needed if the vocabulary's label counts only encode the tree
   * @throws QuernError if the model does not fit into the 4 GiB that WebAssembly can address
   */
  constructor(shape: ClassifierShape, vocabulary: Vocabulary, examples?: readonly number[]) {
    this.shape = shape;
    this.vocabulary = vocabulary;
    const { words, labels, kept } = vocabulary;
    this.stride = Math.ceil(shape.dim / 4) * 4;
    this.inputRows = words.length + (kept === null ? shape.bucket : kept.length / 2);
    this.outputRows = labels.length;
    const matrices = (this.inputRows + this.outputRows) * this.stride * 4;
    if (matrices > MOST_BYTES - 2 ** 26) {
      throw new QuernError(
        `the classifier needs ${(matrices / 2 ** 30).toFixed(1)} GiB, more than the limit of 4 GiB: lower --bucket (${shape.bucket}) or --dim (${shape.dim})`,
      );
    }
    this.memory = kernelMemory();
    this.kernel = classifierKernel(this.memory);
    this.#top = this.kernel.__heap_base.value;

    const entries = [...words, ...labels];
    for (const [i, { bytes }] of entries.entries()) this.#words.set(bytes, i);
    const text = this.#put(Buffer.from(entries.map(({ bytes }) => bytes).join(""), "latin1"));
    const starts = new Int32Array(entries.length + 1);
    entries.forEach(({ bytes }, i) => {
      starts[i + 1] = starts[i] + bytes.length;
    });
    const tableSize = 2 ** Math.ceil(Math.log2(2 * entries.length + 16));
    const paths =
      shape.loss === "hs"
        ? huffmanPaths(
            labels.map(({ count }) => count),
            examples,
          )
        : null;
    const prefix = Buffer.from(LABEL_PREFIX);
    this.struct = this.reserve(STRUCT_BYTES);
    this.set({
      words: words.length,
      labels: labels.length,
      text,
      start: this.#put(starts),
      table: this.reserve(4 * tableSize),
      tableMask: tableSize - 1,
      bucket: shape.bucket,
      ngrams: shape.wordNgrams,
      minn: shape.minn,
      maxn: shape.bucket > 0 ? shape.maxn : 0,
      prefix: this.#put(prefix),
      prefixLength: prefix.length,
      kept: kept === null ? 0 : this.#put(kept),
      keptPairs: kept === null ? -1 : kept.length / 2,
      dim: shape.dim,
      stride: this.stride,
      lossKind: LOSS_KINDS[shape.loss],
      ...(paths && {
        pathStart: this.#put(paths.start),
        nodes: this.#put(paths.nodes),
        left: this.#put(paths.left),
        right: this.#put(paths.right),
        codes: this.#put(paths.codes),
        rateScale: this.#put(paths.rateScale),
      }),
      random: 1,
    });
    this.set(this.#threadMemory());
    this.set({
      input: this.reserve(this.inputRows * this.stride * 4),
      output: this.reserve(this.outputRows * this.stride * 4),
    });
    this.kernel.fill_table(this.struct);
    if (shape.maxn > 0 && shape.bucket > 0) this.#listSubwords();
  }

  /** Allocates a thread's buffers. The rows of a line are its words, their character n-grams, and the word n-grams. */
  #threadMemory() {
    const { minn, maxn, wordNgrams } = this.shape;
    const rowsPerByte = 1 + Math.max(0, maxn - minn + 1) + Math.max(0, wordNgrams - 1) / 2;
    const room = LONGEST_LINE + 4096;
    return {
      ids: this.reserve(4 * Math.ceil(room * rowsPerByte)),
      lineLabels: this.reserve(2 * room),
      hashes: this.reserve(2 * room + 16),
      hidden: this.reserve(4 * this.stride),
      gradient: this.reserve(4 * this.stride),
      scores: this.reserve(8 * Math.max(1, this.outputRows)),
    };
  }

  /** Lists the subwords of all words in the vocabulary, so that each is hashed once. */
  #listSubwords(): void {
    const { words } = this.vocabulary;
    const { maxn, minn } = this.shape;
    const starts = new Int32Array(words.length + 1);
    const maxSubwords = words.reduce(
      (sum, { bytes }) => sum + 1 + (bytes.length + 2) * Math.max(0, maxn - minn + 1),
      0,
    );
    const address = this.reserve(4 * maxSubwords);
    words.forEach((_, word) => {
      starts[word + 1] = starts[word] + this.kernel.list_subwords(this.struct, word, address + 4 * starts[word]);
    });
    this.set({ subwords: address, subwordStart: this.#put(starts) });
  }

  /** Creates a struct for one more thread: same model, own buffers. Returns its address and the top of its stack. */
  addThread(number: number): { readonly struct: number; readonly stack: number } {
    const struct = this.reserve(STRUCT_BYTES);
    const bytes = new Uint8Array(this.memory.buffer);
    bytes.copyWithin(struct, this.struct, this.struct + STRUCT_BYTES);
    this.set({ ...this.#threadMemory(), random: number + 1 }, struct);
    return { struct, stack: this.reserve(PAGE) + PAGE };
  }

  /** Allocates zeroed bytes at the top of the memory, aligned to 16. Returns their address. */
  reserve(bytes: number): number {
    const address = Math.ceil(this.#top / 16) * 16;
    this.#top = address + bytes;
    try {
      growTo(this.memory, this.#top);
    } catch (error) {
      throw new QuernError(
        `the classifier needs more memory than is available (the limit is 4 GiB): lower --bucket (${this.shape.bucket}) or --dim (${this.shape.dim})`,
        { cause: error },
      );
    }
    return address;
  }

  #put(data: Uint8Array | Int32Array | Float32Array): number {
    const address = this.reserve(data.byteLength);
    new Uint8Array(this.memory.buffer).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), address);
    return address;
  }

  set(fields: Partial<Record<(typeof FIELDS)[number], number>>, struct = this.struct): void {
    const view = new Int32Array(this.memory.buffer, struct, FIELDS.length);
    for (const [name, value] of Object.entries(fields)) view[FIELDS.indexOf(name as (typeof FIELDS)[number])] = value;
  }

  get(field: (typeof FIELDS)[number]): number {
    return new Int32Array(this.memory.buffer, this.struct, FIELDS.length)[FIELDS.indexOf(field)] >>> 0;
  }

  /** Returns the sums since training began: loss in nats, and number of examples. */
  sums(struct = this.struct): { readonly loss: number; readonly examples: number } {
    const [loss, examples] = new Float64Array(this.memory.buffer, struct + SUMS, 2);
    return { loss, examples };
  }

  /** Input matrix (inputRows, stride). A view. */
  get input(): Float32Array {
    return new Float32Array(this.memory.buffer, this.get("input"), this.inputRows * this.stride);
  }
  /** Output matrix (outputRows, stride). A view. */
  get output(): Float32Array {
    return new Float32Array(this.memory.buffer, this.get("output"), this.outputRows * this.stride);
  }

  /** Returns the number of a label, given its bytes with the prefix; -1 if the model does not have it. */
  labelNumber(bytes: string): number {
    const entry = this.#words.get(bytes);
    return entry === undefined || entry < this.vocabulary.words.length ? -1 : entry - this.vocabulary.words.length;
  }
}

/** Label l's path from leaf to root: nodes[start[l] … start[l + 1]) with the branches taken in `codes`. */
interface Paths {
  readonly start: Int32Array;
  readonly nodes: Int32Array;
  readonly codes: Uint8Array;
  /** Children of each inner node: a label, or `labels` + the number of an inner node. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Factor on the learning rate of each inner node; 1 for the root. */
  readonly rateScale: Float32Array;
}

/** Maximum factor. With more, the weights of rare labels oscillate. */
const MAX_RATE_SCALE = 8;

/** Builds the Huffman tree over labels in descending order of count (Mikolov et al. 2013). Breaks ties as fastText does. */
function huffmanPaths(counts: readonly number[], examples = counts): Paths {
  const size = counts.length;
  const weight = [...counts, ...new Array<number>(Math.max(0, size - 1)).fill(1e15)];
  const parent = new Int32Array(weight.length).fill(-1);
  const code = new Uint8Array(weight.length);
  const left = new Int32Array(Math.max(1, size - 1));
  const right = new Int32Array(Math.max(1, size - 1));
  let leaf = size - 1;
  let node = size;
  for (let i = size; i < weight.length; i++) {
    const smallest = () => (leaf >= 0 && weight[leaf] < weight[node] ? leaf-- : node++);
    const a = smallest();
    const b = smallest();
    left[i - size] = a;
    right[i - size] = b;
    weight[i] = weight[a] + weight[b];
    parent[a] = i;
    parent[b] = i;
    code[b] = 1;
  }
  const start = new Int32Array(size + 1);
  const nodes: number[] = [];
  const codes: number[] = [];
  for (let label = 0; label < size; label++) {
    for (let at = label; parent[at] >= 0; at = parent[at]) {
      nodes.push(parent[at] - size);
      codes.push(code[at]);
    }
    start[label + 1] = nodes.length;
  }
  // A node learns only from examples of the labels below it. At the root's rate it would have learned little by the time
  // the rate reaches 0. So its rate is scaled by the inverse of its share of the examples, up to a limit.
  const under = [...examples, ...new Array<number>(Math.max(0, size - 1)).fill(0)];
  for (let i = size; i < under.length; i++) under[i] = under[left[i - size]] + under[right[i - size]];
  const all = under[under.length - 1];
  const rateScale = Float32Array.from(left, (_, i) =>
    Math.min(MAX_RATE_SCALE, all / Math.max(1, under[size + i] ?? all)),
  );
  return { start, nodes: Int32Array.from(nodes), codes: Uint8Array.from(codes), left, right, rateScale };
}
