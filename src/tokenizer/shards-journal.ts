/**
 * @file What is left of token shards whose writing was interrupted or killed: the files that are whole, in a hidden folder
 * beside the one that they are for, with a journal of them. The same work goes on from there.
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { makeFolder, replaceFolder, writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { fileSchema, type ShardsSplitHeader } from "./shards.js";

const JOURNAL = "journal.json";

const schema = z.strictObject({
  key: z.string(),
  /** The process that writes, or wrote. */
  process: z.int(),
  train: z.array(fileSchema),
  heldout: z.array(fileSchema),
});

type Journal = z.output<typeof schema>;

/** The files of each split that are whole; `save` is called after each more. */
export interface ShardsProgress {
  readonly train: ShardsSplitHeader["files"];
  readonly heldout: ShardsSplitHeader["files"];
  save(): Promise<void>;
}

/**
 * Calls `fill` with the folder to write in and the files that are there already from work of the same `key`, and gives the
 * folder its name when `fill` returns. What is whole stays if `signal` aborts or the process is killed; any other error
 * removes it.
 * @throws QuernError if another process writes there
 */
export async function writeFolderResumably<T>(
  path: string,
  { key, signal }: { readonly key: string; readonly signal?: AbortSignal },
  fill: (folder: string, progress: ShardsProgress) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  const folder = join(dirname(target), `.${basename(target)}.partial`);
  const journal = (await readJournal(folder, key)) ?? { key, process: process.pid, train: [], heldout: [] };
  const file = join(folder, JOURNAL);
  const save = () => writeFileAtomic(file, `${JSON.stringify({ ...journal, process: process.pid }, null, 2)}\n`);
  try {
    await tidy(folder, journal);
    await save();
    const result = await fill(folder, { train: journal.train, heldout: journal.heldout, save });
    await rm(file);
    await replaceFolder(folder, target);
    return result;
  } catch (error) {
    if (!signal?.aborted) await rm(folder, { recursive: true, force: true });
    const told = fileError(error, "write", path);
    // What failed inside is told by the name that it would have had.
    if (!(told instanceof QuernError) || !told.message.includes(folder)) throw told;
    throw new QuernError(told.message.replaceAll(folder, path), { exitCode: told.exitCode, cause: told });
  }
}

/** The journal of earlier work of this key, or undefined. */
async function readJournal(folder: string, key: string): Promise<Journal | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, JOURNAL), "utf8");
  } catch {
    return undefined;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data: journal } = schema.safeParse(json);
  if (journal === undefined) return undefined;
  if (journal.process !== process.pid && isRunning(journal.process)) {
    throw new QuernError(
      `process ${journal.process} is writing these shards in ${folder}; wait for it, or delete that folder if it is another's`,
    );
  }
  if (journal.key !== key) return undefined;
  for (const { name, documents } of [...journal.train, ...journal.heldout]) {
    const size = await stat(join(folder, `${name}.ends`)).then(
      (found) => found.size,
      () => -1,
    );
    if (size !== documents * 4) return undefined;
  }
  return journal;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Makes the folder and removes from it all but the files of the journal: a file that a kill cut short, other work's files. */
async function tidy(folder: string, journal: Journal): Promise<void> {
  await makeFolder(dirname(folder));
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const kept = new Set(
    [...journal.train, ...journal.heldout].flatMap(({ name }) => [`${name}.tokens`, `${name}.ends`]),
  );
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
