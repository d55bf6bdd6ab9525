import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bandProbability, type DeduplicateOptions, deduplicate } from "../../src/data/deduplicate/deduplicate.js";
import { canonicalUrl } from "../../src/data/deduplicate/index-part.js";

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
/** Deduplicates lines in one file, or each list of lines in a file of its own. */
async function run(
  lines: readonly Line[] | readonly (readonly Line[])[],
  { name, ...options }: Omit<DeduplicateOptions, "inputs" | "out"> & { readonly name?: string },
) {
  runs += 1;
  const shards = (Array.isArray(lines[0]) ? lines : [lines]) as readonly (readonly Line[])[];
  const names = shards.map((_, i) => name ?? `input-${runs}-${i}.jsonl`);
  const out = join(folder, `out-${runs}`);
  for (const [i, shard] of shards.entries()) {
    await writeFile(join(folder, names[i]), shard.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  const result = await deduplicate({ inputs: names.map((file) => join(folder, file)), out, ...options });
  const files = await readdir(join(out, "documents"));
  const kept = (await Promise.all(files.sort().map((file) => parse(join(out, "documents", file))))).flat() as Line[];
  const ofDocuments = options.by === "url" || options.by === "document" || options.by === "near";
  const beside = ofDocuments ? ["clusters.jsonl"] : options.by === "substring" ? [] : ["repeated.jsonl"];
  // Intermediate files are deleted.
  expect((await readdir(out)).sort()).toEqual(
    [".quern.json", ...beside, "deduplicate.json", "documents", "removed.jsonl"].sort(),
  );
  const removed = await parse(join(out, "removed.jsonl"));
  const repeated = beside[0] === "repeated.jsonl" ? await parse(join(out, "repeated.jsonl")) : [];
  return { result, kept, ids: kept.map(({ id }) => id), removed, repeated, name: names[0] };
}

let state = 7;
const random = (n: number) => {
  state = (state * 48271) % 2147483647;
  return state % n;
};
/** Spells a number in letters, because the normal form maps all numbers to 0. */
const word = (n: number) =>
  `w${[...n.toString(26)].map((digit) => "abcdefghijklmnopqrstuvwxyz"[Number.parseInt(digit, 26)]).join("")}`;
const words = (count: number) => Array.from({ length: count }, () => word(random(5000)));
/** Returns the Jaccard similarity of two texts' word 5-grams. */
function jaccard(a: readonly string[], b: readonly string[]): number {
  const grams = (list: readonly string[]) => new Set(list.slice(4).map((_, i) => list.slice(i, i + 5).join(" ")));
  const [x, y] = [grams(a), grams(b)];
  const both = [...x].filter((gram) => y.has(gram)).length;
  return both / (x.size + y.size - both);
}

describe("deduplicate", () => {
  it("by url keeps the longest copy of each page", async () => {
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

  it("by document removes equal texts and keeps the best by quality", async () => {
    const lines = [
      { id: "a", text: "same", quality: 1 },
      { id: "b", text: "same", quality: 3 },
      { id: "c", text: "Same", quality: 9 },
    ];
    // One of several equal texts stays, and input order does not decide which.
    const { kept, removed } = await run(lines, { by: "document" });
    expect(kept.map(({ text, copies }) => [text, copies])).toEqual([
      ["same", 2],
      ["Same", undefined],
    ]);
    expect(removed).toEqual([{ ...removed[0], reason: "same text", kept: kept[0].id, cluster: 0, size: 2 }]);
    expect((await run([...lines].reverse(), { by: "document" })).ids).toEqual(["c", kept[0].id]);
    expect((await run(lines, { by: "document", keep: "quality" })).ids).toEqual(["b", "c"]);
  });

  it("by line and paragraph agrees with brute force, for either --keep", async () => {
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

  it("by near finds pairs as often as the band probability predicts, and keeps dissimilar documents", async () => {
    const lines: Line[] = [];
    const pairs: { readonly similarity: number; readonly ids: readonly [string, string] }[] = [];
    for (let i = 0; i < 400; i++) {
      const original = words(120);
      // Changing words far apart from each other removes five n-grams per word.
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
    // Nothing else is joined: each removed document names its own partner.
    for (const line of removed as (Line & { kept: string; size: number })[]) {
      expect([line.size, Number.parseInt(line.kept, 10)]).toEqual([2, Number.parseInt(line.id, 10)]);
    }
    // Deduplicating again changes nothing, and input order does not matter.
    const again = await run(
      lines.filter(({ id }) => ids.includes(id)),
      { by: "near" },
    );
    expect(again.removed).toEqual([]);
    const turned = await run([...lines].reverse(), { by: "near" });
    expect([...turned.ids].sort()).toEqual([...ids].sort());
  });

  it("by near finds the same clusters as datatrove", async () => {
    // datatrove ran with words split at spaces, as here (test/oracle/datatrove_clusters.py). It never joins texts shorter
    // than one n-gram; Quern joins them with their copies.
    const path = join(import.meta.dirname, "fixtures", "datatrove-clusters.json");
    const { documents, clusters } = JSON.parse(await readFile(path, "utf8"));
    const isShort = (id: number) => documents[id].split(/\s+/).length < 5;
    const lines = (documents as string[]).map((text, i) => ({ id: `${i}`, text }));
    const { removed } = await run(lines, { by: "near" });
    const found = new Map<string, number[]>();
    for (const { id, kept } of removed as { id: string; kept?: string }[]) {
      if (kept === undefined) continue;
      const members = found.get(kept) ?? [Number(kept)];
      found.set(kept, [...members, Number(id)]);
    }
    const order = (list: readonly number[]) => [...list].sort((a, b) => a - b);
    const long = [...found.values()].filter((list) => !list.some(isShort)).map(order);
    expect(long.sort(([a], [b]) => a - b)).toEqual(clusters);
    expect(clusters.length).toBeGreaterThan(20);
  });

  it("by near joins documents transitively, and texts too short for an n-gram with their copies", async () => {
    const base = words(200);
    const chain = [0, 1, 2, 3].map((i) => [...words(i * 5), ...base.slice(i * 5)].join(" "));
    const lines = [
      ...chain.map((text, i) => ({ id: `c${i}`, text })),
      { id: "s1", text: "too short" },
      { id: "s2", text: "Too short!" },
      { id: "s3", text: "too shirt" },
      { id: "s4", text: "!!!" },
      { id: "s5", text: "???" },
    ];
    const { ids, removed } = await run(lines, { by: "near", rows: 4, bands: 28 });
    expect(ids.filter((id) => id.startsWith("s"))).toEqual(["s2", "s3", "s4", "s5"]);
    expect(removed.map((line: { size: number }) => line.size)).toEqual([4, 4, 4, 2]);
  });

  it("by sentence cuts and counts spans of three sentences that occurred before", async () => {
    const span = "We use cookies. They are good for you! Do you accept?";
    const lines = [
      { id: "a", text: `One here. ${span} Two there.` },
      { id: "b", text: `${span} “Three.” Four, and 3.5 of it.` },
      { id: "c", text: "They are good for you! Do you accept? No." },
    ];
    const { kept, removed, repeated } = await run(lines, { by: "sentence" });
    expect(kept.map(({ text }) => text)).toEqual([lines[0].text, "“Three.” Four, and 3.5 of it.", lines[2].text]);
    expect(removed).toEqual([{ id: "b", reason: "cut", pieces: 3, kept: ["a"] }]);
    expect(repeated).toEqual([{ text: span, count: 2, first: "a" }]);
    // Two of the spans occur in all documents.
    expect((await run(lines, { by: "sentence", sentences: 2, keep: "none" })).ids).toEqual(["a", "b", "c"]);
  });

  it("counts the occurrences of each line and names the document that keeps it", async () => {
    const lines = [
      { id: "a", text: "menu\nfirst" },
      { id: "b", text: "menu\nsecond\nmenu" },
      { id: "c", text: "menu" },
    ];
    const { kept, removed, repeated, result } = await run(lines, { by: "line" });
    expect(kept.map(({ text }) => text)).toEqual(["menu\nfirst", "second"]);
    expect(removed).toEqual([
      { id: "b", reason: "cut", pieces: 2, kept: ["a"] },
      { id: "c", reason: "nothing left", pieces: 1, kept: ["a"] },
    ]);
    expect(repeated).toEqual([{ text: "menu", count: 4, first: "a" }]);
    expect(result).toMatchObject({ clusters: 1, pieces: 3 });
  });

  it("by url, document and near is idempotent and independent of order and sharding", async () => {
    const text = fc.array(fc.constantFrom("alpha", "beta", "gamma", "delta"), { minLength: 1, maxLength: 9 });
    const document = fc.record({ text, url: fc.integer({ min: 0, max: 4 }), quality: fc.integer({ min: 0, max: 2 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(document, { minLength: 1, maxLength: 12 }),
        fc.constantFrom("url" as const, "document" as const, "near" as const),
        fc.constantFrom("longest" as const, "quality" as const, "first" as const),
        fc.integer(),
        async (documents, by, keep, seed) => {
          const lines = documents.map(({ text, url, quality }, i) => ({
            id: `${i}`,
            text: text.join(" "),
            url: `http://x.test/${url}`,
            quality,
          }));
          const once = await run(lines, { by, keep, rows: 2 });
          const twice = await run(once.kept, { by, keep, rows: 2 });
          expect(twice.kept.map(({ source: _, ...line }) => line)).toEqual(once.kept.map(({ source: _, ...l }) => l));
          expect(twice.removed).toEqual([]);
          if (keep === "first") return;
          state = 1 + (Math.abs(seed) % 1000);
          const turned = lines.map((line) => [random(1e6), line] as const).sort(([a], [b]) => a - b);
          const half = turned.length >> 1;
          const shards = [turned.slice(0, half), turned.slice(half)].map((shard) => shard.map(([, line]) => line));
          expect((await run(shards, { by, keep, rows: 2 })).ids.sort()).toEqual([...once.ids].sort());
        },
      ),
      { numRuns: 15 },
    );
  });

  it("writes the same output with many parts and worker threads as with one, and resumes a stopped run", async () => {
    const lines = Array.from({ length: 300 }, (_, i) => ({ id: `${i}`, text: words(20 + (i % 7)).join("\n") }));
    for (let i = 0; i < 100; i++) lines.push({ id: `copy ${i}`, text: lines[3 * i].text });
    for (const by of ["near", "line", "substring"] as const) {
      const whole = await run(lines, { by });
      const parts = await run(lines, { by, stretch: 5000, workers: 2, name: whole.name });
      const gone = (list: readonly Line[]) => list.map(({ origin: _, ...line }) => line);
      expect(gone(parts.kept)).toEqual(gone(whole.kept));
      expect(parts.removed).toEqual(whole.removed);
      expect(parts.repeated).toEqual(whole.repeated);
      // A stopped run leaves its work folder, and the next call resumes from it.
      const stop = new AbortController();
      const out = join(folder, `stopped-${by}`);
      const input = join(folder, whole.name);
      const onProgress = ({ task }: { task: string }) => task === "compare" && stop.abort();
      const call = { inputs: [input], out, by, stretch: 5000 };
      await expect(deduplicate({ ...call, signal: stop.signal, onProgress })).rejects.toThrow(/abort/i);
      expect(await readdir(out)).toEqual([".deduplicate", ".quern.json"]);
      const tasks: string[] = [];
      await deduplicate({ ...call, onProgress: ({ task }) => void tasks.push(task) });
      expect(tasks).not.toContain("read");
      expect(await parse(join(out, "removed.jsonl"))).toEqual(whole.removed);
    }
  });

  it("does not merge empty texts, single words or equal ids, and reports unreadable lines", async () => {
    const lines = [
      { id: "same", text: "word" },
      { id: "same", text: "" },
      { id: "same", text: "a text of more than five words" },
      { id: "same", text: "a text of more than five words" },
    ];
    const { kept, removed, result } = await run(lines, { by: "near" });
    expect(kept.map(({ text }) => text)).toEqual(["word", lines[2].text]);
    expect(removed).toEqual([
      { id: "same", where: expect.stringMatching(/jsonl, byte 28$/), reason: "empty" },
      { id: "same", reason: "nearly the same text", kept: "same", cluster: 0, size: 2 },
    ]);
    expect(result.skipped).toEqual({ empty: 1 });
    const path = join(folder, "broken.jsonl");
    await writeFile(
      path,
      Buffer.concat([Buffer.from('{"text":"'), Buffer.from([0xff]), Buffer.from('"}\n{"text":"x"}\n')]),
    );
    const broken = await deduplicate({ inputs: [path], out: join(folder, "broken"), by: "substring" });
    expect(broken).toMatchObject({ documents: 1, kept: 1, skipped: { not_utf8: 1 } });
  });

  it("rejects conflicting options and counts lines that are not documents", async () => {
    const lines = [{ id: "a", text: "x" }];
    await expect(run(lines, { by: "line", keep: "longest" })).rejects.toThrow(/supports --keep first and --keep none/);
    await expect(run(lines, { by: "near", keep: "none" })).rejects.toThrow(/always keeps one copy/);
    // A second run would read the output of this one.
    for (const out of [folder, join(folder, "in", "it")])
      await expect(deduplicate({ inputs: [folder], out, by: "url" })).rejects.toThrow(
        /the output .*(is|is inside) the input/,
      );
    await expect(deduplicate({ inputs: [join(folder, "none")], out: join(folder, "n"), by: "url" })).rejects.toThrow(
      /there is no such file/,
    );
    await writeFile(join(folder, "bad.jsonl"), '{"id":1}\nnot json\n{"text":"good"}\n');
    const result = await deduplicate({ inputs: [join(folder, "bad.jsonl")], out: join(folder, "o"), by: "document" });
    expect(result).toMatchObject({ documents: 1, kept: 1, skipped: { no_text: 1, not_json: 1 } });
  });
});
