/** @file Data sets of the Hugging Face Hub: their files, downloaded once each and cached by commit. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder, tagCacheFolder } from "../cache-folder.js";
import { QuernError } from "../errors.js";
import { quoted } from "../printable.js";
import { makeFolder, writeFileAtomic } from "./atomic.js";
import {
  COMMIT,
  downloadHubFile,
  type HubFile,
  type HubListing,
  type HubOptions,
  type HubRepository,
  HubUnreachable,
  listHubFiles,
} from "./hub.js";

/** A data set at one commit. */
export interface HubDataset {
  readonly name: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
  /**
   * Returns the local path of a file; downloads it if it is not in the cache.
   * @throws QuernError if the data set has no such file, or its transfer fails
   */
  fetch(file: string): Promise<string>;
}

const NAME = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)?$/;

/**
 * Opens a data set. A branch or tag is resolved on every call; if the hub cannot be reached, its last known commit is used.
 * @param revision a branch, tag or commit
 * @throws QuernError for an invalid name, or a missing or inaccessible data set
 */
export async function openHubDataset(name: string, revision = "main", options: HubOptions = {}): Promise<HubDataset> {
  const address = `hf://datasets/${name}${revision === "main" ? "" : `@${revision}`}`;
  if (!NAME.test(name)) {
    throw new QuernError(`${quoted(name)} is not a data set of the hub; write OWNER/NAME`, { exitCode: 2 });
  }
  const repository: HubRepository = { kind: "dataset", name, address };
  const home = join(
    options.cache ?? cacheFolder(),
    "datasets",
    name.includes("/") ? name.replace("/", "+") : `+${name}`,
  );
  const { commit, files } = await listingOf(repository, revision, home, options);
  return {
    name,
    commit,
    files,
    async fetch(file) {
      const found = files.find((each) => each.name === file);
      if (found === undefined || file.split("/").some((part) => part === ".." || part === "" || part.includes("\\"))) {
        throw new QuernError(`${address} has no file ${quoted(file)}`);
      }
      const path = join(home, commit, file);
      if (existsSync(path)) return path;
      let done = 0;
      await downloadHubFile(repository, commit, found, path, options, (bytes) => {
        done += bytes;
        options.onProgress?.({ task: `fetch ${name}`, done, total: found.size ?? done, unit: "byte" });
      });
      return path;
    },
  };
}

/** Lists the files of a revision, and remembers the list. */
async function listingOf(
  repository: HubRepository,
  revision: string,
  home: string,
  options: HubOptions,
): Promise<HubListing> {
  const listOf = (commit: string) => join(home, "lists", `${commit}.json`);
  const known = join(home, "revisions", encodeURIComponent(revision));
  const remembered = async (commit: string): Promise<HubListing | undefined> => {
    try {
      return { commit, files: JSON.parse(await readFile(listOf(commit), "utf8")) as HubFile[] };
    } catch {
      // Never listed, or damaged: the hub has the list.
      return undefined;
    }
  };
  if (COMMIT.test(revision)) {
    const listing = await remembered(revision);
    if (listing !== undefined) return listing;
  }
  let listing: HubListing;
  try {
    listing = await listHubFiles(repository, revision, options);
  } catch (error) {
    const before = error instanceof HubUnreachable ? await readFile(known, "utf8").catch(() => undefined) : undefined;
    const old = before === undefined ? undefined : await remembered(before);
    if (old === undefined) throw error;
    return old;
  }
  await makeFolder(dirname(home));
  await tagCacheFolder(dirname(home));
  await writeFileAtomic(listOf(listing.commit), JSON.stringify(listing.files));
  await writeFileAtomic(known, listing.commit);
  return listing;
}
