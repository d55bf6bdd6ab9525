/** @file Servers that mean harm: every byte and every second that they can make a crawl spend is bounded. */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CrawlOptions, type CrawlResult, crawl } from "../../../src/data/crawl/crawl.js";

type Answer = (socket: Socket, path: string) => unknown;

let folder: string;
let server: Server;
let origin: string;
let answer: Answer;
let robots: Answer;
let asked: string[];
const notFound: Answer = (socket) => socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-hostile-"));
  asked = [];
  [robots, answer] = [notFound, notFound];
  const sockets = new Set<Socket>();
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      const path = /^GET (\S+)/.exec(data.toString("latin1"))?.[1] ?? "";
      asked.push(path);
      (path === "/robots.txt" ? robots : answer)(socket, path);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.on("close", () => {
    for (const socket of sockets) socket.destroy();
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.close();
  server.emit("close");
  await rm(folder, { recursive: true, force: true });
});

const run = (more: Partial<CrawlOptions> = {}): Promise<CrawlResult> =>
  crawl({
    urls: [`${origin}/`],
    out: folder,
    allowPrivate: true,
    delay: 0,
    timeout: 20,
    maxPageBytes: 2 ** 18,
    ...more,
  });

const page = (body: string | Buffer, head = "content-type: text/html") =>
  Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`, "latin1"),
    typeof body === "string" ? Buffer.from(body) : body,
  ]);

/** Writes a text again and again, as fast as it is read. */
function flood(socket: Socket, text: string): void {
  const block = Buffer.from(text.repeat(Math.ceil(2 ** 16 / text.length)));
  const write = () => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on("drain", write);
  write();
}

const chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";
const FLOODS: Record<string, readonly [start: string, endless: string]> = {
  "interim answers": ["", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"],
  "a chunk's extension": [`${chunked}1;`, "name=value;"],
  "many chunks' extensions": [chunked, `1;${"x".repeat(1000)}\r\ny\r\n`],
  trailers: [`${chunked}0\r\n`, "x: y\r\n"],
  "header fields": ["HTTP/1.1 200 OK\r\n", "x: y\r\n"],
  "a header field": ["HTTP/1.1 200 OK\r\nx: ", "y"],
  "a body": ["HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n", "words "],
  "a body of a length": ["HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99999999999\r\n\r\n", "words "],
  "a redirect's body": ["HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 99999999999\r\n\r\n", "words "],
};

describe("a server that never ends", () => {
  it("goes on when a server sends an answer without a length and then nothing", async () => {
    answer = (socket, path) => {
      if (path === "/") return socket.write(page('<a href="/slow">a</a><a href="/next">b</a>'));
      if (path === "/next") return socket.write(page("<p>next"));
      // What ends with the connection; undici would take our own end for the server's.
      return socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>slow");
    };
    await run({ timeout: 1 });
    expect(asked).toContain("/next");
  });

  for (const [name, [start, endless]] of Object.entries(FLOODS)) {
    it(`${name}: bytes are counted at the socket, of pages and of robots.txt`, { timeout: 60_000 }, async () => {
      const attack: Answer = (socket) => {
        socket.write(start);
        flood(socket, endless);
      };
      answer = attack;
      const asPage = await run();
      // Tries, each of a page and what may come on top; a read takes 64 kB at once.
      expect(asPage.bytes).toBeLessThan(4 * (2 ** 18 + 3 * 2 ** 16));
      robots = attack;
      answer = (socket) => socket.write(page("<p>hello"));
      const asRobots = await run({ out: join(folder, "robots") });
      expect(asRobots.bytes).toBeLessThan(2 ** 20);
    });
  }

  it("says nothing, or a byte at a time: it gets its time and no more", { timeout: 30_000 }, async () => {
    const timers: NodeJS.Timeout[] = [];
    for (const silent of [true, false]) {
      robots = (socket) => {
        if (silent) return;
        socket.write("HTTP/1.1 200 OK\r\nx: ");
        timers.push(setInterval(() => socket.write("y"), 20));
      };
      const result = await run({ timeout: 0.3, out: join(folder, `${silent}`) });
      expect(result.outcomes).toEqual({ "robots.txt: too slow": 1 });
    }
    for (const timer of timers) clearInterval(timer);
  });

  it("stops at the signal while it waits for an answer", async () => {
    const control = new AbortController();
    robots = () => control.abort();
    const result = await run({ signal: control.signal, timeout: 600 });
    expect(result).toMatchObject({ pages: 0, waiting: 1 });
  });

  it("sends answers that nobody asked for: they are no page's", async () => {
    answer = (socket, path) => {
      socket.write(page(`<a href="/next">next</a>${path}`));
      if (path === "/") flood(socket, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    };
    const result = await run();
    expect(result.outcomes).toEqual({ kept: 2 });
    expect(result.bytes).toBeLessThan(2 ** 20);
  });

  it("packs a bomb: it is not unpacked, and forbids where it should be robots.txt", { timeout: 30_000 }, async () => {
    const bomb = page(gzipSync(Buffer.alloc(2 ** 26)), "content-type: text/html\r\ncontent-encoding: gzip");
    answer = (socket) => socket.write(bomb);
    expect((await run({ maxPageBytes: 2 ** 17 })).outcomes.kept).toBeUndefined();
    robots = (socket) => socket.write(bomb);
    const result = await run({ out: join(folder, "robots") });
    expect(Object.keys(result.outcomes)).toEqual([expect.stringMatching(/^robots\.txt: /)]);
  });
});

describe("a server that writes links without end", () => {
  it("fills neither memory nor log, nor the next run's", { timeout: 60_000 }, async () => {
    let number = 0;
    answer = (socket) => {
      const links = Array.from({ length: 200 }, () => `<a href="/${"x".repeat(1900)}/${number++}">x</a>`);
      socket.write(page(links.join("") + `<a href="/${"y".repeat(1_000_000)}">`));
    };
    const sizes: number[] = [];
    for (const maxPages of [5, 10, 20]) {
      const result = await run({ maxPages, maxPageBytes: 2 ** 22 });
      expect(result.pages).toBe(maxPages);
      sizes.push((await stat(join(folder, "frontier.log"))).size);
    }
    // A line for each address that is let in, of two addresses at most.
    expect(sizes[2]).toBeLessThan(20 * 200 * 2 * 2100);
    // Addresses that differ in their numbers alone come to an end.
    expect(sizes[2]).toBeLessThan(2100 * 2 * 2100);
  });

  it("names types and outcomes without end: they are counted as others", { timeout: 30_000 }, async () => {
    answer = (socket, path) => {
      if (path !== "/")
        return socket.write(page("x", `content-type: text/\x9b31m${path.slice(1)}`.replace("\x9b31m", "t")));
      const word = (i: number) => [...`${i}`].map((digit) => "abcdefghij"[Number(digit)]).join("");
      socket.write(page(Array.from({ length: 250 }, (_, i) => `<a href="/${word(i)}">x</a>`).join("")));
    };
    const { outcomes } = await run();
    expect(Object.keys(outcomes).length).toBeLessThanOrEqual(201);
    expect(outcomes["another outcome"]).toBeGreaterThan(0);
  });
});

describe("robots.txt of a crawl", () => {
  const text = (body: string) => page(body, "content-type: text/plain");

  it("holds where it was redirected to another host", async () => {
    const other = createServer((socket) => socket.on("data", () => socket.write(text("User-agent: *\nDisallow: /\n"))));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    robots = (socket) =>
      socket.write(`HTTP/1.1 301 Moved\r\nlocation: http://localhost:${port}/rules\r\ncontent-length: 0\r\n\r\n`);
    expect((await run()).outcomes).toEqual({ "forbidden by robots.txt": 1 });
    // Where nobody answers there, nobody knows what it says.
    const nowhere = "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    robots = (socket) => socket.write(nowhere);
    const refused = await run({ out: join(folder, "nowhere") });
    expect(refused.outcomes).toEqual({ "robots.txt: no answer (ECONNREFUSED)": 1 });
    other.close();
  });

  it("forbids everything where it came in part", async () => {
    robots = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nUser-agent: *\n");
      socket.end();
    };
    expect((await run()).outcomes).toEqual({ "robots.txt: broken off": 1 });
    const packed = gzipSync("User-agent: *\nAllow: /\n\nUser-agent: quern\nDisallow: /\n").subarray(0, -20);
    robots = (socket) => socket.write(page(packed, "content-type: text/plain\r\ncontent-encoding: gzip"));
    expect((await run()).outcomes).toEqual({ "robots.txt: cut short": 1 });
    expect(asked).toEqual(["/robots.txt", "/robots.txt"]);
  });

  it("is asked for again by the next run, which fetches what the last was refused", async () => {
    answer = (socket, path) => socket.write(page(path === "/" ? '<a href="/a">a</a><a href="/b">b</a>' : path));
    for (const refusal of [
      text("User-agent: *\nDisallow: /\n"),
      Buffer.from("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"),
    ]) {
      robots = (socket) => socket.write(refusal);
      const first = await run();
      expect([first.pages, first.waiting]).toEqual([0, 0]);
      const size = (await stat(join(folder, "frontier.log"))).size;
      await run();
      // The same refusal again is not written again.
      expect((await stat(join(folder, "frontier.log"))).size).toBe(size);
    }
    robots = (socket) => socket.write(text("User-agent: *\nDisallow: /a\n"));
    expect((await run()).outcomes).toEqual({ kept: 2, "forbidden by robots.txt": 1 });
    robots = notFound;
    expect((await run()).outcomes).toEqual({ kept: 3 });
    asked.length = 0;
    expect((await run()).outcomes).toEqual({ kept: 3 });
    expect(asked).toEqual([]);
  });
});

describe("a crawl that was refused", () => {
  it("is tried again by the next run", async () => {
    let isBroken = true;
    robots = notFound;
    answer = (socket) =>
      socket.write(isBroken ? "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n" : page("<p>here"));
    expect((await run()).outcomes).toEqual({ "status 404": 1 });
    isBroken = false;
    expect((await run()).outcomes).toEqual({ kept: 1 });
    const elsewhere = join(folder, "nowhere");
    const urls = ["http://127.0.0.1:1/"];
    expect((await run({ urls, out: elsewhere })).outcomes).toEqual({ "robots.txt: no answer (ECONNREFUSED)": 1 });
    expect((await run({ urls, out: elsewhere, allowPrivate: false })).outcomes).toEqual({ "a private address": 1 });
    expect((await run({ urls, out: elsewhere })).outcomes).toEqual({ "robots.txt: no answer (ECONNREFUSED)": 1 });
  });

  it("reads on behind a damaged line of its log", async () => {
    answer = (socket, path) => socket.write(page(path === "/" ? '<a href="/a">a</a><a href="/b">b</a>' : path));
    await run({ maxPages: 1 });
    const log = join(folder, "frontier.log");
    const lines = (await readFile(log, "utf8")).split("\n");
    lines[1] = `${lines[1].slice(0, 10)}\0\0`;
    await writeFile(log, lines.join("\n"));
    asked.length = 0;
    const result = await run();
    expect(result).toMatchObject({ pages: 2, damagedLines: 1 });
    expect(asked.filter((path) => path === "/b")).toEqual(["/b"]);
  });
});

describe("addresses of a crawl", () => {
  it("have their path in UTF-8 and their query in the page's charset, in links and redirects", async () => {
    const windows = (text: string) =>
      Buffer.from([...text].map((c) => (c > "\x7f" ? c.charCodeAt(0) - 0x350 : c.charCodeAt(0))));
    const body = windows('<a href="/мука?q=мука">a</a><a href="/moved">b</a><a href="/raw">c</a>');
    answer = (socket, path) => {
      if (path === "/") socket.write(page(body, "content-type: text/html; charset=windows-1251"));
      else if (path === "/moved") socket.write("HTTP/1.1 302 Found\r\nlocation: /größe?ü\r\ncontent-length: 0\r\n\r\n");
      else if (path === "/raw")
        socket.write(Buffer.from("HTTP/1.1 302 F\r\nlocation: /gr\xf6sse\r\ncontent-length: 0\r\n\r\n", "latin1"));
      else socket.write(page(path));
    };
    await run();
    expect(asked.slice(2).sort()).toEqual([
      "/%D0%BC%D1%83%D0%BA%D0%B0?q=%EC%F3%EA%E0",
      "/gr%C3%B6%C3%9Fe?%C3%BC",
      "/gr%F6sse",
      "/moved",
      "/raw",
    ]);
  });

  it("are kept without their credentials, also in errors", async () => {
    answer = (socket) => socket.write(page("<p>hello"));
    const urls = [origin.replace("http://", "http://me:geheim@")];
    await run({ urls });
    for (const name of ["frontier.log", "crawl.json"])
      expect(await readFile(join(folder, name), "utf8")).not.toMatch(/geheim/);
    const error = await run({ urls: ["ftp://me:geheim@a.test/\x1b[2J"] }).catch((problem: Error) => problem.message);
    expect(error).toBe("ftp://***@a.test/\\x1b[2J is not an http or https address");
  });

  it("lead to pages whose type is malformed or not given", async () => {
    const types = ["text/html charset=utf-8", "text/html, text/html; charset=utf-8", '"text/html"', "html", "*/*", ""];
    answer = (socket, path) => {
      const links = types.map((_, i) => `<a href="/page${i}">x</a>`).join("");
      if (path === "/") return socket.write(page(`<!doctype html>${links}<a href="/data">`));
      if (path === "/data") return socket.write(page(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1]), "x: y"));
      const type = types[Number(path.slice(5))];
      socket.write(page(`<!doctype html><p>${path}`, type === "" ? "x: y" : `content-type: ${type}`));
    };
    expect((await run()).outcomes).toEqual({ kept: 7, "of type application/octet-stream": 1 });
  });
});

describe("a crawl over TLS", () => {
  it("fetches, and counts below it", async () => {
    const pem = await readFile(join(import.meta.dirname, "../fixtures/localhost.pem"), "utf8");
    const secure = createTlsServer({ key: pem, cert: pem }, (request, response) => {
      response.writeHead(request.url === "/robots.txt" ? 404 : 200, { "content-type": "text/html" });
      response.end(request.url === "/" ? '<a href="/a">a</a>' : "");
    });
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    const urls = [`https://127.0.0.1:${(secure.address() as AddressInfo).port}/`];
    // Nobody has signed the certificate.
    const untrusted = await run({ urls });
    expect(Object.keys(untrusted.outcomes)).toEqual([expect.stringMatching(/^robots\.txt: no answer \(.*SELF_SIGNED/)]);
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      expect((await run({ urls })).outcomes).toEqual({ kept: 2 });
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      secure.closeAllConnections();
      secure.close();
    }
  });
});
