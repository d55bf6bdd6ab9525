/** The files of the chat page: their size, what they may load, and how the server sends them. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { builtModule } from "../../../src/built-module.js";
import { startServing, type TestServing } from "../serving.js";

const folder = builtModule(new URL("../../../src/serve/page/", import.meta.url));
const assets = new URL("./assets/", folder);
const names = readdirSync(assets);
const read = (name: string) => readFileSync(new URL(name, assets));

/** Names of XML namespaces, which nothing loads. */
const NAMESPACE = /http:\/\/www\.w3\.org\/(1998\/Math\/MathML|1999\/(xhtml|xlink)|2000\/svg)/g;

let server: TestServing;
beforeAll(async () => {
  server = await startServing({ apiKey: "secret" });
}, 60_000);
afterAll(() => server.close());

const page = (path: string, init: RequestInit = {}) => fetch(server.url + path, init);

describe("the files of the chat page", () => {
  it("have at most 60 kB of script, gzipped", () => {
    const scripts = names.filter((name) => name.endsWith(".js"));
    expect(scripts.length).toBeGreaterThan(0);
    const bytes = scripts.reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
    expect(bytes).toBeGreaterThan(1000);
    expect(bytes).toBeLessThanOrEqual(60_000);
  });

  it("name no other server", () => {
    const texts = [readFileSync(new URL("./index.html", folder)), ...names.map(read)].map(String);
    for (const text of texts) expect(text.replace(NAMESPACE, "").match(/\b(https?|wss?):\/\/\S{0,60}/g)).toBeNull();
    for (const text of texts) expect(text).not.toMatch(/@import|(src|href)="\/\//);
  });

  it("come without a key, under a policy that allows this server only", async () => {
    const answer = await page("/");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const policy = (answer.headers.get("content-security-policy") ?? "").split("; ");
    expect(policy).toEqual(
      expect.arrayContaining([
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
      ]),
    );
    expect(policy.join()).not.toMatch(/unsafe|\*/);
    const html = await answer.text();
    const linked = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]);
    expect(linked.length).toBe(3);
    for (const path of linked) {
      const asset = await page(path);
      expect([path, asset.status]).toEqual([path, 200]);
      expect(asset.headers.get("cache-control")).toContain("immutable");
      expect(asset.headers.get("content-type")).toMatch(/^(text\/(javascript|css)|image\/svg)/);
    }
    expect((await page("/v1/models")).status).toBe(401);
  });

  it("are answered to HEAD, and not sent again to a browser that has them", async () => {
    const head = await page("/", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const tag = head.headers.get("etag") ?? "";
    const again = await page("/", { headers: { "if-none-match": tag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  it("are no door to other files", async () => {
    for (const path of ["/assets/none.js", "/assets/..%2findex.html", "/assets/%2e%2e/index.html", "/index.html"]) {
      expect([404, 401]).toContain((await page(path)).status);
    }
    expect((await page("/", { method: "POST", headers: { authorization: "Bearer secret" } })).status).toBe(405);
  });
});
