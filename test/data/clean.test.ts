import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkDocuments, clean, funnelLines, planClean } from "../../src/data/index.js";
import { custom, defineRecipe, length, named, normalize, personalData } from "../../src/data/recipes/recipe-steps.js";
import { document, lines, tree, writeTo } from "./made-documents.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-clean-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const write = (name: string, data: string | Buffer): string => writeTo(root, name, data);

const recipe = () =>
  defineRecipe({
    steps: [
      custom("even", ({ id }) => Number(id.slice(1)) % 2 === 0 || "odd"),
      length({ minWords: 50 }),
      normalize(),
      personalData(),
    ],
  });

describe("cleaning", () => {
  it("writes documents, a consistent funnel, and a report without external resources", async () => {
    const input = write(
      "basic/in.jsonl",
      lines([
        ...Array.from({ length: 20 }, (_, i) => document(i)),
        { id: "d20", text: "Too short." },
        { ...document(22), text: `${document(22).text} mail bob@example.com` },
      ]),
    );
    const { funnel, out, report } = await clean({
      inputs: [input],
      out: join(root, "basic/out"),
      recipe: recipe(),
      keepDropped: true,
    });
    expect(funnel.faults).toEqual([]);
    expect(funnel.steps.map(({ step, documents }) => [step, documents.in, documents.kept, documents.dropped])).toEqual([
      ["extract", 22, 22, 0],
      ["even", 22, 12, 10],
      ["length", 12, 11, 1],
      ["normalise", 11, 11, 0],
      ["personal-data", 11, 11, 0],
    ]);
    expect(funnel.steps[1].reasons).toEqual({
      odd: { documents: 10, bytes: expect.any(Number), words: expect.any(Number) },
    });
    const [personal] = funnel.steps.slice(-1);
    expect(personal.bytes.cut).toBe("bob@example.com".length);
    expect(personal.bytes.added).toBe("<EMAIL>".length);
    expect(personal.edits).toEqual({ email: 1 });
    const written = readFileSync(join(out, "documents/00000.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(written).toHaveLength(11);
    expect(written[1]).toMatchObject({
      id: "d2",
      source: "in.jsonl",
      url: "https://site2.example.com/2",
      origin: { archive: input },
    });
    // The origin gives the byte offset of the record.
    const { offset } = written[1].origin;
    expect(readFileSync(input, "utf8").slice(offset, offset + 10)).toBe('{"id":"d2"');
    const bytes = written.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    expect(funnel.output).toMatchObject({ documents: 11, bytes });
    const dropped = readFileSync(join(out, "dropped/even/00000.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(dropped[0]).toMatchObject({ reason: "odd", id: "d1", text: document(1).text });
    const html = readFileSync(report, "utf8");
    expect(html).not.toMatch(/https?:\/\/(?!site)|src=/);
    expect(html).toContain("bob@example.com");
    expect(JSON.parse(readFileSync(join(out, "funnel.json"), "utf8"))).toEqual(funnel);
    expect(funnelLines(funnel).join("\n")).toContain("−10 odd");
  });

  it("reports a step that unexpectedly changed nothing", async () => {
    const input = write("idle/in.jsonl", lines([document(1)]));
    const steps = [
      custom("nothing", () => true),
      named(
        "quiet",
        custom("nothing", () => true, { expectsChange: false }),
      ),
    ];
    const { funnel } = await clean({ inputs: [input], out: join(root, "idle/out"), recipe: defineRecipe({ steps }) });
    expect(funnel.idle).toEqual(["nothing"]);
  });

  it("counts broken input by reason and continues", async () => {
    const good = JSON.stringify(document(2));
    const bad = Buffer.concat([
      Buffer.from(`${good}\nno json\n[1]\n{"a":1}\n{"text":"  "}\n{"text":"x\0y"}\n`),
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d, 0x0a]),
      Buffer.from(`{"text":"${"x".repeat(5000)}"}\n\r\n\n${JSON.stringify(document(4))}`),
    ]);
    const input = write("bad/in.jsonl", bad);
    const cut = write(
      "bad/cut.jsonl.gz",
      gzipSync(lines(Array.from({ length: 3000 }, (_, i) => document(i)))).subarray(0, 20_000),
    );
    const text = write("bad/text.txt", Buffer.from([0x61, 0x00, 0x62]));
    const { funnel } = await clean({
      inputs: [input, cut, text],
      out: join(root, "bad/out"),
      recipe: recipe(),
      largest: 4096,
    });
    expect(funnel.skipped).toMatchObject({
      empty: 1,
      line_too_long: 1,
      no_text: 1,
      not_an_object: 1,
      not_json: 1,
      not_utf8: 1,
      nul_byte: 2,
    });
    expect(Object.keys(funnel.skipped).filter((reason) => reason.startsWith("damaged"))).toHaveLength(1);
    expect(funnel.steps[0].documents.in).toBeGreaterThan(2);
  });

  it("keeps the undamaged rows of a Parquet file with their other columns", async () => {
    const texts = Array.from({ length: 300 }, (_, i) => (i % 100 === 7 ? null : document(i).text));
    const whole = Buffer.from(
      parquetWriteBuffer({
        columnData: [
          { name: "text", data: texts },
          { name: "id", data: texts.map((_, i) => 2n ** 53n + BigInt(i)), type: "INT64" },
          { name: "when", data: texts.map((_, i) => new Date(86_400_000 * i)), type: "TIMESTAMP" },
          { name: "count", data: texts.map((_, i) => BigInt(i)), type: "INT64" },
        ],
        rowGroupSize: 50,
        codec: "UNCOMPRESSED",
      }),
    );
    const sound = await clean({
      inputs: [write("parquet/sound.parquet", whole)],
      out: join(root, "parquet/out"),
      recipe: "as-is",
    });
    expect(sound.funnel.skipped).toEqual({ no_text: 3 });
    const written = readFileSync(join(root, "parquet/out/documents/00000.jsonl"), "utf8").trimEnd().split("\n");
    const rows = written.map((line) => JSON.parse(line) as { id: string; text: string; when: string; count: number });
    expect(rows.map(({ text }) => text)).toEqual(texts.filter((text) => text !== null));
    expect(rows[1]).toMatchObject({ id: "9007199254740993", when: "1970-01-02T00:00:00.000Z", count: 1 });
    expect(funnelLines(sound.funnel)[1]).toMatch(/^extract +297 +297 /);

    // The text pages of the second row group begin with invalid lengths.
    const damaged = Buffer.from(whole);
    const at = damaged.indexOf(document(50).text.slice(0, 40));
    expect(at).toBeGreaterThan(0);
    damaged.fill(0xff, at - 12, at + 4000);
    const rest = await clean({
      inputs: [write("parquet/damaged.parquet", damaged)],
      out: join(root, "parquet/rest"),
      recipe: "as-is",
    });
    const lost = Object.entries(rest.funnel.skipped).filter(([reason]) => reason.startsWith("damaged_row"));
    expect(lost.map(([, count]) => count)).toEqual([50]);
    expect(rest.funnel.steps[0].documents.kept).toBe(247);
  });

  it("combines small files of a folder in one task, and loses only the damaged one", async () => {
    const page = (i: number) => `<html><body><article><p>${document(i).text}</p></article></body></html>`;
    for (let i = 0; i < 40; i++) {
      write(`folder/in/${100 + i}.html`, i === 7 ? "" : page(i));
      write(`folder/in/${100 + i}.txt.gz`, i === 9 ? "no gzip" : gzipSync(document(1000 + i).text));
    }
    const plan = await planClean({ inputs: [join(root, "folder/in")], out: join(root, "folder/out"), recipe: "as-is" });
    expect(plan.tasks.length).toBe(1);
    const { funnel } = await clean({
      inputs: [join(root, "folder/in")],
      out: join(root, "folder/out"),
      recipe: "as-is",
    });
    const written = readdirSync(join(root, "folder/out/documents")).flatMap((name) =>
      readFileSync(join(root, "folder/out/documents", name), "utf8")
        .split("\n")
        .filter((line) => line !== ""),
    );
    const found = written.map((line) => JSON.parse(line) as { id: string; text: string; origin: { archive: string } });
    expect(found.map(({ id }) => id)).toEqual(
      Array.from({ length: 40 }, (_, i) => [
        ...(i === 7 ? [] : [`${100 + i}`]),
        ...(i === 9 ? [] : [`${100 + i}.txt.gz`]),
      ]).flat(),
    );
    expect(found.every(({ id, origin }) => origin.archive.includes(`/${id}`))).toBe(true);
    expect(funnel.steps[0].documents.dropped).toBe(1);
    expect(Object.values(funnel.skipped).reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  it("reads JSONL compressed with zstd, whose blocks contain many lines", async () => {
    const documents = Array.from({ length: 200 }, (_, i) => document(i));
    const bytes = Buffer.from(lines(documents));
    const parts = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38])];
    for (let at = 0; at < bytes.length; at += 50_000) {
      const block = bytes.subarray(at, at + 50_000);
      const head = Buffer.alloc(3);
      head.writeUIntLE((block.length << 3) | (at + 50_000 >= bytes.length ? 1 : 0), 0, 3);
      parts.push(head, block);
    }
    const input = write("zstd/in.jsonl.zst", Buffer.concat(parts));
    const { funnel } = await clean({ inputs: [input], out: join(root, "zstd/out"), recipe: "as-is" });
    expect(funnel.skipped).toEqual({});
    const written = readFileSync(join(root, "zstd/out/documents/00000.jsonl"), "utf8").trimEnd().split("\n");
    expect(written.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(
      documents.map(({ text }) => text),
    );
  });

  it("reads documents from a URL and records it as their origin", async () => {
    const server = createServer((_, response) => response.end(lines([document(0), document(1)])));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/far.jsonl`;
    const cache = process.env.QUERN_CACHE;
    process.env.QUERN_CACHE = join(root, "cache");
    try {
      const { out } = await clean({ inputs: [url], out: join(root, "far"), recipe: defineRecipe({ steps: [] }) });
      const [first, second] = readFileSync(join(out, "documents", "00000.jsonl"), "utf8")
        .trim()
        .split("\n");
      expect(JSON.parse(first)).toMatchObject({ id: "d0", origin: { archive: url, offset: 0 } });
      expect(JSON.parse(second)).toMatchObject({ id: "d1" });
    } finally {
      if (cache === undefined) delete process.env.QUERN_CACHE;
      else process.env.QUERN_CACHE = cache;
      server.close();
    }
  });

  it("extracts pages and records their path", async () => {
    const article = Array.from({ length: 6 }, (_, i) => `<p>${document(i).text}</p>`).join("");
    const page = `<html><head><title>Mill</title></head><body><nav><a href="/">Home</a></nav><article><h1>Mill</h1>${article}</article></body></html>`;
    write("pages/a/mill.html", page);
    write("pages/empty.html", "<html><body><script>render()</script></body></html>");
    write("pages/photo.png", "x");
    const keep = defineRecipe({ steps: [length({ minWords: 20 })] });
    const { funnel, out } = await clean({ inputs: [join(root, "pages")], out: join(root, "pages-out"), recipe: keep });
    expect(funnel.steps[0].documents).toEqual({ in: 2, kept: 1, dropped: 1, edited: 1 });
    expect(funnel.skipped).toEqual({ other_kind: 1 });
    const [first] = readdirSync(join(out, "documents"))
      .map((name) => readFileSync(join(out, "documents", name), "utf8"))
      .filter((data) => data !== "");
    expect(JSON.parse(first)).toMatchObject({ id: join("a", "mill"), source: "pages" });
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("srcdoc=");
  });

  it("splits a file of lines into parts without losing or repeating a line", async () => {
    const documents = Array.from({ length: 60 }, (_, i) => document(i * 2));
    const input = write("stretch/in.jsonl", lines(documents));
    const whole = await clean({ inputs: [input], out: join(root, "stretch/one"), recipe: recipe() });
    const ids = (out: string) =>
      readdirSync(join(out, "documents"))
        .sort()
        .flatMap((name) => {
          const data = readFileSync(join(out, "documents", name), "utf8").trim();
          return data === "" ? [] : data.split("\n").map((line) => (JSON.parse(line) as { id: string }).id);
        });
    expect(ids(whole.out)).toEqual(documents.map(({ id }) => id));
    const size = statSync(input).size;
    for (const stretch of [size - 1, Math.floor(size / 3), 1000, 700]) {
      const out = join(root, `stretch/${stretch}`);
      const { funnel } = await clean({ inputs: [input], out, recipe: recipe(), stretch });
      expect(ids(out)).toEqual(documents.map(({ id }) => id));
      expect(funnel.output).toEqual(whole.funnel.output);
      expect(funnel.tasks).toBe(Math.ceil(size / stretch));
    }
  });

  it("repeats no finished task, and reruns tasks whose configuration or input changed", async () => {
    const a = write("again/a.jsonl", lines([document(2), document(4)]));
    const b = write("again/b.jsonl", lines([document(6)]));
    const out = join(root, "again/out");
    const run = (options: object = {}) => clean({ inputs: [a, b], out, recipe: recipe(), force: true, ...options });
    expect((await run({ force: false })).ran).toBe(2);
    await expect(run({ force: false })).rejects.toMatchObject({ exitCode: 2, message: /give --force/ });
    const before = tree(out);
    expect((await run()).ran).toBe(0);
    expect(tree(out)).toEqual(before);
    writeFileSync(join(out, "documents/00001.jsonl"), "spoilt\n");
    expect((await run()).ran).toBe(1);
    expect(tree(out)).toEqual(before);
    expect((await run({ recipe: defineRecipe({ steps: [length({ minWords: 1 })] }) })).ran).toBe(2);
    expect((await run()).ran).toBe(2);
    writeFileSync(b, lines([document(8)]));
    expect((await run()).ran).toBe(1);
    // The output of removed inputs is deleted.
    expect((await run({ inputs: [a] })).ran).toBe(0);
    expect(readdirSync(join(out, "documents"))).toEqual(["00000.jsonl"]);
    expect(readdirSync(join(out, "tasks"))).toEqual(["00000.json"]);
  });

  it("stops at a limit, and samples the same documents every time", async () => {
    const inputs = [0, 1, 2].map((part) =>
      write(`some/${part}.jsonl`, lines(Array.from({ length: 40 }, (_, i) => document(part * 80 + i * 2)))),
    );
    const limited = await clean({ inputs, out: join(root, "some/limit"), recipe: recipe(), limit: 50 });
    expect(limited.funnel.read).toBe(50);
    const sample = (name: string) => clean({ inputs, out: join(root, name), recipe: recipe(), sample: 0.3 });
    const [one, two] = [await sample("some/one"), await sample("some/two")];
    expect(tree(one.out)["documents/00001.jsonl"]).toBe(tree(two.out)["documents/00001.jsonl"]);
    expect(one.funnel.read).toBeGreaterThan(20);
    expect(one.funnel.read).toBeLessThan(55);
    expect(one.funnel.read + one.funnel.skipped.not_sampled).toBe(120);
  });

  it("returns a plan without writing anything", async () => {
    const input = write("plan/in.jsonl", lines([document(1)]));
    const plan = await planClean({ inputs: [input], out: join(root, "plan/out") });
    expect(plan.recipe.steps.map(({ name }) => name)).toEqual([
      "url",
      "language",
      "gopher-repetition",
      "gopher-quality",
      "c4-quality",
      "fineweb-quality",
      "normalise",
      "personal-data",
    ]);
    expect(plan).toMatchObject({ finished: 0, tasks: [{ name: "00000" }] });
    expect(existsSync(join(root, "plan/out"))).toBe(false);
  });
});

describe("a recipe", () => {
  it("is a TypeScript file that imports the library and its own modules", async () => {
    write("recipe/rule.ts", "export const tooMany = (text: string): boolean => text.split('river').length > 3;");
    const path = write(
      "recipe/mine.ts",
      `import { custom, defineRecipe, type Recipe } from "quern/data";
import { tooMany } from "./rule.js";
const recipe: Recipe = { steps: [custom("rivers", ({ text }) => !tooMany(text) || "too many rivers")] };
export default defineRecipe(recipe);`,
    );
    const file = write(
      "recipe/in.jsonl",
      lines([
        { id: "a", text: "river" },
        { id: "b", text: "river river river" },
      ]),
    );
    const answers = [];
    for await (const answer of checkDocuments(file, { recipe: path })) answers.push(answer);
    expect(answers).toEqual([
      { id: "a", verdict: "keep" },
      { id: "b", verdict: "drop", step: "rivers", reason: "too many rivers" },
    ]);
    const key = async () =>
      (await planClean({ inputs: [file], out: join(root, "recipe/out"), recipe: path })).tasks[0].key;
    const before = await key();
    expect(await key()).toBe(before);
    write("recipe/rule.ts", "export const tooMany = (text: string): boolean => text.split('river').length > 4;");
    expect(await key()).not.toBe(before);
  });

  it("is rejected with one sentence if it is wrong", async () => {
    const input = write("wrong/in.jsonl", lines([document(1)]));
    const cases: readonly [string, RegExp][] = [
      ["export default 5;", /must export a recipe/],
      ["export default { steps: [1] };", /steps\.0: is not a step/],
      ["export default { steps: [], stepz: 1 };", /unknown option stepz; did you mean steps/],
      [
        "import { length } from 'quern/data'; export default { steps: [length({}), length({})] };",
        /"length" occurs twice/,
      ],
      ["throw new Error('no');", /failed to run: no/],
      ["import 'nowhere-to-be-found'; export default {}", /failed to run/],
    ];
    for (const [index, [source, message]] of cases.entries()) {
      const path = write(`wrong/${index}.ts`, source);
      await expect(planClean({ inputs: [input], out: join(root, "wrong/out"), recipe: path })).rejects.toThrow(message);
    }
    await expect(planClean({ inputs: [input], out: "x", recipe: "nothing.ts" })).rejects.toThrow(
      /there is no recipe nothing.ts/,
    );
    await expect(planClean({ inputs: [join(root, "none")], out: "x" })).rejects.toThrow(/no such file/);
    const silly = defineRecipe({ steps: [custom("silly", (() => 5) as unknown as () => boolean)] });
    await expect(clean({ inputs: [input], out: join(root, "wrong/silly"), recipe: silly })).rejects.toThrow(
      /"silly".*returned 5/,
    );
  });
});

describe("any input", () => {
  it("results in a funnel that adds up", async () => {
    const step = fc.constantFrom("keep", "drop", "cut", "add", "mask");
    const text = fc.string({
      unit: fc.constantFrom("a", "é", "😀", "\ud800", "\n", " ", "7", "@", ".", "the ", "bob@example.com"),
      maxLength: 60,
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 12 }), fc.array(step, { maxLength: 4 }), async (texts, kinds) => {
        run += 1;
        const input = write(
          `any/${run}.jsonl`,
          lines([...texts.map((each, i) => ({ id: `d${i}`, text: each })), { id: "z", text: "z" }]),
        );
        const steps = kinds.map((kind, index) => {
          const name = `s${index}`;
          if (kind === "mask") return named(name, personalData());
          return custom(name, ({ text: given, words }) => {
            if (kind === "keep") return true;
            if (kind === "drop") return words % 2 === 0 || "uneven";
            return { text: kind === "cut" ? given.slice(0, given.length >> 1) : `${given} more` };
          });
        });
        const { funnel } = await clean({
          inputs: [input],
          out: join(root, `any/${run}`),
          recipe: defineRecipe({ steps }),
        });
        expect(funnel.faults).toEqual([]);
        rmSync(join(root, `any/${run}`), { recursive: true });
      }),
      { numRuns: 40 },
    );
  });
});
