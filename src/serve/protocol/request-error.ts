/** @file A request that the server refuses, with its HTTP status and the field at fault. */
import type { z } from "zod";
import { QuernError } from "../../errors.js";
import { optionProblems } from "../../options.js";

export interface RequestErrorDetails {
  /** HTTP status; default 400. */
  readonly status?: number;
  /** Path of the field at fault, such as `tools[0].function.name`; null if none is. */
  readonly param?: string | null;
  /** OpenAI's `type`; default `invalid_request_error`. */
  readonly type?: string;
  /** OpenAI's `code`, such as `context_length_exceeded`; null if it has none. */
  readonly code?: string | null;
}

export class RequestError extends QuernError {
  override readonly name = "RequestError";
  readonly status: number;
  readonly param: string | null;
  readonly type: string;
  readonly code: string | null;

  constructor(
    message: string,
    { status = 400, param = null, type = "invalid_request_error", code = null }: RequestErrorDetails = {},
  ) {
    super(message, { exitCode: 2 });
    this.status = status;
    this.param = param;
    this.type = type;
    this.code = code;
  }
}

/**
 * Checks a request's body against a strict schema.
 * @throws RequestError that names every wrong or unknown field; `param` is the first
 */
export function checkBody<S extends z.ZodObject>(schema: S, body: unknown): z.output<S> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new RequestError("the body must be a JSON object");
  }
  const { data, problems } = optionProblems(schema, body, { noun: "field" });
  if (problems.length === 0) return data!;
  const { param } = problems[0];
  const isUnknown = problems[0].isUnknown;
  throw new RequestError(problems.map(({ message }) => message).join("; "), {
    param,
    code: isUnknown ? "unknown_parameter" : null,
  });
}
