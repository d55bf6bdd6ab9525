/**
 * @file A text classifier in memory: what fastText's supervised models are (Joulin et al. 2016), laid out in one
 * WebAssembly memory for the loops of kernel.c.
 */
import { QuernError } from "../../errors.js";
import { growTo, instantiateKernel, type KernelBase, kernelMemory } from "../../kernel.js";

export type ClassifierLoss = "softmax" | "hs" | "independent";

/** The numbers that shape a model; names as fastText has them where the command line shares them. */
export interface ClassifierShape {
  readonly dim: number;
  readonly wordNgrams: number;
  /** Rows for hashed n-grams. 0 where there are none. */
  readonly bucket: number;
  readonly minn: number;
  readonly maxn: number;
  readonly loss: ClassifierLoss;
}

/** A word or label: its UTF-8 bytes as a latin-1 string, one character a byte, and how often it was seen. */
export interface Entry {
  readonly bytes: string;
  readonly count: number;
}

export interface Vocabulary {
  readonly words: readonly Entry[];
  readonly labels: readonly Entry[];
  /** Tokens of the training text, ends of lines and rare words among them. */
  readonly tokens: number;
  /** Pairs of bucket and row, sorted by bucket, where a smaller model keeps some alone; null: all are kept. */
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

/** The loops over a memory; each thread has its own instance. */
export const classifierKernel = (memory: WebAssembly.Memory) =>
  instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), memory);

/** Where the fields of kernel.c's struct lie. */
const FIELDS = [
  ...["words", "labels", "text", "start", "table", "tableMask", "subwordStart", "subwords", "bucket", "ngrams"],
  ...["minn", "maxn", "prefix", "prefixLength", "kept", "keptPairs", "input", "output", "dim", "stride"],
  ...["lossKind", "pathStart", "nodes", "left", "right", "codes", "pace", "ids", "lineLabels", "hashes", "hidden"],
  ...["gradient", "scores", "random", "idCount", "labelCount", "tokenCount"],
] as const;
/** Where the sums of training lie: doubles behind the fields. */
const SUMS = 8 * Math.ceil(FIELDS.length / 2);
const STRUCT_BYTES = SUMS + 16;
const LOSS_KINDS: Readonly<Record<ClassifierLoss, number>> = { softmax: 0, hs: 1, independent: 2 };

/** Longest line, in bytes, that is read as one; a longer one goes on as the next. */
export const LONGEST_LINE = 2 ** 20;
const PAGE = 65536;
const MOST_BYTES = 65536 * PAGE - 2 * PAGE;

/** A model, its matrices zero until they are filled. `dispose` is not needed: the memory goes with the object. */
export class Classifier {
  readonly shape: ClassifierShape;
  readonly vocabulary: Vocabulary;
  readonly inputRows: number;
  readonly outputRows: number;
  /** Floats from a row to the next; those past `dim` are 0. */
  readonly stride: number;
  readonly memory: WebAssembly.Memory;
  readonly kernel: Kernel & KernelBase;
  /** Address of the struct that the main thread uses; a copy for another thread comes from `addThread`. */
  readonly struct: number;
  readonly #words = new Map<string, number>();
  #top: number;

  /**
   * @param examples of each label, where the vocabulary's counts of labels only shape the tree
   * @throws QuernError where the model does not fit the memory that WebAssembly can address (4 GiB)
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
        `the classifier needs ${(matrices / 2 ** 30).toFixed(1)} GiB and can have 4: lower --bucket (${shape.bucket}) or --dim (${shape.dim})`,
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
        pace: this.#put(paths.pace),
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

  /** Buffers that each thread has of its own. A line's rows: its words, their n-grams of characters, and of words. */
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

  /** Subwords of the dictionary's words, so that they are hashed once. */
  #listSubwords(): void {
    const { words } = this.vocabulary;
    const { maxn, minn } = this.shape;
    const starts = new Int32Array(words.length + 1);
    const most = words.reduce((sum, { bytes }) => sum + 1 + (bytes.length + 2) * Math.max(0, maxn - minn + 1), 0);
    const address = this.reserve(4 * most);
    words.forEach((_, word) => {
      starts[word + 1] = starts[word] + this.kernel.list_subwords(this.struct, word, address + 4 * starts[word]);
    });
    this.set({ subwords: address, subwordStart: this.#put(starts) });
  }

  /** A struct for one more thread: the same model, its own buffers. Gives its address and the top of its stack. */
  addThread(number: number): { readonly struct: number; readonly stack: number } {
    const struct = this.reserve(STRUCT_BYTES);
    const bytes = new Uint8Array(this.memory.buffer);
    bytes.copyWithin(struct, this.struct, this.struct + STRUCT_BYTES);
    this.set({ ...this.#threadMemory(), random: number + 1 }, struct);
    return { struct, stack: this.reserve(PAGE) + PAGE };
  }

  /** Takes bytes at the top of the memory, which is 0 there, aligned to 16. */
  reserve(bytes: number): number {
    const address = Math.ceil(this.#top / 16) * 16;
    this.#top = address + bytes;
    try {
      growTo(this.memory, this.#top);
    } catch (error) {
      throw new QuernError(
        `the classifier needs more than the 4 GiB or the memory there is: lower --bucket (${this.shape.bucket}) or --dim (${this.shape.dim})`,
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

  /** Sums since training began: loss and examples. */
  sums(struct = this.struct): { readonly loss: number; readonly examples: number } {
    const [loss, examples] = new Float64Array(this.memory.buffer, struct + SUMS, 2);
    return { loss, examples };
  }

  /** Rows of `stride` floats. */
  get input(): Float32Array {
    return new Float32Array(this.memory.buffer, this.get("input"), this.inputRows * this.stride);
  }
  get output(): Float32Array {
    return new Float32Array(this.memory.buffer, this.get("output"), this.outputRows * this.stride);
  }

  /** The number of a label that the model knows, from its bytes with the prefix; -1 if it does not. */
  labelNumber(bytes: string): number {
    const entry = this.#words.get(bytes);
    return entry === undefined || entry < this.vocabulary.words.length ? -1 : entry - this.vocabulary.words.length;
  }
}

interface Paths {
  readonly start: Int32Array;
  readonly nodes: Int32Array;
  readonly codes: Uint8Array;
  /** Children of inner nodes: labels, then inner nodes by `labels + number`. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Of inner nodes: how many times faster than the root they learn. */
  readonly pace: Float32Array;
}

/** Most times: with more, the weights of rare labels swing instead of settling. */
const FASTEST = 8;

/** The Huffman tree over labels sorted by falling count (Mikolov et al. 2013), with fastText's choice among equal counts. */
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
  // A node learns from the examples of the labels under it alone: at the root's rate it would hardly have begun when the
  // rate has fallen to 0. So it learns faster in proportion, within limits.
  const under = [...examples, ...new Array<number>(Math.max(0, size - 1)).fill(0)];
  for (let i = size; i < under.length; i++) under[i] = under[left[i - size]] + under[right[i - size]];
  const all = under[under.length - 1];
  const pace = Float32Array.from(left, (_, i) => Math.min(FASTEST, all / Math.max(1, under[size + i] ?? all)));
  return { start, nodes: Int32Array.from(nodes), codes: Uint8Array.from(codes), left, right, pace };
}
