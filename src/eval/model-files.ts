/** @file The files of an open model. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Returns the files of the weights, config and tokenizer in a model's places: its folders, or files themselves. */
export async function filesOf(places: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const place of places) {
    if (!(await stat(place)).isDirectory()) files.push(place);
    else for (const name of (await readdir(place)).sort()) if (MODEL_FILE.test(name)) files.push(join(place, name));
  }
  return files;
}

const MODEL_FILE = /\.(safetensors|gguf|json|bin|txt|model)$/;
