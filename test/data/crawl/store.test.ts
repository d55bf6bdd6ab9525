import { appendFile, mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CrawlStore, type Line, type Waiting } from "../../../src/data/crawl/store.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-store-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = () => join(folder, "frontier.log");
const archive = (number = 0) => join(folder, `archive-0000${number}.warc.gz`);
const address = (number: number) => `http://a.test/${number}`;
const waiting = (number: number): Waiting => ({ url: address(number), depth: 1, kind: "page", hops: 0 });
const record = (number: number) => gzipSync(`record ${number}`);

async function open(): Promise<{ store: CrawlStore; lines: Line[]; done: string[] }> {
  const lines: Line[] = [];
  const store = await CrawlStore.open(folder, (line) => lines.push(line));
  return { store, lines, done: lines.flatMap((line) => ("done" in line ? [line.done.url] : [])) };
}

/** Fetches of the addresses with these numbers. */
async function fill(...numbers: number[]): Promise<void> {
  const { store } = await open();
  for (const number of numbers) {
    await store.write([], [waiting(number)], null);
    await store.write([record(number)], [], { url: address(number), outcome: "kept" });
  }
  await store.close();
}
const records = async (number = 0) => gunzipSync(await readFile(archive(number))).toString();

describe("the store of a crawl", () => {
  it("leaves archives alone that its log does not name", async () => {
    await writeFile(archive(0), "not ours");
    await writeFile(archive(3), record(99));
    await fill(1);
    expect(await readFile(archive(0), "utf8")).toBe("not ours");
    expect(await records(3)).toBe("record 99");
    expect(await records(4)).toBe("record 1");
    await fill(2);
    expect(await records(4)).toBe("record 1record 2");
    expect(await readFile(archive(0), "utf8")).toBe("not ours");
  });

  it("names no file outside its folder, whatever its log says", async () => {
    await mkdir(join(folder, "in"));
    await writeFile(join(folder, "victim.warc.gz"), "precious");
    const done = { url: address(1), outcome: "kept", archive: "../victim.warc.gz", end: 0 };
    folder = join(folder, "in");
    await writeFile(log(), `${JSON.stringify({ found: waiting(1) })}\n${JSON.stringify({ done })}\n`);
    const { store, lines } = await open();
    expect([lines.length, store.damagedLines]).toEqual([1, 1]);
    await store.close();
    folder = join(folder, "..");
    expect(await readFile(join(folder, "victim.warc.gz"), "utf8")).toBe("precious");
  });

  it("follows no link to an archive elsewhere", async () => {
    await fill(1);
    const elsewhere = join(folder, "elsewhere");
    await writeFile(elsewhere, Buffer.concat([record(1), Buffer.from([0x1f, 0x8b])]));
    await rm(archive());
    await symlink(elsewhere, archive());
    await fill(2);
    expect((await stat(elsewhere)).size).toBe(record(1).length + 2);
    expect(await records(1)).toBe("record 2");
  });

  it("cuts the record off that was being written, and no whole one", async () => {
    await fill(1);
    // Two records that were written, and the log was not; the third was cut.
    await appendFile(archive(), Buffer.concat([record(2), record(3), record(4).subarray(0, 20)]));
    await fill(5);
    expect(await records()).toBe("record 1record 2record 3record 5");
    for (const length of [1, 2, 5, 11]) {
      const { size } = await stat(archive());
      await appendFile(archive(), record(6).subarray(0, length));
      await (await open()).store.close();
      expect((await stat(archive())).size).toBe(size);
    }
  });

  it("begins another archive behind bytes that are not its own", async () => {
    await fill(1);
    const foreign = Buffer.concat([await readFile(archive()), Buffer.from("somebody wrote on")]);
    await writeFile(archive(), foreign);
    await fill(2);
    expect(await readFile(archive())).toEqual(foreign);
    expect(await records(1)).toBe("record 2");
    const { store, done } = await open();
    await store.close();
    expect(done).toEqual([address(1), address(2)]);
  });

  it("fetches again what an archive has lost, and not what was moved away", async () => {
    await fill(1, 2, 3);
    await truncate(archive(), record(1).length + 5);
    const { store, done, lines } = await open();
    await store.close();
    expect(done).toEqual([address(1)]);
    expect(lines.filter((line) => "found" in line).length).toBe(3);
    expect(await records()).toBe("record 1");
    await rm(archive());
    const moved = await open();
    await moved.store.close();
    expect(moved.done).toEqual([address(1), address(2), address(3)]);
    await fill(4);
    expect(await records(1)).toBe("record 4");
  });

  it("passes damaged lines by, wherever they are, and loses nothing else", async () => {
    await fill(1, 2, 3, 4);
    const lines = (await readFile(log(), "utf8")).trimEnd().split("\n");
    const damages = [
      "",
      "\0\0\0\0",
      '{"done":',
      "null",
      "[]",
      '{"done":{"url":"http://a.test/9"}}',
      "x".repeat(200_000),
    ];
    damages.push('{"found":{"url":"file:///etc/passwd","depth":0,"kind":"page","hops":0}}');
    damages.push('{"found":{"url":"http://a.test/9","depth":-1,"kind":"page","hops":0}}');
    for (const [at, damage] of damages.entries()) {
      const text = [...lines.slice(0, at % 8), damage, ...lines.slice((at % 8) + 1)].join("\n");
      await writeFile(log(), `${text}\n`);
      const { store, lines: read } = await open();
      await store.close();
      expect([damage.slice(0, 50), read.length, store.damagedLines]).toEqual([damage.slice(0, 50), 7, 1]);
      expect(await readFile(log(), "utf8")).toBe(`${text}\n`);
      expect(await records()).toBe("record 1record 2record 3record 4");
    }
  });

  it("cuts the last line alone, and only where it was not finished", async () => {
    await fill(1);
    const whole = await readFile(log(), "utf8");
    for (const tail of ["{", '{"found":{"url":"http://a.te', "\0\0\0", JSON.stringify({ found: waiting(2) })]) {
      await writeFile(log(), whole + tail);
      const { store, lines } = await open();
      await store.close();
      expect([lines.length, store.damagedLines, await readFile(log(), "utf8")]).toEqual([2, 0, whole]);
    }
    // A new crawl's first line.
    await writeFile(log(), '{"found":{"ur');
    await (await open()).store.close();
    expect(await readFile(log(), "utf8")).toBe("");
  });

  it("refuses a log that is somebody else's", async () => {
    for (const text of ["2026-11-29 the frontier post was reached\n", "notes", '{"name":"x"}\n', "x".repeat(100_000)]) {
      await writeFile(log(), text);
      await expect(open()).rejects.toThrow(/frontier\.log is not the log of a crawl; choose another folder/);
      expect(await readFile(log(), "utf8")).toBe(text);
    }
    await rm(log());
    await symlink(join(folder, "elsewhere"), log());
    await expect(open()).rejects.toThrow(/frontier\.log is not a file/);
  });
});
