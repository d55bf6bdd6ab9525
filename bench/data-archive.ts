/**
 * @file Benchmarks reading a gzip WARC (records and HTTP responses), compared with warcio.js and with zlib alone on the same bytes.
 *   QUERN_SHARED=… npm run bench data-archive [-- --megabytes 100 --rounds 5]
 * warcio.js is not a dependency: QUERN_PEERS names a folder in which `npm install warcio` (2.x) was run. Without it the output
 * says that it was not run.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createGunzip, gunzipSync } from "node:zlib";
import { parseHttpResponse, readArchive, warcRecord } from "../src/data/index.js";
import { flags, machineLine, median } from "./measure.js";

const o = flags({ megabytes: 100, rounds: 5 });
const shared = process.env.QUERN_SHARED;
if (!shared) throw new Error("QUERN_SHARED must name the folder of real pages (data/extraction)");

/** Writes real pages as a crawl stores them, one record each, repeated until there are enough bytes. */
async function makeArchive(path: string): Promise<number> {
  const folder = ["data/extraction/pages", "extraction/pages"]
    .map((name) => join(shared as string, name))
    .find(existsSync);
  if (folder === undefined) throw new Error(`no data/extraction/pages in ${shared}`);
  const pages = readdirSync(folder).filter((name) => name.endsWith(".html.gz"));
  const file = createWriteStream(path);
  let bytes = 0;
  for (let i = 0; bytes < o.megabytes * 1e6; i++) {
    const body = gunzipSync(readFileSync(join(folder, pages[i % pages.length])));
    const block = Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"), body]);
    const fields = { date: "2026-11-24T00:00:00Z", contentType: "application/http; msgtype=response" } as const;
    bytes += block.length;
    if (!file.write(warcRecord({ type: "response", url: `http://a.test/${i}`, ...fields }, block)))
      await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return bytes;
}

async function quern(path: string): Promise<number> {
  let bytes = 0;
  for await (const record of readArchive(createReadStream(path, { highWaterMark: 2 ** 20 }))) {
    bytes += parseHttpResponse(record.content, 2 ** 26)?.body.length ?? 0;
  }
  return bytes;
}

interface Warcio {
  readonly WARCParser: new (
    source: AsyncIterable<Uint8Array>,
  ) => AsyncIterable<{
    readonly warcType: string | null;
    readFully(isHttp: boolean): Promise<Uint8Array>;
  }>;
}
async function findWarcio(): Promise<Warcio | null> {
  const folder = process.env.QUERN_PEERS;
  if (!folder) return null;
  try {
    const { resolve } = createRequire(join(folder, "package.json"));
    return (await import(pathToFileURL(resolve("warcio")).href)) as Warcio;
  } catch (error) {
    throw new Error(`no warcio in ${folder} (from QUERN_PEERS): run npm install warcio there`, {
      cause: error,
    });
  }
}

async function warcio({ WARCParser }: Warcio, path: string): Promise<number> {
  let bytes = 0;
  for await (const record of new WARCParser(createReadStream(path, { highWaterMark: 2 ** 20 }))) {
    bytes += (await record.readFully(true)).length;
  }
  return bytes;
}

async function zlibAlone(path: string): Promise<number> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }).pipe(
    createGunzip({ chunkSize: 2 ** 18 }),
  )) {
    bytes += (chunk as Buffer).length;
  }
  return bytes;
}

const path = join(tmpdir(), `quern-bench-${process.pid}.warc.gz`);
try {
  const decompressed = await makeArchive(path);
  const peer = await findWarcio();
  const seconds: Record<string, number[]> = { quern: [], zlib: [], warcio: [] };
  const time = async (key: string, read: () => Promise<number>) => {
    const start = performance.now();
    const bytes = await read();
    seconds[key].push((performance.now() - start) / 1000);
    return bytes;
  };
  for (let round = 0; round < o.rounds; round++) {
    const ours = await time("quern", () => quern(path));
    await time("zlib", () => zlibAlone(path));
    const theirs = peer ? await time("warcio", () => warcio(peer, path)) : ours;
    if (ours !== theirs) throw new Error(`Quern read ${ours} bytes of bodies, warcio.js ${theirs}`);
  }
  const rate = (key: string) => (seconds[key].length > 0 ? decompressed / 1e6 / median(seconds[key]) : null);
  const [ours, zlib, theirs] = [rate("quern") as number, rate("zlib") as number, rate("warcio")];
  console.log(
    `${(statSync(path).size / 1e6).toFixed(0)} MB compressed, ${(decompressed / 1e6).toFixed(0)} MB decompressed`,
  );
  console.log(
    `Quern ${ours.toFixed(0)} MB/s decompressed, zlib alone ${zlib.toFixed(0)} (Quern takes ${(zlib / ours).toFixed(2)} × its time)`,
  );
  console.log(
    theirs === null
      ? "warcio.js: not run (set QUERN_PEERS to a folder with it)"
      : `warcio.js ${theirs.toFixed(0)} MB/s: Quern is ${(ours / theirs).toFixed(2)} × as fast`,
  );
  console.log(await machineLine());
  console.log(JSON.stringify({ bench: "data-archive", megabytes_per_second: ours, zlib, warcio: theirs }));
} finally {
  rmSync(path, { force: true });
}
