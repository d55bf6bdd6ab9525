/** What fuzzing found, each by an input of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readArchive, where } from "../../src/data/index.js";
import { fileError, QuernError } from "../../src/errors.js";
import { openShards, trainTokenizer, writeShards } from "../../src/tokenizer/index.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-found-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("archives", () => {
  it("end behind an ARC record of a wrong length and without a line end", async () => {
    const text = "http://a.test/ 192.0.2.1 20260101000000 text/html 5\nabcdefghijkl";
    const reader = readArchive(
      (async function* () {
        yield Buffer.from(text);
      })(),
    );
    const found: string[] = [];
    for await (const { content } of reader) if (found.push(content.toString()) > 3) break;
    expect(found).toEqual(["abcdefghijkl"]);
    expect(Object.fromEntries(reader.lost)).toEqual({ "wrong length": 1 });
  });
});

describe("paths", () => {
  it("with a NUL character are an error of the file, not Quern's own", () => {
    let error: unknown;
    try {
      readFileSync("a\0b");
    } catch (caught) {
      error = fileError(caught, "read", "a\0b");
    }
    expect(error).toBeInstanceOf(QuernError);
    expect((error as Error).message).toBe("cannot read a\\x00b: no file name holds a NUL character; check the path");
  });
});

describe("token shards", () => {
  const write = async () => {
    const tokenizer = await trainTokenizer(["some text"], { vocabSize: 260 });
    await writeShards(folder, { tokenizer, train: ["one text", "another"], heldout: [], threads: 1 });
  };

  it("name no files of other folders", async () => {
    await write();
    const path = join(folder, "shards.json");
    for (const name of ["../train-00000", "train-00000\\0", "/etc/passwd"]) {
      writeFileSync(
        path,
        readFileSync(path, "utf8").replace(/"name": "[^"]*"/, `"name": "${name.replace("\\0", "\\u0000")}"`),
      );
      expect(() => openShards(folder)).toThrow(/no header of token shards: train\.files\.0\.name/);
    }
  });

  it("whose ends are damaged say so where a token's document is asked for", async () => {
    await write();
    const ends = join(folder, "train-00000.ends");
    for (const number of [0, 0xffffffff]) {
      const bytes = readFileSync(ends);
      bytes.writeUInt32LE(number, 0);
      bytes.writeUInt32LE(number, 4);
      writeFileSync(ends, bytes);
      await expect(where(folder, 3)).rejects.toThrow(/train-00000\.ends is not what was written/);
    }
    rmSync(ends);
    await expect(where(folder, 3)).rejects.toThrow(/cannot read .*train-00000\.ends/);
  });
});
