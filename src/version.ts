/** @file The package's own version, read from the package.json that it lies in (source tree, build or installed). */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds Quern's package.json. */
export const packageFolder: string = findPackageFolder();

/** For instance `0.1.0`. */
export const version: string = (
  JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string }
).version;

function findPackageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  // dist/ and src/ lie at different depths below the package.
  while (!existsSync(join(folder, "package.json"))) {
    if (folder === dirname(folder)) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`);
    folder = dirname(folder);
  }
  return folder;
}
