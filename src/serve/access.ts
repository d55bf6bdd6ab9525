/**
 * @file Who may use the server: the API key, the pages of other origins (CORS), and the names under which a server on loopback
 * answers. Without the last, a site could point its own name at this machine and read what the server says.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.js";

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

/** Whether only this machine can reach an address. */
export const isLoopback = (host: string) => LOOPBACK.test(host);

const hostOf = (header: string) => header.replace(/:\d+$/, "");

/** Hashes make the lengths equal, as the comparison needs. */
const digest = (text: string) => createHash("sha256").update(text).digest();

/**
 * Refuses requests without the key, except preflights and those to public paths.
 * @param isPublic whether a path holds nothing of the models
 */
export function requireKey(apiKey: string, isPublic: (path: string) => boolean): MiddlewareHandler {
  const wanted = digest(apiKey);
  return async (c, next) => {
    const { path, method } = c.req;
    if (isPublic(path) || method === "OPTIONS") return next();
    const given = keyOf(c.req.header("authorization") ?? "") ?? c.req.header("x-api-key");
    if (given !== undefined && timingSafeEqual(digest(given), wanted)) return next();
    const message =
      given === undefined ? "this server needs an API key; send it as a bearer token" : "the API key is wrong";
    throw new ApiError(401, message, {
      type: "authentication_error",
      code: "invalid_api_key",
      headers: { "www-authenticate": "Bearer" },
    });
  };
}

/** Returns the key of an authorization: a bearer token, or the password of basic authentication. */
function keyOf(authorization: string): string | undefined {
  const [, scheme, value] = /^(bearer|basic)\s+(.+)$/i.exec(authorization) ?? [];
  if (value === undefined) return undefined;
  if (scheme.toLowerCase() === "bearer") return value;
  return /^[^:]*:(.*)$/s.exec(Buffer.from(value, "base64").toString("utf8"))?.[1];
}

/** Refuses requests that name another host than loopback, for a server that listens there. */
export const requireLoopbackName: MiddlewareHandler = async (c, next) => {
  if (isLoopback(hostOf(c.req.header("host") ?? ""))) return next();
  throw new ApiError(403, "this server answers to its own address only", { code: "wrong_host" });
};

/** @param origins further origins whose pages may call the server; `*` allows all */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler {
  const all = origins.includes("*");
  const isTrusted = (origin: string, host: string) =>
    origins.includes(origin) ||
    isLoopback(URL.canParse(origin) ? new URL(origin).hostname : origin) ||
    (URL.canParse(origin) && new URL(origin).host === host);
  return async (c, next) => {
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    c.header("vary", "Origin", { append: true });
    const trusted = isTrusted(origin, c.req.header("host") ?? "");
    if (trusted || all) c.header("access-control-allow-origin", trusted ? origin : "*");
    if (trusted) c.header("access-control-allow-credentials", "true");
    if (c.req.method === "OPTIONS") {
      if (trusted || all) {
        c.header("access-control-allow-methods", "GET, POST, DELETE, OPTIONS");
        c.header("access-control-allow-headers", c.req.header("access-control-request-headers") ?? "*");
        c.header("access-control-max-age", "600");
      }
      return c.body(null, 200);
    }
    // A page may send a form to any address unasked, and would use the model without reading the answer.
    if (!trusted && !all && c.req.method !== "GET" && c.req.method !== "HEAD") {
      throw new ApiError(403, `pages of ${origin} may not use this server; --cors allows them`, {
        code: "wrong_origin",
      });
    }
    return next();
  };
}
