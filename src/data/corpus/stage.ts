/**
 * @file Stages of a corpus: each makes a folder of documents from the previous one and writes a record when it is complete. A
 * stage whose record has the right key is not run again.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import { openSealed, sealed } from "../../json-file.js";

/** A file of a stage's output. */
export interface StageFile {
  /** Relative to the corpus's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Result of a stage, part of the manifest. */
export interface StageRecord {
  readonly name: string;
  readonly key: string;
  readonly settings: unknown;
  readonly result: unknown;
  readonly files: readonly StageFile[];
}

export const hashOf = (...values: readonly unknown[]) =>
  createHash("sha256").update(JSON.stringify(values)).digest("hex");

/** Runs stages one after the other under `out`. The key of each depends on the key of the previous one. */
export class Stages {
  readonly records: StageRecord[] = [];
  readonly #out: string;
  #key: string;

  constructor(out: string, key: string) {
    this.#out = out;
    this.#key = key;
  }

  get key(): string {
    return this.#key;
  }

  /**
   * Calls `work` and returns its result, unless a record shows that the stage is complete; then returns the recorded result.
   * @param inputs hashes of what the stage reads besides the documents
   * @param folder the stage's output folder, relative to the corpus's folder
   */
  async run<T>(
    name: string,
    settings: unknown,
    { inputs = [], folder }: { readonly inputs?: readonly string[]; readonly folder: string },
    work: (folder: string) => Promise<T>,
  ): Promise<T> {
    const key = hashOf(this.#key, name, settings, inputs);
    this.#key = key;
    const path = join(this.#out, "stages", `${name}.json`);
    const before = await readRecord(path);
    if (before?.key === key && (await outputsExist(this.#out, before.files))) {
      this.records.push(before);
      return before.result as T;
    }
    await rm(path, { force: true });
    const result = await work(join(this.#out, folder));
    const files = await filesOf(join(this.#out, folder), this.#out);
    const record = { name, key, settings, result, files };
    await writeFileAtomic(path, sealed(record));
    this.records.push(record);
    return result;
  }
}

async function readRecord(path: string): Promise<StageRecord | undefined> {
  try {
    return openSealed<StageRecord>(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Whether all files exist with their recorded sizes. The manifest's checksums can reveal other changes. */
async function outputsExist(out: string, files: readonly StageFile[]): Promise<boolean> {
  for (const { path, bytes } of files) {
    const size = await stat(join(out, path)).then(
      (found) => found.size,
      () => -1,
    );
    if (size !== bytes) return false;
  }
  return true;
}

/** Files about a stage's run: they contain folder names and are not part of the data. */
const ABOUT = /^(tasks|notes|cluster)\/|^(manifest|recipe|funnel|mix|deduplicate|decontaminate)\.json$|^report\.html$/;

/** Returns the data files under a folder with checksums, sorted by path. */
export async function filesOf(folder: string, root: string): Promise<StageFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name));
  const files: StageFile[] = [];
  for (const path of paths.sort()) {
    if (ABOUT.test(relative(folder, path).replaceAll("\\", "/"))) continue;
    const { size } = await stat(path);
    files.push({ path: relative(root, path).replaceAll("\\", "/"), bytes: size, sha256: await fileHash(path) });
  }
  return files;
}

/**
 * Returns the SHA-256 of a file.
 * @throws QuernError if the file cannot be read
 */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  return hash.digest("hex");
}
