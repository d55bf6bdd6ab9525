/**
 * @file The client of the Hugging Face Hub: lists the files of a repository and downloads them, verified by the sizes and
 * checksums of the hub's API. `HF_TOKEN` gives access to private and gated repositories; `HF_ENDPOINT` selects another hub;
 * `HF_HUB_OFFLINE=1` forbids requests. API reference: https://huggingface.co/docs/hub/api
 */
import { createHash } from "node:crypto";
import { QuernError } from "../errors.js";
import { parseJson } from "../json-file.js";
import type { OnProgress } from "../progress.js";
import { createAtomicFile } from "./atomic.js";

export interface HubOptions {
  /** Called with bytes received and total. */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Default: the cache folder. */
  readonly cache?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** A file of a repository. */
export interface HubFile {
  readonly name: string;
  readonly size: number | null;
  readonly sha256: string | null;
}

/** A repository as a request names it. */
export interface HubRepository {
  readonly kind: "model" | "dataset";
  /** `OWNER/NAME`; old data sets have only a name. */
  readonly name: string;
  /** For errors: the address as the user wrote it. */
  readonly address: string;
}

export interface HubListing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

export const COMMIT = /^[0-9a-f]{40}$/;

/** Thrown if the hub does not respond at all, or may not be asked. */
export class HubUnreachable extends QuernError {}

/** Thrown if a repository or revision does not exist, or is not accessible. */
export class HubMissing extends QuernError {}

async function request({ address, kind }: HubRepository, path: string, options: HubOptions): Promise<Response> {
  const { signal, environment = process.env } = options;
  if (/^(1|true|yes|on)$/i.test(environment.HF_HUB_OFFLINE ?? "")) {
    throw new HubUnreachable(`cannot fetch ${address}: HF_HUB_OFFLINE is set; unset it to use the network`);
  }
  const base = (environment.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  const token = environment.HF_TOKEN;
  let response: Response;
  try {
    // Large files redirect to another host; fetch does not send the token there.
    response = await fetch(`${base}/${path}`, { signal, headers: token ? { authorization: `Bearer ${token}` } : {} });
  } catch (error) {
    signal?.throwIfAborted();
    const cause = (error as Error).cause instanceof Error ? ((error as Error).cause as Error).message : String(error);
    throw new HubUnreachable(`cannot fetch ${address}: ${base} does not answer (${cause}); check the network`);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const { status } = response;
  if (status === 404) {
    throw new HubMissing(
      `cannot fetch ${address}: ${base} answers 404; there is no such ${kind} or revision, or it is private and HF_TOKEN ` +
        "is not set",
    );
  }
  if (status === 401 || status === 403) {
    throw new HubMissing(
      `cannot fetch ${address}: ${base} answers ${status}; it is private, gated or missing; set HF_TOKEN to a token with ` +
        "read access",
    );
  }
  throw new QuernError(`cannot fetch ${address}: ${base} answers ${status}; try again later`);
}

/**
 * Lists the files of a revision (a branch, tag or commit).
 * @throws QuernError if the repository or revision does not exist, or the hub's response is not a list
 */
export async function listHubFiles(
  repository: HubRepository,
  revision: string,
  options: HubOptions,
): Promise<HubListing> {
  const { kind, name, address } = repository;
  const path = `api/${kind}s/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const answer = (await readAnswer(address, await request(repository, path, options))) as {
    readonly sha?: unknown;
    readonly siblings?: readonly { readonly rfilename?: unknown; readonly size?: unknown; readonly lfs?: unknown }[];
  } | null;
  const commit = answer?.sha;
  if (typeof commit !== "string" || !COMMIT.test(commit) || !Array.isArray(answer?.siblings)) {
    throw new QuernError(`cannot fetch ${address}: the hub's response is not a list of files`);
  }
  const files = answer.siblings.flatMap(({ rfilename, size, lfs }): HubFile[] => {
    if (typeof rfilename !== "string") return [];
    const sha256 = (lfs as { readonly sha256?: unknown } | undefined)?.sha256;
    return [
      {
        name: rfilename,
        size: typeof size === "number" ? size : null,
        sha256: typeof sha256 === "string" ? sha256 : null,
      },
    ];
  });
  return { commit, files };
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

/**
 * Downloads a file of a commit.
 * @param path where it is written
 * @throws QuernError if the transfer fails, or size or checksum differ; nothing is left behind
 */
export async function downloadHubFile(
  repository: HubRepository,
  commit: string,
  { name, size, sha256 }: HubFile,
  path: string,
  options: HubOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { address, kind } = repository;
  const place = name.split("/").map(encodeURIComponent).join("/");
  const from = `${kind === "dataset" ? "datasets/" : ""}${repository.name}/resolve/${commit}/${place}`;
  const response = await request(repository, from, options);
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
