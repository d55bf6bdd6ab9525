/**
 * @file What a crawl keeps on disk: archives of what was fetched, and a log of addresses found and done. A fetch is
 * written to the archive first and to the log second, in one write each; a crawl that was killed cuts its last archive
 * to what the log knows and goes on.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open, readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileError } from "../../errors.js";

/** An address that waits to be fetched. */
export interface Waiting {
  readonly url: string;
  readonly depth: number;
  readonly kind: "page" | "sitemap";
  /** Redirects that led here. */
  readonly hops: number;
  readonly via?: string;
}

/** What came of an address. */
export interface Done {
  readonly url: string;
  /** `kept`, or why it was not. */
  readonly outcome: string;
  readonly status?: number;
  readonly bytes?: number;
  readonly digest?: string;
  readonly archive?: string;
  /** Bytes of the archive after this fetch. */
  readonly end?: number;
}

type Line = { readonly found: Waiting } | { readonly done: Done };

const LARGEST_ARCHIVE = 2 ** 30;
const LOG = "frontier.log"; // lines of JSON, but no documents: a folder that is read for those must pass it by
const archiveName = (number: number) => `archive-${String(number).padStart(5, "0")}.warc.gz`;

export class CrawlStore {
  readonly #folder: string;
  readonly #log: FileHandle;
  #archive: FileHandle | null = null;
  #number: number;
  #end: number;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, log: FileHandle, number: number, end: number) {
    this.#folder = folder;
    this.#log = log;
    this.#number = number;
    this.#end = end;
  }

  /** Opens a crawl's folder, which must exist, and replays what was done in it to `replay`. */
  static async open(folder: string, replay: (line: Line) => void): Promise<CrawlStore> {
    const path = join(folder, LOG);
    const ends = new Map<string, number>();
    try {
      const sound = await replayLog(path, (line) => {
        if ("done" in line && line.done.archive !== undefined) ends.set(line.done.archive, line.done.end ?? 0);
        replay(line);
      });
      if (sound !== null) await truncate(path, sound);
      for (const name of await readdir(folder)) {
        if (/^archive-\d+\.warc\.gz$/.test(name)) await truncate(join(folder, name), ends.get(name) ?? 0);
      }
      const log = await open(path, "a");
      const number = Math.max(0, ends.size - 1);
      return new CrawlStore(folder, log, number, ends.get(archiveName(number)) ?? 0);
    } catch (error) {
      throw fileError(error, "write", path);
    }
  }

  /** Writes a fetch's records, then what was found and done by it. One after the other, whoever calls. */
  async write(records: readonly Uint8Array[], found: readonly Waiting[], done: Done | null): Promise<void> {
    const turn = this.#writing.then(async () => {
      let place = {};
      if (records.length > 0) place = await this.#append(Buffer.concat(records));
      const lines: Line[] = found.map((waiting) => ({ found: waiting }));
      if (done !== null) lines.push({ done: { ...done, ...place } });
      if (lines.length > 0) await this.#log.appendFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    });
    this.#writing = turn.catch(() => {});
    try {
      await turn;
    } catch (error) {
      throw fileError(error, "write", this.#folder);
    }
  }

  async #append(bytes: Buffer): Promise<{ archive: string; end: number }> {
    if (this.#end > LARGEST_ARCHIVE) {
      await this.#archive?.close();
      this.#archive = null;
      this.#number += 1;
      this.#end = 0;
    }
    const archive = archiveName(this.#number);
    this.#archive ??= await open(join(this.#folder, archive), "a");
    await this.#archive.appendFile(bytes);
    this.#end += bytes.length;
    return { archive, end: this.#end };
  }

  /** True while the archive that is written now has nothing: a warcinfo record belongs at its head. */
  get atStart(): boolean {
    return this.#end === 0;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#archive?.close();
    await this.#log.close();
  }
}

/** Replays whole lines; gives the bytes that they take, or null where there is no log. */
async function replayLog(path: string, replay: (line: Line) => void): Promise<number | null> {
  let bytes = 0;
  try {
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
    for await (const text of lines) {
      let line: Line;
      try {
        line = JSON.parse(text) as Line;
      } catch {
        break; // the line that was being written when the crawl was killed
      }
      replay(line);
      bytes += Buffer.byteLength(text) + 1;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return bytes;
}
