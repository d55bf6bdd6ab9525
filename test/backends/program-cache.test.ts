import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cachedProgram, programsFolder } from "../../src/backends/program-cache.js";

const LIBRARY = "program.so";
const making = (text: string) => (folder: string) => writeFile(join(folder, LIBRARY), text);
const refuse = async () => {
  throw new Error("there was nothing to build");
};

describe("the program cache", () => {
  const saved = process.env.QUERN_CACHE;
  let folder: string;
  const library = () => join(programsFolder(), "key", LIBRARY);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-programs-"));
    process.env.QUERN_CACHE = folder;
  });
  afterEach(async () => {
    if (saved === undefined) delete process.env.QUERN_CACHE;
    else process.env.QUERN_CACHE = saved;
    await rm(folder, { recursive: true, force: true });
  });

  it("builds once, and rebuilds files that a crash truncated or emptied", async () => {
    expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
    expect((await cachedProgram("key", [LIBRARY], refuse)).cached).toBe(true);
    for (const length of [3, 0]) {
      await truncate(library(), length);
      expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
      expect(await readFile(library(), "utf8")).toBe("library");
    }
    await rm(library());
    expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
    expect(await readdir(programsFolder())).toEqual(["CACHEDIR.TAG", "key"]);
  });

  it("ignores a killed build, and removes it when it is old", async () => {
    await cachedProgram("other", [LIBRARY], making("library"));
    const killed = join(programsFolder(), "key.a1B2c3");
    await mkdir(killed);
    await writeFile(join(killed, LIBRARY), "libr");
    expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
    expect(await readdir(programsFolder())).toContain("key.a1B2c3"); // another process may still be building it
    await utimes(killed, 1, 1);
    await cachedProgram("third", [LIBRARY], making("library"));
    expect((await readdir(programsFolder())).sort()).toEqual(["CACHEDIR.TAG", "key", "other", "third"]);
  });

  it("leaves nothing behind after a failed build", async () => {
    await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow("nothing to build");
    expect(await readdir(programsFolder())).toEqual(["CACHEDIR.TAG"]);
  });

  it("uses what another process built meanwhile", async () => {
    const slow = cachedProgram("key", [LIBRARY], async (temporary) => {
      await cachedProgram("key", [LIBRARY], making("first"));
      await making("second")(temporary);
    });
    expect((await slow).cached).toBe(false);
    expect(await readFile(library(), "utf8")).toBe("first");
    expect(await readdir(programsFolder())).toEqual(["CACHEDIR.TAG", "key"]);
  });

  describe.skipIf(process.getuid === undefined)("belongs to one user", () => {
    it("is created accessible only to its owner", async () => {
      await cachedProgram("key", [LIBRARY], making("library"));
      expect((await stat(programsFolder())).mode & 0o777).toBe(0o700);
    });

    it.each([0o770, 0o702, 0o777])("refuses a folder of mode %o, whatever it contains", async (mode) => {
      await cachedProgram("key", [LIBRARY], making("library"));
      await chmod(programsFolder(), mode);
      await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(
        new RegExp(`others can write to .*mode ${mode.toString(8)}.*chmod 700`),
      );
    });

    it("refuses a folder that everyone can replace", async () => {
      await chmod(folder, 0o777);
      await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(/everyone can write to .*QUERN_CACHE/);
    });

    it.each([
      ["a group can write to", 0o770],
      ["everyone can write to", 0o757],
    ])("refuses one below a folder that %s, at any height", async (who, mode) => {
      const open = join(folder, "open");
      await mkdir(join(open, "a", "b"), { recursive: true });
      process.env.QUERN_CACHE = join(open, "a", "b");
      await chmod(open, mode);
      const { getgid } = process;
      process.getgid = () => (getgid?.() ?? 0) + 1; // not the user's own group
      try {
        await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(
          new RegExp(`^${who} ${open}, above .*chmod`),
        );
        await chmod(open, 0o1777); // sticky: users can only move their own files
        expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
      } finally {
        process.getgid = getgid;
      }
    });

    it("checks all folders on the path of symbolic links", async () => {
      const [real, open] = [join(folder, "real"), join(folder, "open")];
      for (const made of [real, open]) await mkdir(made);
      await symlink(real, join(open, "link"));
      process.env.QUERN_CACHE = join(open, "link");
      expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
      await chmod(real, 0o777);
      await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(`everyone can write to ${real}, above`);
      await chmod(real, 0o755);
      await chmod(open, 0o777); // anyone who can write there can replace the link
      await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(`everyone can write to ${open}, above`);
    });

    it("rebuilds a program that was replaced by a link", async () => {
      await cachedProgram("key", [LIBRARY], making("library"));
      const { rename } = await import("node:fs/promises");
      await rename(join(programsFolder(), "key"), join(folder, "elsewhere"));
      await symlink(join(folder, "elsewhere"), join(programsFolder(), "key"));
      expect((await cachedProgram("key", [LIBRARY], making("again"))).cached).toBe(false);
      expect(await readFile(join(folder, "elsewhere", LIBRARY), "utf8")).toBe("library");
    });

    it("rebuilds a library that others could have written", async () => {
      await cachedProgram("key", [LIBRARY], making("library"));
      await chmod(library(), 0o666);
      expect((await cachedProgram("key", [LIBRARY], making("library"))).cached).toBe(false);
      expect((await stat(library())).mode & 0o022).toBe(0);
    });

    it("refuses a folder of another user", async () => {
      await cachedProgram("key", [LIBRARY], making("library"));
      const { getuid } = process;
      process.getuid = () => (getuid?.() ?? 0) + 1;
      try {
        await expect(cachedProgram("key", [LIBRARY], refuse)).rejects.toThrow(/belongs to another user.*QUERN_CACHE/);
      } finally {
        process.getuid = getuid;
      }
    });
  });
});
