/** @file The package's version, read from its package.json (in the source tree, the build or an installation). */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of Quern's package.json. */
export const packageFolder: string = findPackageFolder();

/** For example `0.1.0`. */
export const version: string = (
  JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string }
).version;

function findPackageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  // dist/src/ and src/ have different depths in the package.
  while (!existsSync(join(folder, "package.json"))) {
    if (folder === dirname(folder)) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`);
    folder = dirname(folder);
  }
  return folder;
}
