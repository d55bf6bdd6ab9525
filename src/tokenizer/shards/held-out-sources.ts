/** @file Which source each held-out document of a run comes from, kept beside its token shards for the verdict. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";

/** So many held-out documents, one after the other, come from one source. */
export interface HeldOutSource {
  readonly source: string;
  readonly documents: number;
}

const FILE = "heldout-sources.json";
const schema = z.array(z.strictObject({ source: z.string(), documents: z.int().min(1) }));

/** Keeps the sources of documents in a folder of token shards, in the order of the held-out split. */
export const writeHeldOutSources = (folder: string, sources: readonly HeldOutSource[]): Promise<void> =>
  writeFileAtomic(join(folder, FILE), `${JSON.stringify(sources)}\n`);

/** What was kept; nothing where the shards were made without. Throws a `QuernError` for a file that is something else. */
export async function readHeldOutSources(folder: string): Promise<readonly HeldOutSource[]> {
  const path = join(folder, FILE);
  try {
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      throw new QuernError(`${path} is no list of sources; delete it, and the verdict will be of all sources together`);
    }
    throw fileError(error, "read", path);
  }
}
