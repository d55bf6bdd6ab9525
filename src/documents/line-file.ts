/** @file Writes a file of lines; it appears under its name once it is complete. */
import { createHash } from "node:crypto";
import { type AtomicFile, createAtomicFile } from "./atomic.js";

/** Lines are buffered up to about this many characters, to save system calls. */
const PIECE = 1 << 18;

export interface WrittenLines {
  readonly bytes: number;
  readonly lines: number;
  readonly sha256: string;
}

export class LineFile {
  readonly #file: AtomicFile;
  readonly #hash = createHash("sha256");
  #waiting: string[] = [];
  #length = 0;
  #lines = 0;

  private constructor(file: AtomicFile) {
    this.#file = file;
  }

  /** @throws QuernError if the file cannot be written */
  static async create(path: string): Promise<LineFile> {
    return new LineFile(await createAtomicFile(path));
  }

  /** @param line without its line end */
  async write(line: string): Promise<void> {
    this.#waiting.push(line, "\n");
    this.#length += line.length + 1;
    this.#lines += 1;
    if (this.#length >= PIECE) await this.#flush();
  }

  async #flush(): Promise<void> {
    const data = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    this.#length = 0;
    this.#hash.update(data);
    await this.#file.write(data);
  }

  async commit(): Promise<WrittenLines> {
    await this.#flush();
    const { bytes } = this.#file;
    await this.#file.commit();
    return { bytes, lines: this.#lines, sha256: this.#hash.digest("hex") };
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}
