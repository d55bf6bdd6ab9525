/**
 * @file Holds out documents for evaluation. A document is held out if the hash of its text is small. So the choice does not
 * depend on the order of the documents, and copies of a text stay on one side. `isHeldOut` selects a share of any stream.
 * `planHeldOut` and `splitHeldOut` find a hash bound per source that yields enough bytes. They remove long held-out
 * lines that also occur in the training text.
 */
import { createHash } from "node:crypto";
import { QuernError } from "../errors.js";
import { cutDocument } from "./cut.js";
import type { GivenDocument } from "./document.js";

/** Returns the hash that selects documents: SHA-1 of the UTF-8 text, as five 32-bit numbers. */
export function textHash(text: string | Uint8Array): Uint32Array {
  const digest = createHash("sha1").update(text).digest();
  return Uint32Array.from({ length: 5 }, (_, i) => digest.readUInt32LE(4 * i));
}

function compareHashes(a: Uint32Array, b: Uint32Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

/** True if a text is held out, for a held-out share of about `share` of all texts. */
export function isHeldOut(text: string | Uint8Array, share: number): boolean {
  return createHash("sha1").update(text).digest().readUInt32LE(0) < share * 2 ** 32;
}

export interface HeldOutOptions {
  /** Minimum held-out share of all bytes. Default .05. */
  readonly share?: number;
  /** Minimum number of held-out bytes, limited to a tenth of all. Default 200,000. */
  readonly bytes?: number;
  /** Upper limit on both, since held-out text is kept in memory. Default 8,000,000. */
  readonly most?: number;
}

/** The held-out text, and which pieces remain for training. */
export interface HeldOutPlan {
  /** The text is cut into numbered pieces of at most about this many UTF-16 units. */
  readonly longest: number;
  /** Whether a piece, by its number from 0, is trained on. */
  isTraining(piece: number): boolean;
  /** The held-out pieces, cleaned, in order. */
  readonly heldOut: readonly GivenDocument[];
  readonly pieces: number;
  /** UTF-8 bytes of text on each side. */
  readonly trainingBytes: number;
  readonly heldOutBytes: number;
  /** Lines removed from the held-out text because the training text contains them. */
  readonly sharedLines: number;
  /** True if the text is so repetitive that removing shared lines would leave too little; then none were removed. */
  readonly overlapping: boolean;
}

/** Lines of at least this many characters count as shared content; shorter ones may coincide by chance. */
export const SHARED_LINE = 40;

/** Documents longer than this share of the held-out bytes are cut, so that even a single long file can be split. */
const LONGEST_PIECE_SHARE = 0.25;
/** UTF-16 units of a piece if no shorter ones are needed. */
const LONGEST_PIECE = 2 ** 24;
/** Limit on bytes held out to make up for removed lines; never more than half of the text. */
const MOST_DRAWN = 32e6;
/** Sources that are split separately; all further ones count as one. */
const MOST_SOURCES = 1000;

/** One pass over the text, in pieces of at most about `longest` UTF-16 units. */
interface Pass {
  readonly longest: number;
  see(piece: GivenDocument, number: number): void;
}

/** Reads a text from its beginning, in pieces of at most about `longest` UTF-16 units. */
export type OpenText = (longest: number) => AsyncIterable<GivenDocument>;

/**
 * Plans which part of a text to hold out: at least `share` of its bytes, and at least the smaller of `bytes` and a
 * tenth of it. The upper limit is `most`. The text is read several times and never completely in memory.
 *
 * Each source contributes its share. No trimmed line of at least `SHARED_LINE` characters occurs on both sides. Long
 * documents, such as a single file, are cut at line ends, or at spaces if a line is long. Very repetitive text is split
 * without removing lines; `overlapping` reports that.
 * @throws QuernError if there is too little text
 */
export const planHeldOut = (open: OpenText, options: HeldOutOptions = {}): Promise<HeldOutPlan> =>
  readFor(open, choosing(options));

/** Plans a split with given held-out documents: only removes long lines from them that the training text contains too. */
export const planSeparate = (open: OpenText, heldOut: readonly GivenDocument[]): Promise<HeldOutPlan> =>
  readFor(open, separating(heldOut));

async function readFor(open: OpenText, passes: Generator<Pass, HeldOutPlan>): Promise<HeldOutPlan> {
  for (let step = passes.next(); ; step = passes.next()) {
    if (step.done) return step.value;
    let number = 0;
    for await (const piece of open(step.value.longest)) step.value.see(piece, number++);
  }
}

export interface HeldOutSplit extends Omit<HeldOutPlan, "longest" | "isTraining" | "pieces"> {
  readonly training: readonly GivenDocument[];
}

/** `planHeldOut` for documents in memory. */
export const splitHeldOut = (documents: readonly GivenDocument[], options: HeldOutOptions = {}): HeldOutSplit =>
  splitBy(documents, choosing(options));

/** `planSeparate` for documents in memory. */
export const separateHeldOut = (training: readonly GivenDocument[], heldOut: readonly GivenDocument[]): HeldOutSplit =>
  splitBy(training, separating(heldOut));

function splitBy(documents: readonly GivenDocument[], passes: Generator<Pass, HeldOutPlan>): HeldOutSplit {
  function* pieces(longest: number) {
    for (const document of documents) yield* cutDocument(document, longest);
  }
  for (let step = passes.next(); ; step = passes.next()) {
    if (step.done) {
      const { longest, isTraining, pieces: _, ...split } = step.value;
      return { ...split, training: [...pieces(longest)].filter((_, number) => isTraining(number)) };
    }
    let number = 0;
    for (const piece of pieces(step.value.longest)) step.value.see(piece, number++);
  }
}

function* separating(heldOut: readonly GivenDocument[]): Generator<Pass, HeldOutPlan> {
  const lines = new Map<string, number>();
  for (const { text } of heldOut) for (const line of longLines(text)) lines.set(line, 0);
  let trainingBytes = 0;
  let pieces = 0;
  yield {
    longest: LONGEST_PIECE,
    see({ text }) {
      pieces += 1;
      trainingBytes += Buffer.byteLength(text);
      for (const line of longLines(text)) if (lines.has(line)) lines.set(line, 1);
    },
  };
  const { documents, removed } = without(heldOut, (line) => lines.get(line) === 1);
  if (trainingBytes === 0 || documents.length === 0) {
    throw new QuernError(
      "the split is empty: there is no training text, or all of the held-out text is in the training text too; give more text",
      { exitCode: 2 },
    );
  }
  const sizes = { pieces, trainingBytes, heldOutBytes: bytesOf(documents) };
  const longest = LONGEST_PIECE;
  return { longest, isTraining: () => true, heldOut: documents, ...sizes, sharedLines: removed, overlapping: false };
}

/** A piece that may be held out. */
interface Drawn {
  readonly number: number;
  readonly piece: GivenDocument;
  readonly hash: Uint32Array;
  readonly bytes: number;
}

function* choosing(options: HeldOutOptions): Generator<Pass, HeldOutPlan> {
  const { share = 0.05, bytes = 200_000, most = 8e6 } = options;
  const sizes = new Map<string, number>();
  const sourceOf = ({ source = "" }: GivenDocument) =>
    sizes.has(source) || sizes.size < MOST_SOURCES ? source : "(others)";
  let total = 0;
  yield {
    longest: LONGEST_PIECE,
    see(piece) {
      const size = Buffer.byteLength(piece.text);
      const source = sourceOf(piece);
      sizes.set(source, (sizes.get(source) ?? 0) + size);
      total += size;
    },
  };
  const wanted = Math.min(most, Math.max(share * total, Math.min(bytes, total / 10)));
  const longest = Math.max(1000, wanted * LONGEST_PIECE_SHARE);
  // Removed lines must be made up for. So growing shares are tried, and the first that leaves enough bytes is used.
  const step = Math.max(1, 0.25 * wanted);
  const limits = [Math.min(total / 2, 2 * wanted), Math.min(total / 2, Math.max(MOST_DRAWN, 2 * wanted))];
  for (const limit of new Set(limits)) {
    const shares: number[] = [];
    for (let aim = wanted; aim <= limit; aim += step) shares.push(aim / total);
    if (shares.length === 0) shares.push(wanted / total);
    const draw = new Draw(sizes, shares[shares.length - 1]);
    let pieces = 0;
    yield {
      longest,
      see(piece, number) {
        pieces += 1;
        draw.offer(sourceOf(piece), piece, number);
      },
    };
    if (pieces < 2) {
      throw new QuernError(
        `the text is too short: ${Math.round(total)} bytes cannot be split for evaluation; give at least 10 kB`,
        { exitCode: 2 },
      );
    }
    /** For each candidate piece: the index of the first share that holds it out. A share's index is its level. */
    const levels = draw.levels(shares);
    /** For each long line of these: the highest level of all pieces that contain it; infinite if one is never held out. */
    const lines = new Map<string, number>();
    for (const { piece } of levels.keys()) for (const line of longLines(piece.text)) lines.set(line, -1);
    const levelOf = new Map([...levels].map(([{ number }, level]) => [number, level]));
    yield {
      longest,
      see({ text }, number) {
        const level = levelOf.get(number) ?? Number.POSITIVE_INFINITY;
        for (const line of longLines(text)) {
          const known = lines.get(line);
          if (known !== undefined && known < level) lines.set(line, level);
        }
      },
    };
    const chosenAt = (at: number) =>
      [...levels]
        .filter(([, level]) => level <= at)
        .map(([drawn]) => drawn)
        .sort((a, b) => a.number - b.number);
    const planOf = (chosen: readonly Drawn[], heldOut: readonly GivenDocument[], sharedLines: number) => {
      const numbers = new Set(chosen.map(({ number }) => number));
      const trainingBytes = total - chosen.reduce((sum, { bytes }) => sum + bytes, 0);
      const isTraining = (number: number) => !numbers.has(number);
      return { longest, isTraining, heldOut, pieces, trainingBytes, heldOutBytes: bytesOf(heldOut), sharedLines };
    };
    for (let at = 0; at < shares.length; at++) {
      const chosen = chosenAt(at);
      const own = chosen.map(({ piece }) => piece);
      const { documents, removed } = without(own, (line) => (lines.get(line) ?? -1) > at);
      if (bytesOf(documents) >= wanted) return { ...planOf(chosen, documents, removed), overlapping: false };
    }
    if (limit < limits[limits.length - 1]) continue;
    const chosen = chosenAt(0);
    const own = chosen.map(({ piece }) => piece);
    return { ...planOf(chosen, own, 0), overlapping: true };
  }
  throw new Error("a split has no limit");
}

/** Selects from each source the pieces with the smallest hashes that together reach a share of its bytes. */
class Draw {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #share: number;
  readonly #sources = new Map<
    string,
    { drawn: Drawn[]; bytes: number; bound: Uint32Array | undefined; pieces: number }
  >();

  constructor(sizes: ReadonlyMap<string, number>, share: number) {
    this.#sizes = sizes;
    this.#share = share;
  }

  offer(source: string, piece: GivenDocument, number: number): void {
    let own = this.#sources.get(source);
    if (own === undefined) {
      own = { drawn: [], bytes: 0, bound: undefined, pieces: 0 };
      this.#sources.set(source, own);
    }
    own.pieces += 1;
    const hash = textHash(piece.text);
    if (own.bound !== undefined && compareHashes(hash, own.bound) > 0) return;
    const bytes = Buffer.byteLength(piece.text);
    // Copies the text, because a slice keeps the whole string in memory.
    const text = JSON.parse(JSON.stringify(piece.text)) as string;
    own.drawn.push({ number, piece: { ...piece, text }, hash, bytes });
    own.bytes += bytes;
    // Occasionally drops the excess.
    const wanted = (this.#sizes.get(source) ?? 0) * this.#share;
    if (own.bytes > 2 * wanted + 2 ** 14) {
      own.drawn = firstOf(own.drawn, wanted);
      own.bytes = own.drawn.reduce((sum, each) => sum + each.bytes, 0);
      own.bound = own.drawn.at(-1)?.hash;
    }
  }

  /** Returns for each piece the index of the first of the ascending shares that holds it out. Leaves one piece per source for training. */
  levels(shares: readonly number[]): Map<Drawn, number> {
    const levels = new Map<Drawn, number>();
    for (const [source, { drawn, pieces }] of this.#sources) {
      const size = this.#sizes.get(source) ?? 0;
      let before = 0;
      let level = 0;
      for (const each of inOrder(drawn).slice(0, pieces - 1)) {
        while (level < shares.length && before >= size * shares[level]) level += 1;
        if (level === shares.length) break;
        levels.set(each, level);
        before += each.bytes;
      }
    }
    return levels;
  }
}

const inOrder = (drawn: readonly Drawn[]) =>
  [...drawn].sort((a, b) => compareHashes(a.hash, b.hash) || a.number - b.number);

/** Returns the pieces with the smallest hashes, up to the one that reaches `bytes`. */
function firstOf(drawn: readonly Drawn[], bytes: number): Drawn[] {
  const kept: Drawn[] = [];
  let sum = 0;
  for (const each of inOrder(drawn)) {
    if (sum >= bytes) break;
    kept.push(each);
    sum += each.bytes;
  }
  return kept;
}

/** Removes shared lines, and then documents that are blank. */
function without(
  given: readonly GivenDocument[],
  isShared: (line: string) => boolean,
): { readonly documents: GivenDocument[]; readonly removed: number } {
  let removed = 0;
  const documents = given.map((document) => {
    const lines = document.text.split("\n");
    const kept = lines.filter((line) => line.length < SHARED_LINE || !isShared(line.trim()));
    removed += lines.length - kept.length;
    return kept.length === lines.length ? document : { ...document, text: kept.join("\n") };
  });
  return { documents: documents.filter(({ text }) => text.trim() !== ""), removed };
}

/** Yields the trimmed lines of at least `SHARED_LINE` characters. */
function* longLines(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const stop = text.indexOf("\n", start);
    const end = stop < 0 ? text.length : stop;
    if (end - start >= SHARED_LINE) {
      const line = text.slice(start, end).trim();
      if (line.length >= SHARED_LINE) yield line;
    }
    start = end + 1;
  }
}

function bytesOf(documents: readonly GivenDocument[]): number {
  return documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}
