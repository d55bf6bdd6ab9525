/**
 * @file Reads locations: a path, a URL (`https://…`), a file of a Hugging Face dataset
 * (`hf://datasets/OWNER/NAME[@REVISION]/PATH`) or a crawl of Common Crawl (`cc://CC-MAIN-YYYY-WW[/KIND]`; KIND is warc, wet
 * or wat). `HF_ENDPOINT` and `QUERN_COMMON_CRAWL` replace the base URLs; `HF_TOKEN` is the hub's token.
 */

import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { fileError, QuernError } from "../errors.js";
import { escapeControls, quoted } from "../printable.js";

export interface LocationOptions {
  readonly signal?: AbortSignal;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** How often a failed request is repeated. Default 5. */
  readonly retries?: number;
}

/** Largest path list of a crawl, in bytes; Common Crawl's have less than a million. */
const LARGEST_LIST = 2 ** 26;

export const isRemote = (location: string) => /^(https?|hf|cc):\/\//i.test(location);

/** Rejects URLs with credentials, because URLs are written into documents, reports and manifests. */
function refuseCredentials(location: string): void {
  if (!URL.canParse(location)) return;
  const { username, password } = new URL(location);
  if (username === "" && password === "") return;
  throw new QuernError(
    `${quoted(location)} contains a user name or password, which would be written into documents and reports; download the file and give its path`,
    { exitCode: 2 },
  );
}

/**
 * Returns the files of a location: for `cc://` all archives in the crawl's path list, otherwise the location itself.
 *
 * @throws QuernError if a `cc://` address is malformed, a URL contains credentials, or the path list cannot be fetched
 */
export async function expandLocation(location: string, options: LocationOptions = {}): Promise<readonly string[]> {
  const crawl = /^cc:\/\/(CC-MAIN-[\w-]+)(?:\/(warc|wet|wat))?\/?$/.exec(location);
  if (crawl === null) {
    if (/^cc:\/\//i.test(location)) {
      throw new QuernError(
        `${quoted(location)} is not a crawl; write, for example, cc://CC-MAIN-2024-22 or cc://CC-MAIN-2024-22/wet`,
        {
          exitCode: 2,
        },
      );
    }
    refuseCredentials(location);
    return [location];
  }
  const base = (environmentOf(options).QUERN_COMMON_CRAWL ?? "https://data.commoncrawl.org").replace(/\/+$/, "");
  const list = `${base}/crawl-data/${crawl[1]}/${crawl[2] ?? "warc"}.paths.gz`;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of fetchBytes(list, {}, options)) {
    length += part.length;
    if (length > LARGEST_LIST) throw new QuernError(`${quoted(list)} is not a path list: it is larger than 64 MiB`);
    parts.push(part);
  }
  const received = Buffer.concat(parts);
  let text = received;
  try {
    if (received[0] === 0x1f) text = gunzipSync(received, { maxOutputLength: 2 ** 28 });
  } catch (error) {
    throw new QuernError(`${quoted(list)} is not a complete gzip file: ${(error as Error).message}`, { cause: error });
  }
  return text
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((path) => `${base}/${path.trim()}`);
}

/**
 * Streams the bytes of a location. A broken transfer resumes with a range request; 429 and 5xx responses are retried after
 * a delay.
 *
 * @throws QuernError if it cannot be read, with the reason
 */
export async function* readLocation(location: string, options: LocationOptions = {}): AsyncGenerator<Uint8Array> {
  if (!isRemote(location)) {
    try {
      yield* createReadStream(location, { signal: options.signal, highWaterMark: 2 ** 20 });
    } catch (error) {
      throw fileError(error, "read", location);
    }
    return;
  }
  const { address, headers } = addressOf(location, environmentOf(options));
  yield* fetchBytes(address, headers, options);
}

const environmentOf = (options: LocationOptions) => options.environment ?? process.env;

function addressOf(
  location: string,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly address: string; readonly headers: Readonly<Record<string, string>> } {
  if (/^https?:/i.test(location)) return { address: location, headers: {} };
  const file = /^hf:\/\/datasets\/([^/]+\/[^/@]+)(?:@([^/]+))?\/(.+)$/.exec(location);
  if (file === null) {
    throw new QuernError(
      `${quoted(location)} is not a file of a dataset; write hf://datasets/OWNER/NAME[@REVISION]/PATH`,
      {
        exitCode: 2,
      },
    );
  }
  const [, name, revision = "main", path] = file;
  const base = (environment.HF_ENDPOINT ?? "https://huggingface.co").replace(/\/+$/, "");
  const token = environment.HF_TOKEN;
  return {
    address: `${base}/datasets/${name}/resolve/${encodeURIComponent(revision)}/${path.split("/").map(encodeURIComponent).join("/")}`,
    headers: token ? { authorization: `Bearer ${token}` } : {},
  };
}

async function* fetchBytes(
  address: string,
  headers: Readonly<Record<string, string>>,
  options: LocationOptions,
): AsyncGenerator<Uint8Array> {
  refuseCredentials(address);
  const shown = quoted(address);
  const retries = options.retries ?? 5;
  let at = 0;
  let entityTag: string | null = null;
  for (let failures = 0; ; ) {
    options.signal?.throwIfAborted();
    let problem: string;
    let wait = 0;
    try {
      const range: Record<string, string> = at > 0 ? { range: `bytes=${at}-` } : {};
      // If-Range: if the file changed, its parts must not be mixed.
      if (at > 0 && entityTag?.startsWith('"')) range["if-range"] = entityTag;
      // No content coding: a compressed transfer could not be resumed.
      const request = { ...headers, ...range, "accept-encoding": "identity" };
      const response = await fetch(address, { headers: request, signal: options.signal });
      if (response.status === 416 && at > 0) return;
      if (response.ok && response.body !== null && (at === 0 || response.status === 206)) {
        entityTag ??= response.headers.get("etag");
        for await (const part of response.body) {
          at += part.length;
          failures = 0;
          yield part;
        }
        return;
      }
      await response.body?.cancel();
      if (response.ok) {
        throw new QuernError(
          `cannot resume ${shown}: the file changed, or the server does not support ranges; download it and give its path`,
        );
      }
      problem = escapeControls(`the server answered ${response.status} ${response.statusText}`.trim());
      if (response.status !== 429 && response.status < 500) {
        const hint = response.status === 401 || response.status === 403 ? "; set HF_TOKEN if it needs a token" : "";
        throw new QuernError(`cannot read ${shown}: ${problem}${hint}`);
      }
      wait = 1000 * Number(response.headers.get("retry-after") ?? 0);
    } catch (error) {
      if (error instanceof QuernError || options.signal?.aborted) throw error;
      const cause = (error as { cause?: unknown }).cause;
      problem = cause instanceof Error ? cause.message : (error as Error).message;
    }
    failures += 1;
    if (failures > retries) throw new QuernError(`cannot read ${shown}: ${problem} (tried ${failures} times)`);
    // Doubles from 250 ms; Retry-After can raise it up to two minutes.
    const patience = Math.min(120_000, Math.max(250 * 2 ** (failures - 1), Number.isFinite(wait) ? wait : 0));
    await sleep(patience, undefined, { signal: options.signal });
  }
}
