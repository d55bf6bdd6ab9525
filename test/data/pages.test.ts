import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { warcRecord } from "../../src/documents/archive/write.js";
import {
  type Document,
  findInputs,
  isPage,
  type Page,
  type ReadPagesOptions,
  readPages,
} from "../../src/documents/index.js";
import { expandLocation, readLocation } from "../../src/documents/location.js";

let folder: string;
let server: Server;
let base: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-pages-"));
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});
const file = async (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, data);
  return path;
};
async function pages(inputs: string[], options: ReadPagesOptions = {}) {
  const reader = readPages(inputs, options);
  const found: (Document | Page)[] = [];
  for await (const page of reader) found.push(page);
  return { found, skipped: reader.report.skipped };
}
async function bytesOf(location: string, options: ReadPagesOptions = {}) {
  const parts: Uint8Array[] = [];
  for await (const part of readLocation(location, options)) parts.push(part);
  return Buffer.concat(parts);
}
const response = (url: string, status: number, type: string, body: string | Uint8Array) =>
  warcRecord(
    { type: "response", date: "2026-11-24T00:00:00Z", contentType: "application/http; msgtype=response", url },
    Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\nContent-Type: ${type}\r\n\r\n`), Buffer.from(body)]),
  );
const archive = Buffer.concat([
  response("http://a.test/1", 200, "text/html; charset=utf-8", "<p>one"),
  response("http://a.test/2", 404, "text/html", "<p>no"),
  response("http://a.test/3", 200, "image/png", "...."),
  response("http://a.test/4", 200, "text/plain; charset=iso-8859-1", Buffer.from("fünf", "latin1")),
  warcRecord(
    { type: "metadata", date: "2026-11-24T00:00:00Z", contentType: "application/warc-fields" },
    Buffer.from("a: b"),
  ),
]);

describe("pages", () => {
  it("reads folders of pages, archives and documents in order, and counts the rest", async () => {
    await file("b/x.html.gz", gzipSync("<p>packed"));
    await file("a.htm", "<p>plain");
    await file("c.warc.gz", archive);
    await file("d.jsonl", '{"text":"a document","id":"d1","url":"u"}\n');
    await file("e.png", "...");
    await file("README", "...");
    const { found, skipped } = await pages([folder]);
    const content = (page: Document | Page) => (isPage(page) ? Buffer.from(page.bytes).toString() : page.text);
    // The content decides for a name without an extension: README is a text.
    expect(found.shift()).toMatchObject({ id: "README", text: "..." });
    expect(found.map((page) => [isPage(page) ? "html" : "text", content(page)])).toEqual([
      ["html", "<p>plain"],
      ["html", "<p>packed"],
      ["html", "<p>one"],
      ["text", "fünf"],
      ["text", "a document"],
    ]);
    expect(found.map((page) => page.id).slice(0, 2)).toEqual(["a", "b/x"]);
    expect(found[2]).toMatchObject({ url: "http://a.test/1", origin: { offset: 0, time: "2026-11-24T00:00:00Z" } });
    expect(found[4]).toMatchObject({ id: "d1", url: "u", origin: { archive: join(folder, "d.jsonl"), offset: 0 } });
    expect(skipped).toEqual({
      other_kind: 1,
      "an answer with status 404": 1,
      "a body of type image/png": 1,
      "a metadata record": 1,
    });
  });

  it("refuses a missing file, an unknown kind, and a damaged archive", async () => {
    await expect(pages([join(folder, "none.html")])).rejects.toThrow(/there is no such file/);
    await expect(pages([await file("x.bin", "abc")])).rejects.toThrow(
      /x\.bin is not an HTML page, web archive or document file/,
    );
    await expect(pages([await file("x.warc.gz", "no archive at all")])).rejects.toThrow(
      /contains no web archive record/,
    );
  });

  it("reads pages with wrong headers, skips robots.txt, and escapes control characters", async () => {
    const bytes = Buffer.concat([
      response("http://a.test/robots.txt", 200, "text/plain", "User-agent: *\nDisallow: /x"),
      response("http://a.test/1", 200, "text/html charset=utf-8", "<html><p>one"),
      response("http://a.test/2", 200, "html\r\nContent-Encoding: none", "<html><p>two"),
      response("http://a.test/a b\u001b[2J\u202e", 200, "text/html", "<p>three"),
      response(
        "http://a.test/4",
        200,
        "text/html\r\nContent-Encoding: gzip",
        gzipSync("<p>four ".repeat(99)).subarray(0, 30),
      ),
      response("http://a.test/5", 200, "evil\u001b[31m/type", "\0"),
    ]);
    const { found, skipped } = await pages([await file("odd.warc.gz", bytes)]);
    expect(found.map(({ url }) => url)).toEqual([
      "http://a.test/1",
      "http://a.test/2",
      "http://a.test/a%20b%1B[2J%E2%80%AE",
      "http://a.test/4",
    ]);
    expect(skipped).toEqual({
      "a file for programs, not a page": 1,
      "body: cut short": 1,
      "a body of type application/octet-stream": 1,
    });
  });

  it("skips a page larger than the limit, and reads the next", async () => {
    await file("a.html", "x".repeat(5000));
    await file("b.html", "small");
    const { found, skipped } = await pages([folder], { largest: 1000 });
    expect(found.map((page) => page.id)).toEqual(["b"]);
    expect(skipped).toEqual({ "a page larger than the limit": 1 });
  });
});

describe("remote locations", () => {
  it("resumes a file when the connection breaks, and waits when the server requests it", async () => {
    const whole = Buffer.from(Array.from({ length: 50_000 }, (_, i) => i & 255));
    const ranges: (string | undefined)[] = [];
    answer = (request, response) => {
      const { range } = request.headers;
      ranges.push(range);
      if (ranges.length === 1) return response.writeHead(503, { "retry-after": "0" }).end();
      const from = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
      response.writeHead(range ? 206 : 200, { "content-length": whole.length - from, etag: '"v1"' });
      if (ranges.length > 3) return response.end(whole.subarray(from));
      response.write(whole.subarray(from, from + 10_000), () => setTimeout(() => response.destroy(), 20));
    };
    expect(await bytesOf(`${base}/big.bin`)).toEqual(whole);
    expect(ranges.length).toBe(4);
    expect(ranges.slice(0, 2)).toEqual([undefined, undefined]);
    // How many of the first 10,000 bytes arrive before the connection breaks depends on the system.
    expect(ranges[2] ?? "bytes=0-").toMatch(/^bytes=\d+-$/);
  });

  it("counts lines and rows that are not documents by reason, and reads on", async () => {
    const lines = ["{", '{"text":5}', '{"text":"one"}', "[1]", '{"text":"two"}', '{"text":" "}', ""];
    const path = await file("bad/a.jsonl", lines.join("\n"));
    const rows = parquetWriteBuffer({ columnData: [{ name: "text", data: ["three", null, "four"] }] });
    await file("bad/b.parquet", new Uint8Array(rows));
    await file("bad/c.jsonl.gz", gzipSync('{"text":"five"}\n'.repeat(2000)).subarray(0, 60));
    await file("bad/d.txt", "six");
    const { found, skipped } = await pages([join(folder, "bad")]);
    const texts = found.map((each) => !isPage(each) && each.text);
    expect(texts.filter((text) => text !== "five")).toEqual(["one", "two", "three", "four", "six"]);
    expect(found[1].origin).toEqual({ archive: path, offset: lines.slice(0, 4).join("\n").length + 1 });
    expect(skipped).toMatchObject({ not_json: 1, no_text: 2, not_an_object: 1, empty: 1 });
    expect(skipped).toMatchObject({ damaged_gzip: 1 });
  });

  it("gives up on a missing file at once, and on failures after some retries", async () => {
    answer = (_, response) => response.writeHead(404).end();
    await expect(bytesOf(`${base}/x`)).rejects.toThrow(/cannot read http.*\/x: the server answered 404/);
    answer = (_, response) => response.destroy();
    await expect(bytesOf(`${base}/x`, { retries: 1 })).rejects.toThrow(/tried 2 times/);
  });

  it("reads a dataset of the hub with the token, and caches it", async () => {
    const rows = parquetWriteBuffer({ columnData: [{ name: "text", data: ["eins", "zwei"] }] });
    const asked: string[] = [];
    answer = (request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      response.end(new Uint8Array(rows));
    };
    const environment = { HF_ENDPOINT: `${base}/`, HF_TOKEN: "secret", QUERN_CACHE: join(folder, "cache") };
    const location = "hf://datasets/owner/name@v2/data/train 1.parquet";
    for (let i = 0; i < 2; i++) {
      const { found } = await pages([location], { environment });
      expect(found.map((each) => !isPage(each) && each.text)).toEqual(["eins", "zwei"]);
    }
    expect(asked).toEqual(["/datasets/owner/name/resolve/v2/data/train%201.parquet Bearer secret"]);
    await expect(bytesOf("hf://datasets/name")).rejects.toThrow(/is not a file of a dataset; write hf:\/\/datasets/);
  });

  it("reads a crawl of Common Crawl by its path list", async () => {
    const asked: (string | undefined)[] = [];
    answer = (request, response) => {
      asked.push(request.url);
      if (request.url === "/crawl-data/CC-MAIN-2024-22/warc.paths.gz") {
        return response.end(gzipSync("crawl-data/a.warc.gz\ncrawl-data/b.warc.gz\n"));
      }
      response.end(archive);
    };
    const environment = { QUERN_COMMON_CRAWL: base };
    expect((await findInputs(["cc://CC-MAIN-2024-22"], { environment })).map((part) => part.kind)).toEqual([
      "archive",
      "archive",
    ]);
    const { found } = await pages(["cc://CC-MAIN-2024-22"], { environment });
    expect(found.length).toBe(4);
    expect(found[3].origin.archive).toBe(`${base}/crawl-data/b.warc.gz`);
    await expect(expandLocation("cc://2024")).rejects.toThrow(/is not a crawl/);
    answer = (_, response) => response.end(gzipSync("crawl-data/a.warc.gz\n").subarray(0, 20));
    await expect(pages(["cc://CC-MAIN-2024-22"], { environment })).rejects.toThrow(
      /paths\.gz is not a complete gzip file/,
    );
  });
});
