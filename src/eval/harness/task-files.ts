/**
 * @file Reads task files with what they include. Later includes override earlier ones, and the file itself overrides both;
 * whole keys are replaced, as in lm-eval.
 */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { isMapping, lineOfKey, parsePythonYaml, type YamlMapping, type YamlValue } from "./python-yaml.js";

/** Where a key was written. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** A YAML file with all that it includes. */
export interface TaskFile {
  readonly path: string;
  readonly keys: YamlMapping;
  /** Of every top-level key. */
  readonly places: ReadonlyMap<string, Place>;
}

/** Reads files, and each included file once. */
export class TaskFileReader {
  readonly #read = new Map<string, YamlMapping>();
  /** Paths of all files that were included. */
  readonly included = new Set<string>();
  /** Paths of those that could not be read. */
  readonly unreadable = new Set<string>();

  /** @throws QuernError with file and line if a file cannot be read, is no mapping, or includes itself */
  read(path: string): TaskFile {
    const { keys, places } = this.#merged(path, []);
    return { path, keys, places };
  }

  #merged(path: string, open: readonly string[]): { keys: YamlMapping; places: ReadonlyMap<string, Place> } {
    if (open.includes(path)) {
      throw new QuernError(`${open.at(-1)} includes ${path}, which includes it in turn; remove one of the two`);
    }
    const own = this.#parsed(path);
    const keys: Record<string, YamlValue> = {};
    const places = new Map<string, Place>();
    const includes = [own.include ?? []].flat() as readonly YamlValue[];
    for (const include of includes) {
      if (typeof include !== "string") {
        const line = lineOfKey(own, "include") ?? 1;
        throw new QuernError(`${path} line ${line}: include must name a file, not ${show(include)}`);
      }
      const target = isAbsolute(include) ? include : join(dirname(path), include);
      this.included.add(target);
      let included: { keys: YamlMapping; places: ReadonlyMap<string, Place> };
      try {
        included = this.#merged(target, [...open, path]);
      } catch (error) {
        if (!(error instanceof QuernError) || !error.message.startsWith(`cannot read ${target}`)) throw error;
        this.unreadable.add(target);
        throw new QuernError(`${path} line ${lineOfKey(own, "include")}: ${error.message}`, { cause: error });
      }
      for (const [key, value] of Object.entries(included.keys)) {
        if (key === "task_list") continue;
        keys[key] = value;
        places.set(key, included.places.get(key)!);
      }
    }
    for (const [key, value] of Object.entries(own)) {
      if (key === "include") continue;
      keys[key] = value;
      places.set(key, { file: path, line: lineOfKey(own, key) ?? 1 });
    }
    return { keys, places };
  }

  #parsed(path: string): YamlMapping {
    const known = this.#read.get(path);
    if (known !== undefined) return known;
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw fileError(error, "read", path);
    }
    const value = parsePythonYaml(text.replace(/^\ufeff/, ""), path);
    if (!isMapping(value)) throw new QuernError(`${path} is no mapping of keys, as a task file must be`);
    // Only templates are read again: they have no task of their own.
    if (value.task === undefined) this.#read.set(path, value);
    return value;
  }
}
