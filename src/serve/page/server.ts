/** @file Calls of the server that the page came from. */
import { signal } from "@preact/signals";
import { readEvents } from "./event-stream.js";
import { apiKey } from "./settings.js";

/** Whether the server has asked for a key, or refused the one given. */
export const needsKey = signal<"" | "missing" | "wrong">("");

/** What the server or the connection says about a failed call, in a sentence. */
export class CallError extends Error {}

const GONE = "The server does not answer. Is quern serve still running?";

async function call(path: string, init: RequestInit): Promise<Response> {
  const headers = {
    ...(apiKey.value !== "" && { authorization: `Bearer ${apiKey.value}` }),
    ...(init.body !== undefined && { "content-type": "application/json" }),
  };
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    throw (error as Error).name === "AbortError" ? error : new CallError(GONE);
  }
  if (response.ok) {
    needsKey.value = "";
    return response;
  }
  if (response.status === 401) needsKey.value = apiKey.value === "" ? "missing" : "wrong";
  throw new CallError(
    messageOf(await response.json().catch(() => undefined)) ?? `The server answered with status ${response.status}.`,
  );
}

/** The message of an error body. */
function messageOf(body: unknown): string | undefined {
  const message = (body as { error?: { message?: unknown } } | undefined)?.error?.message;
  return typeof message === "string" ? message : undefined;
}

export async function getJson(path: string): Promise<unknown> {
  return (await call(path, {})).json();
}

/** Posts a request and yields the events of the answer. An error among the events is thrown. */
export async function* streamEvents(path: string, body: object, signal: AbortSignal): AsyncGenerator<unknown, void> {
  const response = await call(path, { method: "POST", body: JSON.stringify(body), signal });
  try {
    for await (const event of readEvents(response.body as ReadableStream<Uint8Array>)) {
      const message = messageOf(event);
      if (message !== undefined) throw new CallError(message);
      yield event;
    }
  } catch (error) {
    throw error instanceof CallError || signal.aborted ? error : new CallError(GONE);
  }
}
