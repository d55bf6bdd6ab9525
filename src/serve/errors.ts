/** @file Errors of the HTTP interface, in OpenAI's form: `{error: {message, type, param, code}}`. */
import { QuernError } from "../errors.js";
import { RequestError, type RequestErrorDetails } from "./protocol/request-error.js";

/** A request that the server refuses, with headers of the answer. */
export class ApiError extends RequestError {
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    { headers = {}, ...details }: RequestErrorDetails & { readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, { ...details, status });
    this.headers = headers;
  }
}

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export function errorBody({ message, type, param, code }: RequestError): ErrorBody {
  return { error: { message, type, param, code } };
}

/** Describes a failure that is no fault of the request; what it says of the machine goes to the log only. */
export const internalError = () =>
  new ApiError(500, "The server failed; its log says why.", { type: "server_error", code: "internal_error" });

/**
 * Turns what a handler threw into an answer. A `QuernError` with exit code 2 is a wrong request; any other error is the server's.
 * @param onFailure receives the errors of the server itself
 */
export function apiErrorOf(error: unknown, onFailure: (error: unknown) => void): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof QuernError && error.exitCode === 2) return new ApiError(400, error.message);
  onFailure(error);
  return internalError();
}
