/** @file An `AbortController` that another signal aborts too. */

export interface LinkedController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Forgets the other signal. */
  unlink(): void;
}

/**
 * Like `AbortSignal.any`, which however keeps its signals, and all that they refer to, until the next full garbage collection: a server
 * under load grew by 30 kB per request before each.
 */
export function linkedController(other: AbortSignal): LinkedController {
  const controller = new AbortController();
  const abort = () => controller.abort(other.reason);
  if (other.aborted) abort();
  else other.addEventListener("abort", abort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => other.removeEventListener("abort", abort),
  };
}
