/** @file Loads a module that a user wrote, in TypeScript or JavaScript. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileError } from "./errors.js";

export interface UserModule {
  readonly source: string;
  /** Loads the module; it throws whatever the file throws. */
  load(): Promise<Readonly<Record<string, unknown>>>;
}

/**
 * Reads a user's file, and prepares its imports of Quern's modules: they are those of this running program, however it was
 * installed.
 * @param own Quern's modules that the file may import, by name; only those that it names are loaded
 * @throws QuernError if the file cannot be read
 */
export async function openUserModule(
  path: string,
  own: Readonly<Record<string, () => Promise<object>>>,
): Promise<UserModule> {
  const source = await readFile(path, "utf8").catch((error: unknown) => {
    throw fileError(error, "read", path);
  });
  return {
    source,
    async load() {
      const { createJiti } = await import("jiti");
      const virtualModules: Record<string, Record<string, unknown>> = {};
      for (const [name, open] of Object.entries(own)) {
        if (source.includes(name)) virtualModules[name] = (await open()) as Record<string, unknown>;
      }
      const jiti = createJiti(import.meta.url, { fsCache: false, moduleCache: false, virtualModules });
      return jiti.import(resolve(path));
    },
  };
}

/** Returns the function that a module exports by this name, by default, or within its default export; undefined if none. */
export function exportedFunction(
  module: Readonly<Record<string, unknown>>,
  name: string,
): ((...args: never) => unknown) | undefined {
  const inDefault = (module.default as Readonly<Record<string, unknown>> | undefined)?.[name];
  const found = [module[name], module.default, inDefault].find((each) => typeof each === "function");
  return found as ((...args: never) => unknown) | undefined;
}
