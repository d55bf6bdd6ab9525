/** @file Where in a user's own code an error came from. */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Quern's code, built or not: `…/src/`. */
const OWN = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/**
 * File, line and column of the first call of an error's stack that is in a user's code, as `recipe.ts:7:13`; undefined
 * where the error comes from Quern alone.
 * @param path the recipe as the user named it, which is shown in place of its whole path
 */
export function userPlace(error: unknown, path?: string): string | undefined {
  const stack = error instanceof Error && typeof error.stack === "string" ? error.stack : "";
  for (const line of stack.split("\n")) {
    const found = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]*|[A-Za-z]:[\\/][^()]*):(\d+):(\d+)\)?$/.exec(line);
    if (found === null) continue;
    const file = found[1].startsWith("file:") ? fileURLToPath(found[1]) : found[1];
    if (/[\\/]node_modules[\\/]/.test(file) || file.startsWith(join(OWN, "/"))) continue;
    const shown = path !== undefined && file === resolve(path) ? path : file;
    return `${shown}:${found[2]}:${found[3]}`;
  }
  return undefined;
}
