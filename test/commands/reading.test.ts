import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { main, type Verb } from "../../src/commands/main.js";

// Every verb that reads documents reports what it read and skipped in the same form.
const load =
  (name: string): Verb["load"] =>
  () =>
    import(`../../src/commands/${name}.ts`);
const words = [
  "tokenizer train",
  "tokenizer encode",
  "tokenizer compare",
  "data extract",
  "data check",
  "data clean",
  "data deduplicate",
  "data decontaminate",
  "data mix",
  "pretrain",
];
const verbs = words.map((each) => ({ words: each, summary: each, load: load(each.replaceAll(" ", "-")) }));

let root: string;
let input: string;
let empty: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-reading-verbs-"));
  const text = (i: number) => `document ${i} ${"some words that differ a little here and there ".repeat(8)}${i * 7919}`;
  const lines = Array.from({ length: 60 }, (_, i) => JSON.stringify({ body: text(i), id: i }));
  input = join(root, "in.jsonl");
  writeFileSync(input, `${lines.join("\n")}\n{broken\n{"id":"x"}\n`);
  empty = join(root, "none.jsonl");
  writeFileSync(empty, '{"id":"x"}\n');
  writeFileSync(
    join(root, "against.jsonl"),
    '{"text":"an example of many words that no document here has at all, none of them"}\n',
  );
  writeFileSync(join(root, "mix.json"), JSON.stringify({ inputs: [input] }));
  writeFileSync(join(root, "mix-none.json"), JSON.stringify({ inputs: [empty] }));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function run(argv: readonly string[]) {
  let out = "";
  let err = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
  try {
    return { code: await main(verbs, argv), out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

const REPORT = { read: { files: 1, documents: 60, rows: 60 }, skipped: { no_text: 1, not_json: 1 } };
/** Returns the arguments of a verb that reads `from`. */
const callOf = (verb: string, from: string, mix: string): string[] => {
  const out = ["--out", join(root, `${verb.replaceAll(" ", "-")}-${from.length}`)];
  const name = verb.split(" ");
  switch (verb) {
    case "tokenizer train":
      return [...name, from, "--vocab-size", "300", ...out];
    case "tokenizer encode":
      return [...name, from, "--tokenizer", join(root, "tokenizer"), ...out];
    case "tokenizer compare":
      return [...name, from, "--tokenizers", join(root, "tokenizer")];
    case "data clean":
      return [...name, from, "--recipe", "as-is", ...out];
    case "data deduplicate":
      return [...name, from, "--by", "near", ...out];
    case "data decontaminate":
      return [...name, from, "--against", join(root, "against.jsonl"), ...out];
    case "data mix":
      return [...name, "--recipe", mix, ...out];
    case "pretrain":
      return [
        ...name,
        "--text",
        from,
        "--steps",
        "1",
        "--layers",
        "1",
        "--width",
        "32",
        "--heads",
        "1",
        "--dry-run",
        ...out,
      ];
    default:
      return [...name, from];
  }
};

describe("verbs that read documents", () => {
  beforeAll(async () => {
    const made = await run([
      "tokenizer",
      "train",
      input,
      "--text-field",
      "body",
      "--vocab-size",
      "300",
      "--out",
      join(root, "tokenizer"),
    ]);
    expect(made.code, made.err).toBe(0);
    expect(made.out).toMatch(
      /^read 1 file, 60 documents \(60 rows\)\nskipped 1 no_text: .*in\.jsonl, line 62: has no "body"/,
    );
  });

  it.each(words)(
    "%s reports what it read and skipped, and fails where that is nothing",
    { timeout: 60_000 },
    async (verb) => {
      const field = ["--text-field", "body"];
      const call = callOf(verb, input, join(root, "mix.json"));
      const strict = await run([...call, ...field, "--strict"]);
      expect(strict.code, strict.err).toBe(1);
      expect(strict.err).toMatch(/--strict stops at damaged input/);
      const { code, out, err } = await run([...call, ...field, "--json"]);
      expect(code, err).toBe(0);
      expect(JSON.parse(out.trim().split("\n").at(-1) ?? "")).toMatchObject(REPORT);
      const nothing = await run(callOf(verb, empty, join(root, "mix-none.json")));
      expect(nothing.code, nothing.err).toBe(1);
      expect(nothing.err).toMatch(/no text in .*none\.jsonl: skipped 1 no_text: .*none\.jsonl, .*: has no "text"/);
    },
  );

  it("keeps the report in the manifests", () => {
    const json = (verb: string, name: string) =>
      JSON.parse(readFileSync(join(root, `${verb}-${input.length}`, name), "utf8"));
    expect(json("data-clean", "manifest.json")).toMatchObject(REPORT);
    expect(json("data-deduplicate", "deduplicate.json")).toMatchObject(REPORT);
    expect(json("data-decontaminate", "decontaminate.json")).toMatchObject(REPORT);
    expect(json("data-mix", "mix.json")).toMatchObject(REPORT);
    expect(json("tokenizer-encode", "shards.json")).toMatchObject(REPORT);
    const report = readFileSync(join(root, `data-clean-${input.length}`, "report.html"), "utf8");
    expect(report).toMatch(/not_json.*a line that is not JSON.*<td class="number">1</);
  });
});
