/**
 * @file The error that Quern throws for anything the user can fix: bad input, a missing file, a full disk.
 * Its message is one sentence: what is wrong, where, what to do. Any other exception is a bug.
 */
import { quoted } from "./printable.js";

/** 2: wrong call (an unknown flag, a missing path). 1: the call was valid but the work failed. */
export type ErrorExitCode = 1 | 2;

export class QuernError extends Error {
  override readonly name: string = "QuernError";
  readonly exitCode: ErrorExitCode;

  constructor(message: string, options: { readonly exitCode?: ErrorExitCode; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A program needs more memory than there is. Whoever knows the batch can say which one fits. */
export class OutOfMemoryError extends QuernError {
  /** @param problem what is wrong, without advice */
  constructor(
    readonly problem: string,
    readonly bytes: { readonly needed: number; readonly free: number },
    advice = "reduce the batch size, the sequence length, the vocabulary or the model width",
  ) {
    super(`${problem}; ${advice}`);
  }
}

/** Thrown by a function that saved its work after an abort; the message says where, and how to resume. */
export class InterruptedError extends Error {
  override readonly name = "AbortError";
  /** File or folder with the saved work. */
  readonly saved: string;

  constructor(message: string, saved: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.saved = saved;
  }
}

/** One of several ranks ended without a word: it was killed, or its machine is gone. */
export class RankLostError extends QuernError {
  override readonly name = "RankLostError";

  /** @param rest what to do, in the same sentence */
  constructor(
    readonly rank: number,
    readonly node: string,
    rest = "",
  ) {
    super(`rank ${rank} on ${node} ended unexpectedly${rest}`);
  }
}

/** This rank could not reach rank 0, so it reports its error itself. */
export class RankStartError extends QuernError {
  override readonly name = "RankStartError";
}

/** This rank ends because of an error that another rank reports. */
export class EndedElsewhereError extends QuernError {
  override readonly name = "EndedElsewhereError";
}

/** Returns true for the errors that an aborted `AbortSignal` causes. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || (error as { code?: unknown }).code === "ABORT_ERR");
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space or choose another folder",
  EDQUOT: "the disk quota is exceeded; free some space or choose another folder",
  EACCES: "permission denied; check the owner and mode, or choose another path",
  EPERM: "the operation is not permitted; check the owner and mode, or choose another path",
  EROFS: "the file system is read-only; choose another path",
  ENOENT: "there is no such file or folder; check the path",
  ENOTDIR: "a part of the path is a file, not a folder; check the path",
  EISDIR: "it is a folder, not a file; check the path",
  EEXIST: "it already exists; choose another path",
  EMFILE: "too many files are open; raise the limit with `ulimit -n`",
  ENAMETOOLONG: "the name is too long; choose a shorter path",
  ENFILE: "the system has too many files open; close some programs",
  ELOOP: "symbolic links lead in a circle; check the path",
  EIO: "the disk or its connection failed; check the hardware and the system's log",
  EFBIG: "the file is larger than the limit; raise it with `ulimit -f`, or choose another file system",
  EBUSY: "another program uses it; try again later",
  ETXTBSY: "another program runs it; try again later",
  ENOEXEC: "it is not a program for this machine",
  EAGAIN: "the system refuses more processes or threads; raise the limit with `ulimit -u`, or close some programs",
  ENOMEM: "there is not enough memory; close some programs, or raise the limit with `ulimit -v`",
};

/** What Node and V8 throw when memory runs out, or when a value exceeds their size limits. */
const MEMORY_CODES = ["ERR_MEMORY_ALLOCATION_FAILED", "ERR_WORKER_OUT_OF_MEMORY"];
const NO_MEMORY = /allocation failed|could not allocate|cannot allocate|out of memory/i;
const TOO_LONG = /^Invalid (string|typed array|array buffer|array) length|^Cannot create a string longer/;

/** Returns a readable error for an out-of-memory failure; null for any other error. */
function memoryError(error: Error): QuernError | null {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const isRange = error instanceof RangeError || error.name === "RuntimeError";
  if (MEMORY_CODES.includes(code) || (isRange && NO_MEMORY.test(error.message))) {
    const what = "this process ran out of memory";
    return new QuernError(
      `${what} (${quoted(error.message)}); close some programs, raise the limit of \`ulimit -v\` or the container, or process less at once`,
      { cause: error },
    );
  }
  if (code === "ERR_STRING_TOO_LONG" || (isRange && TOO_LONG.test(error.message))) {
    return new QuernError(`a text or list is longer than Node allows (${quoted(error.message)}); split the input`, {
      cause: error,
    });
  }
  return null;
}

/**
 * Returns a readable error for a failed file operation: `cannot write runs/a/run.json: the disk is full; …`.
 * Out-of-memory errors are translated too. Errors that do not come from the operating system are returned unchanged.
 */
export function fileError(error: unknown, action: string, path: string): unknown {
  if (error instanceof QuernError || !(error instanceof Error)) return error;
  const memory = memoryError(error);
  if (memory !== null) return memory;
  const code = (error as NodeJS.ErrnoException).code;
  // Node rejects such a path before the system sees it.
  if (code === "ERR_INVALID_ARG_VALUE" && /null byte/.test(error.message)) {
    return new QuernError(
      `cannot ${action} ${quoted(path)}: a file name cannot contain a NUL character; check the path`,
      {
        exitCode: action === "read" ? 2 : 1,
        cause: error,
      },
    );
  }
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  const reason = REASONS[code] ?? error.message;
  // A missing input is a wrong call; a failed write is a failure of the machine.
  const exitCode = code === "ENOENT" && action === "read" ? 2 : 1;
  return new QuernError(`cannot ${action} ${path}: ${reason}`, { exitCode, cause: error });
}
