/**
 * @file Reads and writes tokenizers: Hugging Face folders, tokenizer.json, GGUF and tiktoken files, vocab.json with
 * merges.txt.
 */
import { readdir, readFile, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type AtomicFile, createAtomicFile } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { parseJson } from "../../json-file.js";
import { quoted } from "../../printable.js";
import type { PatternName } from "../encode/patterns.js";
import { type JsonObject, Tokenizer } from "../tokenizer.js";
import { type FolderFiles, withFolderTokens } from "./folder-tokens.js";
import { tokenizerFromGpt2, tokenizerFromRanks } from "./rank-files.js";
import { tokenizerFromJson, tokenizerJsonFrame, tokenizerToJson } from "./tokenizer-json.js";

/**
 * Maximum file size in bytes. Published tokenizers are far smaller, and JavaScript strings are limited to about this size.
 */
const MAX_FILE_BYTES = 500 << 20;

export interface LoadTokenizerOptions {
  /** The split pattern of a tiktoken file, which does not contain it. */
  readonly pattern?: PatternName | (string & {});
  /** For a tiktoken file: special tokens and their ids. */
  readonly special?: Readonly<Record<string, number>>;
}

/**
 * Reads a tokenizer: a folder with tokenizer.json, or with vocab.json and merges.txt; a tokenizer.json; a `.gguf` file; or a
 * `.tiktoken` file with its pattern. For the first three, it also reads tokenizer_config.json, special_tokens_map.json,
 * added_tokens.json and the chat templates (chat_template.jinja, additional_chat_templates/) as transformers does.
 * @throws QuernError naming the file and the problem
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
        throw new QuernError(`${path} contains only ranks; also give its pattern, such as cl100k`, { exitCode: 2 });
      }
      const { pattern, special } = options;
      return named(path, async () => tokenizerFromRanks(await readBytes(path), { pattern, special }));
    }
    if (await isGgufFile(path)) return readGgufTokenizer(path);
    return readTokenizerJson(path, dirname(path));
  }
  if (await exists(join(path, "tokenizer.json"))) return readTokenizerJson(join(path, "tokenizer.json"), path);
  if ((await exists(join(path, "vocab.json"))) && (await exists(join(path, "merges.txt")))) {
    const vocab = await readJson(join(path, "vocab.json"));
    const merges = new TextDecoder().decode(await readBytes(join(path, "merges.txt")));
    const files = await folderFiles(path);
    return named(path, async () => {
      const { parts } = await tokenizerFromGpt2(vocab, merges);
      return fromFolder(gpt2Json(tokenizerToJson(new Tokenizer(parts)), files.config), files);
    });
  }
  throw new QuernError(`${path} contains no tokenizer: neither tokenizer.json nor vocab.json with merges.txt`, {
    exitCode: 2,
  });
}

/** Writes both tokenizer.json and tokenizer_config.json into a folder, or neither if one fails. Creates the folder. */
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
    // rmdir removes the folder only if it is empty.
    if (!wasThere) await rmdir(folder).catch(() => {});
    throw error;
  }
}

/** Recognizes a GGUF file by its name or its first bytes, since some model stores name files by their hash. */
async function isGgufFile(path: string): Promise<boolean> {
  if (/\.gguf$/i.test(path)) return true;
  return !/\.json$/i.test(path) && (await import("../../model/index.js")).isGguf(path);
}

async function readGgufTokenizer(path: string): Promise<Tokenizer> {
  // Loaded on demand, since other tokenizers need no model code.
  const { openGguf } = await import("../../model/index.js");
  const { tokenizerFromGguf } = await import("./gguf.js");
  const file = await openGguf(path);
  await file.close();
  return named(path, () => tokenizerFromGguf(file.metadata));
}

async function readTokenizerJson(path: string, folder: string): Promise<Tokenizer> {
  const json = await readJson(path);
  const files = await folderFiles(folder);
  return named(path, () => fromFolder(json, files));
}

/** Builds the tokenizer of a tokenizer.json and the smaller files of its folder. */
async function fromFolder(json: unknown, files: FolderFiles): Promise<Tokenizer> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return tokenizerFromJson(json, files.config);
  const all = withFolderTokens(json as JsonObject, files);
  return tokenizerFromJson(all.json, all.config);
}

/** Reads the other files of a tokenizer's folder that define tokens or chat templates. */
async function folderFiles(folder: string): Promise<FolderFiles> {
  const optional = async (name: string): Promise<unknown> => {
    const path = join(folder, name);
    return (await exists(path)) ? readJson(path) : undefined;
  };
  let config = await optional("tokenizer_config.json");
  // Newer folders have templates in separate files, which take precedence.
  const templates = await chatTemplates(folder);
  if (templates !== undefined) config = { ...(config as object | undefined), chat_template: templates };
  return {
    config,
    specialTokensMap: await optional("special_tokens_map.json"),
    addedTokens: await optional("added_tokens.json"),
  };
}

/** Reads chat templates in separate files: one text, or several by name; undefined if there are none. */
async function chatTemplates(folder: string): Promise<string | { name: string; template: string }[] | undefined> {
  const textOf = async (path: string): Promise<string> => new TextDecoder().decode(await readBytes(path));
  const templates: { name: string; template: string }[] = [];
  const main = join(folder, "chat_template.jinja");
  if (await exists(main)) templates.push({ name: "default", template: await textOf(main) });
  const more = join(folder, "additional_chat_templates");
  const names = await readdir(more).catch(() => []);
  for (const name of names.filter((each) => each.endsWith(".jinja")).sort()) {
    templates.push({ name: name.slice(0, -".jinja".length), template: await textOf(join(more, name)) });
  }
  if (templates.length === 0) return undefined;
  return templates.length === 1 && templates[0].name === "default" ? templates[0].template : templates;
}

/** Adds the normalizer and pre-tokenizer of the tokenizer's class in transformers, for a folder without tokenizer.json. */
function gpt2Json(text: string, config: unknown): JsonObject {
  const json = JSON.parse(text) as JsonObject;
  if (typeof config !== "object" || config === null || Array.isArray(config)) return json;
  const { tokenizer_class: kind, add_prefix_space, add_bos_token, add_eos_token } = config as JsonObject;
  const name = String(kind ?? "GPT2Tokenizer").replace(/Fast$/, "");
  if (add_bos_token === true || add_eos_token === true) {
    throw new QuernError(
      "tokenizer_config.json sets add_bos_token or add_eos_token, which is not supported without a tokenizer.json; " +
        "save the tokenizer with transformers to get one",
    );
  }
  if (name === "GPT2Tokenizer") {
    const steps = json.pre_tokenizer as JsonObject;
    return add_prefix_space === true ? { ...json, pre_tokenizer: { ...steps, add_prefix_space: true } } : json;
  }
  if (name === "Qwen2Tokenizer") {
    const { pre_tokenizer } = tokenizerJsonFrame({ pattern: "qwen2", added: [], wholeFirst: false });
    return { ...json, pre_tokenizer, normalizer: { type: "NFC" } };
  }
  throw new QuernError(
    `vocab.json and merges.txt of a ${quoted(name)} are not supported without a tokenizer.json; save the tokenizer with transformers to get one`,
  );
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await readBytes(path);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new QuernError(`cannot read ${path}: it is not UTF-8`, { cause: error });
  }
  return parseJson(text, path);
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    // Reading a pipe or a device may never end.
    if (!found.isFile()) throw new QuernError(`${path} is not a regular file`);
    const { size } = found;
    if (size > MAX_FILE_BYTES)
      throw new QuernError(`${path} is ${(size / 2 ** 20).toFixed(0)} MB, which is too large for a tokenizer's file`);
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
