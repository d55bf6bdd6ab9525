/** @file Where the JavaScript of this backend's worker threads lies. */

/**
 * Where the workers' JavaScript is: beside this file once built. Tests run the TypeScript as it is, and threads cannot;
 * they use the build that `npm test` has just made.
 */
export function workerBase(): string {
  return import.meta.url.endsWith(".ts")
    ? import.meta.url.replace("/src/", "/dist/src/").replace(/\.ts$/, ".js")
    : import.meta.url;
}
