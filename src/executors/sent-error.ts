/** @file An error on its way from a worker thread to the thread that waits for it: the file and line where it was thrown stay. */
import { type ErrorExitCode, QuernError } from "../errors.js";

export interface SentError {
  readonly message: string;
  readonly name?: string;
  readonly stack?: string;
  /** Of a `QuernError`. */
  readonly exitCode?: ErrorExitCode;
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack, name } = error;
  return error instanceof QuernError ? { message, exitCode: error.exitCode } : { message, stack, name };
}

export function receiveError({ message, name, stack, exitCode }: SentError): Error {
  if (exitCode !== undefined) return new QuernError(message, { exitCode });
  const error = new Error(message);
  if (name !== undefined) error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
