import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAtomicFile, makeFolder, writeFileAtomic, writeFolderAtomic } from "../../src/documents/atomic.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-atomic-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("createAtomicFile", () => {
  it("appears under its name only after commit, with every byte", async () => {
    const path = join(folder, "a", "b.bin");
    const file = await createAtomicFile(path);
    await file.write("héllo ");
    await file.write(new Float32Array([1, 2]));
    expect(file.bytes).toBe(7 + 8);
    await file.writeAt(Buffer.from("H"), 0);
    expect(await readdir(join(folder, "a"))).not.toContain("b.bin");
    await file.commit();
    const data = await readFile(path);
    expect(data.subarray(0, 7).toString()).toBe("Héllo ");
    expect(data.readFloatLE(11)).toBe(2);
    expect(await readdir(join(folder, "a"))).toEqual(["b.bin"]);
  });

  it("leaves nothing after discard", async () => {
    const file = await createAtomicFile(join(folder, "gone"));
    await file.write("half");
    await file.discard();
    expect(await readdir(folder)).toEqual([]);
  });

  it("reports what is wrong and where", async () => {
    await writeFile(join(folder, "plain"), "");
    await expect(writeFileAtomic(join(folder, "plain", "x"), "y")).rejects.toThrow(/cannot write .*plain/);
  });
});

describe("makeFolder", () => {
  it("makes missing folders, accepts existing ones, and fails where none can be made", async () => {
    await makeFolder(join(folder, "a", "b", "c"));
    await makeFolder(join(folder, "a", "b", "c"));
    expect(await readdir(join(folder, "a", "b"))).toEqual(["c"]);
    await writeFile(join(folder, "plain"), "");
    await expect(makeFolder(join(folder, "plain"))).rejects.toThrow(/EEXIST/);
    await expect(makeFolder(join(folder, "plain", "x"))).rejects.toThrow(/ENOTDIR/);
  });

  it.runIf(process.platform === "linux")("does not hang in /proc", async () => {
    await expect(writeFileAtomic("/proc/quern/x", "")).rejects.toThrow(/cannot write \/proc\/quern\/x/);
  });
});

describe("writeFolderAtomic", () => {
  it("replaces a non-empty folder, and keeps the old one when filling fails", async () => {
    const path = join(folder, "checkpoint");
    await mkdir(path);
    await writeFile(join(path, "old"), "old");
    const failing = writeFolderAtomic(path, async (temporary) => {
      await writeFile(join(temporary, "new"), "new");
      throw new Error("stop");
    });
    await expect(failing).rejects.toThrow("stop");
    expect(await readdir(folder)).toEqual(["checkpoint"]);
    expect(await readdir(path)).toEqual(["old"]);
    const inside = writeFolderAtomic(path, (temporary) => writeFileAtomic(join(temporary, "a".repeat(300)), ""));
    await expect(inside).rejects.toThrow(/cannot write .*\/checkpoint\/a+: the name is too long/);
    await writeFolderAtomic(path, (temporary) => writeFile(join(temporary, "new"), "new"));
    expect(await readdir(path)).toEqual(["new"]);
    expect(await readdir(folder)).toEqual(["checkpoint"]);
  });
});
