/**
 * @file Where data lies: a path, an address (`https://…`), a file of a data set on the Hugging Face hub
 * (`hf://datasets/OWNER/NAME[@REVISION]/PATH`) or a crawl of Common Crawl (`cc://CC-MAIN-YYYY-WW[/KIND]`, KIND
 * being warc, wet or wat). `HF_ENDPOINT` and `QUERN_COMMON_CRAWL` set other base addresses, `HF_TOKEN` the hub's token.
 */

import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { fileError, QuernError } from "../errors.js";
import { escapeControls, quoted } from "../printable.js";

export interface LocationOptions {
  readonly signal?: AbortSignal;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** How often a request is tried again before its error is final. Default 5. */
  readonly retries?: number;
}

/** Bytes of a crawl's path list; Common Crawl's have less than one million. */
const LARGEST_LIST = 2 ** 26;

export const isRemote = (location: string) => /^(https?|hf|cc):\/\//i.test(location);

/** An address becomes part of every document that is read from it, of reports and of manifests. */
function refuseCredentials(location: string): void {
  if (!URL.canParse(location)) return;
  const { username, password } = new URL(location);
  if (username === "" && password === "") return;
  throw new QuernError(
    `${quoted(location)} holds a user name or password, which would be written into documents and reports; download the file and name that`,
    { exitCode: 2 },
  );
}

/**
 * The files that a location stands for: itself, or for `cc://` every archive of the crawl's path list.
 *
 * @throws QuernError for an address that is none of these kinds, and where a path list cannot be fetched
 */
export async function expandLocation(location: string, options: LocationOptions = {}): Promise<readonly string[]> {
  const crawl = /^cc:\/\/(CC-MAIN-[\w-]+)(?:\/(warc|wet|wat))?\/?$/.exec(location);
  if (crawl === null) {
    if (/^cc:\/\//i.test(location)) {
      throw new QuernError(
        `${quoted(location)} names no crawl; write cc://CC-MAIN-2024-22 or cc://CC-MAIN-2024-22/wet`,
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
    if (length > LARGEST_LIST) throw new QuernError(`${quoted(list)} is no list of paths: it is larger than 64 MiB`);
    parts.push(part);
  }
  const packed = Buffer.concat(parts);
  let text = packed;
  try {
    if (packed[0] === 0x1f) text = gunzipSync(packed, { maxOutputLength: 2 ** 28 });
  } catch (error) {
    throw new QuernError(`${quoted(list)} is not a whole gzip file: ${(error as Error).message}`, { cause: error });
  }
  return text
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((path) => `${base}/${path.trim()}`);
}

/**
 * The bytes of a location as they come. A remote one that breaks off is asked for the rest; an answer that says to wait
 * (429, 5xx) is waited for.
 *
 * @throws QuernError where it cannot be read, with the reason
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
    throw new QuernError(`${quoted(location)} names no file; write hf://datasets/OWNER/NAME[@REVISION]/PATH`, {
      exitCode: 2,
    });
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
      // A file that changed between the parts would be a mixture of two.
      if (at > 0 && entityTag?.startsWith('"')) range["if-range"] = entityTag;
      // Bytes as they lie there: a packed transfer could not be asked for its rest.
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
      if (response.ok) throw new QuernError(`cannot read ${shown} on: it changed, or gives no ranges`);
      problem = escapeControls(`the server answered ${response.status} ${response.statusText}`.trim());
      if (response.status !== 429 && response.status < 500) {
        const hint = response.status === 401 || response.status === 403 ? "; set HF_TOKEN where it needs one" : "";
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
    // Doubles from a quarter of a second; a server that asks for more gets it, up to two minutes.
    const patience = Math.min(120_000, Math.max(250 * 2 ** (failures - 1), Number.isFinite(wait) ? wait : 0));
    await sleep(patience, undefined, { signal: options.signal });
  }
}
