/**
 * @file One request at a time to one origin, with the bytes of request and response as they went over the wire: an
 * archive's record holds those, chunk sizes and packing among them, and undici itself gives a body without them.
 */
import { isIP, type Socket } from "node:net";
import type { Client } from "undici";
import { isPrivateAddress, PrivateAddressError, publicLookup } from "./addresses.js";

export interface FetchLimits {
  /** Bytes of one answer; more is cut off. */
  readonly bytes: number;
  /** Seconds until the answer must be complete. */
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
  /** Why the body is not whole: larger than the limit, slower than allowed, or not wanted. */
  readonly cut?: "length" | "time" | "type";
  readonly address: string | undefined;
  /** ISO 8601, when the request was sent. */
  readonly time: string;
}

interface Capture {
  sent: Buffer[];
  received: Buffer[];
  bytes: number;
  address: string | undefined;
}

let undici: typeof import("undici") | undefined;

/** Loads undici, which `Fetcher` needs; the verbs that fetch nothing start without it. */
export async function loadFetcher(): Promise<void> {
  undici ??= await import("undici");
}

/** A connection to an origin, kept open between requests. Not for two requests at once. */
export class Fetcher {
  readonly #client: Client;
  readonly #limits: FetchLimits;
  #capture: Capture = emptyCapture();

  /** `origin` is `https://host:port`. Throws when `loadFetcher` was not awaited. */
  constructor(origin: string, limits: FetchLimits) {
    if (undici === undefined) throw new Error("loadFetcher() comes first");
    this.#limits = limits;
    const timeout = limits.seconds * 1000;
    const lookup = limits.allowPrivate ? {} : { lookup: publicLookup };
    const connect = undici.buildConnector({ timeout, ...lookup });
    this.#client = new undici.Client(origin, {
      pipelining: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      maxResponseSize: limits.bytes,
      connect: (options, callback) => {
        const host = options.hostname.replace(/^\[|\]$/g, "");
        // A name goes through publicLookup; an address is not looked up at all.
        if (!limits.allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) {
          return callback(new PrivateAddressError(`${host} is a private address`), null);
        }
        connect(options, (error, socket) => {
          if (error) return callback(error, null);
          this.#tap(socket as Socket);
          callback(null, socket as Socket);
        });
      },
    });
  }

  /** Keeps what the socket reads and writes. */
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
      }
      return chunk;
    };
    socket.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      note().sent.push(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : Buffer.from(chunk));
      return write(chunk, ...rest);
    };
  }

  /**
   * GETs a path (with its query). `wanted` says from the status and headers whether the body is worth fetching.
   * Rejects where there is no answer at all.
   */
  async get(
    path: string,
    {
      accept,
      wanted,
      signal,
    }: {
      readonly accept: string;
      readonly wanted?: (status: number, headers: ReadonlyMap<string, string>) => boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<Exchange> {
    const capture = emptyCapture();
    this.#capture = capture;
    const time = new Date().toISOString().replace(/\.\d+/, "");
    const late = AbortSignal.timeout(this.#limits.seconds * 1000);
    const abort = signal ? AbortSignal.any([signal, late]) : late;
    const answer = await this.#client.request({
      path,
      method: "GET",
      headers: { "user-agent": this.#limits.userAgent, accept, "accept-encoding": "gzip, deflate, br" },
      signal: abort,
    });
    const headers = new Map(
      Object.entries(answer.headers).map(([name, value]) => [
        name.toLowerCase(),
        Array.isArray(value) ? value[0] : (value ?? ""),
      ]),
    );
    let cut: Exchange["cut"];
    if (wanted && !wanted(answer.statusCode, headers)) {
      cut = "type";
      answer.body.on("error", () => {}).destroy();
    } else {
      try {
        for await (const _ of answer.body) if (capture.bytes > this.#limits.bytes) break;
        if (capture.bytes > this.#limits.bytes) cut = "length";
      } catch (error) {
        if (signal?.aborted) throw error;
        cut = capture.bytes >= this.#limits.bytes || /size/i.test((error as Error).message) ? "length" : "time";
      }
    }
    return {
      status: answer.statusCode,
      headers,
      request: Buffer.concat(capture.sent),
      response: final(Buffer.concat(capture.received)).subarray(0, this.#limits.bytes + 65536),
      ...(cut === undefined ? {} : { cut }),
      address: capture.address,
      time,
    };
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}

const emptyCapture = (): Capture => ({ sent: [], received: [], bytes: 0, address: undefined });

/** Without the interim answers (1xx, such as 103 Early Hints) that may come before an answer. */
function final(response: Buffer): Buffer {
  let rest = response;
  while (/^HTTP\/1\.1 1\d\d/.test(rest.toString("latin1", 0, 12))) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) break;
    rest = rest.subarray(end + 4);
  }
  return rest;
}
