/** @file Locates an error in the user's own code. */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of Quern's code, built or not: `…/src/`. */
const OWN = dirname(fileURLToPath(import.meta.url));

/**
 * Returns the topmost stack frame in the user's code, such as `recipe.ts:7:13`; undefined if all frames are Quern's.
 *
 * @param path the file as the user typed it, shown instead of its absolute path
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
