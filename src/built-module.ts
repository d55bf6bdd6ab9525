/**
 * @file Finds the built JavaScript of a module. Worker threads and child processes start from a file, and Node 20 does not
 * run TypeScript. So code that runs from its sources (in tests) starts them from the build of the same module.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this file: `src/`, or `dist/src/` once built or installed. */
const here = new URL("./", import.meta.url);
const fromSources = import.meta.url.endsWith(".ts");
/** `dist/src/`, relative to the sources. */
const dist = new URL("../dist/src/", here);

/**
 * Returns the URL of a module's JavaScript, for `new Worker` or `fork`.
 * @param module `new URL("./worker.js", import.meta.url)`
 */
export function builtModule(module: URL): URL {
  if (!fromSources || !module.href.startsWith(here.href)) return module;
  return new URL(module.href.slice(here.href.length), dist);
}

let current: boolean | undefined;

/** False if this code runs from its sources and the build is missing or older, so that it may behave differently. */
export function isBuilt(): boolean {
  if (!fromSources) return true;
  current ??= modified(fileURLToPath(new URL("../.sources", dist))) >= newest(dirname(fileURLToPath(import.meta.url)));
  return current;
}

const modified = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
const newest = (folder: string) =>
  Math.max(...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => modified(join(folder, name))));

const PREFIX = "quern:";

/**
 * Returns a module's name, which is the same on every machine and for sources and build: `quern:data/clean/tasks`. A module
 * outside this package keeps its URL.
 * @param url a module's `import.meta.url`
 */
export function moduleName(url: string): string {
  const root = [here.href, dist.href].find((folder) => url.startsWith(folder));
  return root === undefined ? url : PREFIX + url.slice(root.length).replace(/\.[jt]s$/, "");
}

/** Returns the URL to import a module from, given its `moduleName`. */
export function moduleUrl(name: string): string {
  if (!name.startsWith(PREFIX)) return name;
  return new URL(name.slice(PREFIX.length) + (fromSources ? ".ts" : ".js"), here).href;
}
