/**
 * @file The one error that Quern raises for what a person can mend: bad input, a missing file, a full disk.
 * Its message is a whole sentence: what is wrong, where, what to do. Anything else that is thrown is a bug.
 */
import { quoted } from "./printable.js";

/** 2: the call itself was wrong (a flag, a path that is not there). 1: the call was right and the work failed. */
export type ErrorExitCode = 1 | 2;

export class QuernError extends Error {
  override readonly name = "QuernError";
  readonly exitCode: ErrorExitCode;

  constructor(message: string, options: { readonly exitCode?: ErrorExitCode; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** What a function throws that an `AbortSignal` stopped when it has saved its work: where, and how to go on. */
export class InterruptedError extends Error {
  override readonly name = "AbortError";
  /** The file or folder that holds what was done. */
  readonly saved: string;

  constructor(message: string, saved: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.saved = saved;
  }
}

/** True for what an aborted `AbortSignal` makes a function throw. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || (error as { code?: unknown }).code === "ABORT_ERR");
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space or choose another folder",
  EDQUOT: "the disk quota is used up; free some space or choose another folder",
  EACCES: "permission denied; check the owner and mode, or choose another path",
  EPERM: "the operation is not permitted; check the owner and mode, or choose another path",
  EROFS: "the file system is read-only; choose another path",
  ENOENT: "there is no such file or folder; check the path",
  ENOTDIR: "a part of the path is a file, not a folder; check the path",
  EISDIR: "it is a folder, not a file; check the path",
  EEXIST: "it exists already; choose another path",
  EMFILE: "too many files are open; raise the limit with `ulimit -n`",
  ENAMETOOLONG: "the name is too long; choose a shorter path",
  ENFILE: "the system has too many files open; close some programs",
  ELOOP: "symbolic links lead in a circle; check the path",
  EIO: "the disk or its connection failed; check the hardware and the system's log",
  EFBIG: "the file is larger than the limit; raise it with `ulimit -f`, or choose another file system",
  EBUSY: "another program uses it; try again later",
  ETXTBSY: "another program runs it; try again later",
  ENOEXEC: "it is no program for this machine",
  EAGAIN: "the system gives no more processes or threads; raise the limit with `ulimit -u`, or close some programs",
  ENOMEM: "there is not enough memory; close some programs, or raise the limit with `ulimit -v`",
};

/** What Node and V8 throw where the system or a limit gives no more memory, or a value is larger than they can hold. */
const MEMORY_CODES = ["ERR_MEMORY_ALLOCATION_FAILED", "ERR_WORKER_OUT_OF_MEMORY"];
const NO_MEMORY = /allocation failed|could not allocate|cannot allocate|out of memory/i;
const TOO_LONG = /^Invalid (string|typed array|array buffer|array) length|^Cannot create a string longer/;

/** The error of a process that the machine gives too little memory, as a person should read it; null for any other. */
function memoryError(error: Error): QuernError | null {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const isRange = error instanceof RangeError || error.name === "RuntimeError";
  if (MEMORY_CODES.includes(code) || (isRange && NO_MEMORY.test(error.message))) {
    const what = "the machine gives this process too little memory";
    return new QuernError(
      `${what} (${quoted(error.message)}); close some programs, raise a limit set by \`ulimit -v\` or a container, or take less at once`,
      { cause: error },
    );
  }
  if (code === "ERR_STRING_TOO_LONG" || (isRange && TOO_LONG.test(error.message))) {
    return new QuernError(`a text or list is longer than Node can hold (${quoted(error.message)}); divide the input`, {
      cause: error,
    });
  }
  return null;
}

/**
 * The error of a file operation as a person should read it: `cannot write runs/a/run.json: the disk is full; …`.
 * A lack of memory is named too. Other errors that do not come from the operating system are returned as they are.
 */
export function fileError(error: unknown, action: string, path: string): unknown {
  if (error instanceof QuernError || !(error instanceof Error)) return error;
  const memory = memoryError(error);
  if (memory !== null) return memory;
  const code = (error as NodeJS.ErrnoException).code;
  // Node refuses such a path before the system sees it.
  if (code === "ERR_INVALID_ARG_VALUE" && /null byte/.test(error.message)) {
    return new QuernError(`cannot ${action} ${quoted(path)}: no file name holds a NUL character; check the path`, {
      exitCode: action === "read" ? 2 : 1,
      cause: error,
    });
  }
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  const reason = REASONS[code] ?? error.message;
  // What is not there to be read was named wrongly; what cannot be written is the machine's refusal.
  const exitCode = code === "ENOENT" && action === "read" ? 2 : 1;
  return new QuernError(`cannot ${action} ${path}: ${reason}`, { exitCode, cause: error });
}
