import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DeduplicateOptions, deduplicate } from "../../src/data/deduplicate/deduplicate.js";
import { wholeCharacters } from "../../src/data/deduplicate/substring/spans.js";
import { SuffixText } from "../../src/data/deduplicate/substring/suffixes.js";
import { saveTokenizer, trainTokenizer } from "../../src/tokenizer/index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-substring-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let runs = 0;
async function run(texts: readonly string[], options: Partial<DeduplicateOptions>) {
  runs += 1;
  const input = join(folder, `input-${runs}.jsonl`);
  const out = join(folder, `out-${runs}`);
  await writeFile(input, texts.map((text, id) => `${JSON.stringify({ id: `${id}`, text })}\n`).join(""));
  const result = await deduplicate({ inputs: [input], out, by: "substring", ...options });
  const lines = async (name: string) =>
    (await readFile(join(out, name), "utf8"))
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  return { result, kept: await lines("documents/00000.jsonl"), removed: await lines("removed.jsonl") };
}

/** Marks the bytes of each text that are in a window with an equal one earlier (with `none`: anywhere else). */
function repeatedBytes(texts: readonly Uint8Array[], window: number, none: boolean): boolean[][] {
  const seen = new Map<string, number>();
  const windows = texts.map((text) =>
    Array.from({ length: Math.max(0, text.length - window + 1) }, (_, i) =>
      Buffer.from(text.subarray(i, i + window)).toString("latin1"),
    ),
  );
  for (const key of windows.flat()) seen.set(key, (seen.get(key) ?? 0) + 1);
  const before = new Set<string>();
  return windows.map((list, n) => {
    const marks = new Array<boolean>(texts[n].length).fill(false);
    for (const [i, key] of list.entries()) {
      if (none ? (seen.get(key) as number) > 1 : before.has(key)) marks.fill(true, i, i + window);
      before.add(key);
    }
    return marks;
  });
}

describe("suffix arrays", () => {
  it("are sorted for bytes and numbers, random and repetitive", () => {
    const letter = fc.integer({ min: 0, max: 3 });
    const repeated = fc
      .tuple(fc.array(letter, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 60 }))
      .map(([part, times]) => Array.from({ length: part.length * times }, (_, i) => part[i % part.length]));
    const text = fc.oneof(fc.array(letter, { maxLength: 120 }), repeated);
    const order = (wide: boolean, values: readonly number[]) => {
      const suffixes = new SuffixText(values.length, wide, wide ? 4 : 256);
      suffixes.text.set(values);
      return [...suffixes.sort()];
    };
    fc.assert(
      fc.property(text, (values) => {
        const suffix = (i: number) => String.fromCharCode(...values.slice(i).map((value) => 65 + value));
        const expected = values.map((_, i) => i).sort((a, b) => (suffix(a) < suffix(b) ? -1 : 1));
        expect(order(false, values)).toEqual(expected);
        expect(order(true, values)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("sort texts longer than one kernel block, and texts whose names repeat", () => {
    let state = 1;
    const next = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    const blocks = Array.from({ length: 40 }, () => Array.from({ length: 50 }, () => next(7)));
    const text = Buffer.from(Array.from({ length: 3000 }, () => blocks[next(40)]).flat());
    const suffixes = new SuffixText(text.length, false);
    suffixes.text.set(text);
    const order = suffixes.sort();
    expect(text.length).toBeGreaterThan(2 ** 17);
    const seen = new Uint8Array(text.length);
    for (let i = 0; i < order.length; i++) {
      seen[order[i]] = 1;
      if (i > 0 && Buffer.compare(text.subarray(order[i - 1]), text.subarray(order[i])) >= 0) throw new Error(`${i}`);
    }
    expect(seen.every((times) => times === 1)).toBe(true);
  });

  it("find repeated windows of any length, but none across a separator", () => {
    const unit = fc.array(fc.constantFrom(97, 98, 255), { minLength: 1, maxLength: 30 });
    const text = fc
      .array(fc.tuple(unit, fc.integer({ min: 1, max: 8 })), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.flatMap(([part, times]) => Array.from({ length: times }, () => part).flat()));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 70 }), fc.boolean(), (values, window, wide) => {
        const suffixes = new SuffixText(values.length, wide);
        suffixes.text.set(values);
        const starts = suffixes
          .repeats(window, 255, false)
          .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
        const seen = new Set<string>();
        const expected = Array.from({ length: Math.max(0, values.length - window + 1) }, (_, i) => i).filter((i) => {
          const piece = values.slice(i, i + window);
          if (piece.includes(255)) return false;
          const again = seen.has(piece.join());
          seen.add(piece.join());
          return again;
        });
        expect(starts).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

describe("deduplicate by substring", () => {
  it("cuts exactly the windows that brute force finds, for any part size and either --keep", async () => {
    const piece = fc.constantFrom("abcabc", "the same ", "é€", "𝄞", "xyz", "a", "aaaaaaaa", "\n");
    const text = fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(""));
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom("first" as const, "none" as const),
        async (all, length, keep) => {
          const texts = all.filter((one) => one.trim() !== "");
          const bytes = texts.map((one) => Buffer.from(one));
          const marks = repeatedBytes(bytes, length, keep === "none");
          const expected = texts.flatMap((one, n) => {
            // A character is cut if all its bytes are.
            let at = 0;
            const left = [...one].filter((character) => {
              const start = at;
              at += Buffer.byteLength(character);
              return !marks[n].slice(start, at).every(Boolean);
            });
            const rest = left.join("");
            return rest.trim() === "" ? [] : [[`${n}`, rest]];
          });
          const { kept } = await run(texts, { length, keep, part: 1024 });
          expect(kept.map(({ id, text }) => [id, text])).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("reports what was cut and which document keeps it, or marks it", async () => {
    const shared =
      "We use cookies — on this site — to give you the best experience that there ever was, or could have been. ";
    const texts = [`First. ${shared}End.`, `Second, ${shared}`, "Third has nothing of that.", shared];
    const { kept, removed, result } = await run(texts, {});
    expect(kept.map(({ text }) => text)).toEqual([texts[0], "Second,", texts[2]]);
    const size = Buffer.byteLength(shared);
    // The space before the span is shared too.
    expect(removed).toEqual([
      { id: "1", reason: "cut", pieces: 1, spans: [[7, 8 + size, "0"]] },
      { id: "3", reason: "nothing left", pieces: 1, spans: [[0, size, "0"]] },
    ]);
    expect(result).toMatchObject({ documents: 4, kept: 3, pieces: 2 });
    const marked = await run(texts, { mark: true });
    expect(marked.kept.map(({ text }) => text)).toEqual(texts);
    expect(marked.kept.map(({ repeated }) => repeated)).toEqual([undefined, [[7, 8 + size]], undefined, [[0, size]]]);
    expect(marked.removed).toEqual([]);
    // One byte longer than the shared span, and nothing is found.
    expect((await run(texts, { length: size + 2 })).result.pieces).toBe(0);
  });

  it("keeps one line of a text that repeats a single line, even if the parts are smaller than the text", async () => {
    const line = "the same line, over and over\n";
    const other = Array.from({ length: 400 }, (_, i) => `word${i * i}`).join(" ");
    const { kept } = await run([other, line.repeat(3000), `${other.slice(0, 1000)}!`], { part: 4096 });
    expect(kept.map(({ text }) => text)).toEqual([other, line, "!"]);
  });

  it("with a tokenizer compares tokens", async () => {
    const words = Array.from({ length: 300 }, (_, i) => `w${(i * 7919) % 1009}`);
    const path = join(folder, "tokenizer");
    await saveTokenizer(await trainTokenizer([words.join(" ")], { vocabSize: 300 }), path);
    const shared = words.slice(40, 90).join(" ");
    const texts = [words.join(" "), `alpha ${shared} omega`, "日本語の文章です"];
    const { kept, removed } = await run(texts, { tokenizer: path });
    expect(kept.map(({ text }) => text)).toEqual([texts[0], "alpha omega", texts[2]]);
    expect(removed[0].spans[0][2]).toBe("0");
    expect((await run(texts, { tokenizer: path, length: 100_000 })).result.pieces).toBe(0);
  });

  it("rejects conflicting options and a part that is too small", async () => {
    await expect(run(["x"], { keep: "longest" })).rejects.toThrow(/supports --keep first and --keep none/);
    await expect(run(["x"], { length: 2000, part: 4096 })).rejects.toThrow(/too small/);
    await expect(run(["x"], { by: "line", mark: true })).rejects.toThrow(/require --by substring/);
  });
});

describe("spans", () => {
  it("keep characters whole", () => {
    const bytes = Buffer.from("aé€𝄞z");
    const spans = [
      { start: 2, end: 5 },
      { start: 7, end: 9 },
    ];
    expect(wholeCharacters(bytes, spans)).toEqual([]);
    expect(wholeCharacters(bytes, [{ start: 0, end: 9 }])).toEqual([{ start: 0, end: 6 }]);
    expect(wholeCharacters(bytes, [{ start: 2, end: 11 }])).toEqual([{ start: 3, end: 11 }]);
  });
});
