import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  bandProbability,
  canonicalUrl,
  type DeduplicateOptions,
  deduplicate,
} from "../../src/data/deduplicate/deduplicate.js";
import { TextCounts } from "../../src/data/deduplicate/repeated.js";

interface Line {
  readonly id: string;
  readonly text: string;
  readonly [field: string]: unknown;
}
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-deduplicate-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const parse = async (path: string) =>
  (await readFile(path, "utf8"))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
let runs = 0;
async function run(lines: readonly Line[], options: Omit<DeduplicateOptions, "inputs" | "out">) {
  runs += 1;
  const input = join(folder, `input-${runs}.jsonl`);
  const out = join(folder, `out-${runs}`);
  await writeFile(input, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const result = await deduplicate({ inputs: [input], out, ...options });
  expect((await readdir(out)).sort()).toEqual(["deduplicate.json", "documents", "removed.jsonl"]);
  const kept = (await parse(join(out, "documents", "00000.jsonl"))) as Line[];
  return { result, kept, ids: kept.map(({ id }) => id), removed: await parse(join(out, "removed.jsonl")) };
}

let state = 7;
const random = (n: number) => {
  state = (state * 48271) % 2147483647;
  return state % n;
};
/** A word of letters: numbers would all be the same in the normal form. */
const word = (n: number) =>
  `w${[...n.toString(26)].map((digit) => "abcdefghijklmnopqrstuvwxyz"[Number.parseInt(digit, 26)]).join("")}`;
const words = (count: number) => Array.from({ length: count }, () => word(random(5000)));
/** Word 5-grams that two texts share, as a part of all that they have. */
function jaccard(a: readonly string[], b: readonly string[]): number {
  const grams = (list: readonly string[]) => new Set(list.slice(4).map((_, i) => list.slice(i, i + 5).join(" ")));
  const [x, y] = [grams(a), grams(b)];
  const both = [...x].filter((gram) => y.has(gram)).length;
  return both / (x.size + y.size - both);
}

describe("deduplicate", () => {
  it("by address keeps the longest of each page", async () => {
    const lines = [
      { id: "a", text: "short", url: "http://x.test/p" },
      { id: "b", text: "much longer text", url: "https://www.x.test/p/?utm_source=y#z", note: 1 },
      { id: "c", text: "other page", url: "http://x.test/p?q=1" },
      { id: "d", text: "no address" },
      { id: "e", text: "no address" },
    ];
    const { ids, removed, kept, result } = await run(lines, { by: "url" });
    expect(ids).toEqual(["b", "c", "d", "e"]);
    expect(removed).toEqual([{ id: "a", reason: "same address", kept: "b", cluster: 0, size: 2 }]);
    expect(kept[0]).toMatchObject({ id: "b", note: 1, url: "https://www.x.test/p/?utm_source=y#z" });
    expect(result).toMatchObject({ documents: 5, kept: 4, clusters: 1 });
    expect((await run(lines, { by: "url", keep: "first" })).ids).toEqual(["a", "c", "d", "e"]);
    expect(canonicalUrl("HTTP://WWW.X.test:80/a/")).toBe("x.test/a");
  });

  it("by document removes equal texts, by quality keeps the best", async () => {
    const lines = [
      { id: "a", text: "same", quality: 1 },
      { id: "b", text: "same", quality: 3 },
      { id: "c", text: "Same", quality: 9 },
    ];
    expect((await run(lines, { by: "document" })).ids).toEqual(["a", "c"]);
    expect((await run(lines, { by: "document", keep: "quality" })).ids).toEqual(["b", "c"]);
  });

  it("by line and paragraph agrees with a brute force, for either rule", async () => {
    const line = fc.constantFrom("one", "two", "three", " ", "", "a longer line of text");
    const document = fc.array(line, { maxLength: 8 }).map((lines) => lines.join("\n"));
    await fc.assert(
      fc.asyncProperty(
        fc.array(document, { minLength: 1, maxLength: 8 }),
        fc.constantFrom("line" as const, "paragraph" as const),
        fc.constantFrom("first" as const, "none" as const),
        async (texts, by, keep) => {
          const lines = texts.map((text, i) => ({ id: `${i}`, text })).filter(({ text }) => text.trim() !== "");
          const split = (text: string) => text.split(by === "line" ? "\n" : /\n[ ]*\n\s*/);
          const all = lines.flatMap(({ text }) => split(text));
          const seen = new Set<string>();
          const expected = lines.flatMap(({ id, text }) => {
            const pieces = split(text);
            const left = pieces.filter((piece) => {
              if (piece.trim() === "") return true;
              const copies =
                keep === "none" ? all.filter((other) => other === piece).length - 1 : Number(seen.has(piece));
              seen.add(piece);
              return copies === 0;
            });
            const rest = left.length === pieces.length ? text : left.join(by === "line" ? "\n" : "\n\n");
            return rest.trim() === "" ? [] : [[id, rest]];
          });
          const { kept } = await run(lines, { by, keep });
          expect(kept.map(({ id, text }) => [id, text])).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("by near finds pairs as often as the bands' curve says, and leaves unlike documents alone", async () => {
    const lines: Line[] = [];
    const pairs: { readonly similarity: number; readonly ids: readonly [string, string] }[] = [];
    for (let i = 0; i < 400; i++) {
      const original = words(120);
      // Changing words that lie far apart takes five n-grams away for each.
      const changes = 1 + random(12);
      const copy = [...original];
      for (let j = 0; j < changes; j++) copy[random(120)] = word(5000 + random(1e6));
      const ids = [`${i}a`, `${i}b`] as const;
      lines.push({ id: ids[0], text: original.join(" ") }, { id: ids[1], text: `${copy.join(" ")}.` });
      pairs.push({ similarity: jaccard(original, copy), ids });
    }
    const { removed, ids } = await run(lines, { by: "near" });
    const gone = new Set(removed.map((line: Line) => line.id));
    let [expected, variance, found] = [0, 0, 0];
    for (const { similarity, ids } of pairs) {
      const p = bandProbability(similarity, 14, 8);
      expected += p;
      variance += p * (1 - p);
      if (ids.some((id) => gone.has(id))) found += 1;
    }
    expect(Math.abs(found - expected)).toBeLessThan(3 * Math.sqrt(variance) + 1);
    // Nothing else is joined: a removed document's partner is the one that stayed.
    for (const line of removed as (Line & { kept: string; size: number })[]) {
      expect([line.size, Number.parseInt(line.kept, 10)]).toEqual([2, Number.parseInt(line.id, 10)]);
    }
    // Twice changes nothing, and the order of the input decides nothing.
    const again = await run(
      lines.filter(({ id }) => ids.includes(id)),
      { by: "near" },
    );
    expect(again.removed).toEqual([]);
    const turned = await run([...lines].reverse(), { by: "near" });
    expect([...turned.ids].sort()).toEqual([...ids].sort());
  });

  it("by near joins what hangs together through others, and keeps texts too short for an n-gram", async () => {
    const base = words(200);
    const chain = [0, 1, 2, 3].map((i) => [...words(i * 5), ...base.slice(i * 5)].join(" "));
    const lines = [
      ...chain.map((text, i) => ({ id: `c${i}`, text })),
      { id: "s1", text: "too short" },
      { id: "s2", text: "too short" },
    ];
    const { ids, removed } = await run(lines, { by: "near", rows: 4, bands: 28 });
    expect(ids.filter((id) => id.startsWith("s"))).toEqual(["s1", "s2"]);
    expect(removed.map((line: { size: number }) => line.size)).toEqual([4, 4, 4]);
  });

  it("refuses what makes no sense and counts what is no document", async () => {
    const lines = [{ id: "a", text: "x" }];
    await expect(run(lines, { by: "line", keep: "longest" })).rejects.toThrow(/the first copy is kept, or none/);
    await expect(run(lines, { by: "near", keep: "none" })).rejects.toThrow(/one copy is kept/);
    await expect(deduplicate({ inputs: [join(folder, "none")], out: folder, by: "url" })).rejects.toThrow(
      /there is no such file/,
    );
    await writeFile(join(folder, "bad.jsonl"), '{"id":1}\nnot json\n{"text":"good"}\n');
    const result = await deduplicate({ inputs: [join(folder, "bad.jsonl")], out: join(folder, "o"), by: "document" });
    expect(result).toMatchObject({ documents: 1, kept: 1, skipped: { no_text: 1, not_json: 1 } });
  });
});

describe("TextCounts", () => {
  it("counts like a Map while its table grows and long texts come", () => {
    const counts = new TextCounts();
    const expected = new Map<string, number>();
    for (let i = 0; i < 150_000; i++) {
      const text = i % 5000 === 0 ? `${random(9)}`.repeat(100_000 + i) : `text ${random(90_000)}`;
      const before = expected.get(text) ?? 0;
      expected.set(text, before + 1);
      if (counts.add(text) !== before) throw new Error(`${i}: ${text.slice(0, 30)}`);
    }
    expect(counts.size).toBe(expected.size);
    expect(counts.count("never")).toBe(0);
  });
});
