import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { main, type Verb } from "../../src/commands/main.js";
import { fixture } from "./random-text.js";

const folder = mkdtempSync(join(tmpdir(), "quern-verbs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const verbs: Verb[] = ["train", "encode", "decode", "show", "compare"].map((name) => ({
  words: `tokenizer ${name}`,
  summary: name,
  load: () => import(`../../src/commands/tokenizer-${name}.ts`),
}));

const text = (JSON.parse(readFileSync(fixture("training.json"), "utf8"))[0].texts as string[]).join("\n");
const file = join(folder, "text.txt");
writeFileSync(file, text);
const tokenizer = join(folder, "tokenizer");

/** Runs `quern tokenizer …` with the given standard input. */
async function quern(
  args: readonly string[],
  input: string | Uint8Array = "",
): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    out += chunk;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    err += chunk;
    return true;
  });
  vi.spyOn(process, "stdin", "get").mockReturnValue(
    Readable.from([Buffer.from(input)]) as unknown as typeof process.stdin,
  );
  const code = await main(verbs, ["tokenizer", ...args]);
  vi.restoreAllMocks();
  return { code, out, err };
}

describe("quern tokenizer", () => {
  it("trains, encodes and decodes", async () => {
    const trained = await quern([
      "train",
      file,
      "--vocab-size",
      "500",
      "--special",
      "<|endoftext|>,<pad>",
      "--out",
      tokenizer,
    ]);
    expect(trained).toMatchObject({ code: 0, out: expect.stringContaining("500 tokens from 1 documents") });
    expect(readdirSync(tokenizer).sort()).toEqual([".quern.json", "tokenizer.json", "tokenizer_config.json"]);

    const input = "Hello, world\n 猫 <pad>";
    const { code, out } = await quern(["encode", "--tokenizer", tokenizer, "--ids"], input);
    expect(code).toBe(0);
    const ids = JSON.parse(out) as number[];
    expect(ids).not.toContain(1);
    expect(await quern(["decode", "--tokenizer", tokenizer], out)).toMatchObject({ code: 0, out: input });
    const allowed = await quern(["encode", "--tokenizer", tokenizer, "--ids", "--special", "allow"], input);
    expect(JSON.parse(allowed.out)).toContain(1);
  });

  it("accepts published names", async () => {
    const { out } = await quern(["encode", "--tokenizer", "cl100k", "--ids"], "Hello world");
    expect(JSON.parse(out)).toEqual([9906, 1917]);
    expect((await quern(["decode", "--tokenizer", "gpt2"], "[15496, 995]")).out).toBe("Hello world");
  });

  it("writes token shards", async () => {
    const out = join(folder, "shards");
    const result = await quern(["encode", file, "--tokenizer", tokenizer, "--out", out, "--heldout", "0", "--json"]);
    expect(result.code).toBe(0);
    const summary = JSON.parse(result.out);
    expect(summary.train).toMatchObject({ documents: 1, bytes: Buffer.byteLength(text) });
    expect(existsSync(join(out, "shards.json"))).toBe(true);
  });

  it("shows and compares", async () => {
    expect((await quern(["show", "--tokenizer", "cl100k", "--text", "Hello world"])).out).toContain(
      " 1917  20 77 6f 72 6c 64",
    );
    const page = join(folder, "tokens.html");
    expect(await quern(["show", file, "--tokenizer", tokenizer, "--html", page])).toMatchObject({ code: 0 });
    expect(readFileSync(page, "utf8")).toContain("<!doctype html>");
    const { code, out } = await quern(["compare", file, "--tokenizers", `gpt2,${tokenizer}`, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out).rows.map((row: { group: string }) => row.group)).toEqual([file, file, "all", "all"]);
    const mixed = join(folder, "languages.jsonl");
    const documents = ["The road to the village was long and the evening cold.", "吾輩は猫である。名前はまだ無い。"];
    writeFileSync(mixed, documents.map((text) => JSON.stringify({ text })).join("\n"));
    const grouped = await quern(["compare", mixed, "--tokenizers", "gpt2", "--by", "language", "--json"]);
    expect(JSON.parse(grouped.out).rows.map((row: { group: string }) => row.group)).toEqual(["en", "ja", "all"]);
  });

  it.each([
    [["train", "nowhere.txt", "--out", "x"], 2, /nowhere\.txt.*no such file/],
    [["train", file, "--vocab-size", "257", "--special", "a1,b1", "--out", "x"], 2, /too small/],
    [["train", file, "--pattern", "(a", "--out", "x"], 2, /not a regular expression/],
    [["train", file, "--tie", "luck", "--out", "x"], 2, /tie/],
    [["encode", "--tokenizer", "nowhere", "--ids"], 2, /nowhere.*gpt2, cl100k, o200k/],
    [["encode", file, "--tokenizer", "cl100k"], 2, /--out is missing/],
    [["encode", file, "--tokenizer", "cl100k", "--ids"], 2, /--ids reads standard input/],
    [["encode", "--tokenizer", "cl100k", "--out", "x"], 2, /no input/],
  ] as const)("%j is refused", async (args, code, message) => {
    const result = await quern(args.map((each) => (each === "x" ? join(folder, "x") : each)));
    expect(result.err).toMatch(message);
    expect(result.code).toBe(code);
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  it("refuses input that is not text or not ids", async () => {
    const encode = ["encode", "--tokenizer", "cl100k", "--ids"];
    expect((await quern(encode, Uint8Array.of(0xff, 0xfe))).err).toMatch(/not UTF-8/);
    expect(JSON.parse((await quern(encode, "")).out)).toEqual([]);
    for (const [input, message] of [
      ["", /not a JSON array/],
      ["{}", /not a JSON array/],
      ["[1, -2]", /element 1 of the array is -2/],
      ['["a"]', /element 0/],
      ["[4000000000]", /no token with id 4000000000/],
    ] as const) {
      expect((await quern(["decode", "--tokenizer", "cl100k"], input)).err).toMatch(message);
    }
  });
});
