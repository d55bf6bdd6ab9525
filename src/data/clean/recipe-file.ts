/** @file What a recipe's file says: the data of a JSON file, or what a TypeScript file exports by default. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileError, QuernError } from "../../errors.js";

/** Throws a `QuernError` when the file is not there, is no JSON, or does not run. */
export async function importRecipe(path: string): Promise<unknown> {
  const file = resolve(path);
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw fileError(error, "read", path);
  });
  const fail = (error: unknown) => {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return new QuernError(`the recipe ${path} does not run: ${reason}`, { exitCode: 2, cause: error });
  };
  if (/\.json$/i.test(path)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new QuernError(`the recipe ${path} is not JSON: ${(error as Error).message}`, { exitCode: 2 });
    }
  }
  const { createJiti } = await import("jiti");
  // The recipe's own import of the library gives the one that runs, however Quern was installed.
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    virtualModules: { "quern/data": await import("../recipe-steps.js") },
  });
  try {
    return await jiti.import(file, { default: true });
  } catch (error) {
    if (error instanceof QuernError) throw error;
    throw fail(error);
  }
}
