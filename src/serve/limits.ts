/** @file The limits of a server: bytes of a body, and requests that run or wait at once. */
import type { IncomingMessage } from "node:http";
import { ApiError } from "./errors.js";

/**
 * Reads a JSON body. It reads Node's own request: a `Request` of the web costs more, and stays until a full garbage collection.
 * @throws ApiError for a body over the limit or cut off, or one that is not JSON in UTF-8
 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const tooLarge = () =>
    new ApiError(413, `the body is larger than the limit of ${limit} bytes; --body-limit raises it`, {
      code: "body_too_large",
      headers: { connection: "close" },
    });
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // A request that is refused stays open for the answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, "the body was cut off", { code: "invalid_json" });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ApiError(400, "the body is not UTF-8", { code: "invalid_json" });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ApiError(400, `the body is not JSON: ${(error as Error).message}`, { code: "invalid_json" });
  }
}

export interface Admission {
  /** Counts a request in. @throws ApiError if too many run, or the server is stopping */
  enter(): () => void;
  /** Refuses requests from now on, and waits for those that run. */
  drain(): Promise<void>;
  readonly isStopping: boolean;
}

/** Seconds after which a refused client may try again. */
const RETRY = { "retry-after": "1" };

export function createAdmission(most: number): Admission {
  let running = 0;
  let isStopping = false;
  let onEmpty = () => {};
  return {
    get isStopping() {
      return isStopping;
    },
    enter() {
      if (isStopping) {
        throw new ApiError(503, "the server is stopping", { type: "server_error", code: "stopping", headers: RETRY });
      }
      if (running >= most) {
        throw new ApiError(429, `${most} requests run or wait already; try again later`, {
          type: "rate_limit_error",
          code: "too_many_requests",
          headers: RETRY,
        });
      }
      running += 1;
      let isLeft = false;
      return () => {
        if (isLeft) return;
        isLeft = true;
        running -= 1;
        if (running === 0) onEmpty();
      };
    },
    async drain() {
      isStopping = true;
      if (running > 0) {
        await new Promise<void>((resolve) => {
          onEmpty = resolve;
        });
      }
    },
  };
}
