import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { epochsOf, loadMix, type MixRecipe, mix, sharesOf } from "../../src/data/index.js";
import { copiesAt, QualityHistogram, qualityBin } from "../../src/data/mix/quality-curve.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-mix-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Line {
  readonly id: string;
  readonly source: string;
  readonly group: string;
  readonly copy?: number;
  readonly quality?: number;
  readonly origin: { readonly archive: string; readonly offset: number };
  readonly text: string;
}
let number = 0;
/** Writes distinct documents of 100 bytes each. */
function source(name: string, count: number, fields: (i: number) => object = () => ({})): string {
  const path = join(root, `${name}-${number++}.jsonl`);
  const lines = Array.from({ length: count }, (_, i) => ({
    ...{ id: `${name}${i}`, source: name, ...fields(i) },
    text: `${name} ${i} `.padEnd(100, "x"),
  }));
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}
async function run(recipe: MixRecipe) {
  const out = join(root, `out-${number++}`);
  const result = await mix({ recipe, out });
  const lines = readdirSync(join(out, "documents"))
    .sort()
    .flatMap((name) =>
      readFileSync(join(out, "documents", name), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Line),
    );
  return { out, result, lines };
}
const count = (lines: readonly Line[], group: string) => lines.filter((line) => line.group === group).length;

describe("shares", () => {
  const groups = [
    { name: "a", bytes: 900 },
    { name: "b", bytes: 90 },
    { name: "c", bytes: 10 },
  ];
  it("follow weights, temperature, or sizes", () => {
    expect(sharesOf(groups, {})).toEqual([0.9, 0.09, 0.01]);
    expect(sharesOf(groups, { weights: { a: 1, b: 1, c: 2 } })).toEqual([0.25, 0.25, 0.5]);
    expect(sharesOf(groups, { weights: { a: 1, "(others)": 1 } })).toEqual([0.5, 0.45, 0.05]);
    const even = sharesOf(groups, { temperature: 1000 });
    for (const share of even) expect(share).toBeCloseTo(1 / 3, 2);
    const [a, b] = sharesOf(groups, { temperature: 2 });
    expect(a / b).toBeCloseTo(Math.sqrt(10), 10);
  });

  it("reject invalid weights", () => {
    expect(() => sharesOf(groups, { weights: { a: 0, b: 0, c: 0 } })).toThrow(/sum to 0; there is nothing to mix/);
    expect(() => sharesOf(groups, { weights: { a: 1, b: 1 } })).toThrow(/no weight for c/);
    expect(() => sharesOf(groups, { weights: { a: 1, b: 1, d: 1, c: 1 } })).toThrow(/a weight for d, but no such/);
  });

  it("respect the total and the cap, and give the rest to groups below the cap", () => {
    expect(epochsOf(groups, [0.5, 0.25, 0.25], 400, 4)).toEqual([(360 * 2) / 3 / 900, 360 / 3 / 90, 4]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 0, max: 10 })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 10000 }),
        fc.integer({ min: 1, max: 5 }),
        (list, total, most) => {
          const sum = list.reduce((all, [, weight]) => all + weight, 0);
          fc.pre(sum > 0);
          const sizes = list.map(([bytes], i) => ({ name: String(i), bytes }));
          const shares = list.map(([, weight]) => weight / sum);
          const epochs = epochsOf(sizes, shares, total, most);
          const bytes = epochs.reduce((all, each, i) => all + each * sizes[i].bytes, 0);
          const room = sizes.reduce((all, size, i) => all + (shares[i] > 0 ? most * size.bytes : 0), 0);
          expect(bytes).toBeCloseTo(Math.min(total, room), 6);
          for (const each of epochs) expect(each).toBeLessThanOrEqual(most + 1e-9);
          // Groups below the cap keep their proportions.
          const free = epochs.flatMap((each, i) =>
            each < most && shares[i] > 0 ? [(each * sizes[i].bytes) / shares[i]] : [],
          );
          for (const each of free) expect(each).toBeCloseTo(free[0], 6);
        },
      ),
    );
  });
});

describe("quality", () => {
  it("has bins in the order of numbers", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), fc.float({ noNaN: true }), (a, b) => {
        if (a < b) expect(qualityBin(a)).toBeLessThanOrEqual(qualityBin(b));
      }),
    );
    expect(qualityBin(0.5)).toBeLessThan(qualityBin(0.501));
  });

  it("repeats better documents more often and keeps the average of the group", () => {
    const histogram = new QualityHistogram();
    for (let i = 0; i < 1000; i++) histogram.add(qualityBin(i / 1000), 1 + (i % 7));
    for (const [epochs, power, most] of [
      [1, 1, 4],
      [2, 3, 4],
      [0.3, 5, 100],
      [3.9, 2, 4],
    ] as const) {
      const copies = copiesAt(histogram, { epochs, power, most });
      const mean = histogram.sorted.reduce((sum, [bin, bytes]) => sum + bytes * copies(bin), 0) / histogram.bytes;
      expect(mean).toBeCloseTo(epochs, 6);
      const list = histogram.sorted.map(([bin]) => copies(bin));
      expect([...list].sort((a, b) => a - b)).toEqual(list);
      expect(Math.max(...list)).toBeLessThanOrEqual(most);
    }
    expect(copiesAt(histogram, { epochs: 1, power: 0, most: 4 })(qualityBin(0.1))).toBe(1);
  });
});

describe("a mix", () => {
  it("contains each source in its share, within the limit on epochs, shuffled", async () => {
    const [web, books] = [source("web", 600), source("books", 60)];
    const sources = [
      { name: "web", inputs: [web], weight: 1 },
      { name: "books", inputs: [books], weight: 1 },
    ];
    const { lines, result } = await run({ sources, bytes: 40_000, epochs: 4 });
    expect(result.groups.map(({ name, epochs, capped }) => [name, epochs, capped])).toEqual([
      ["books", 200 / 60, false],
      ["web", 200 / 600, false],
    ]);
    for (const name of ["web", "books"]) expect(Math.abs(count(lines, name) - 200)).toBeLessThan(40);
    expect(result).toMatchObject({ written: lines.length, bytesWritten: 100 * lines.length });
    const copies = new Map<string, number[]>();
    for (const { id, copy = 0 } of lines) copies.set(id, [...(copies.get(id) ?? []), copy]);
    for (const list of copies.values()) expect(list.sort()).toEqual(list.map((_, i) => i));
    // Books are evenly distributed over the two halves.
    const first = count(lines.slice(0, lines.length / 2), "books");
    expect(Math.abs(first - count(lines, "books") / 2)).toBeLessThan(30);
    expect(lines[0].origin).toMatchObject({ archive: lines[0].group === "web" ? web : books });
  });

  it("depends on the seed and not on the order or division of the input", async () => {
    const path = source("web", 300);
    const all = readFileSync(path, "utf8").split("\n").filter(Boolean);
    const parts = [0, 1].map((part) => {
      const half = join(root, `half-${number++}.jsonl`);
      writeFileSync(
        half,
        `${all
          .filter((_, i) => i % 2 === part)
          .reverse()
          .join("\n")}\n`,
      );
      return half;
    });
    const base = { epochs: 2, bytes: 45_000 };
    const ids = async (recipe: MixRecipe) => (await run(recipe)).lines.map(({ id, copy }) => `${id} ${copy}`);
    const whole = await ids({ inputs: [path], ...base });
    expect(await ids({ inputs: parts, ...base })).toEqual(whole);
    expect(await ids({ inputs: [path], ...base, seed: 1 })).not.toEqual(whole);
    expect(whole).not.toEqual([...whole].sort());
  });

  it("evens out groups of a field by temperature", async () => {
    const path = source("page", 400, (i) => ({ topic: i % 10 === 0 ? "rare" : "common" }));
    const { result } = await run({ inputs: [path], by: "topic", temperature: 2 });
    const [common, rare] = result.groups;
    expect(common.asked / rare.asked).toBeCloseTo(3, 6);
    expect(rare.epochs).toBeGreaterThan(2);
  });

  it("repeats better documents more often and puts the best last", async () => {
    const path = source("web", 1000, (i) => ({ quality: ((i * 7919) % 1000) / 1000 }));
    const { lines, result } = await run({ inputs: [path], power: 1, order: "quality-last", phases: 5 });
    expect(Math.abs(result.written - 1000)).toBeLessThan(60);
    const good = lines.filter(({ quality = 0 }) => quality > 0.8).length;
    expect(good / lines.length).toBeCloseTo(0.36, 1); // the last fifth of a line from 0 to 2 has an area of 0.36
    const fifths = Array.from({ length: 5 }, (_, i) =>
      lines
        .slice((i * lines.length) / 5, ((i + 1) * lines.length) / 5)
        .reduce((sum, { quality = 0 }) => sum + quality, 0),
    );
    expect([...fifths].sort((a, b) => a - b)).toEqual(fifths);
    expect(lines.slice(-100).every(({ quality = 0 }) => quality > 0.8)).toBe(true);
    // Each phase is shuffled.
    const last = lines.slice(-150).map(({ quality }) => quality);
    expect([...last].sort()).not.toEqual(last);
  });

  it("reports errors in a recipe", async () => {
    const web = source("web", 3);
    const call = (recipe: unknown) => mix({ recipe: recipe as MixRecipe, out: join(root, "wrong") });
    const sources = [{ name: "web", inputs: [web] }];
    await expect(call({ sources: [{ ...sources[0], weight: 0 }] })).rejects.toThrow(
      /sum to 0; there is nothing to mix/,
    );
    await expect(call({ sources: [{ ...sources[0], weight: -1 }] })).rejects.toThrow(
      /^sources\[0\]\.weight must be at least 0, not -1 in the mix$/,
    );
    await expect(call({ sources: [{ ...sources[0], wieght: 1 }] })).rejects.toThrow(
      /^unknown option sources\[0\]\.wieght in the mix; did you mean sources\[0\]\.weight\?$/,
    );
    await expect(call({ sources, optimise: { step: 3 } })).rejects.toThrow(
      /^unknown option optimise\.step in the mix; did you mean optimise\.steps\?$/,
    );
    await expect(call({})).rejects.toThrow(/either sources \(with names\) or inputs/);
    await expect(call({ inputs: [web], temprature: 2 })).rejects.toThrow(
      /unknown option temprature in the mix; did you mean temperature/,
    );
    await expect(call({ inputs: [web], weights: { web: 1 }, temperature: 2 })).rejects.toThrow(
      /give only one in the mix/,
    );
    await expect(call({ inputs: [web], order: "quality-last" })).rejects.toThrow(
      /no document has a number in its field "quality"/,
    );
    await expect(call({ sources: [...sources, ...sources] })).rejects.toThrow(/web is listed twice/);
    await expect(call({ sources: [{ name: "none", inputs: [source("none", 0)] }] })).rejects.toThrow(/no text in/);
    await expect(call({ inputs: [join(root, "missing.jsonl")] })).rejects.toThrow(/no such file/);
    const file = join(root, "recipe.json");
    writeFileSync(file, "{");
    await expect(loadMix(file)).rejects.toThrow(/recipe.json is not valid JSON/);
    writeFileSync(
      join(root, "recipe.ts"),
      `import { defineMix } from "quern/data";\nexport default defineMix({ inputs: [${JSON.stringify(web)}] });\n`,
    );
    expect(await loadMix(join(root, "recipe.ts"))).toEqual({ inputs: [web] });
  });
});
