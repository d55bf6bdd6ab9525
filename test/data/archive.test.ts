import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseHttpResponse } from "../../src/documents/archive/http-message.js";
import { type ArchiveOptions, type ArchiveRecord, readArchive } from "../../src/documents/archive/records.js";
import { sha1, warcRecord } from "../../src/documents/archive/write.js";

const date = "2026-11-24T00:00:00Z";
const html = (i: number) =>
  `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page ${i} ${"word ".repeat(50 + i)}</p>`;
const response = (i: number, text = html(i)) =>
  warcRecord(
    { type: "response", date, contentType: "application/http; msgtype=response", url: `http://a.test/${i}` },
    Buffer.from(text),
  );

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function records(bytes: Uint8Array, options: ArchiveOptions & { readonly size?: number } = {}) {
  const reader = readArchive(inChunks(bytes, options.size ?? 1 << 16), options);
  const found: ArchiveRecord[] = [];
  for await (const record of reader) found.push(record);
  return { found, lost: Object.fromEntries(reader.lost) };
}
const urls = (found: readonly ArchiveRecord[]) => found.map((record) => record.fields.get("warc-target-uri"));
const plainRecord = (i: number, body = html(i)) => {
  return `WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: <http://a.test/${i}>\r\nContent-Length: ${body.length}\r\n\r\n${body}\r\n\r\n`;
};

/** Makes a Zstandard frame without a declared size and with uncompressed blocks (RFC 8878). */
function zstdFrame(bytes: Buffer, size = 1000) {
  const parts: Uint8Array[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38])];
  for (let at = 0; at < bytes.length; at += size) {
    const block = bytes.subarray(at, at + size);
    const head = Buffer.alloc(3);
    head.writeUIntLE((block.length << 3) | (at + size >= bytes.length ? 1 : 0), 0, 3);
    parts.push(head, block);
  }
  return Buffer.concat(parts);
}

describe("web archives", () => {
  it("reads its own archives, with offsets at which each record can be read alone", async () => {
    const members = [0, 1, 2].map((i) => response(i));
    const archive = Buffer.concat(members);
    const { found, lost } = await records(archive, { size: 100 });
    expect(lost).toEqual({});
    expect(urls(found)).toEqual([0, 1, 2].map((i) => `http://a.test/${i}`));
    expect(found.map((record) => record.content.toString())).toEqual([0, 1, 2].map(html));
    expect(found[2].fields.get("warc-block-digest")).toBe(sha1(Buffer.from(html(2))));
    const alone = await records(archive.subarray(found[1].offset));
    expect(urls(alone.found)[0]).toBe("http://a.test/1");
  });

  it("writes digests in base 32 (RFC 3548)", () => {
    expect(sha1(Buffer.from("abc"))).toBe("sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5"); // FIPS 180's example
  });

  it("reads archives that are uncompressed, compressed as a whole, or have LF line ends", async () => {
    const plain = Buffer.from([0, 1, 2].map((i) => plainRecord(i)).join(""));
    const lf = Buffer.from([0, 1, 2].map((i) => plainRecord(i, "0123").replaceAll("\r\n", "\n")).join(""));
    const old = Buffer.from([0, 1, 2].map((i) => plainRecord(i).replace("WARC/1.0", "WARC/0.18")).join(""));
    for (const bytes of [plain, gzipSync(plain), lf, old]) {
      const { found } = await records(bytes, { size: 77 });
      expect(urls(found)).toEqual([0, 1, 2].map((i) => `http://a.test/${i}`));
    }
    // Larger than one record may be, so it is read as a stream.
    const many = gzipSync(Buffer.from(Array.from({ length: 400 }, (_, i) => plainRecord(i)).join("")));
    const { found, lost } = await records(many, { largestRecord: 20_000 });
    expect(lost).toEqual({});
    expect(found.length).toBe(400);
  });

  it("reads archives by bgzip, whose members begin inside records; only damaged records are lost", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => plainRecord(i));
    const plain = Buffer.from(texts.join(""));
    const empty = Buffer.from("1f8b08040000000000ff0600424302001b0003000000000000000000", "hex"); // bgzip's end of file
    for (const size of [100, 777, 5000]) {
      const pieces = Array.from({ length: Math.ceil(plain.length / size) }, (_, i) =>
        plain.subarray(i * size, (i + 1) * size),
      );
      for (const members of [pieces.map((piece) => gzipSync(piece)), pieces.map((piece) => zstdFrame(piece))]) {
        const whole = Buffer.concat([...members, ...(members[0][0] === 0x1f ? [empty] : [])]);
        const { found, lost } = await records(whole, { size: 333 });
        expect(lost).toEqual({});
        expect(found.map(({ content }) => content.toString())).toEqual(texts.map((_, i) => html(i)));
      }
      const members = pieces.map((piece) => gzipSync(piece));
      const spoilt = Math.floor(members.length / 2);
      members[spoilt].fill(0x55, 20);
      const { found, lost } = await records(Buffer.concat(members));
      expect(Object.values(lost).length).toBeGreaterThan(0);
      // Records that are completely or partly in the damaged piece.
      let at = 0;
      const sound = texts.flatMap((text, i) => {
        const [start, end] = [at, at + text.length];
        at = end;
        return end <= spoilt * size || start >= (spoilt + 1) * size ? [`http://a.test/${i}`] : [];
      });
      expect(urls(found.filter(({ cut }) => !cut)).filter((url) => sound.includes(url as string))).toEqual(sound);
      expect(found.length).toBeLessThan(40);
    }
    // Members with one record each are not joined, although the first record has a wrong length.
    const wrong = gzipSync(plainRecord(0).replace(/Length: \d+/, "Length: 9999"));
    expect(urls((await records(Buffer.concat([wrong, response(1)]))).found).slice(-1)).toEqual(["http://a.test/1"]);
  });

  it("reads ARC files", async () => {
    const body = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>old</p>";
    const head = "filedesc://x.arc 0.0.0.0 19970301000000 text/plain 4\n1 0\n";
    const arc = Buffer.from(`${head}\nhttp://old.test/ 1.2.3.4 19970301112233 text/html ${body.length}\n${body}\n`);
    for (const bytes of [arc, gzipSync(arc)]) {
      const { found, lost } = await records(bytes);
      expect(lost).toEqual({});
      expect(found.map((record) => record.type)).toEqual(["filedesc", "response"]);
      expect(found[1].fields.get("warc-date")).toBe("1997-03-01T11:22:33Z");
      expect(found[1].content.toString()).toBe(body);
    }
  });

  it("reads Zstandard frames, and reports a dictionary", async () => {
    // Output of zstd for two records, one frame each.
    const frames = Buffer.from(ZSTD_RECORDS, "base64");
    const { found, lost } = await records(frames);
    expect(lost).toEqual({});
    expect(urls(found)).toEqual(["http://z.test/1", "http://z.test/2"]);
    const dictionary = Buffer.concat([
      Buffer.from([0x5d, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 0x37, 0xa4, 0x30, 0xec]),
      frames,
    ]);
    expect((await records(dictionary)).lost).toEqual({ "zstd with a dictionary": 1 });
    const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]);
    const many = Buffer.concat([Buffer.alloc(900_000, skipped), frames, Buffer.alloc(9000, skipped), frames]);
    const after = await records(many);
    expect(after.lost).toEqual({});
    expect(urls(after.found)).toEqual([1, 2, 1, 2].map((i) => `http://z.test/${i}`));
  });

  it("streams an archive that is compressed as a whole and larger than a record may be, up to a cut", async () => {
    const texts = Array.from({ length: 200 }, (_, i) => plainRecord(i));
    const plain = Buffer.from(texts.join(""));
    const options = { largestRecord: 4096 };
    expect(plain.length).toBeGreaterThan(options.largestRecord + 65_536);
    for (const [archive, compression] of [
      [gzipSync(plain), "gzip"],
      [zstdFrame(plain), "zstd"],
    ] as const) {
      const { found, lost } = await records(archive, options);
      expect(urls(found)).toEqual(texts.map((_, i) => `http://a.test/${i}`));
      expect(lost).toEqual({});
      const cut = await records(Uint8Array.from(archive.subarray(0, Math.floor(archive.length * 0.6))), options);
      expect(cut.found.length).toBeGreaterThan(60);
      expect(cut.found.every(({ content }, i) => content.equals(found[i].content.subarray(0, content.length)))).toBe(
        true,
      );
      expect(cut.lost[compression === "gzip" ? "cut short" : "damaged zstd"]).toBeGreaterThan(0);
    }
  });

  it("loses only damaged records", async () => {
    const members = Array.from({ length: 5 }, (_, i) => response(i));
    const damaged = Buffer.from(members[1]);
    damaged.fill(0x55, 40, 60);
    const wrongSum = Buffer.from(members[3]);
    wrongSum[wrongSum.length - 8] ^= 1;
    const archive = Buffer.concat([members[0], damaged, members[2], wrongSum, Buffer.from("garbage"), members[4]]);
    const { found, lost } = await records(archive);
    expect(urls(found)).toEqual([0, 2, 4].map((i) => `http://a.test/${i}`));
    expect(Object.values(lost).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(2);
    expect(lost["wrong checksum"]).toBe(1);
  });

  it("keeps the beginning of a record that is cut short", async () => {
    const archive = Buffer.concat([response(0), response(900)]);
    const { found, lost } = await records(archive.subarray(0, archive.length - 20));
    expect(lost).toEqual({ "cut short": 1 });
    expect(found.map((record) => record.cut)).toEqual([false, true]);
    expect(html(900).startsWith(found[1].content.toString())).toBe(true);
  });

  it("finds the next record after a wrong length", async () => {
    const plain = [0, 1, 2].map((i) => plainRecord(i));
    for (const wrong of ["10", "0", "700", "99999", "999999999999", "-5", "1e3", "0x20", "", " 12, 12"]) {
      const bytes = Buffer.from(plain.join("").replace(/(\/1>[\s\S]*?Content-Length:) \d+/, `$1 ${wrong}`));
      for (const options of [{}, { size: 7 }, { largestRecord: 1000 }]) {
        const { found, lost } = await records(bytes, options);
        expect(found.map(({ content, cut }) => [content.toString(), cut])).toEqual(
          [0, 1, 2].map((i) => [html(i), false]),
        );
        expect(Object.values(lost)).toEqual([1]);
      }
    }
  });

  it("searches a body for a record only if a length is wrong", async () => {
    const nested = plainRecord(7, `see\r\n\r\n${plainRecord(8)}`);
    const sound = await records(Buffer.from(plainRecord(0) + nested + plainRecord(1)));
    expect([urls(sound.found).length, sound.lost]).toEqual([3, {}]);
    const wrong = nested.replace(/Length: \d+/, "Length: 12345");
    const { found } = await records(Buffer.from(plainRecord(0) + wrong + plainRecord(1)));
    expect(urls(found)).toEqual([0, 7, 8, 1].map((i) => `http://a.test/${i}`));
  });

  it("finds the next record after wrong lengths, however records are compressed", async () => {
    const texts = [0, 1, 2, 3].map((i) => plainRecord(i));
    texts[1] = texts[1].replace(/Length: \d+/, "Length: 87654321");
    const all = [0, 1, 2, 3].map(html);
    const files = [
      Buffer.concat(texts.map((text) => gzipSync(text))),
      Buffer.concat(texts.map((text) => zstdFrame(Buffer.from(text)))),
      gzipSync(texts.join("")),
      zstdFrame(Buffer.from(texts.join(""))),
      Buffer.concat([gzipSync(texts.slice(0, 2).join("")), Buffer.from(texts.slice(2).join(""))]), // appended without compression
      Buffer.from(texts.join("").replace(/\r\n\r\nWARC\/1.0\r\n(?=.*\r\n.*\/2>)/, "WARC/1.0\r\n")), // the writer was killed
    ];
    for (const bytes of files) {
      const { found, lost } = await records(bytes);
      expect(found.map(({ content }) => content.toString())).toEqual(all);
      expect(Object.keys(lost)).toEqual(["wrong length"]);
    }
    // A single stream, larger than a record may be.
    const streamed = await records(gzipSync(texts.join("").repeat(9)), { largestRecord: 2000 });
    expect(streamed.found.map(({ content }) => content.toString())).toEqual(
      Array.from({ length: 9 }, () => all).flat(),
    );
  });

  it("skips damaged and oversized heads, and reads the records after them", async () => {
    const large = plainRecord(1).replace("WARC-Type", `X: ${"y".repeat(70_000)}\r\nWARC-Type`);
    const { found, lost } = await records(Buffer.from(plainRecord(0) + large + plainRecord(2)));
    expect([urls(found), lost]).toEqual([["http://a.test/0", "http://a.test/2"], { "head too large": 1 }]);
    const broken = plainRecord(1).replace("\r\n\r\n", "\r\n").slice(0, 60);
    expect(urls((await records(Buffer.from(plainRecord(0) + broken + plainRecord(2)))).found).slice(-1)).toEqual([
      "http://a.test/2",
    ]);
  });

  it("skips bytes between and after members", async () => {
    for (const between of ["", "\0".repeat(512), "\r\n\r\n", "\x1f\x8b\x08 no member", "text", "WARC/1.0\r\n"]) {
      const bytes = Buffer.concat([
        response(0),
        Buffer.from(between, "latin1"),
        response(1),
        Buffer.from(between, "latin1"),
      ]);
      const { found, lost } = await records(bytes);
      expect(urls(found)).toEqual(["http://a.test/0", "http://a.test/1"]);
      if (/^[\0\r\n]*$/.test(between)) expect(lost).toEqual({});
    }
  });

  it("reads ARC files with spaces and wrong lengths", async () => {
    const body = (i: number) => `HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>old ${i}\nhttp: no head\n</p>`;
    const arc = (i: number, length = `${body(i).length}`, url = `http://old.test/${i}`) =>
      `${url} 1.2.3.4 19970301112233 text/html; charset=x ${length}\n${body(i)}\n`;
    const two = `http://old.test/2 1.2.3.4 19970301112233 text/html 200 - - 0 x.arc.gz ${body(2).length}\n${body(2)}\n`;
    for (const length of [undefined, "99999", "3", "-1", "x", "999999999999"]) {
      const bytes = Buffer.from(arc(0) + arc(1, length, "http://old.test/a b c") + two + arc(3));
      for (const file of [bytes, gzipSync(bytes)]) {
        const { found, lost } = await records(file);
        expect(found.map(({ content }) => content.toString())).toEqual([0, 1, 2, 3].map(body));
        expect(urls(found)[1]).toBe("http://old.test/a b c");
        expect(found[2].fields.get("content-type")).toBe("text/html");
        expect(Object.values(lost)).toEqual(length === undefined ? [] : [1]);
      }
    }
  });

  it("reads ARC records without separators, and dates with fractions of a second", async () => {
    const body = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>old</p>";
    const line = (i: number, time: string) => `http://a.test/${i} 1.2.3.4 ${time} text/html ${body.length}\n${body}`;
    const bytes = Buffer.from(line(0, "19970301112233") + line(1, "19970301112233456") + line(2, "1997030111223344"));
    const { found, lost } = await records(bytes);
    expect(lost).toEqual({});
    expect(found.map(({ content }) => content.toString())).toEqual([body, body, body]);
    expect(found.map(({ fields }) => fields.get("warc-date"))).toEqual(Array(3).fill("1997-03-01T11:22:33Z"));
  });

  it("takes linear time, whatever a body repeats", async () => {
    // A naive reader rescans these bodies for each of their lines: seconds for a quarter of a megabyte, a minute for a megabyte.
    const repeated = [
      "\nWARC/1.0",
      "WARC-X: WARC/1.0\r\n",
      "WARC/1.0\r\nWARC-Type: response\r\n",
      "WARC/1.0\r\nWARC-Type: x\r\nContent-Length: 99999999\r\n\r\n",
      "WARC/1.0\r\nContent-Length: 99999999\r\n\r\n",
      "http://a 1.2.3.4 20200101000000 text/html 99999\nx\n",
      "\x1f\x8b\x08\0\0\0\0\0\0\0",
    ];
    for (const line of repeated) {
      const bytes = Buffer.from(plainRecord(0) + line.repeat(2 ** 18 / line.length) + plainRecord(1), "latin1");
      const start = process.cpuUsage();
      const { found } = await records(bytes, { size: 16_384 });
      const { user } = process.cpuUsage(start);
      expect(urls(found)).toEqual(expect.arrayContaining(["http://a.test/0", "http://a.test/1"]));
      expect(user).toBeLessThan(10e6); // microseconds
    }
  }, 60_000);

  it("limits bombs at the start of an archive, and reads the records after them", async () => {
    const bomb = gzipSync(Buffer.alloc(100 << 20));
    const { found, lost } = await records(Buffer.concat([bomb, response(1), bomb, response(2)]), {
      largestRecord: 1 << 20,
    });
    expect([urls(found), lost]).toEqual([["http://a.test/1", "http://a.test/2"], { "too large": 2 }]);
  });

  it("limits the decompressed size of a record", async () => {
    const bomb = response(7, `HTTP/1.1 200 OK\r\n\r\n${" ".repeat(30 << 20)}`);
    expect(bomb.length).toBeLessThan(100_000);
    const { found, lost } = await records(Buffer.concat([response(1), bomb, response(2)]), { largestRecord: 1 << 20 });
    expect(urls(found)).toEqual(["http://a.test/1", "http://a.test/2"]);
    expect(lost).toEqual({ "too large": 1 });
  });

  it("never throws at random damage, and reads the undamaged records", async () => {
    const members = Array.from({ length: 6 }, (_, i) => response(i));
    const starts = members.map((_, i) => members.slice(0, i).reduce((sum, member) => sum + member.length, 0));
    const archive = Buffer.concat(members);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(archive.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 400 }),
        async (at, noise, size) => {
          const bytes = Buffer.from(archive);
          bytes.set(noise.subarray(0, bytes.length - at), at);
          const { found } = await records(bytes, { size });
          const sound = members
            .map((_, i) => `http://a.test/${i}`)
            .filter((_, i) => {
              const end = starts[i] + members[i].length;
              return end <= at || starts[i] >= at + noise.length;
            });
          expect(urls(found)).toEqual(expect.arrayContaining(sound));
        },
      ),
      { numRuns: 150 },
    );
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (bytes) => void (await records(bytes))));
  });
});

describe("HTTP responses in records", () => {
  const message = (headers: string, body: Uint8Array | string) =>
    Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n`), Buffer.from(body as string)]);
  const text = "Grüße ".repeat(100);

  it.each([
    ["gzip", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["deflate", deflateRawSync(text)],
    ["br", brotliCompressSync(text)],
    ["gzip", Buffer.from(text)],
  ])("decodes %s", (coding, body) => {
    const response = parseHttpResponse(message(`Content-Encoding: ${coding}`, body), 1e6);
    expect(response?.body.toString()).toBe(text);
    expect(response?.flaws).toEqual([]);
  });

  it("joins chunks, and accepts bodies whose archive has removed their sizes", () => {
    const chunked = message("Transfer-Encoding: chunked", "5\r\nHello\r\n7;x=1\r\n, world\r\n0\r\n\r\n");
    expect(parseHttpResponse(chunked, 100)?.body.toString()).toBe("Hello, world");
    expect(parseHttpResponse(message("Transfer-Encoding: chunked", "<p>Hello"), 100)?.body.toString()).toBe("<p>Hello");
    const cut = parseHttpResponse(message("Transfer-Encoding: chunked", "ff\r\nHello"), 100);
    expect([cut?.body.toString(), cut?.flaws]).toEqual(["Hello", ["cut short"]]);
  });

  it("keeps the output before a cut, and limits the decompressed size", () => {
    const cut = parseHttpResponse(message("Content-Encoding: gzip", gzipSync(text).subarray(0, 25)), 1e6);
    expect(text.startsWith(cut?.body.toString().replace(/\ufffd$/, "") ?? "no")).toBe(true);
    const bomb = parseHttpResponse(message("Content-Encoding: gzip", gzipSync(Buffer.alloc(1 << 22))), 1 << 20);
    expect([bomb?.body.length, bomb?.flaws]).toEqual([0, ["too large"]]);
    expect(parseHttpResponse(Buffer.from("no HTTP"), 100)).toBeNull();
  });

  it("limits the decompressed size of Zstandard, and keeps the output before a cut", async () => {
    // Handmade frames (RFC 8878): magic, descriptor, window or size, then blocks that each repeat one letter.
    const letters = (size: number, last: boolean) => {
      const block = Buffer.from([0, 0, 0, 97]);
      block.writeUIntLE((size << 3) | 2 | Number(last), 0, 3);
      return block;
    };
    const header = (descriptor: number, ...field: number[]) =>
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...field]);
    const body = (bytes: Buffer) => parseHttpResponse(message("Content-Encoding: zstd", bytes), 1 << 20);
    const two = Buffer.concat([header(0, 0x38), letters(1000, false), letters(10, true)]);
    expect(body(two)?.body.toString()).toBe("a".repeat(1010));
    expect(body(Buffer.concat([two, two]))?.body.length).toBe(2020);
    const four = Buffer.concat([header(0, 0x38), ...[1, 2, 3, 4].map((i) => letters(1000, i === 4))]);
    const cut = body(four.subarray(0, -2));
    expect([cut?.body.length, cut?.flaws]).toEqual([3000, ["cut short"]]);
    expect(body(Buffer.from(text))?.body.toString()).toBe(text); // the archive decompressed it and kept the header
    const bombs = [
      Buffer.concat([header(0, 0x38), ...Array.from({ length: 10_000 }, (_, i) => letters(1 << 17, i === 9999))]),
      Buffer.concat([header(0, 0xff), letters(10, true)]), // a window of terabytes
      Buffer.concat([header(0xe0, 0, 0, 0, 0, 1, 0, 0, 0), letters(10, true)]), // declares 4 GiB
    ];
    for (const bomb of bombs) {
      expect(body(bomb)?.flaws).toEqual(["too large"]);
      expect((await records(bomb, { largestRecord: 1 << 20 })).lost["too large"]).toBe(1);
    }
  });

  it.each([
    ["none", text],
    ["identity", text],
    ["utf-8, 8bit", text],
    ["", text],
    ["aws-chunked", text],
    ["aws-chunked, gzip", gzipSync(text)],
    [
      "aws-chunked",
      `${Buffer.from(text).length.toString(16)};chunk-signature=ab\r\n${text}\r\n0;chunk-signature=cd\r\n\r\n`,
    ],
    ['"gzip"', gzipSync(text)],
    ["X-GZIP", gzipSync(text)],
    ["gzip, gzip", gzipSync(gzipSync(text))],
    ["gzip", gzipSync(gzipSync(text))],
    ["deflate, br", brotliCompressSync(deflateSync(text))],
    ["gzip, br", gzipSync(text)],
    ["none", gzipSync(text)],
    ["br", text],
    ["deflate", text],
    ["zstd", text],
    ["gzip", Buffer.concat([gzipSync(text), Buffer.from("\r\n\0 behind")])],
    ["gzip", Buffer.concat([gzipSync(text), Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3])])],
    ["deflate", Buffer.concat([deflateSync(text), Buffer.from("behind")])],
    ["br", Buffer.concat([brotliCompressSync(text), Buffer.from("behind")])],
  ])("reads a body whose coding is %s", (coding, body) => {
    const response = parseHttpResponse(message(`Content-Encoding: ${coding}`, body), 1e6);
    expect([response?.body.toString(), response?.flaws]).toEqual([text, []]);
  });

  it("drops a body with an unknown coding, and keeps the intact part of a damaged one", () => {
    const lzw = Buffer.from(Array.from({ length: 600 }, (_, i) => (i * i * 31 + i) & 255));
    const unknown = parseHttpResponse(message("Content-Encoding: compress", lzw), 1e6);
    expect([unknown?.body.length, unknown?.flaws]).toEqual([0, ["unknown coding"]]);
    let state = 1;
    const letter = () => {
      state = (state * 48271) % 2147483647;
      return String.fromCharCode(97 + (state % 26));
    };
    const noise = Array.from({ length: 9000 }, letter).join("");
    const damaged = gzipSync(noise);
    damaged.fill(0xff, damaged.length - 400, damaged.length - 380);
    const part = parseHttpResponse(message("Content-Encoding: gzip", damaged), 1e6);
    expect(part?.flaws.length).toBe(1);
    expect(part?.body.toString("latin1").slice(0, 6000)).toBe(noise.slice(0, 6000));
  });

  it.each([
    ["0000000000000005\r\nHello\r\n0000000000000007 \r\n, world\r\n00\r\n\r\n", "Hello, world"],
    ['5 ; a="b"; c\r\nHello\r\n0;x\r\nTrailer: y\r\n\r\n', "Hello"],
    ["a\r\n5\r\nHello\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", "Hello"],
    ["10\nGreen bottles, hanging", "10\nGreen bottles, hanging"],
    ["<p>5\r\nHello\r\n0\r\n\r\n", "<p>5\r\nHello\r\n0\r\n\r\n"],
    ["5\r\nHello\r\n", "Hello"],
    [`5;${"x".repeat(20_000)}\r\nHello\r\n0\r\n\r\n`, "Hello"],
    ["5\nHello\n0\n\n", "Hello"],
    ["5\r\nHello\r\n, and the rest as it is", "Hello, and the rest as it is"],
  ])("joins the chunks of %j", (chunks, expected) => {
    expect(parseHttpResponse(message("Transfer-Encoding: chunked", chunks), 1e6)?.body.toString()).toBe(expected);
  });

  it("decompresses a page whose headers have a wrong coding or none", () => {
    const of = (headers: string, body: Uint8Array) =>
      parseHttpResponse(message(headers, body), 1e6)?.body.toString("latin1");
    const [gzip, expected] = [gzipSync(text), Buffer.from(text).toString("latin1")];
    expect(of("Content-Type: text/html", gzip)).toBe(expected);
    expect(of("Content-Type: application/gzip", gzip)).toBe(gzip.toString("latin1"));
    expect(of("Content-Encoding: gzip", deflateSync(text))).toBe(expected);
    expect(of("Content-Encoding: gzip", brotliCompressSync(text))).toBe(expected);
    expect(of("Content-Encoding: br", deflateSync(text))).toBe(expected);
    expect(of("Transfer-Encoding: gzip", gzip)).toBe(expected);
    const chunked = Buffer.concat([Buffer.from(`${gzip.length.toString(16)}\r\n`), gzip, Buffer.from("\r\n0\r\n\r\n")]);
    expect(of("Transfer-Encoding: gzip, chunked", chunked)).toBe(expected);
  });

  it("reads the final response after interim ones", () => {
    const head = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const final = "http/1.1 200 OK\r\r\nA: b\r\r\n\r\r\nHello";
    const found = parseHttpResponse(Buffer.from(`HTTP/1.1 100 Continue\n\n${head}${final}`), 1e6);
    expect([found?.status, found?.headers.get("a"), found?.body.toString()]).toEqual([200, "b", "Hello"]);
    expect(parseHttpResponse(Buffer.from(head), 1e6)?.status).toBe(103);
    expect(parseHttpResponse(Buffer.from(head.repeat(50_000)), 1e6)?.status).toBe(103);
  });

  it("limits the size of a head, and joins lists", () => {
    const large = parseHttpResponse(message("a: b\r\n".repeat(50_000), "x"), 1e6);
    expect([large?.body.length, large?.flaws]).toEqual([0, ["head too large"]]);
    const lists = parseHttpResponse(
      message("Content-Type: text/html\r\nContent-Type: text/plain\r\nA: 1\r\nA: 2", ""),
      1e6,
    );
    expect([lists?.headers.get("content-type"), lists?.headers.get("a")]).toEqual(["text/html, text/plain", "1"]);
  });

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("Content-Encoding: gzip", "Content-Encoding: br, deflate", "Transfer-Encoding: chunked", "A"),
        fc.uint8Array(),
        (headers, body) => void parseHttpResponse(message(headers, body), 1000),
      ),
    );
  });
});

const ZSTD_RECORDS =
  "KLUv/QRoPQMAMsYVGHBvA/1SysXG/SN2eNYDuhunMh6ly5cJAqmphTPRrsIJhdkgELZ5D0lNHYR100uwF/awH1JHauOP/cDF7Px/Wpc4D/uWqqgjpDx2ta7deiy1AY0Px4ACBAA2YUzDAcJJtUHpAoiaJN0otS/9BGg9AwAyxhUYcG8D/VLKxcb9I3Z41gO6e4TlcKT/AQcCqamFM9GuwgmF2SBo27yHpKYObd30EuyFPeyH1JHa+GM/cDE7/5/WJc7DvqUq6ggpj12ta7ceSxUAgQ/HgAIEADZhTMMBwkm1QekC1td/Cw==";
