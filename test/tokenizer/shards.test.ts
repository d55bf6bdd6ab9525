import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { isBuilt } from "../../src/built-module.js";
import { WorkerPool } from "../../src/executors/index.js";
import {
  encodeCorpus,
  openShards,
  tokenizerHash,
  trainTokenizer,
  writeShards,
  writeShardsInto,
} from "../../src/tokenizer/index.js";
import { fixture } from "./random-text.js";

const folder = mkdtempSync(join(tmpdir(), "quern-shards-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const texts = JSON.parse(readFileSync(fixture("training.json"), "utf8"))[0].texts as string[];
const tokenizer = await trainTokenizer(texts, { vocabSize: 600 });
const flat = (list: readonly string[]) => list.flatMap((text) => [...tokenizer.encode(text), 0]);

describe("token shards", () => {
  it("contain the documents, each with an end-of-text token", async () => {
    const out = join(folder, "plain");
    const header = await writeShards(out, { tokenizer, train: [...texts, "", "é"], heldout: ["held", "out 猫"] });
    expect(header).toMatchObject({ dtype: "u16", vocabSize: 600, endOfText: 0, tokenizer: tokenizerHash(tokenizer) });
    expect(header.train.bytes).toBe(Buffer.byteLength([...texts, "é"].join("")));
    const shards = openShards(out);
    await shards.verify();
    const expected = flat([...texts, "é"]);
    expect([...shards.train.read(0, shards.train.tokens)]).toEqual(expected);
    expect([...shards.train.read(5, 7)]).toEqual(expected.slice(5, 12));
    expect(shards.train.documentEnds.length).toBe(texts.length + 1);
    expect(shards.train.documentEnds.at(-1)).toBe(shards.train.tokens);
    for (const end of shards.train.documentEnds) expect(shards.train.read(end - 1, 1)[0]).toBe(0);
    expect([...shards.heldout.read(0, shards.heldout.tokens)]).toEqual(flat(["held", "out 猫"]));
    const into = new Uint32Array(4);
    expect(shards.train.read(1, 4, into)).toBe(into);
    expect(() => shards.train.read(shards.train.tokens, 1)).toThrow(RangeError);
    expect(() => shards.train.read(-1, 1)).toThrow(RangeError);
    shards.close();
  });

  it("are cut into files between documents", async () => {
    const out = join(folder, "cut");
    const header = await writeShards(out, { tokenizer, train: texts, fileTokens: 1500 });
    expect(header.train.files.length).toBeGreaterThan(2);
    for (const file of header.train.files.slice(0, -1)) expect(file.tokens).toBeGreaterThanOrEqual(1500);
    const shards = openShards(out);
    const expected = flat(texts);
    expect([...shards.train.read(0, shards.train.tokens)]).toEqual(expected);
    for (let at = 0; at + 40 < expected.length; at += 997) {
      expect([...shards.train.read(at, 40)]).toEqual(expected.slice(at, at + 40));
    }
    expect([...shards.train.documentEnds]).toEqual(endsOf(expected));
    shards.close();
  });

  it("are u32 for large vocabularies", async () => {
    const { publishedTokenizer } = await import("../../src/tokenizer/index.js");
    const cl100k = await publishedTokenizer("cl100k");
    const out = join(folder, "wide");
    await writeShards(out, { tokenizer: cl100k, train: texts });
    const shards = openShards(out);
    expect(shards.header.dtype).toBe("u32");
    const [first] = texts;
    expect([...shards.train.read(0, 5)]).toEqual([...cl100k.encode(first).slice(0, 5)]);
    expect(shards.train.read(shards.train.tokens - 1, 1)[0]).toBe(100257);
    shards.close();
  });

  it.skipIf(!isBuilt())("are the same with any number of threads", async () => {
    const many = Array.from({ length: 400 }, (_, i) => `${i}\n${texts.join("\n")}`);
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    await writeShards(one, { tokenizer, train: many, threads: 1, fileTokens: 1_000_000 });
    const run = vi.spyOn(WorkerPool.prototype, "run");
    await writeShards(two, { tokenizer, train: many, threads: 2, fileTokens: 1_000_000 });
    expect(run.mock.calls.length).toBeGreaterThan(0);
    run.mockRestore();
    expect(readdirSync(two).sort()).toEqual(readdirSync(one).sort());
    for (const name of readdirSync(one))
      expect(readFileSync(join(two, name)).equals(readFileSync(join(one, name)))).toBe(true);
  });

  it("leave no files behind when writing fails", async () => {
    const out = join(folder, "failed");
    function* failing() {
      yield "text";
      throw new Error("the source broke");
    }
    await expect(writeShards(out, { tokenizer, train: failing() })).rejects.toThrow("the source broke");
    await expect(writeShards(out, { tokenizer, train: ["", ""] })).rejects.toThrow(/no text/);
    const bare = await trainTokenizer(texts, { vocabSize: 300, special: [] });
    await expect(writeShards(out, { tokenizer: bare, train: texts })).rejects.toThrow(/no <\|endoftext\|> token/);
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(writeShards(out, { tokenizer, train: texts, signal })).rejects.toThrow("stopped");
    expect(readdirSync(folder).filter((name) => name.includes("failed"))).toEqual([]);
  });

  it("resume after an interruption to the same bytes", async () => {
    const many = Array.from({ length: 40 }, (_, i) => `${i}\n${texts.join("\n")}`.repeat(4));
    const common = { tokenizer, heldout: ["held"], fileTokens: 100_000, threads: 1 };
    await writeShardsInto(join(folder, "whole"), { ...common, train: many });
    const out = join(folder, "resumed");
    const stop = new AbortController();
    function* stopping() {
      for (const [i, text] of many.entries()) {
        if (i === 30) stop.abort(new Error("stopped"));
        yield text;
      }
    }
    const interrupted = { ...common, train: stopping(), resumeKey: "corpus", signal: stop.signal };
    await expect(writeShardsInto(out, interrupted)).rejects.toThrow("stopped");
    expect(readdirSync(out)).toEqual([expect.stringMatching(/^\.partial-[0-9a-f]{24}$/)]);
    const partial = join(out, readdirSync(out)[0]);
    const kept = JSON.parse(readFileSync(join(partial, "journal.json"), "utf8")).train as { name: string }[];
    expect(kept.length).toBeGreaterThan(1);

    // A kill may leave an incomplete file.
    writeFileSync(join(partial, ".train-00099.tokens.1-1.tmp"), "cut off");
    const first = join(partial, `${kept[0].name}.tokens`);
    const made = statSync(first).mtimeMs;
    await writeShardsInto(out, { ...common, train: many, resumeKey: "corpus" });
    expect(statSync(join(out, `${kept[0].name}.tokens`)).mtimeMs).toBe(made);
    expect(existsSync(partial)).toBe(false);
    expect(readdirSync(out).sort()).toEqual(readdirSync(join(folder, "whole")).sort());
    for (const name of readdirSync(out))
      expect(readFileSync(join(out, name)).equals(readFileSync(join(folder, "whole", name)))).toBe(true);
  });

  it("remove unfinished shards of other work, and do not touch a folder that is not Quern's", async () => {
    const out = join(folder, "other");
    const partial = join(out, `.partial-${"0".repeat(24)}`);
    const stale = { name: "train-00000", tokens: 1, documents: 1, crc32: "", endsCrc32: "" };
    mkdirSync(partial, { recursive: true });
    writeFileSync(join(partial, "train-00000.ends"), "1234");
    writeFileSync(join(partial, "journal.json"), JSON.stringify({ key: "a", train: [stale], heldout: [] }));
    // A link with such a name points elsewhere: neither it nor its target is touched.
    const elsewhere = join(folder, "elsewhere");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "mine"), "mine");
    const link = join(out, `.partial-${"1".repeat(24)}`);
    symlinkSync(elsewhere, link);
    const options = { tokenizer, train: texts, resumeKey: "b" };
    expect((await writeShardsInto(out, options)).train.documents).toBe(texts.length);
    expect(existsSync(partial)).toBe(false);
    expect(readFileSync(join(link, "mine"), "utf8")).toBe("mine");
    rmSync(link);

    // An error that would recur leaves no unfinished shards.
    await expect(writeShardsInto(out, { ...options, train: [""], resumeKey: "c" })).rejects.toThrow(/no text/);
    expect(readdirSync(out).filter((name) => name.startsWith(".partial"))).toEqual([]);
  });

  it("do not touch a folder with other files, and allow one writer at a time", async () => {
    const out = join(folder, "mine");
    mkdirSync(join(out, ".git"), { recursive: true });
    writeFileSync(join(out, ".git", "HEAD"), "ref: refs/heads/main");
    for (const force of [false, true])
      await expect(writeShards(out, { tokenizer, train: texts, force })).rejects.toThrow(/contains files that quern/);
    expect(readdirSync(out)).toEqual([".git"]);

    const two = join(folder, "two-calls");
    const calls = await Promise.allSettled([0, 1].map(() => writeShards(two, { tokenizer, train: texts })));
    expect(calls.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    await expect(writeShards(two, { tokenizer, train: texts })).rejects.toThrow(/give --force/);
    writeFileSync(join(two, "letter.txt"), "mine");
    await writeShards(two, { tokenizer, train: ["other"], force: true });
    expect(readFileSync(join(two, "letter.txt"), "utf8")).toBe("mine");
  });

  it("are refused if they are damaged", async () => {
    const out = join(folder, "damaged");
    const { train } = await writeShards(out, { tokenizer, train: texts });
    const file = join(out, `${train.files[0].name}.tokens`);
    const bytes = readFileSync(file);
    bytes[10] ^= 1;
    writeFileSync(file, bytes);
    const shards = openShards(out);
    await expect(shards.verify()).rejects.toThrow(/checksum/);
    shards.close();
    truncateSync(file, 100);
    expect(() => openShards(out)).toThrow(/100 bytes instead of/);
    rmSync(file);
    expect(() => openShards(out)).toThrow(/no such file/);
    writeFileSync(join(out, "shards.json"), "{}");
    expect(() => openShards(out)).toThrow(/not a valid header of token shards/);
    expect(() => openShards(join(folder, "nowhere"))).toThrow(/no such file/);
  });

  it("are written from files, with documents held out by their text", async () => {
    const path = join(folder, "corpus.jsonl");
    const documents = Array.from({ length: 300 }, (_, i) => `document ${i} ${texts[i % texts.length].slice(0, 200)}`);
    writeFileSync(path, documents.map((text) => JSON.stringify({ text })).join("\n"));
    const { header } = await encodeCorpus([path], join(folder, "split"), { tokenizer, heldout: 0.1 });
    expect(header.train.documents + header.heldout.documents).toBe(300);
    expect(header.heldout.documents).toBeGreaterThan(10);
    expect(header.heldout.documents).toBeLessThan(60);
    const shards = openShards(join(folder, "split"));
    const all = [shards.train, shards.heldout].flatMap((split) => {
      let from = 0;
      return Array.from(split.documentEnds, (end) => {
        const text = tokenizer.decode(split.read(from, end - from - 1));
        from = end;
        return text;
      });
    });
    expect(all.sort()).toEqual(documents.toSorted());
    shards.close();
  });
});

function endsOf(ids: readonly number[]): number[] {
  return ids.flatMap((id, index) => (id === 0 ? [index + 1] : []));
}
