/** @file What a recipe's file says: the data of a JSON file, or what a TypeScript file exports by default. */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { jsonFault } from "./json-fault.js";
import { userPlace } from "./user-place.js";

/** Bytes of the largest recipe: word lists have files of their own. */
const LARGEST = 2 ** 24;

/**
 * Throws a `QuernError` that names file and line when the file is not there, is no JSON, or does not run.
 */
export async function importRecipe(path: string): Promise<unknown> {
  const text = await readRecipe(path);
  if (/\.json$/i.test(path)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      const { line, column, what } = placeOf(text) ?? { line: 1, column: 1, what: (error as Error).message };
      throw new QuernError(`the recipe ${path} is not JSON: ${what} (${path}:${line}:${column})`, {
        exitCode: 2,
        cause: error,
      });
    }
  }
  const { createJiti } = await import("jiti");
  // The recipe's own import of the library gives the one that runs, however Quern was installed.
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    virtualModules: { "quern/data": await import("./recipe-steps.js") },
  });
  try {
    return await jiti.import(resolve(path), { default: true });
  } catch (error) {
    throw new QuernError(recipeFault(error, path), { exitCode: 2, cause: error });
  }
}

function placeOf(text: string) {
  try {
    return jsonFault(text);
  } catch {
    // A string of megabytes is too long for a regular expression.
    return undefined;
  }
}

async function readRecipe(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new QuernError(`the recipe ${path} is no file`, { exitCode: 2 });
    if (found.size > LARGEST) {
      throw new QuernError(`the recipe ${path} has more than ${LARGEST >> 20} MiB; put its lists into files`, {
        exitCode: 2,
      });
    }
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** One sentence for what a recipe's file threw when it was read or run. */
function recipeFault(error: unknown, path: string): string {
  const message = error instanceof Error ? error.message : String(error);
  // The parser's own place, of a line and a column from 0.
  const parsed = /^\w*Error: (.*?)\s*\n\s*(.+):(\d+):(\d+)\s*$/s.exec(message);
  if (parsed !== null) {
    const [, what, file, line, column] = parsed;
    const shown = file === resolve(path) ? path : file;
    return `the recipe has a syntax error at ${shown}:${line}:${Number(column) + 1}: ${quoted(what)}`;
  }
  const place = userPlace(error, path) ?? path;
  const reason = message.split("\n")[0];
  // What Quern itself says is wrong with a step is a sentence of its own.
  if (error instanceof QuernError)
    return `the recipe is wrong at ${place}: ${message.replace(/^the recipe is wrong: /, "")}`;
  return `the recipe does not run: ${quoted(reason)} (${place})`;
}
