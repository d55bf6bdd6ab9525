/** @file `GET /` and `/assets/FILE`: the chat page, whose sources are in `../page` and which the build bundles. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builtModule } from "../../built-module.js";
import type { RouteContext } from "../context.js";
import { ApiError } from "../errors.js";

/** The page runs its own files only, and talks to this server only. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly tag: string;
}

let found: ReadonlyMap<string, PageFile> | undefined;

/** All files of the page by their paths, such as `/assets/index-a1b2c3.js`. */
function pageFiles(): ReadonlyMap<string, PageFile> {
  if (found !== undefined) return found;
  const folder = builtModule(new URL("../page/", import.meta.url));
  const files = new Map<string, PageFile>();
  const add = (path: string) => {
    const body = new Uint8Array(readFileSync(new URL(`.${path}`, folder)));
    const tag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 16)}"`;
    files.set(path, { body, tag, type: TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream" });
  };
  try {
    add("/index.html");
    for (const name of readdirSync(new URL("./assets/", folder))) add(`/assets/${name}`);
  } catch (error) {
    throw new Error(`the chat page is not in ${fileURLToPath(folder)}; npm run build makes it`, { cause: error });
  }
  found = files;
  return files;
}

export const isPagePath = (path: string) => path === "/" || path.startsWith("/assets/");

export function pageIndex(c: RouteContext): Response {
  return answer(c, pageFiles().get("/index.html")!, {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
  });
}

/** The names of assets have a hash of their content, so a browser keeps them for good. */
export function pageAsset(c: RouteContext): Response {
  const file = pageFiles().get(c.req.path);
  if (file === undefined) {
    throw new ApiError(404, `there is no ${c.req.path} on this server`, { code: "unknown_url" });
  }
  return answer(c, file, { "cache-control": "public, max-age=31536000, immutable" });
}

function answer(c: RouteContext, { body, type, tag }: PageFile, headers: Readonly<Record<string, string>>): Response {
  const sent = { ...headers, etag: tag };
  const known = (c.req.header("if-none-match") ?? "").split(",").map((each) => each.trim().replace(/^W\//, ""));
  if (known.includes(tag)) return c.body(null, 304, sent);
  return c.body(body, 200, { ...sent, "content-type": type, "content-length": String(body.length) });
}
