/**
 * @file Where each document of token shards comes from: a line a document, in the order of the split, and where the lines
 * begin, so that any of them is found by two reads.
 *
 *     lineage-train.jsonl    lineage-train.starts    (64-bit little-endian positions)
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type AtomicFile, createAtomicFile } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";

/** What is kept of a document. */
export interface LineageEntry {
  readonly id: string;
  readonly url?: string;
  readonly source: string;
  /** The file or address that it was first read from, the byte of its record there, and when it was fetched. */
  readonly archive: string;
  readonly offset?: number;
  /** Row of a Parquet file, from 1. */
  readonly row?: number;
  readonly time?: string;
  /** Which group of a mix it stands for, and its number where it is repeated. */
  readonly group?: string;
  readonly copy?: number;
}

const linesName = (split: string) => `lineage-${split}.jsonl`;
const startsName = (split: string) => `lineage-${split}.starts`;
const PIECE = 1 << 18;

/** Writes the lineage of one split, beside its shards. */
export class LineageWriter {
  readonly #lines: AtomicFile;
  readonly #starts: AtomicFile;
  #waiting: string[] = [];
  #positions: bigint[] = [];
  #length = 0;
  #position = 0;

  private constructor(lines: AtomicFile, starts: AtomicFile) {
    this.#lines = lines;
    this.#starts = starts;
  }

  static async create(folder: string, split: string): Promise<LineageWriter> {
    const lines = await createAtomicFile(join(folder, linesName(split)));
    try {
      return new LineageWriter(lines, await createAtomicFile(join(folder, startsName(split))));
    } catch (error) {
      await lines.discard();
      throw error;
    }
  }

  async add(entry: LineageEntry): Promise<void> {
    const line = `${JSON.stringify(entry)}\n`;
    this.#positions.push(BigInt(this.#position));
    this.#position += Buffer.byteLength(line);
    this.#waiting.push(line);
    this.#length += line.length;
    if (this.#length > PIECE) await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#lines.write(this.#waiting.join(""));
    const positions = Buffer.alloc(8 * this.#positions.length);
    for (const [i, position] of this.#positions.entries()) positions.writeBigUInt64LE(position, 8 * i);
    await this.#starts.write(positions);
    this.#waiting = [];
    this.#positions = [];
    this.#length = 0;
  }

  async commit(): Promise<void> {
    await this.#flush();
    await this.#lines.commit();
    await this.#starts.commit();
  }

  async discard(): Promise<void> {
    await this.#lines.discard();
    await this.#starts.discard();
  }
}

/** The lineage of document `number` of a split. Throws a `QuernError` where the shards have none. */
export async function readLineage(folder: string, split: string, number: number): Promise<LineageEntry> {
  const opened: FileHandle[] = [];
  const openFile = async (name: string): Promise<FileHandle> => {
    const path = join(folder, name);
    try {
      const file = await open(path);
      opened.push(file);
      return file;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw fileError(error, "read", path);
      throw new QuernError(
        `${folder} does not say where its documents come from; \`quern data corpus\` and \`quern pretrain --text\` write shards that do`,
      );
    }
  };
  try {
    const [lines, starts] = [await openFile(linesName(split)), await openFile(startsName(split))];
    const end = (await lines.stat()).size;
    const positions = Buffer.alloc(16);
    const { bytesRead } = await starts.read(positions, 0, 16, 8 * number);
    if (bytesRead < 8)
      throw new QuernError(`${join(folder, startsName(split))} has no document ${number}; it is cut short`);
    const from = Number(positions.readBigUInt64LE(0));
    const to = bytesRead < 16 ? end : Number(positions.readBigUInt64LE(8));
    const line = Buffer.alloc(Math.max(0, Math.min(to, end) - from));
    await lines.read(line, 0, line.length, from);
    try {
      return JSON.parse(line.toString("utf8")) as LineageEntry;
    } catch {
      throw new QuernError(`${join(folder, linesName(split))} is damaged at byte ${from}`);
    }
  } finally {
    for (const file of opened) await file.close();
  }
}
