/**
 * @file One request at a time to one origin, with the bytes of request and response as they went over the wire: an
 * archive's record holds those, chunk sizes and packing among them, and undici itself gives a body without them.
 */
import { connect as connectTo, isIP, type Socket } from "node:net";
import type { Client } from "undici";
import { isPrivateAddress, PrivateAddressError, publicLookup } from "./addresses.js";

export interface FetchLimits {
  /** Seconds until the answer must be complete, the connection included. */
  readonly seconds: number;
  readonly allowPrivate: boolean;
  readonly userAgent: string;
}

export interface Exchange {
  readonly status: number;
  /** Names in lower case; the first of several. */
  readonly headers: ReadonlyMap<string, string>;
  /** The bytes sent and received, from the request line and the status line to the body's end. */
  readonly request: Buffer;
  readonly response: Buffer;
  /** Why the body is not whole: larger than the limit, slower than allowed, broken off, or not wanted. */
  readonly cut?: "length" | "time" | "disconnect" | "type";
  readonly address: string | undefined;
  /** ISO 8601, when the request was sent. */
  readonly time: string;
}

export interface GetOptions {
  readonly accept: string;
  /** Bytes of the answer; more is cut off. */
  readonly bytes: number;
  /** From status and headers, whether the body is worth fetching. Default: it is. */
  readonly wanted?: (status: number, headers: ReadonlyMap<string, string>) => boolean;
  readonly signal?: AbortSignal;
}

/** An answer that takes more bytes than allowed before its head has ended: interim answers without end, for example. */
export class LargeAnswerError extends Error {
  override readonly name = "LargeAnswerError";
}

/** Bytes of heads, chunk sizes, trailers and interim answers that may come on top of a body. */
const OVERHEAD = 2 ** 16;
/** Milliseconds between two looks at what the connection itself has received. */
const WATCH = 100;

/** What goes over the connection for one request. */
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

/** Loads undici, which `Fetcher` needs; the verbs that fetch nothing start without it. */
export async function loadFetcher(): Promise<void> {
  undici ??= await import("undici");
}

/** A connection to an origin, kept open between requests. Not for two requests at once. */
export class Fetcher {
  readonly #origin: string;
  readonly #limits: FetchLimits;
  #client: Client | null = null;
  /** The connection below TLS, from the moment at which it is opened. */
  #raw: Socket | null = null;
  #capture = new Capture(OVERHEAD);
  #received = 0;

  /** `origin` is `https://host:port`. */
  constructor(origin: string, limits: FetchLimits) {
    this.#origin = origin;
    this.#limits = limits;
  }

  /** Bytes that were received since this was last asked, whatever came of their requests. */
  takeReceived(): number {
    const bytes = this.#received;
    this.#received = 0;
    return bytes;
  }

  /** A client that counts below HTTP. Throws when `loadFetcher` was not awaited. */
  #open(): Client {
    if (undici === undefined) throw new Error("loadFetcher() comes first");
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
        // A name goes through publicLookup; an address is not looked up at all.
        if (!allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) {
          return callback(new PrivateAddressError(`${host} is a private address`), null);
        }
        const isSecure = options.protocol === "https:";
        // Opened here for TLS, whose own records, however many, do not show in what it hands on.
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

  /** Keeps what the socket reads and writes, and closes it where that is too much. */
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
   * GETs a path (with its query). The bytes and the seconds that it may take are counted from the first of the
   * connection to the last of the body.
   *
   * Rejects where there is no answer: with a `PrivateAddressError`, a `LargeAnswerError`, a `TimeoutError`, the signal's
   * reason, or what the network gives.
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
      // Records of TLS may be small.
      if (bytes > 2 * most + 4 * OVERHEAD) over.abort();
    }, WATCH);
    const stop = AbortSignal.any([late, over.signal, ...(signal ? [signal] : [])]);
    // A request that still waits for its connection does not hear the signal.
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
          // Several lines of a type are one list.
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
      // What a server sends unasked is nobody's answer.
      this.#capture = new Capture(OVERHEAD);
    }
  }

  /** Ends the connection; the next request opens another. */
  async close(): Promise<void> {
    const [client, raw] = [this.#client, this.#raw];
    this.#client = null;
    this.#raw = null;
    // With an error: undici takes a plain end for the end of an answer without a length, of a request that is aborted by then.
    raw?.destroy(new Error("closed"));
    await client?.destroy();
  }
}

/**
 * The answer alone: without the interim ones (1xx, such as 103 Early Hints) that may come before it, and without what
 * follows the length that it gives.
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

/** What a request asks for: path and query of an address. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** Why there is no answer, from what `get` throws. */
export function failureOf(error: unknown): string {
  const { code, name } = error as { readonly code?: string; readonly name: string };
  if (name === "TimeoutError" || code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT")
    return "too slow";
  if (error instanceof LargeAnswerError) return "an answer beyond the limit";
  return `no answer (${code ?? name})`;
}
