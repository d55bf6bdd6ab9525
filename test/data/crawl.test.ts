import { createReadStream } from "node:fs";
import { appendFile, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isPrivateAddress } from "../../src/data/crawl/addresses.js";
import { type CrawlOptions, crawl } from "../../src/data/crawl/crawl.js";
import { directivesOf, readLinks, readSitemap } from "../../src/data/crawl/links.js";
import { robotsFrom } from "../../src/data/crawl/robots.js";
import { normalizeUrl, TrapDetector } from "../../src/data/crawl/urls.js";
import { type ArchiveRecord, readArchive } from "../../src/documents/archive/records.js";
import { sha1 } from "../../src/documents/archive/write.js";
import { isPage, readPages } from "../../src/documents/index.js";
import { type Site, startSite } from "./site.js";

let folder: string;
let site: Site;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-crawl-"));
  site = await startSite();
});
afterEach(async () => {
  await site.close();
  await rm(folder, { recursive: true, force: true });
});
const out = (name = "crawl") => join(folder, name);
const options = (more: Partial<CrawlOptions> = {}): CrawlOptions => ({
  ...{ urls: [site.url], out: out(), allowPrivate: true, delay: 0, timeout: 30, maxPageBytes: 100_000 },
  ...more,
});

async function records(path = out()): Promise<ArchiveRecord[]> {
  const all: ArchiveRecord[] = [];
  for (const name of (await readdir(path)).filter((file) => file.endsWith(".warc.gz")).sort()) {
    const reader = readArchive(createReadStream(join(path, name)));
    for await (const record of reader) all.push(record);
    expect(Object.fromEntries(reader.lost)).toEqual({});
  }
  return all;
}
const pathsOf = (all: readonly ArchiveRecord[], type: string) =>
  all
    .filter((record) => record.type === type)
    .map((record) => record.fields.get("warc-target-uri")?.slice(site.url.length - 1) ?? "");

describe("crawl", () => {
  it("keeps what it may, refuses what it should, and says what came of everything", { timeout: 30_000 }, async () => {
    const result = await crawl(options());
    const all = await records();
    const responses = pathsOf(all, "response");
    for (const path of [
      "/",
      "/story/1",
      "/story/2",
      "/story/3",
      "/only-in-sitemap",
      "/private/open",
      "/flaky",
      "/packed",
    ]) {
      expect(responses).toContain(path);
    }
    for (const path of ["/chunked", "/arrived", "/plain.txt", "/latin1", "/nofollow", "/big"])
      expect(responses).toContain(path);
    for (const path of ["/noindex", "/noai", "/header-noindex", "/image.png"]) expect(responses).not.toContain(path);
    for (const path of ["/private/secret", "/behind-nofollow", "/followed-by-nobody"])
      expect(site.asked).not.toContain(path);
    expect(pathsOf(all, "revisit")).toEqual(["/copy"]);
    expect(site.asked[0]).toBe("/robots.txt");
    expect(site.asked.filter((path) => path.startsWith("/story/2"))).toEqual(["/story/2"]);
    expect(site.asked.filter((path) => path === "/broken").length).toBe(4);
    expect(result.outcomes).toMatchObject({
      "forbidden by robots.txt": 1,
      noindex: 2,
      noai: 1,
      "status 404": 1,
      "status 500": 1,
      "of type image/png": 1,
      "a path that repeats itself": 1,
      "kept, cut at the size limit": 1,
      "a sitemap": 2,
    });
    // 169.254.169.254 is elsewhere, as elsewhere.invalid is: neither is a start's host.
    expect(result.outcomes["out of scope"]).toBe(2);
    expect(site.asked.filter((path) => path.startsWith("/calendar/")).length).toBeLessThanOrEqual(100);
    expect(site.asked.filter((path) => path.startsWith("/search")).length).toBeLessThanOrEqual(100);
    expect([...site.agents]).toEqual([expect.stringMatching(/^Quern\/[\d.]+ \(\+https:/)]);
    expect(JSON.parse(await readFile(join(out(), "crawl.json"), "utf8"))).toMatchObject({ pages: result.pages });

    // Records hold the bytes as they came, and their digests are right.
    const chunked = all.find(
      (record) => record.type === "response" && record.fields.get("warc-target-uri")?.endsWith("/chunked"),
    );
    expect(chunked?.content.toString("latin1")).toMatch(/transfer-encoding: chunked\r\n\r\n[0-9a-f]+\r\n<!doctype/i);
    const requests = all.filter((record) => record.type === "request");
    expect(requests[1].content.toString("latin1")).toMatch(/^GET \/\S* HTTP\/1\.1\r\nhost: 127\.0\.0\.1/i);
    for (const record of all) expect(record.fields.get("warc-block-digest")).toBe(sha1(record.content));
    expect(all[0].type).toBe("warcinfo");

    // And the pages come out of it as they were written.
    const texts = new Map<string | undefined, string>();
    for await (const page of readPages([out()])) {
      texts.set(page.url?.slice(site.url.length - 1), isPage(page) ? Buffer.from(page.bytes).toString() : page.text);
    }
    expect(texts.get("/packed")).toContain("Sentence 3 of packed");
    expect(texts.get("/chunked")).toContain("Sentence 29 of chunked");
    expect(texts.get("/plain.txt")).toBe("Just text.\n");
  });

  it("goes on after being killed: archives are cut to what the log knows", { timeout: 30_000 }, async () => {
    const first = await crawl(options({ maxPages: 3 }));
    expect(first.pages).toBe(3);
    const archive = join(out(), "archive-00000.warc.gz");
    const whole = (await stat(archive)).size;
    // As a kill leaves it: a record half written, a line of the log half written.
    await appendFile(archive, Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]));
    await appendFile(join(out(), "frontier.log"), '{"done":{"url":"htt');
    const stories = site.asked.filter((path) => path.startsWith("/story/"));
    await crawl(options({ maxPages: 1000 }));
    const responses = pathsOf(await records(), "response").filter((path) => path.startsWith("/story/"));
    expect(responses.sort()).toEqual(["/story/1", "/story/2", "/story/3"]);
    expect(site.asked.filter((path) => stories.includes(path)).length).toBe(stories.length);
    expect((await stat(archive)).size).toBeGreaterThan(whole);
  });

  it("refuses private addresses, also behind names and redirects, unless it is asked", async () => {
    const port = new URL(site.url).port;
    for (const url of [
      site.url,
      `http://localhost:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `http://2130706433:${port}/`,
    ]) {
      const result = await crawl(options({ urls: [url], out: out(url.replace(/\W/g, "")), allowPrivate: false }));
      expect(result.outcomes).toEqual({ "a private address": 1 });
    }
    expect(site.asked).toEqual([]);
  });

  it("keeps to the depth, the prefix and the number of pages that it is given", { timeout: 20_000 }, async () => {
    await crawl(options({ maxDepth: 0, sitemaps: false }));
    expect(site.asked).toEqual(["/robots.txt", "/"]);
    site.asked.length = 0;
    const result = await crawl(
      options({ urls: [`${site.url}story/1`], out: out("prefix"), scope: "prefix", maxPages: 2 }),
    );
    expect(site.asked.filter((path) => !/^\/(robots|sitemap|more|story)/.test(path))).toEqual([]);
    expect(result.pages).toBeLessThanOrEqual(2);
  });

  it("waits between two requests to a host", { timeout: 20_000 }, async () => {
    const start = Date.now();
    await crawl(options({ maxPages: 3, delay: 0.3, sitemaps: false }));
    expect(Date.now() - start).toBeGreaterThanOrEqual(900);
  });

  it("stops at the signal and can go on", async () => {
    const control = new AbortController();
    const onProgress = () => control.abort();
    const result = await crawl(options({ signal: control.signal, onProgress }));
    expect(result.waiting).toBeGreaterThan(0);
    expect((await records()).length).toBeGreaterThan(0);
  });

  it("gives a page that never ends its time and no more, and goes on", async () => {
    const result = await crawl(options({ urls: [`${site.url}slow`], timeout: 0.5, maxDepth: 0, sitemaps: false }));
    expect(result.outcomes).toEqual({ "too slow": 1 });
    expect(site.asked.filter((path) => path === "/slow").length).toBe(4);
  });

  it("refuses what is no address", async () => {
    await expect(crawl(options({ urls: ["ftp://a/"] }))).rejects.toThrow(/ftp:\/\/a\/ is not an http or https address/);
    await expect(crawl({ ...options(), maxPage: 3 } as CrawlOptions)).rejects.toThrow(/maxPages/);
  });
});

describe("the parts of a crawl", () => {
  it("knows private addresses in every spelling", () => {
    const inside = [
      "127.0.0.1",
      "10.1.2.3",
      "172.31.0.1",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "::1",
    ];
    inside.push(
      "::",
      "fe80::1%eth0",
      "fd00::1",
      "::ffff:10.0.0.1",
      "::ffff:a00:1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::",
      "224.0.0.1",
    );
    for (const address of inside) expect([address, isPrivateAddress(address)]).toEqual([address, true]);
    for (const address of [
      "8.8.8.8",
      "172.32.0.1",
      "100.128.0.1",
      "2606:4700::1111",
      "::ffff:8.8.8.8",
      "64:ff9b::808:808",
    ]) {
      expect([address, isPrivateAddress(address)]).toEqual([address, false]);
    }
  });

  it("gives each page one address", () => {
    expect(normalizeUrl("../b?utm_source=x&id=3#top", "http://A.test:80/x/y")).toBe("http://a.test/b?id=3");
    expect(normalizeUrl("http://user:secret@a.test/p;jsessionid=1A2B?x=1")).toBe("http://a.test/p?x=1");
    for (const link of [
      "file:///etc/passwd",
      "javascript:void(0)",
      "mailto:x@y.z",
      "http://",
      `http://a/${"x".repeat(3000)}`,
    ]) {
      expect(normalizeUrl(link)).toBeNull();
    }
  });

  it("sees traps and leaves ordinary addresses alone", () => {
    const traps = new TrapDetector();
    expect(traps.trap("http://a.test/a/b/a/b/a/b/")).toBe("a path that repeats itself");
    expect(traps.trap(`http://a.test/${"x/y".repeat(1)}/${Array.from({ length: 20 }, (_, i) => i).join("/")}`)).toBe(
      "a very deep path",
    );
    for (let i = 0; i < 1000; i++) expect(traps.trap(`http://a.test/article/${i}`)).toBeNull();
    const verdicts = Array.from({ length: 300 }, (_, i) =>
      traps.trap(`http://a.test/events?month=${1 + (i % 12)}&year=${2000 + i}`),
    );
    expect(verdicts.filter((verdict) => verdict === null).length).toBe(100);
  });

  it("reads links, directives, robots.txt and sitemaps", () => {
    const { links, base, directives } = readLinks(
      '<base href="/b/"><meta name=robots content="NoIndex, max-snippet:5"><a href=x>1</a><A HREF="y" rel="external nofollow">2</A>',
    );
    expect([links, base, [...directives]]).toEqual([["x"], "/b/", ["noindex", "max-snippet:5"]]);
    expect(directivesOf("googlebot: noindex")).toEqual([]);
    expect(directivesOf("googlebot: noindex\nquern: noai\nnofollow")).toEqual(["noai", "nofollow"]);
    expect(directivesOf("googlebot: nofollow, quern: noindex; noai, other: nofollow")).toEqual(["noindex", "noai"]);
    expect(directivesOf("unavailable_after: 25 Jun 2030 15:00:00 PST, noindex")).toContain("noindex");
    expect(directivesOf("none")).toEqual(["none", "noindex", "nofollow"]);
    const robots = robotsFrom("http://a.test/robots.txt", 200, "User-agent: quern\nCrawl-delay: 5\nDisallow: /x\n");
    expect([robots.allows("http://a.test/x/1"), robots.allows("http://a.test/y"), robots.delay]).toEqual([
      false,
      true,
      5,
    ]);
    const marked = robotsFrom("http://a.test/robots.txt", 200, "\ufeffUser-agent: *\nDisallow: /x\n");
    expect(marked.allows("http://a.test/x")).toBe(false);
    expect(robotsFrom("http://a.test/robots.txt", 404, "").allows("http://a.test/x")).toBe(true);
    expect(robotsFrom("http://a.test/robots.txt", 503, "").allows("http://a.test/x")).toBe(false);
    const map =
      "<urlset><url><loc> http://a.test/1?a=1&amp;b=2 </loc></url><url><loc><![CDATA[http://a.test/2]]></loc></url></urlset>";
    expect(readSitemap(map).pages).toEqual(["http://a.test/1?a=1&b=2", "http://a.test/2"]);
    const prefixed =
      "<s:urlset xmlns:s='x'><s:url><i:image><i:loc>http://a.test/i</i:loc></i:image><s:loc>http://a.test/1</s:loc></s:url></s:urlset>";
    expect(readSitemap(prefixed).pages).toEqual(["http://a.test/1"]);
    expect(readLinks('<link rel="Next" href="/2">').links).toEqual(["/2"]);
    expect(readSitemap("http://a.test/1\nnot an address\n").pages).toEqual(["http://a.test/1"]);
  });
});
