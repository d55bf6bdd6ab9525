/**
 * @file The origin of each document in token shards: one JSON line per document, in the order of the split, and an index of the
 * lines' start positions, so that two reads find any line.
 *
 *     lineage-train.jsonl    lineage-train.starts    (64-bit little-endian positions)
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type AtomicFile, createAtomicFile } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";

/** The origin of one document. */
export interface LineageEntry {
  readonly id: string;
  readonly url?: string;
  readonly source: string;
  /** The file or URL that it was first read from. */
  readonly archive: string;
  /** Byte offset of its record in `archive`. */
  readonly offset?: number;
  /** Row of a Parquet file, from 1. */
  readonly row?: number;
  /** When it was fetched. */
  readonly time?: string;
  /** Its group in a data mix. */
  readonly group?: string;
  /** Number of the copy, if the mix repeats the document. */
  readonly copy?: number;
}

const linesName = (split: string) => `lineage-${split}.jsonl`;
const startsName = (split: string) => `lineage-${split}.starts`;
const PIECE = 1 << 18;

/** Writes the lineage of one split into the folder of its shards. */
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

/** Reads the lineage of document `number` of a split, from 0. @throws QuernError if the shards have no lineage or it is damaged */
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
        `${folder} has no lineage of its documents; \`quern data corpus\` and \`quern pretrain --text\` write shards with lineage`,
      );
    }
  };
  try {
    const [lines, starts] = [await openFile(linesName(split)), await openFile(startsName(split))];
    const end = (await lines.stat()).size;
    const positions = Buffer.alloc(16);
    const { bytesRead } = await starts.read(positions, 0, 16, 8 * number);
    if (bytesRead < 8)
      throw new QuernError(
        `${join(folder, startsName(split))} is truncated: it has no document ${number}; write the shards again`,
      );
    const from = Number(positions.readBigUInt64LE(0));
    const to = bytesRead < 16 ? end : Number(positions.readBigUInt64LE(8));
    const line = Buffer.alloc(Math.max(0, Math.min(to, end) - from));
    await lines.read(line, 0, line.length, from);
    try {
      return JSON.parse(line.toString("utf8")) as LineageEntry;
    } catch {
      throw new QuernError(`${join(folder, linesName(split))} is damaged at byte ${from}; write the shards again`);
    }
  } finally {
    for (const file of opened) await file.close();
  }
}
