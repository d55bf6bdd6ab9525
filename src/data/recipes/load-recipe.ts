/**
 * @file Loads a cleaning recipe by name or file, and computes its identity: runs with equal identities write the same bytes.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { version } from "../../version.js";
import { filesOf } from "../filters/word-list.js";
import fineweb from "./fineweb.js";
import fineweb2 from "./fineweb-2.js";
import { defineRecipe, type Recipe } from "./recipe.js";
import { importRecipe } from "./recipe-file.js";

/** Extracts pages and leaves documents unchanged. */
const asIs: Recipe = { name: "as-is", steps: [] };
const BUILT_IN: Readonly<Record<string, Recipe>> = { fineweb, "fineweb-2": fineweb2, "as-is": asIs };

/**
 * Loads the recipe of a TypeScript or JSON file, or a built-in one: `fineweb` (the default), `fineweb-2` or `as-is`.
 *
 * @throws QuernError if the file does not exist, fails to run, or exports no recipe
 */
export async function loadRecipe(path = "fineweb"): Promise<Recipe> {
  if (Object.hasOwn(BUILT_IN, path) && !existsSync(path)) return BUILT_IN[path];
  const file = resolve(path);
  if (!existsSync(file)) {
    const names = Object.keys(BUILT_IN).join(", ");
    throw new QuernError(`there is no recipe ${quoted(path)}; give a TypeScript or JSON file, or one of ${names}`, {
      exitCode: 2,
    });
  }
  if (file.endsWith(".json")) return (await import("./json-recipe.js")).parseRecipe(await importRecipe(path), path);
  const exported = await importRecipe(path);
  if (typeof exported !== "object" || exported === null || !("steps" in exported)) {
    throw new QuernError(
      `the recipe ${path} must export a recipe, but exports ${kindOf(exported)}; end it with \`export default defineRecipe({ steps: [...] })\``,
      {
        exitCode: 2,
      },
    );
  }
  try {
    return defineRecipe(exported as Recipe);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new QuernError(`${path}: ${error.message}`, { exitCode: 2, cause: error });
  }
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "an object without steps" : `a ${typeof value}`;
}

/** Hashes everything that a recipe's output depends on: steps and settings, its files and word lists, Quern's version. */
export async function recipeIdentity(recipe: Recipe, file?: string): Promise<string> {
  const hash = createHash("sha256");
  const add = (text: string | Buffer) => hash.update(text).update("\0");
  add(version);
  const { steps, words, sentences, ...rest } = recipe;
  add(JSON.stringify(rest));
  for (const step of steps) add(settingsOf(step));
  add(`${words?.toString()} ${sentences?.toString()}`);
  for (const list of new Set(steps.flatMap(({ settings }) => filesOf(settings)))) add(await read(list));
  if (file !== undefined && existsSync(file)) await addSource(resolve(file), add, new Set());
  return hash.digest("hex");
}

function settingsOf({ name, settings }: Recipe["steps"][number]): string {
  try {
    return JSON.stringify([name, settings]);
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0];
    throw new QuernError(`the settings of the recipe's step "${name}" must be plain data: ${reason}`, { exitCode: 2 });
  }
}

/** Adds a source file and, recursively, the files that it imports by relative path. */
async function addSource(file: string, add: (text: string) => void, seen: Set<string>): Promise<void> {
  if (seen.has(file)) return;
  seen.add(file);
  const source = (await read(file)).toString("utf8");
  add(source);
  for (const [, specifier] of source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g)) {
    const target = resolve(dirname(file), specifier);
    const found = [target, target.replace(/\.js$/, ".ts"), `${target}.ts`, `${target}.js`].find((each) =>
      existsSync(each),
    );
    if (found !== undefined) await addSource(found, add, seen);
  }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
}
