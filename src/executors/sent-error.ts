/** @file Serialises errors from worker threads, keeping the stack and the exit code. */
import { type ErrorExitCode, QuernError } from "../errors.js";

export interface SentError {
  readonly message: string;
  readonly name?: string;
  readonly stack?: string;
  /** Present for a `QuernError`. */
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
