/**
 * @file A crawl on disk: archives of what was fetched, and a log of addresses found and done. Each fetch is written to
 * the archive first and to the log second, in one write each.
 * When a killed crawl resumes, it truncates the unfinished record of the last archive in its log. No other file is
 * truncated, and no whole record.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, lstat, open, readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { gunzipMember } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";

/** An address in the queue. */
export interface Waiting {
  readonly url: string;
  readonly depth: number;
  readonly kind: "page" | "sitemap";
  /** Number of redirects that led here. */
  readonly hops: number;
  readonly via?: string;
}

/** The outcome of an address. */
export interface Done {
  readonly url: string;
  /** `kept`, or why it was not kept. */
  readonly outcome: string;
  readonly status?: number;
  readonly bytes?: number;
  readonly digest?: string;
  readonly archive?: string;
  /** Size of the archive after this fetch, in bytes. */
  readonly end?: number;
}

export type Line = { readonly found: Waiting } | { readonly done: Done };

const LARGEST_ARCHIVE = 2 ** 30;
const LOG = "frontier.log"; // JSON lines, but not .jsonl: a reader of documents must skip it
const ARCHIVE = /^archive-(\d{5,9})\.warc\.gz$/;
const archiveName = (number: number) => `archive-${String(number).padStart(5, "0")}.warc.gz`;
/** Maximum bytes per line of the log. Ours contain two addresses and some numbers. */
const LONGEST_LINE = 2 ** 16;
/** Maximum bytes after the last logged record of an archive that are searched for further records. */
const LARGEST_TAIL = 2 ** 28;

export class CrawlStore {
  /** Unreadable lines of the log, which were skipped. */
  readonly damagedLines: number;
  readonly #folder: string;
  readonly #log: FileHandle;
  #archive: FileHandle | null = null;
  #number: number;
  #end: number;
  #writing: Promise<unknown> = Promise.resolve();
  /** The error of a failed write. Later writes would not be at the offsets in the log. */
  #failure: unknown;

  private constructor(
    folder: string,
    log: FileHandle,
    place: { readonly number: number; readonly end: number },
    damaged: number,
  ) {
    this.#folder = folder;
    this.#log = log;
    this.#number = place.number;
    this.#end = place.end;
    this.damagedLines = damaged;
  }

  /**
   * Opens a crawl's folder, which must exist, and replays its log. Fetches whose records are missing from their archive
   * are not replayed: those addresses are queued again. If the whole archive is gone, it was moved, and its fetches are
   * replayed.
   *
   * @throws QuernError for a log that no crawl wrote, and for files that cannot be read or written
   */
  static async open(folder: string, replay: (line: Line) => void): Promise<CrawlStore> {
    const path = join(folder, LOG);
    try {
      const sizes = await archivesIn(folder);
      const ends = new Map<string, number>();
      const damaged = await replayLog(path, (line) => {
        if ("done" in line && line.done.archive !== undefined) {
          const { archive, end = 0 } = line.done;
          const size = sizes.get(archive);
          if (typeof size === "number" && end > size) return;
          ends.set(archive, Math.max(end, ends.get(archive) ?? 0));
        }
        replay(line);
      });
      const place = await placeToWrite(folder, sizes, ends);
      return new CrawlStore(folder, await open(path, "a"), place, damaged);
    } catch (error) {
      throw fileError(error, "write", path);
    }
  }

  /** Writes a fetch's records, then its found addresses and outcome. Concurrent calls are written one after another. */
  async write(records: readonly Uint8Array[], found: readonly Waiting[], done: Done | null): Promise<void> {
    const turn = this.#writing.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        let place = {};
        if (records.length > 0) place = await this.#append(Buffer.concat(records));
        const lines: Line[] = found.map((waiting) => ({ found: waiting }));
        if (done !== null) lines.push({ done: { ...done, ...place } });
        if (lines.length > 0) await this.#log.appendFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
    this.#writing = turn.catch(() => {});
    try {
      await turn;
    } catch (error) {
      throw fileError(error, "write", this.#folder);
    }
  }

  async #append(bytes: Buffer): Promise<{ archive: string; end: number }> {
    this.#archive ??= await this.#openArchive();
    const archive = archiveName(this.#number);
    await this.#archive.appendFile(bytes);
    this.#end += bytes.length;
    const end = this.#end;
    if (end > LARGEST_ARCHIVE) {
      await this.#archive.close();
      this.#archive = null;
      this.#number += 1;
      this.#end = 0;
    }
    return { archive, end };
  }

  /** Opens the archive to write to. A new archive takes the first unused name. */
  async #openArchive(): Promise<FileHandle> {
    if (this.#end > 0) return open(join(this.#folder, archiveName(this.#number)), "a");
    for (;;) {
      try {
        return await open(join(this.#folder, archiveName(this.#number)), "wx");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        this.#number += 1;
      }
    }
  }

  /** True if the current archive is empty, so that it needs a warcinfo record first. */
  get atStart(): boolean {
    return this.#end === 0;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#archive?.close();
    await this.#log.close();
  }
}

/** Returns the sizes of files with an archive's name; null for a link or folder, which is never written to. */
async function archivesIn(folder: string): Promise<Map<string, number | null>> {
  const sizes = new Map<string, number | null>();
  for (const name of await readdir(folder)) {
    if (!ARCHIVE.test(name)) continue;
    const entry = await lstat(join(folder, name));
    sizes.set(name, entry.isFile() ? entry.size : null);
  }
  return sizes;
}

/** Returns the last archive in the log if it can be appended to, otherwise the number of a new one. */
async function placeToWrite(
  folder: string,
  sizes: ReadonlyMap<string, number | null>,
  ends: ReadonlyMap<string, number>,
): Promise<{ readonly number: number; readonly end: number }> {
  const numbers = (names: Iterable<string>) => [...names].map((name) => Number(ARCHIVE.exec(name)?.[1]));
  const last = numbers(ends.keys()).reduce((most, number) => Math.max(most, number), -1);
  const next = numbers(sizes.keys()).reduce((most, number) => Math.max(most, number), last) + 1;
  const name = archiveName(last);
  const [logged, size] = [ends.get(name) ?? 0, sizes.get(name) ?? 0];
  if (logged === 0 || size === 0) return { number: next, end: 0 };
  const path = join(folder, name);
  const end = await endOfRecords(path, logged, size);
  if (end === null || end > LARGEST_ARCHIVE) return { number: next, end: 0 };
  if (end < size) await truncate(path, end);
  return { number: last, end };
}

/**
 * Returns the end of the last whole record after `from`, which is the end of the logged ones. Null if those records are
 * followed by anything other than one incomplete record.
 */
async function endOfRecords(path: string, from: number, size: number): Promise<number | null> {
  if (size - from > LARGEST_TAIL) return null;
  const tail = Buffer.alloc(size - from);
  const file = await open(path, "r");
  try {
    for (let at = 0; at < tail.length; ) {
      const { bytesRead } = await file.read(tail, at, tail.length - at, from + at);
      if (bytesRead === 0) return null;
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  for (let at = 0; ; ) {
    const rest = tail.subarray(at);
    if (rest.length === 0) return from + at;
    const start = rest.subarray(0, 3);
    if (!start.equals(Buffer.from([0x1f, 0x8b, 8]).subarray(0, start.length))) return null;
    const member = gunzipMember(rest, LARGEST_TAIL);
    if (member === "more") return from + at;
    if ("problem" in member) return null;
    at += member.length;
  }
}

/**
 * Replays the log, if it exists, and truncates its last line if unfinished. Returns the number of damaged lines, which
 * are skipped.
 */
async function replayLog(path: string, replay: (line: Line) => void): Promise<number> {
  try {
    if (!(await lstat(path)).isFile()) throw new QuernError(`${path} is not a file; choose another folder`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
  let sound = 0;
  let damaged = 0;
  const take = (text: string) => {
    const line = parseLine(text);
    if (line === null) damaged += 1;
    else {
      sound += 1;
      replay(line);
    }
  };
  /** Chunks of the current line; null once it is too long. */
  let parts: Buffer[] | null = [];
  let length = 0;
  let whole = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      const newline = chunk.indexOf(10, at);
      const end = newline < 0 ? chunk.length : newline;
      length += end - at;
      if (length > LONGEST_LINE) parts = null;
      parts?.push(chunk.subarray(at, end));
      at = end + 1;
      if (newline < 0) break;
      if (parts === null) damaged += 1;
      else take(Buffer.concat(parts).toString("utf8"));
      whole += length + 1;
      parts = [];
      length = 0;
    }
  }
  const tail = Buffer.concat(parts ?? []).toString("utf8", 0, 8);
  // A file without valid lines is not ours, unless it is the unfinished first line of a new crawl.
  const isOurs =
    sound > 0 || (damaged === 0 && parts !== null && ['{"found"', '{"done":'].some((l) => l.startsWith(tail)));
  if (!isOurs) throw new QuernError(`${path} is not the log of a crawl; choose another folder`);
  if (length > 0) await truncate(path, whole);
  return damaged;
}

/** Parses a line of the log. Returns null for an invalid one: a disk or another program may have damaged it. */
function parseLine(text: string): Line | null {
  let line: { readonly found?: Partial<Waiting>; readonly done?: Partial<Done> } | null;
  try {
    line = JSON.parse(text) as typeof line;
  } catch {
    return null;
  }
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isText = (value: unknown) => typeof value === "string";
  const isAddress = (value: unknown) =>
    isText(value) && /^https?:/.test(value as string) && URL.canParse(value as string);
  const { found, done } = line ?? {};
  if (typeof found === "object" && found !== null) {
    const { url, depth, hops, kind, via } = found;
    const isSound =
      isAddress(url) &&
      isCount(depth) &&
      isCount(hops) &&
      (via === undefined || isText(via)) &&
      (kind === "page" || kind === "sitemap");
    return isSound ? { found: found as Waiting } : null;
  }
  if (typeof done === "object" && done !== null) {
    const { url, outcome, digest, archive, end } = done;
    const isSound =
      isAddress(url) &&
      isText(outcome) &&
      (digest === undefined || isText(digest)) &&
      (archive === undefined || (isText(archive) && ARCHIVE.test(archive as string) && isCount(end)));
    return isSound ? { done: done as Done } : null;
  }
  return null;
}
