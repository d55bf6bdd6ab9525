/** @file The source of each held-out document, stored with the token shards so that the loss can be reported per source. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";

/** A run of consecutive held-out documents from one source. */
export interface HeldOutSource {
  readonly source: string;
  readonly documents: number;
}

const FILE = "heldout-sources.json";
const schema = z.array(z.strictObject({ source: z.string(), documents: z.int().min(1) }));

/** Writes the sources of the held-out documents, in order, into a folder of token shards. */
export const writeHeldOutSources = (folder: string, sources: readonly HeldOutSource[]): Promise<void> =>
  writeFileAtomic(join(folder, FILE), `${JSON.stringify(sources)}\n`);

/** Reads the stored sources; none if the shards have no such file. @throws QuernError if the file is invalid */
export async function readHeldOutSources(folder: string): Promise<readonly HeldOutSource[]> {
  const path = join(folder, FILE);
  try {
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      throw new QuernError(`${path} is not a list of sources; delete it to report the loss over all sources together`);
    }
    throw fileError(error, "read", path);
  }
}
