/** @file The routes of a server. Those of OpenAI are under `/v1`, and without it, as other local servers have them. */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { allowOrigins, requireKey, requireLoopbackName } from "./access.js";
import type { RouteContext, ServerEnv, Serving } from "./context.js";
import { ApiError, apiErrorOf, errorBody } from "./errors.js";
import { messageError } from "./protocol/messages-output.js";
import { chatCompletions } from "./routes/chat.js";
import { completions } from "./routes/completions.js";
import { embeddings } from "./routes/embeddings.js";
import { messages } from "./routes/messages.js";
import { describeModel, listModels } from "./routes/models.js";
import { isPagePath, pageAsset, pageIndex } from "./routes/page.js";
import { responses } from "./routes/responses.js";
import { detokenize, tokenize } from "./routes/tokens.js";

type Handler = (c: RouteContext, serving: Serving) => Response | Promise<Response>;

interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly handler: Handler;
  /** Also without `/v1`. */
  readonly isShort?: true;
}

const MESSAGES = "/v1/messages";

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/health", handler: health },
  { method: "GET", path: "/metrics", handler: metrics },
  { method: "POST", path: "/tokenize", handler: tokenize },
  { method: "POST", path: "/detokenize", handler: detokenize },
  { method: "GET", path: "/v1/models", handler: listModels, isShort: true },
  { method: "GET", path: "/v1/models/:id{.+}", handler: describeModel, isShort: true },
  { method: "POST", path: "/v1/chat/completions", handler: chatCompletions, isShort: true },
  { method: "POST", path: "/v1/embeddings", handler: embeddings, isShort: true },
  { method: "POST", path: "/v1/completions", handler: completions, isShort: true },
  { method: "POST", path: "/v1/responses", handler: responses, isShort: true },
  { method: "POST", path: MESSAGES, handler: messages },
  { method: "GET", path: "/", handler: pageIndex },
  { method: "GET", path: "/assets/:file", handler: pageAsset },
];

/** What the server shows without a key: whether it is there, and its page, which asks for the key. */
const isPublic = (path: string) => path === "/health" || isPagePath(path);

function health(c: RouteContext, { admission }: Serving): Response {
  return admission.isStopping ? c.json({ status: "stopping" }, 503) : c.json({ status: "ok" });
}

function metrics(c: RouteContext, { activity }: Serving): Response {
  return c.body(activity.metrics.text(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
}

export interface AppOptions {
  readonly apiKey?: string;
  readonly cors: readonly string[];
  /** Whether the server listens on loopback, and so answers to no other name. */
  readonly isLocal: boolean;
}

export function createApp(serving: Serving, { apiKey, cors, isLocal }: AppOptions): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>();
  app.use(async (c, next) => {
    await next();
    c.header("x-content-type-options", "nosniff");
    serving.activity.metrics.requests.add({ route: routeOf(c.req.path), status: c.res.status });
  });
  app.onError((error, c) => refused(c as RouteContext, error, serving));
  if (isLocal && apiKey === undefined) app.use(requireLoopbackName);
  app.use(allowOrigins(cors));
  if (apiKey !== undefined) app.use(requireKey(apiKey, isPublic));
  for (const { method, path, handler, isShort } of ROUTES) {
    for (const each of isShort === true ? [path, path.slice("/v1".length)] : [path]) {
      app.on(method, each, (c) => handler(c, serving));
      app.all(each, (c) => {
        throw new ApiError(405, `${c.req.path} takes ${method}, not ${c.req.method}`, {
          code: "method_not_allowed",
          headers: { allow: method === "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS" },
        });
      });
    }
  }
  app.notFound((c) => {
    const error = new ApiError(404, `there is no ${c.req.path} on this server`, { code: "unknown_url" });
    return refused(c as RouteContext, error, serving);
  });
  return app;
}

function refused(c: RouteContext, error: unknown, { onFailure }: Serving): Response {
  const refusal = apiErrorOf(error, onFailure);
  if (refusal instanceof ApiError) for (const [name, value] of Object.entries(refusal.headers)) c.header(name, value);
  const body = c.req.path === MESSAGES ? messageError(refusal) : errorBody(refusal);
  return c.json(body, refusal.status as ContentfulStatusCode);
}

/** The route of a path, so that the metrics have few labels. */
function routeOf(path: string): string {
  const known = ROUTES.find((route) => {
    const pattern = route.path.replace(/\/:.*$/, "");
    return [pattern, ...(route.isShort === true ? [pattern.slice("/v1".length)] : [])].some(
      (each) => path === each || (pattern !== route.path && path.startsWith(`${each}/`)),
    );
  });
  return known === undefined ? "other" : known.path.replace(/\/:.*$/, "/ID");
}
