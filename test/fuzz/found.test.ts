/** What fuzzing found, each by an input of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CrawlStore } from "../../src/data/crawl/store.js";
import { wordPattern } from "../../src/data/filters/word-list.js";
import { BenchmarkGrams, clean, readArchive, readFunnel, where } from "../../src/data/index.js";
import { fileError, QuernError } from "../../src/errors.js";
import { openSealed, sealed } from "../../src/json-file.js";
import { openShards, trainTokenizer, writeShards } from "../../src/tokenizer/index.js";
import { rewindMetrics } from "../../src/train/run/run-folder.js";

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
    expect((error as Error).message).toBe(
      "cannot read a\\x00b: a file name cannot contain a NUL character; check the path",
    );
  });
});

describe("word lists", () => {
  it("hold hyphens and signs as they are", () => {
    const words = ["well-known", "a/b", "c++", "(x)", "[y]", "p|q", "^$", "\\\\"];
    for (const word of words) {
      const pattern = wordPattern(words);
      expect(pattern?.exec(`one ${word} two`)?.[0]).toBe(word);
      expect(wordPattern(words, true)?.exec(`one${word}two`)?.[0]).toBe(word);
    }
    expect(wordPattern(["well-known"])?.test("wellknown")).toBe(false);
  });

  it("that are too long are refused by a sentence", () => {
    expect(() => wordPattern(["short", "x".repeat(1_000_000)])).toThrow(
      /^a list of 2 words, the longest with 1000000 ch/,
    );
  });
});

describe("values that nest deeply", () => {
  const deep = `${"[".repeat(100_000)}0${"]".repeat(100_000)}`;

  it("cost a crawl's log a line", async () => {
    const lines = [
      '{"found":{"url":"http://a.test/","depth":0,"kind":"page","hops":0}}',
      `{"found":{"url":"http://b.test/","depth":0,"kind":${deep.slice(75_000, 125_001)},"hops":0}}`,
      `{"done":{"url":"http://a.test/","outcome":"kept","archive":${deep.slice(75_000, 125_001)},"end":1}}`,
    ];
    writeFileSync(join(folder, "frontier.log"), `${lines.join("\n")}\n`);
    let replayed = 0;
    const store = await CrawlStore.open(folder, () => {
      replayed += 1;
    });
    await store.close();
    expect([replayed, store.damagedLines]).toEqual([1, 2]);
  });

  it("cost a run's metrics a line", async () => {
    writeFileSync(
      join(folder, "metrics.jsonl"),
      `{"step":1,"loss":2}\n{"step":2,"loss":${deep}}\n{"step":3,"loss":1}\n`,
    );
    expect(await rewindMetrics(folder, 2)).toEqual([{ step: 1, loss: 2 }]);
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
      expect(() => openShards(folder)).toThrow(/not a valid header of token shards: train\.files\.0\.name/);
    }
  });

  it("that claim more documents than there are take no memory for them", async () => {
    await write();
    const path = join(folder, "shards.json");
    const header = JSON.parse(readFileSync(path, "utf8"));
    header.train.files[0].documents = 2 ** 40;
    writeFileSync(path, JSON.stringify(header));
    const shards = openShards(folder);
    expect(() => shards.train.documentEnds).toThrow(/train-00000\.ends has 8 bytes instead of 4398046511104/);
    shards.close();
  });

  it("whose ends are damaged say so where a token's document is asked for", async () => {
    await write();
    const ends = join(folder, "train-00000.ends");
    for (const number of [0, 0xffffffff]) {
      const bytes = readFileSync(ends);
      bytes.writeUInt32LE(number, 0);
      bytes.writeUInt32LE(number, 4);
      writeFileSync(ends, bytes);
      await expect(where(folder, 3)).rejects.toThrow(/train-00000\.ends does not match its shard/);
    }
    rmSync(ends);
    await expect(where(folder, 3)).rejects.toThrow(/cannot read .*train-00000\.ends/);
  });
});

describe("what a run writes for itself", () => {
  it("is read again as it was written, or not at all", () => {
    const value = { key: "a", counts: { "10": 1, b: [0, null, "é"] } };
    const text = sealed(value);
    expect(openSealed(text)).toEqual(value);
    for (const damaged of [text.slice(0, -10), text.replace('"b":[0', '"b":[1'), "[]", "null", '{"key":"a"}', ""]) {
      expect(openSealed(damaged)).toBeUndefined();
    }
  });

  it("is not believed where it is damaged: the task is done again", async () => {
    const input = join(folder, "a.jsonl");
    writeFileSync(input, '{"text":"one"}\n{"text":"two"}\n');
    const call = () => clean({ inputs: [input], out: join(folder, "out"), recipe: "as-is", workers: 1, force: true });
    const { funnel } = await call();
    const path = join(folder, "out", "tasks", "00000.json");
    const written = readFileSync(path, "utf8");
    writeFileSync(path, written.replace('"read":2', '"read":7'));
    const again = await call();
    expect(again.ran).toBe(1);
    expect(again.funnel).toEqual(funnel);
    expect(readFileSync(path, "utf8")).toBe(written);
    expect((await call()).ran).toBe(0);
  });

  it("is refused by a sentence where a funnel is no funnel", async () => {
    const path = join(folder, "funnel.json");
    for (const [text, message] of [
      ["{", /funnel\.json is not JSON/],
      ["{}", /funnel\.json is not the funnel of a cleaning run/],
      ['{"steps":"x"}', /funnel\.json is not the funnel of a cleaning run/],
    ] as const) {
      writeFileSync(path, text);
      const error = await readFunnel(folder).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(QuernError);
      expect((error as Error).message).toMatch(message);
    }
  });
});

describe("evaluation sets", () => {
  it("whose values nest deeply are refused by file and line", async () => {
    const path = join(folder, "set.jsonl");
    const deep = `${'{"a":'.repeat(50_000)}0${"}".repeat(50_000)}`;
    writeFileSync(path, `{"question":"one"}\n{"question":${deep}}\n`);
    await expect(new BenchmarkGrams(8).add(path)).rejects.toThrow(
      /set\.jsonl, line 2, nests more than 128 levels deep/,
    );
  });
});
