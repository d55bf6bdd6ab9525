/**
 * @file Models on the Hugging Face Hub, by address: `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION` (a branch, tag or
 * commit). A suffix `/FILE.gguf` selects a GGUF file of the repository. Files are downloaded once, verified by the sizes and
 * checksums from the hub's API, and cached by commit, so a cached folder never changes.
 *
 * `HF_TOKEN` gives access to private and gated models; `HF_ENDPOINT` selects another hub. API reference:
 * https://huggingface.co/docs/hub/api
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { cacheFolder, tagCacheFolder } from "../cache-folder.js";
import {
  createAtomicFile,
  makeFolder,
  type OnProgress,
  writeFileAtomic,
  writeFolderAtomic,
} from "../documents/index.js";
import { QuernError } from "../errors.js";
import { parseJson } from "../json-file.js";
import { quoted } from "../printable.js";

export interface HubOptions {
  /** Called with bytes received and total. */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  readonly cache?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

interface HubAddress {
  readonly repository: string;
  readonly revision: string;
  /** Path of a GGUF file in the repository; null for the whole Hugging Face folder. */
  readonly file: string | null;
}

interface HubFile {
  readonly name: string;
  readonly size: number | null;
  readonly sha256: string | null;
}

export const isHubAddress = (path: string): boolean => path.startsWith("hf://");

const COMMIT = /^[0-9a-f]{40}$/;

/** The files of a model folder. Other files of the repository, such as weights of other frameworks, are not downloaded. */
const WANTED =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|model\.safetensors\.index)\.json$|^(merges\.txt|vocab\.txt|chat_template\.jinja|chat_template\.json)$|^model(-\d+-of-\d+)?\.safetensors$/;

/**
 * Returns the folder or GGUF file of a model on the hub; downloads it if its commit is not in the cache. A branch or tag is
 * resolved on every call; if the hub cannot be reached, its last known commit is used.
 * @throws QuernError for an invalid address, a missing or inaccessible model, or a failed transfer
 */
export async function fetchHubModel(address: string, options: HubOptions = {}): Promise<string> {
  const parsed = parseAddress(address);
  const { repository, revision, file } = parsed;
  const home = join(options.cache ?? cacheFolder(), "models", repository.replace("/", "+"));
  const folderOf = (commit: string) => join(home, file === null ? commit : `${commit}+${file.replaceAll("/", "+")}`);
  const pathIn = (folder: string) => (file === null ? folder : join(folder, basename(file)));
  if (COMMIT.test(revision) && existsSync(folderOf(revision))) return pathIn(folderOf(revision));
  const known = join(home, "revisions", encodeURIComponent(revision));
  const found = await lookUp(address, parsed, options).catch(async (error) => {
    const before = error instanceof Unreachable ? await readFile(known, "utf8").catch(() => null) : null;
    if (before === null || !existsSync(folderOf(before))) throw error;
    return { commit: before, files: [] };
  });
  const target = folderOf(found.commit);
  if (!existsSync(target)) {
    await makeFolder(dirname(home));
    await tagCacheFolder(dirname(home));
    await makeFolder(home);
    const total = found.files.reduce((sum, { size }) => sum + (size ?? 0), 0);
    let done = 0;
    await writeFolderAtomic(target, async (temporary) => {
      for (const each of found.files) {
        const from = `${repository}/resolve/${found.commit}/${each.name}`;
        await download(address, from, join(temporary, basename(each.name)), each, options, (bytes) => {
          done += bytes;
          options.onProgress?.({ task: `fetch ${repository}`, done, total, unit: "byte" });
        });
      }
    });
  }
  await makeFolder(join(home, "revisions"));
  await writeFileAtomic(known, found.commit);
  return pathIn(target);
}

function parseAddress(address: string): HubAddress {
  const NAME = "[\\w-][\\w.-]*";
  const match = new RegExp(
    `^hf://(${NAME}/${NAME})(?:@([\\w.][\\w./-]*?))?(?:/(${NAME}(?:/${NAME})*\\.gguf))?/?$`,
    "i",
  ).exec(address);
  if (match === null || (match[2] ?? "").includes("..")) {
    throw new QuernError(
      `${address} is not a valid address; write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE.gguf`,
      { exitCode: 2 },
    );
  }
  return { repository: match[1], revision: match[2] ?? "main", file: match[3] ?? null };
}

/** Thrown if the hub does not respond at all. */
class Unreachable extends QuernError {}

async function request(address: string, path: string, { signal, environment = process.env }: HubOptions) {
  const base = (environment.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  const token = environment.HF_TOKEN;
  let response: Response;
  try {
    // Large files redirect to another host; fetch does not send the token there.
    response = await fetch(`${base}/${path}`, { signal, headers: token ? { authorization: `Bearer ${token}` } : {} });
  } catch (error) {
    signal?.throwIfAborted();
    const cause = (error as Error).cause instanceof Error ? ((error as Error).cause as Error).message : String(error);
    throw new Unreachable(`cannot fetch ${address}: ${base} does not answer (${cause}); check the network`);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const hint =
    response.status === 404
      ? "there is no such model or revision, or it is private and HF_TOKEN is not set"
      : response.status === 401 || response.status === 403
        ? "it is private, gated or missing; set HF_TOKEN to a token with read access"
        : "try again later";
  throw new QuernError(`cannot fetch ${address}: ${base} answers ${response.status}; ${hint}`);
}

async function lookUp(address: string, { repository, revision, file }: HubAddress, options: HubOptions) {
  const path = `api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const response = await request(address, path, options);
  const answer = (await readAnswer(address, response)) as {
    readonly sha?: unknown;
    readonly siblings?: readonly { readonly rfilename?: unknown; readonly size?: unknown; readonly lfs?: unknown }[];
  } | null;
  const commit = answer?.sha;
  if (typeof commit !== "string" || !COMMIT.test(commit) || !Array.isArray(answer?.siblings)) {
    throw new QuernError(`cannot fetch ${address}: the hub's response is not a list of files`);
  }
  const files = answer.siblings.flatMap(({ rfilename: name, size, lfs }): HubFile[] => {
    if (typeof name !== "string" || !(file === null ? WANTED.test(name) : name === file)) return [];
    const sha256 = (lfs as { readonly sha256?: unknown } | undefined)?.sha256;
    return [{ name, size: typeof size === "number" ? size : null, sha256: typeof sha256 === "string" ? sha256 : null }];
  });
  const names = files.map(({ name }) => name);
  const ggufs = answer.siblings.flatMap(({ rfilename: name }) =>
    typeof name === "string" && /\.gguf$/i.test(name) ? [name] : [],
  );
  const one = ggufs.length === 0 ? "" : `; it has GGUF files, such as hf://${repository}/${quoted(ggufs[0])}`;
  if (file !== null) {
    if (files.length === 0) throw new QuernError(`${address} is not in the repository${one}`, { exitCode: 2 });
    return { commit, files };
  }
  if (!names.includes("config.json") || !names.some((name) => name.endsWith(".safetensors"))) {
    throw new QuernError(`${address} cannot be read: a model needs config.json and safetensors weights${one}`);
  }
  // Skips the parts if the repository also has all weights in one file.
  const whole = names.includes("model.safetensors");
  return { commit, files: files.filter(({ name }) => !whole || !/^model(-|\.safetensors\.index)/.test(name)) };
}

/** Limit of a file list in bytes; a thousand files take about 300 KB. */
const MAX_ANSWER_BYTES = 32 * 2 ** 20;

/** Parses a response of bounded size as JSON; null if it is not JSON. */
async function readAnswer(address: string, response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    // Throwing out of the loop cancels the transfer.
    if (bytes > MAX_ANSWER_BYTES) throw new QuernError(`cannot fetch ${address}: the hub's list of files is too long`);
  }
  try {
    return parseJson(Buffer.concat(chunks).toString("utf8"), address);
  } catch {
    return null;
  }
}

/** Limit in bytes for files whose size the hub does not report; large files (LFS) always have a size. */
const MAX_UNKNOWN_SIZE = 2 ** 30;

async function download(
  address: string,
  from: string,
  path: string,
  { name, size, sha256 }: HubFile,
  options: HubOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const response = await request(address, from, options);
  const file = await createAtomicFile(path);
  const hash = createHash("sha256");
  try {
    for await (const chunk of response.body ?? []) {
      if (file.bytes + chunk.length > (size ?? MAX_UNKNOWN_SIZE)) {
        throw new QuernError(
          `cannot fetch ${address}: ${name} is larger than ${size ?? MAX_UNKNOWN_SIZE} bytes; try again`,
        );
      }
      await file.write(chunk);
      hash.update(chunk);
      onBytes(chunk.length);
    }
    if (size !== null && file.bytes !== size) {
      throw new QuernError(`cannot fetch ${address}: ${name} ended after ${file.bytes} of ${size} bytes; try again`);
    }
    if (sha256 !== null && hash.digest("hex") !== sha256) {
      throw new QuernError(`cannot fetch ${address}: ${name} does not match the hub's checksum; try again`);
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    options.signal?.throwIfAborted();
    if (error instanceof QuernError) throw error;
    throw new QuernError(`cannot fetch ${address}: the transfer of ${name} failed (${(error as Error).message})`);
  }
}
