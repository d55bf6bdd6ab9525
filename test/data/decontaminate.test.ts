import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BenchmarkGrams, type DecontaminateOptions, decontaminate } from "../../src/data/index.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-decontaminate-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let number = 0;
const lines = (records: readonly object[]) => records.map((each) => `${JSON.stringify(each)}\n`).join("");
function write(name: string, records: readonly object[]): string {
  const folder = join(root, String(number++));
  mkdirSync(folder);
  writeFileSync(join(folder, name), lines(records));
  return join(folder, name);
}
const read = (path: string): Record<string, unknown>[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const words = (from: number, count: number, name = "w") =>
  Array.from({ length: count }, (_, i) => `${name}${from + i}`).join(" ");

async function run(
  documents: readonly object[],
  sets: Readonly<Record<string, readonly object[]>>,
  options: Partial<DecontaminateOptions> = {},
) {
  const out = join(root, `out-${number++}`);
  const against = Object.entries(sets).map(([name, examples]) => write(name, examples));
  const result = await decontaminate({ inputs: [write("text.jsonl", documents)], against, out, ...options });
  const kept = readdirSync(join(out, "documents"))
    .sort()
    .flatMap((name) => read(join(out, "documents", name)));
  return {
    out,
    result,
    kept,
    removed: read(join(out, "removed.jsonl")),
    found: read(join(out, "contamination.jsonl")),
  };
}

describe("decontamination", () => {
  it("removes documents that share an n-gram with an example, and names the example", async () => {
    const documents = [
      { id: "clean", text: words(0, 40, "other") },
      { id: "question", text: `Before it. ${words(100, 13).toUpperCase()}, and after.` },
      { id: "twelve", text: `${words(100, 12)} but not the thirteenth` },
      { id: "both", text: `${words(103, 13)} … ${words(200, 20)}` },
    ];
    const sets = {
      "gsm.jsonl": [
        { id: "q1", question: words(100, 20), answer: "42" },
        { id: "q2", question: words(500, 20) },
      ],
      "arc.jsonl": [{ question: { stem: words(200, 15), choices: ["a", "b"] } }],
    };
    const { kept, removed, found, result } = await run(documents, sets);
    expect(kept.map(({ id }) => id)).toEqual(["clean", "twelve"]);
    expect(removed.map(({ id, reason }) => [id, reason])).toEqual([
      ["question", "overlaps gsm"],
      ["both", "overlaps arc"],
    ]);
    expect(removed[1].examples).toEqual([
      { benchmark: "arc", example: "1", share: 1 },
      { benchmark: "gsm", example: "q1", share: 1 / 8 },
    ]);
    expect(found.map(({ benchmark, example, documents }) => [benchmark, example, documents])).toEqual([
      ["arc", "1", 1],
      ["gsm", "q1", 2],
    ]);
    expect(result).toMatchObject({ documents: 4, kept: 2, cut: 0 });
    expect(result.benchmarks.map(({ name, examples, found, documents }) => [name, examples, found, documents])).toEqual(
      [
        ["gsm", 2, 1, 2],
        ["arc", 1, 1, 1],
      ],
    );
  });

  it("with a threshold requires that share of an example's n-grams", async () => {
    const sets = { "set.jsonl": [{ id: 1, text: words(0, 17) }] }; // ten 8-grams
    const documents = [
      { id: "half", text: `begin ${words(0, 12)} end` }, // five of them
      { id: "less", text: `begin ${words(0, 11)} end` },
      { id: "twice", text: `${words(0, 11)} and again ${words(0, 11)} end` }, // four, seen twice
    ];
    const { kept } = await run(documents, sets, { ngram: 8, threshold: 0.5 });
    expect(kept.map(({ id }) => id)).toEqual(["less", "twice"]);
  });

  it("cuts overlapping spans and keeps the rest with all fields", async () => {
    const sets = { "set.jsonl": [{ text: `${words(0, 14)}` }] };
    const documents = [
      { id: "middle", url: "https://a.example/", quality: 0.5, text: `Ein Café. ${words(0, 14)} Ünd ein Ende 👋.` },
      { id: "all", text: words(0, 14) },
      { id: "none", text: "nothing to see" },
    ];
    const { kept, removed, result } = await run(documents, sets, { remove: "span" });
    expect(kept[0]).toMatchObject({
      id: "middle",
      url: "https://a.example/",
      quality: 0.5,
      text: "Ein Café. Ünd ein Ende 👋.",
    });
    expect(kept.map(({ id }) => id)).toEqual(["middle", "none"]);
    expect(removed.map(({ id, reason }) => [id, reason])).toEqual([
      ["middle", "cut"],
      ["all", "overlaps set"],
    ]);
    expect(result).toMatchObject({ kept: 2, cut: 1 });
  });

  it("ignores case, diacritics and punctuation, and handles scripts without spaces", async () => {
    const japanese = "吾輩は猫である。名前はまだ無い。どこで生れたか";
    const sets = {
      "set.jsonl": [
        { text: "El Niño és — l'été: Straße, “Quoted”, ONE two; three 4 five six seven" },
        { text: japanese },
      ],
    };
    const documents = [
      { id: "same", text: "el nino es l ete straße quoted one two three 4 five six seven" },
      {
        id: "decomposed",
        text: "el nin\u0303o e\u0301s l e\u0301te\u0301 straße quoted one two three 4 five six seven",
      },
      { id: "cat", text: `「${japanese.replaceAll("。", "、")}」` },
      { id: "other", text: "吾輩は犬である。名前はもうある。" },
    ];
    const { kept } = await run(documents, sets);
    expect(kept.map(({ id }) => id)).toEqual(["other"]);
  });

  it("compares short examples whole, and counts examples that are too short", async () => {
    const sets = { "set.jsonl": [{ text: words(0, 9) }, { text: words(50, 7) }] };
    const documents = [
      { id: "nine", text: `x ${words(0, 9)} y` },
      { id: "eight", text: `x ${words(0, 8)} y` },
      { id: "seven", text: `x ${words(50, 7)} y` },
    ];
    const { kept, result } = await run(documents, sets);
    expect(kept.map(({ id }) => id)).toEqual(["eight", "seven"]);
    expect(result.benchmarks[0]).toMatchObject({ examples: 2, tooShort: 1, found: 1 });
  });

  it("agrees with brute-force comparison of all n-grams", async () => {
    const word = fc.constantFrom("a", "b", "c");
    const text = fc.array(word, { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 5 }),
        text,
        fc.integer({ min: 1, max: 5 }),
        async (examples, document, n) => {
          const long = examples.filter((each) => each.length >= n);
          fc.pre(long.length > 0);
          const file = write(
            "set.jsonl",
            long.map((each) => ({ text: each.join(" ") })),
          );
          const grams = new BenchmarkGrams(n);
          await grams.add(file);
          const setOf = (list: readonly string[]) =>
            new Set(Array.from({ length: Math.max(0, list.length - n + 1) }, (_, i) => list.slice(i, i + n).join(" ")));
          const own = setOf(document);
          const expected = long.flatMap((each, i) => {
            const all = [...setOf(each)];
            const share = all.filter((gram) => own.has(gram)).length / all.length;
            return share > 0 ? [{ benchmark: "set", example: String(i + 1), share }] : [];
          });
          const { examples: found } = grams.find(document.join(" "));
          expect([...found].sort((a, b) => Number(a.example) - Number(b.example))).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("writes the same bytes for any number of workers and when repeated", async () => {
    const documents = Array.from({ length: 50 }, (_, i) => ({ id: `d${i}`, text: words(i * 7, 30) }));
    const set = write("set.jsonl", [{ text: words(100, 13) }]);
    const inputs = [0, 1, 2].map((part) =>
      write(
        `part-${part}.jsonl`,
        documents.filter((_, i) => i % 3 === part),
      ),
    );
    const outputs = [];
    for (const workers of [1, 2]) {
      const out = join(root, `workers-${workers}`);
      await decontaminate({ inputs, against: [set], out, workers });
      outputs.push(
        ["removed.jsonl", "contamination.jsonl", "documents/00000.jsonl", "documents/00002.jsonl"].map((name) =>
          readFileSync(join(out, name), "utf8"),
        ),
      );
    }
    expect(outputs[1]).toEqual(outputs[0]);
    const out = join(root, "workers-1");
    const again = join(root, "again");
    const second = await decontaminate({ inputs: [join(out, "documents")], against: [set], out: again });
    expect(second.kept).toBe(second.documents);
  });

  it("reports invalid inputs and evaluation sets", async () => {
    const text = write("text.jsonl", [{ text: words(0, 30) }, { text: words(100, 30) }]);
    const out = join(root, "wrong");
    const call = (against: string, inputs = [text]) => decontaminate({ inputs, against: [against], out });
    await expect(call(text)).rejects.toThrow(/is both an input and an evaluation set/);
    await expect(call(write("copy.jsonl", read(text)))).rejects.toThrow(/all 2 documents overlap with/);
    // The findings are written nevertheless.
    expect(read(join(out, "contamination.jsonl"))).toHaveLength(2);
    expect(read(join(out, "removed.jsonl"))).toHaveLength(2);
    await expect(call(join(root, "none.jsonl"))).rejects.toThrow(/no such file/);
    await expect(call(write("empty.jsonl", []))).rejects.toThrow(/it has no example/);
    await expect(call(write("short.jsonl", [{ text: "too short" }]))).rejects.toThrow(
      /none of its 1 examples has 8 words/,
    );
    const broken = join(root, "broken.jsonl");
    writeFileSync(broken, '{"text": "a"}\n{"text": \n');
    await expect(call(broken)).rejects.toThrow(/broken.jsonl, line 2: not valid JSON/);
  });
});
