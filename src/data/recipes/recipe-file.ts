/** @file Reads a recipe's file: the data of a JSON file, or the default export of a TypeScript file. */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { userPlace } from "../../user-place.js";
import { jsonFault } from "./json-fault.js";

/** Maximum size of a recipe in bytes; word lists belong in separate files. */
const LARGEST = 2 ** 24;

/**
 * Imports a recipe file.
 *
 * @throws QuernError with file and line if the file does not exist, is not valid JSON, or fails to run
 */
export async function importRecipe(path: string): Promise<unknown> {
  const text = await readRecipe(path);
  if (/\.json$/i.test(path)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      const { line, column, what } = placeOf(text) ?? { line: 1, column: 1, what: (error as Error).message };
      throw new QuernError(`the recipe ${path} is not valid JSON: ${what} (${path}:${line}:${column})`, {
        exitCode: 2,
        cause: error,
      });
    }
  }
  const { createJiti } = await import("jiti");
  // The recipe's import of quern/data must resolve to this running library, however Quern was installed.
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
    // The regular expression overflows on strings of several megabytes.
    return undefined;
  }
}

async function readRecipe(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new QuernError(`the recipe ${path} is not a regular file`, { exitCode: 2 });
    if (found.size > LARGEST) {
      throw new QuernError(
        `the recipe ${path} is larger than ${LARGEST >> 20} MiB; move its word lists to separate files`,
        {
          exitCode: 2,
        },
      );
    }
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** Describes in one sentence the error that a recipe's file threw while it was parsed or run. */
function recipeFault(error: unknown, path: string): string {
  const message = error instanceof Error ? error.message : String(error);
  // The parser's position: line from 1, column from 0.
  const parsed = /^\w*Error: (.*?)\s*\n\s*(.+):(\d+):(\d+)\s*$/s.exec(message);
  if (parsed !== null) {
    const [, what, file, line, column] = parsed;
    const shown = file === resolve(path) ? path : file;
    return `the recipe has a syntax error at ${shown}:${line}:${Number(column) + 1}: ${quoted(what)}`;
  }
  const place = userPlace(error, path) ?? path;
  const reason = message.split("\n")[0];
  // Quern's own errors about steps are complete sentences.
  if (error instanceof QuernError)
    return `the recipe is invalid at ${place}: ${message.replace(/^the recipe is invalid: /, "")}`;
  return `the recipe failed to run: ${quoted(reason)} (${place})`;
}
