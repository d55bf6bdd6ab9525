/** @file A tokenizer's files on disk: a Hugging Face folder, tokenizer.json alone, a tiktoken file, GPT-2's pair. */
import { readFile, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type AtomicFile, createAtomicFile } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import type { PatternName } from "./patterns.js";
import { tokenizerFromGpt2, tokenizerFromRanks } from "./rank-files.js";
import type { Tokenizer } from "./tokenizer.js";
import { tokenizerFromJson, tokenizerToJson } from "./tokenizer-json.js";

/** No published tokenizer's file comes near; a string could not hold much more. */
const LARGEST = 500 << 20;

export interface LoadTokenizerOptions {
  /** For a tiktoken file, which does not say: its pattern. */
  readonly pattern?: PatternName | (string & {});
  /** For a tiktoken file: special tokens and their ids. */
  readonly special?: Readonly<Record<string, number>>;
}

/**
 * Reads a tokenizer: a folder with tokenizer.json (and tokenizer_config.json), or with vocab.json and merges.txt; a
 * tokenizer.json; or a `.tiktoken` file with its pattern.
 * @throws QuernError naming the file and what is wrong with it
 */
export async function loadTokenizer(path: string, options: LoadTokenizerOptions = {}): Promise<Tokenizer> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (!isFolder) {
    if (basename(path).endsWith(".tiktoken")) {
      if (options.pattern === undefined) {
        throw new QuernError(`${path} holds ranks alone; give its pattern as well, such as cl100k`, { exitCode: 2 });
      }
      const { pattern, special } = options;
      return named(path, async () => tokenizerFromRanks(await readBytes(path), { pattern, special }));
    }
    return readTokenizerJson(path, dirname(path));
  }
  if (await exists(join(path, "tokenizer.json"))) return readTokenizerJson(join(path, "tokenizer.json"), path);
  if ((await exists(join(path, "vocab.json"))) && (await exists(join(path, "merges.txt")))) {
    const vocab = await readJson(join(path, "vocab.json"));
    const merges = new TextDecoder().decode(await readBytes(join(path, "merges.txt")));
    return named(path, () => tokenizerFromGpt2(vocab, merges));
  }
  throw new QuernError(`${path} holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt`, {
    exitCode: 2,
  });
}

/** Writes tokenizer.json and tokenizer_config.json into a folder, which is made if need be; both or neither. */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<void> {
  const { config } = tokenizer.parts;
  const texts: [name: string, text: string][] = [["tokenizer.json", tokenizerToJson(tokenizer)]];
  if (config !== undefined) texts.unshift(["tokenizer_config.json", `${JSON.stringify(config, null, 2)}\n`]);
  const wasThere = await exists(folder);
  const files: AtomicFile[] = [];
  try {
    for (const [name, text] of texts) {
      const file = await createAtomicFile(join(folder, name));
      files.push(file);
      await file.write(text);
    }
    for (const file of files) await file.commit();
  } catch (error) {
    for (const file of files) await file.discard();
    // Only an empty folder goes.
    if (!wasThere) await rmdir(folder).catch(() => {});
    throw error;
  }
}

async function readTokenizerJson(path: string, folder: string): Promise<Tokenizer> {
  const json = await readJson(path);
  const configPath = join(folder, "tokenizer_config.json");
  let config = (await exists(configPath)) ? await readJson(configPath) : undefined;
  // Newer folders keep the template in a file of its own, which wins.
  const templatePath = join(folder, "chat_template.jinja");
  if (await exists(templatePath)) {
    config = {
      ...(config as object | undefined),
      chat_template: new TextDecoder().decode(await readBytes(templatePath)),
    };
  }
  return named(path, () => tokenizerFromJson(json, config));
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await readBytes(path);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const reason =
      error instanceof SyntaxError ? `it is not JSON, perhaps cut off (${error.message})` : "it is not UTF-8";
    throw new QuernError(`cannot read ${path}: ${reason}`, { cause: error });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST)
      throw new QuernError(`${path} is ${(size / 2 ** 20).toFixed(0)} MB; that is no tokenizer's file`);
    return await readFile(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`${path}: ${error.message}`, { exitCode: error.exitCode, cause: error });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
