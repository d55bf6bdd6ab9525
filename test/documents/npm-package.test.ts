import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchNpmPackage } from "../../src/documents/npm-package.js";
import { wordNetEntry } from "../../src/documents/starter-corpus.js";
import { readTar } from "../../src/documents/tar.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-npm-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** A small data package, packed by npm itself; `npm pack FILE` needs no network. */
async function packed() {
  const source = join(folder, "source");
  const long = `${"long-folder-name/".repeat(12)}text.txt`;
  await mkdir(join(source, "data", long, ".."), { recursive: true });
  await writeFile(join(source, "package.json"), JSON.stringify({ name: "some-data", version: "1.2.3" }));
  await writeFile(join(source, "data", long), "deep");
  await writeFile(join(source, "data", "a.txt"), "x".repeat(1000));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: source });
  const file = join(folder, "some-data-1.2.3.tgz");
  const bytes = await readFile(file);
  return { file, bytes, long, integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}` };
}

describe("readTar", () => {
  it("reads archives by npm, with long paths", async () => {
    const { bytes, long } = await packed();
    const files = new Map(
      [...readTar(gunzipSync(bytes))].map(({ path, data }) => [path, Buffer.from(data).toString()]),
    );
    expect(files.get("package/data/a.txt")).toBe("x".repeat(1000));
    expect(files.get(`package/data/${long}`)).toBe("deep");
    expect(files.size).toBe(3);
  });

  it("refuses an archive that is cut short or contains a path outside its folder", async () => {
    const archive = gunzipSync((await packed()).bytes);
    expect(() => [...readTar(archive.subarray(0, archive.indexOf("xxxx") + 10))]).toThrow(/cut short/);
    const evil = Buffer.alloc(1024);
    evil.write("../../evil");
    evil.write("00000000000\0", 124);
    evil.write("0", 156);
    expect(() => [...readTar(evil)]).toThrow(/is outside its folder/);
  });
});

describe("fetchNpmPackage", () => {
  it("extracts a package with the right checksum, once, and leaves nothing else", async () => {
    const { file, integrity } = await packed();
    const cache = join(folder, "cache");
    // npm accepts a file in place of a version.
    const wanted = { name: "some-data", version: `file:${file}`, integrity };
    vi.stubEnv("PATH", `${await fakeNpm(file)}:${process.env.PATH}`);
    const extracted = await fetchNpmPackage({ ...wanted, version: "1.2.3" }, { cache });
    expect(await readFile(join(extracted, "data", "a.txt"), "utf8")).toBe("x".repeat(1000));
    expect(await readdir(join(cache, "npm"))).toEqual(["CACHEDIR.TAG", "some-data@1.2.3"]);
    vi.stubEnv("PATH", "");
    expect(await fetchNpmPackage({ ...wanted, version: "1.2.3" }, { cache })).toBe(extracted);
  });

  it("refuses another checksum and keeps nothing", async () => {
    const { file } = await packed();
    const cache = join(folder, "cache");
    vi.stubEnv("PATH", `${await fakeNpm(file)}:${process.env.PATH}`);
    const wanted = { name: "some-data", version: "1.2.3", integrity: "sha512-AAAA" };
    await expect(fetchNpmPackage(wanted, { cache })).rejects.toThrow(/has the checksum .* instead of/);
    expect(await readdir(join(cache, "npm"))).toEqual(["CACHEDIR.TAG"]);
  });

  it("reports in one sentence that there is no network, and what to do", async () => {
    vi.stubEnv("npm_config_registry", "http://127.0.0.1:9");
    vi.stubEnv("npm_config_cache", join(folder, "npm-cache"));
    const cache = join(folder, "cache");
    const wanted = { name: "some-data", version: "1.2.3", integrity: "sha512-AAAA" };
    const failure = await fetchNpmPackage(wanted, { cache }).catch((error: Error) => error.message);
    expect(failure).toMatch(/^cannot fetch the data package some-data@1\.2\.3: .+; check the network .* --text PATH$/);
    expect(failure).not.toContain("\n");
    expect(await readdir(join(cache, "npm"))).toEqual(["CACHEDIR.TAG"]);
  });

  it("stops at the signal", async () => {
    const abort = new AbortController();
    const wanted = { name: "some-data", version: "1.2.3", integrity: "sha512-AAAA" };
    vi.stubEnv("npm_config_registry", "http://127.0.0.1:9");
    const fetching = fetchNpmPackage(wanted, { cache: join(folder, "cache"), signal: abort.signal });
    abort.abort();
    await expect(fetching).rejects.toThrow(/abort/i);
  });
});

/** Makes a folder with a fake `npm` whose `npm pack` returns a local file. */
async function fakeNpm(file: string): Promise<string> {
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, "npm"), `#!/bin/sh\ncp "${file}" .\n`, { mode: 0o755 });
  return bin;
}

describe("wordNetEntry", () => {
  it("makes a readable line", () => {
    const entry = (line: string) => wordNetEntry(line);
    expect(
      entry("01035814 32 v 01 sugarcoat 0 001 @ 00955732 v 0000 02 + 08 00 + 11 00 | cause to appear pleasant  "),
    ).toBe("sugarcoat: cause to appear pleasant.");
    expect(
      entry(
        '00003553 03 n 02 old_man 0 unit 0 000 | a whole; parts of it, etc.; "how big is it?"; "the team is a unit"',
      ),
    ).toBe('old man, unit: a whole; parts of it, etc. "how big is it?" "the team is a unit"');
    expect(entry("00014358 00 s 01 galore(ip) 0 000 | in great numbers")).toBe("galore: in great numbers.");
  });
});
