/**
 * @file An OpenAI-compatible server as a library:
 *
 *     import { serve } from "quern/serve";
 *
 *     const server = await serve({ model: ["runs/first"], port: 0 });
 *     console.log(server.url); // http://127.0.0.1:41213
 *     await server.close();
 */
import { createHash } from "node:crypto";
import type { Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { isAbortError, QuernError } from "../errors.js";
import { checkOptions, type NameOption } from "../options.js";
import { version } from "../version.js";
import { isLoopback } from "./access.js";
import { createActivity } from "./activity.js";
import { createApp } from "./app.js";
import { createAdmission } from "./limits.js";
import { createModels, type ModelInfo } from "./models.js";
import { serveOptions } from "./serve-options.js";

export type ServeOptions = z.input<typeof serveOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly named?: NameOption;
  /** Receives warnings about models, and failures of the server. */
  readonly onWarning?: (message: string) => void;
};

/** Milliseconds for which a connection waits for the next request; clients that reuse one just then get an error. */
const KEEP_ALIVE = 65_000;

export interface Server {
  /** Such as http://127.0.0.1:8080, without a slash at the end. */
  readonly url: string;
  readonly models: readonly ModelInfo[];
  /** Refuses new requests, finishes those that run, stops listening and frees the models. */
  close(): Promise<void>;
}

/**
 * Serves models over HTTP. It is ready when the promise resolves; a model's weights are read when a request first needs them.
 * @throws QuernError for a path without a model, a port that is taken, or an address that other machines reach without a key
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { target, named = (key) => key, onWarning = () => {}, ...rest } = options;
  const o = checkOptions(serveOptions, rest, named);
  const apiKey = o.apiKey ?? (process.env.QUERN_SERVE_API_KEY || undefined);
  const isLocal = isLoopback(o.host);
  if (!isLocal && apiKey === undefined) {
    throw new QuernError(
      `other machines can reach ${o.host}, so the server needs a key: give ${named("apiKey")}, or listen on 127.0.0.1`,
      { exitCode: 2 },
    );
  }
  const models = await createModels({ ...o, target, onWarning });
  const admission = createAdmission(o.concurrency);
  const app = createApp(
    {
      models,
      admission,
      activity: createActivity(models, o.slots),
      bodyLimit: o.bodyLimit,
      fingerprint: `b${createHash("sha256").update(version).digest("hex").slice(0, 10)}`,
      onFailure(error) {
        if (!isAbortError(error)) onWarning(`error: ${error instanceof Error ? error.message : String(error)}`);
      },
    },
    { apiKey, cors: o.cors, isLocal },
  );
  const server = createAdaptorServer({ fetch: app.fetch }) as HttpServer;
  server.requestTimeout = 0; // a long answer is no fault of its client
  server.keepAliveTimeout = KEEP_ALIVE;
  await listen(server, o.port, o.host);
  const { port } = server.address() as AddressInfo;
  const name = o.host.includes(":") ? `[${o.host.replace(/^\[|\]$/g, "")}]` : o.host;
  return {
    url: `http://${name}:${port}`,
    models: models.list,
    async close() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeIdleConnections();
      await admission.drain();
      server.closeIdleConnections();
      await models.close();
      // What is left has been answered, or sends a body that nobody waits for.
      setTimeout(() => server.closeAllConnections(), 500).unref();
      await closed;
    },
  };
}

function listen(server: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE"
          ? "another program uses the port; give another one, or 0 for a free one"
          : error.code === "EACCES"
            ? "the system does not allow it; ports below 1024 are for administrators"
            : error.message;
      reject(new QuernError(`cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen(port, host.replace(/^\[|\]$/g, ""), resolve);
  });
}
