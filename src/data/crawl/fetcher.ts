/**
 * @file One request at a time to one origin, which captures request and response as the bytes on the wire. Archives
 * record those bytes, including chunk sizes and compression. undici itself returns only the decoded body.
 */
import { connect as connectTo, isIP, type Socket } from "node:net";
import type { Client } from "undici";
import { isPrivateAddress, PrivateAddressError, publicLookup } from "./addresses.js";

export interface FetchLimits {
  /** Seconds until the response must be complete, including the connection. */
  readonly seconds: number;
  readonly allowPrivate: boolean;
  readonly userAgent: string;
}

export interface Exchange {
  readonly status: number;
  /** Names are lower case. Of repeated headers, the first counts. */
  readonly headers: ReadonlyMap<string, string>;
  /** The bytes sent and received, from the request or status line to the end of the body. */
  readonly request: Buffer;
  readonly response: Buffer;
  /** Why the body is incomplete: over the size limit, too slow, disconnected, or of an unwanted type. */
  readonly cut?: "length" | "time" | "disconnect" | "type";
  readonly address: string | undefined;
  /** When the request was sent (ISO 8601). */
  readonly time: string;
}

export interface GetOptions {
  readonly accept: string;
  /** Maximum bytes of the response; the rest is cut off. */
  readonly bytes: number;
  /** Decides from status and headers whether to fetch the body. Default: always fetch it. */
  readonly wanted?: (status: number, headers: ReadonlyMap<string, string>) => boolean;
  readonly signal?: AbortSignal;
}

/** A response that exceeds its bytes before the head ends, for example with endless interim responses. */
export class LargeAnswerError extends Error {
  override readonly name = "LargeAnswerError";
}

/** Bytes allowed on top of a body: heads, chunk sizes, trailers and interim responses. */
const OVERHEAD = 2 ** 16;
/** Milliseconds between two checks of the bytes received by the connection. */
const WATCH = 100;

/** The bytes sent and received for one request. */
class Capture {
  readonly sent: Buffer[] = [];
  readonly received: Buffer[] = [];
  readonly #most: number;
  bytes = 0;
  address: string | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  get isOver(): boolean {
    return this.bytes > this.#most;
  }
}

let undici: typeof import("undici") | undefined;

/** Loads undici, which `Fetcher` needs. Loaded on demand, so that commands that fetch nothing start faster. */
export async function loadFetcher(): Promise<void> {
  undici ??= await import("undici");
}

/** A connection to an origin, kept open between requests. It serves one request at a time. */
export class Fetcher {
  readonly #origin: string;
  readonly #limits: FetchLimits;
  #client: Client | null = null;
  /** The connection below TLS, set as soon as it is opened. */
  #raw: Socket | null = null;
  #capture = new Capture(OVERHEAD);
  #received = 0;

  /** `origin` is `https://host:port`. */
  constructor(origin: string, limits: FetchLimits) {
    this.#origin = origin;
    this.#limits = limits;
  }

  /** Returns the bytes received since the last call, including those of failed requests. */
  takeReceived(): number {
    const bytes = this.#received;
    this.#received = 0;
    return bytes;
  }

  /**
   * Opens a client that counts bytes below HTTP.
   * @throws Error if `loadFetcher` was not awaited
   */
  #open(): Client {
    if (undici === undefined) throw new Error("call loadFetcher() first");
    const { allowPrivate, seconds } = this.#limits;
    const timeout = seconds * 1000;
    const lookup = allowPrivate ? {} : { lookup: publicLookup };
    const connect = undici.buildConnector({ timeout, ...lookup });
    return new undici.Client(this.#origin, {
      pipelining: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: (options, callback) => {
        const host = options.hostname.replace(/^\[|\]$/g, "");
        // publicLookup checks names, but an IP address is never looked up.
        if (!allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) {
          return callback(new PrivateAddressError(`${host} is a private address`), null);
        }
        const isSecure = options.protocol === "https:";
        // Opened here for TLS: any number of TLS records may arrive without showing in its decrypted output.
        const raw = isSecure ? connectTo({ host, port: Number(options.port || 443), ...lookup }) : null;
        const opened = connect({ ...options, ...(raw === null ? {} : { httpSocket: raw }) }, (error, socket) => {
          if (error) return callback(error, null);
          this.#tap(socket as Socket);
          callback(null, socket as Socket);
        }) as unknown as Socket;
        raw?.on("error", (error) => opened.destroy(error));
        this.#raw = raw ?? opened;
      },
    });
  }

  /** Captures what the socket reads and writes, and closes it at the size limit. */
  #tap(socket: Socket): void {
    const read = socket.read.bind(socket);
    const write = socket.write.bind(socket) as (...all: unknown[]) => boolean;
    const note = () => {
      this.#capture.address ??= socket.remoteAddress;
      return this.#capture;
    };
    socket.read = (size?: number) => {
      const chunk = read(size) as Buffer | null;
      if (chunk !== null) {
        const capture = note();
        capture.received.push(chunk);
        capture.bytes += chunk.length;
        this.#received += chunk.length;
        if (capture.isOver) socket.destroy(new LargeAnswerError("the answer is larger than the limit"));
      }
      return chunk;
    };
    socket.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      note().sent.push(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : Buffer.from(chunk));
      return write(chunk, ...rest);
    };
  }

  /**
   * Sends a GET request for a path with its query. The limits on bytes and seconds cover everything from opening the
   * connection to the end of the body.
   *
   * @throws PrivateAddressError, LargeAnswerError, TimeoutError, the signal's reason, or a network error if there is no
   * response
   */
  async get(path: string, { accept, bytes: most, wanted, signal }: GetOptions): Promise<Exchange> {
    signal?.throwIfAborted();
    const { seconds, userAgent } = this.#limits;
    const capture = new Capture(most + OVERHEAD);
    this.#capture = capture;
    const before = { socket: this.#raw, bytes: this.#raw?.bytesRead ?? 0 };
    const late = AbortSignal.timeout(seconds * 1000);
    const over = new AbortController();
    const watch = setInterval(() => {
      const raw = this.#raw;
      const bytes = raw === null ? 0 : raw.bytesRead - (raw === before.socket ? before.bytes : 0);
      // TLS records may be small, so their overhead may double the bytes.
      if (bytes > 2 * most + 4 * OVERHEAD) over.abort();
    }, WATCH);
    const stop = AbortSignal.any([late, over.signal, ...(signal ? [signal] : [])]);
    // A request that still waits for its connection ignores the signal.
    const close = () => void this.close();
    stop.addEventListener("abort", close, { once: true });
    const time = new Date().toISOString().replace(/\.\d+/, "");
    try {
      this.#client ??= this.#open();
      const answer = await this.#client.request({
        path,
        method: "GET",
        headers: { "user-agent": userAgent, accept, "accept-encoding": "gzip, deflate, br" },
        signal: stop,
      });
      const headers = new Map(
        Object.entries(answer.headers).map(([name, value]) => [
          name.toLowerCase(),
          // Repeated Content-Type headers form one list.
          Array.isArray(value) ? (name === "content-type" ? value.join(", ") : value[0]) : (value ?? ""),
        ]),
      );
      let cut: Exchange["cut"];
      if (wanted && !wanted(answer.statusCode, headers)) {
        cut = "type";
        answer.body.on("error", () => {}).destroy();
      } else {
        try {
          for await (const _ of answer.body) if (capture.bytes > most) break;
          if (capture.bytes > most) cut = "length";
        } catch (error) {
          if (signal?.aborted) throw error;
          cut = capture.bytes > most || over.signal.aborted ? "length" : late.aborted ? "time" : "disconnect";
        }
      }
      return {
        status: answer.statusCode,
        headers,
        request: Buffer.concat(capture.sent),
        response: final(Buffer.concat(capture.received), headers).subarray(0, most + OVERHEAD),
        ...(cut === undefined ? {} : { cut }),
        address: capture.address,
        time,
      };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (capture.isOver || over.signal.aborted) throw new LargeAnswerError("the answer is larger than the limit");
      if ((error as { readonly code?: string }).code === "UND_ERR_HEADERS_OVERFLOW")
        throw new LargeAnswerError("a large head");
      throw late.aborted ? late.reason : error;
    } finally {
      clearInterval(watch);
      stop.removeEventListener("abort", close);
      // Bytes that a server sends without a request belong to no response.
      this.#capture = new Capture(OVERHEAD);
    }
  }

  /** Closes the connection; the next request opens another. */
  async close(): Promise<void> {
    const [client, raw] = [this.#client, this.#raw];
    this.#client = null;
    this.#raw = null;
    // With an error: after a plain close, undici would take an aborted response without a length for a complete one.
    raw?.destroy(new Error("closed"));
    await client?.destroy();
  }
}

/**
 * Returns the final response only. Interim responses before it (1xx, such as 103 Early Hints) and bytes beyond its
 * Content-Length are cut off.
 */
function final(received: Buffer, headers: Exchange["headers"]): Buffer {
  let answer = received;
  while (/^HTTP\/1\.1 1\d\d/.test(answer.toString("latin1", 0, 12))) {
    const end = answer.indexOf("\r\n\r\n");
    if (end < 0) break;
    answer = answer.subarray(end + 4);
  }
  const length = headers.get("content-length") ?? "";
  const head = answer.indexOf("\r\n\r\n");
  if (head < 0 || !/^\d{1,15}$/.test(length) || headers.has("transfer-encoding")) return answer;
  return answer.subarray(0, head + 4 + Number(length));
}

/** Returns path and query of an address, which form the request target. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** Returns the reason for a failed request, from the error that `get` throws. */
export function failureOf(error: unknown): string {
  const { code, name } = error as { readonly code?: string; readonly name: string };
  if (name === "TimeoutError" || code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT")
    return "too slow";
  if (error instanceof LargeAnswerError) return "an answer beyond the limit";
  return `no answer (${code ?? name})`;
}
