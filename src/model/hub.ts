/**
 * @file Models on the Hugging Face Hub, by address: `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION` (a branch, tag or
 * commit). A suffix `/FILE.gguf` selects a GGUF file of the repository. Files are downloaded once, verified by the sizes and
 * checksums from the hub's API, and cached by commit, so a cached folder never changes.
 *
 * `HF_TOKEN` gives access to private and gated models; `HF_ENDPOINT` selects another hub.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { cacheFolder, tagCacheFolder } from "../cache-folder.js";
import {
  COMMIT,
  downloadHubFile,
  type HubListing,
  type HubOptions,
  type HubRepository,
  HubUnreachable,
  listHubFiles,
  makeFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from "../documents/index.js";
import { QuernError } from "../errors.js";
import { quoted } from "../printable.js";

export type { HubOptions } from "../documents/index.js";

interface HubAddress {
  readonly repository: string;
  readonly revision: string;
  /** Path of a GGUF file in the repository; null for the whole Hugging Face folder. */
  readonly file: string | null;
}

export const isHubAddress = (path: string): boolean => path.startsWith("hf://");

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
  const model: HubRepository = { kind: "model", name: repository, address };
  const home = join(options.cache ?? cacheFolder(), "models", repository.replace("/", "+"));
  const folderOf = (commit: string) => join(home, file === null ? commit : `${commit}+${file.replaceAll("/", "+")}`);
  const pathIn = (folder: string) => (file === null ? folder : join(folder, basename(file)));
  if (COMMIT.test(revision) && existsSync(folderOf(revision))) return pathIn(folderOf(revision));
  const known = join(home, "revisions", encodeURIComponent(revision));
  const found = await lookUp(model, parsed, options).catch(async (error) => {
    const before = error instanceof HubUnreachable ? await readFile(known, "utf8").catch(() => null) : null;
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
        const place = join(temporary, basename(each.name));
        await downloadHubFile(model, found.commit, each, place, options, (bytes) => {
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

async function lookUp(
  model: HubRepository,
  { repository, revision, file }: HubAddress,
  options: HubOptions,
): Promise<HubListing> {
  const { address } = model;
  const { commit, files: listed } = await listHubFiles(model, revision, options);
  const files = listed.filter(({ name }) => (file === null ? WANTED.test(name) : name === file));
  const names = files.map(({ name }) => name);
  const ggufs = listed.map(({ name }) => name).filter((name) => /\.gguf$/i.test(name));
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
