/** @file What every route works with. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { z } from "zod";
import type { Activity } from "./activity.js";
import { apiErrorOf, errorBody } from "./errors.js";
import { type Admission, readJson } from "./limits.js";
import type { LoadedModel, Models } from "./models.js";
import { checkBody } from "./protocol/request-error.js";
import { type EventStream, eventStream } from "./sse.js";

export interface Serving {
  readonly models: Models;
  readonly activity: Activity;
  readonly admission: Admission;
  readonly bodyLimit: number;
  /** Identifies the program that answers (`system_fingerprint`). */
  readonly fingerprint: string;
  /** Receives the server's own failures. */
  readonly onFailure: (error: unknown) => void;
}

export type ServerEnv = { Bindings: HttpBindings };
export type RouteContext = Context<ServerEnv>;

/** A request with its model, which stays in memory until the answer has ended. */
export interface Work {
  readonly model: LoadedModel;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

export type Respond = {
  json(body: object): Response;
  /** Streams events; an error after the first one ends the stream with an error event. */
  events(write: (stream: EventStream) => Promise<void>, failure?: (error: unknown) => unknown): Response;
};

/** Reads and checks a body. @throws ApiError for a body that is too large, no JSON, or does not fit the schema */
export async function bodyOf<S extends z.ZodObject>(
  c: RouteContext,
  serving: Serving,
  schema: S,
): Promise<z.output<S>> {
  return checkBody(schema, await readJson(c.env.incoming, serving.bodyLimit));
}

/**
 * Counts a request in, holds its model, and watches its client until the response has ended.
 * @param answer responds, or throws before a stream has begun
 */
export async function withModel(
  c: RouteContext,
  { models, activity, admission, onFailure }: Serving,
  id: string | null | undefined,
  answer: (work: Work, respond: Respond) => Promise<Response>,
): Promise<Response> {
  const leave = admission.enter();
  const client = new AbortController();
  const { outgoing } = c.env;
  const onClose = () => {
    if (outgoing.writableFinished || client.signal.aborted) return;
    activity.metrics.aborted.add({});
    client.abort();
  };
  outgoing.once("close", onClose);
  let release = () => {};
  const end = () => {
    outgoing.off("close", onClose);
    client.abort(); // after a failure, what the request still generates
    release();
    leave();
  };
  let isStreaming = false;
  try {
    const lease = await models.use(id);
    release = lease.release;
    return await answer(
      { model: lease.model, signal: client.signal },
      {
        json: (body) => Response.json(body),
        events(write, failure = (error) => errorBody(apiErrorOf(error, onFailure))) {
          isStreaming = true;
          return eventStream(async (stream) => {
            try {
              await write(stream);
            } catch (error) {
              if (!client.signal.aborted) stream.send(failure(error));
            } finally {
              end();
            }
          }, onClose);
        },
      },
    );
  } finally {
    if (!isStreaming) end();
  }
}
