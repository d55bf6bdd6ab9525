import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CorpusRecipe,
  loadCorpus,
  makeCorpus,
  type QuernError,
  trainClassifier,
  where,
  writeClassifier,
} from "../../src/data/index.js";
import { openShards } from "../../src/tokenizer/index.js";

const execute = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

let folder: string;
let web: string;
let books: string;
let model: string;
let benchmark: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quern-corpus-"));
  web = join(folder, "web.jsonl");
  books = join(folder, "books.jsonl");
  const pages = Array.from({ length: 120 }, (_, i) => page("web", i, i % 3 === 0 ? SPAM : GOOD));
  // A copy of a text, a copy with an added word, and two documents with the same address.
  pages.push(
    { ...pages[1], id: "copy" },
    { ...pages[2], id: "near", url: "https://near.example/", text: `${pages[2].text} Indeed.` },
  );
  pages.push({ ...pages[4], id: "same address", text: `${page("web", 900, GOOD).text}` });
  pages.push({
    id: "leak",
    source: "web",
    url: "https://leak.example/",
    text: `${page("web", 901, GOOD).text} ${QUESTION} Right?`,
  });
  writeLines(web, pages);
  writeLines(
    books,
    Array.from({ length: 30 }, (_, i) => page("books", i + 2000, GOOD)),
  );
  benchmark = join(folder, "exam.jsonl");
  writeLines(benchmark, [
    { id: "q7", question: QUESTION },
    { id: "q8", question: QUESTION.replaceAll("e", "o") },
  ]);
  const lines = Array.from(
    { length: 300 },
    (_, i) =>
      `__label__${i % 2 ? "good" : "bad"} ${page("x", i + 5000, i % 2 ? GOOD : SPAM).text.replaceAll("\n", " ")}\n`,
  );
  writeFileSync(join(folder, "lines.txt"), lines.join(""));
  const { classifier, record } = await trainClassifier(join(folder, "lines.txt"), { dim: 8, lr: 0.5, epoch: 5 });
  model = join(folder, "good.bin");
  await writeClassifier(model, classifier, record);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GOOD =
  "river stone harvest miller flour bread window letter evening garden teacher winter music story island mountain".split(
    " ",
  );
const SPAM = "offer click winner prize cheap credit order now buy free deal bonus casino pills discount limited".split(
  " ",
);
const QUESTION = "Which of the seven wheels in the old mill at Greyford turned backwards on the first day of spring?";

function page(source: string, seed: number, words: readonly string[]) {
  let state = seed + 1;
  const draw = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return words[(state >>> 9) % words.length];
  };
  const sentence = () => `The ${Array.from({ length: 9 }, draw).join(" ")}.`;
  const text = Array.from({ length: 12 }, sentence).join("\n");
  return { id: `${source}-${seed}`, url: `https://${source}${seed}.example/`, source, text };
}
function writeLines(path: string, records: readonly object[]) {
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
}
const recipe = (): CorpusRecipe => ({
  name: "test",
  clean: "as-is",
  quality: { model, label: "good", keep: 0.7 },
  decontaminate: { against: [benchmark], heldout: true },
  mix: { weights: { web: 1, books: 1 }, epochs: 3, order: "quality-last", phases: 3 },
  heldout: 0.1,
  shards: { vocabSize: 400 },
});
/** Returns the checksum of every file under a folder. */
function tree(path: string): Record<string, string> {
  const files = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
  return Object.fromEntries(
    files.sort().map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(path, name)))
        .digest("hex"),
    ]),
  );
}

describe("a corpus", () => {
  it("is made from documents to shards, with the result of every stage", async () => {
    const out = join(folder, "one");
    const result = await makeCorpus({ inputs: [web, books], recipe: recipe(), out, workers: 1 });
    expect(result.steps.map(({ step, documents }) => [step, documents.in - documents.kept])).toEqual([
      ["duplicates: url", 2],
      ["duplicates: document", 0],
      ["duplicates: near", 1],
      ["quality", 45],
      ["held out", 11],
      ["evaluation sets", 1],
    ]);
    expect(result.quality).toMatchObject({ documents: 151, kept: 106 });
    expect(result.contamination).toMatchObject([
      { name: "exam", examples: 2, found: 1, documents: 1 },
      { name: "heldout", examples: 11, found: 0, documents: 0 },
    ]);
    const [booksGroup, webGroup] = result.mix.groups;
    expect(webGroup.share).toBeCloseTo(0.56, 1); // books may be repeated three times at most
    expect(booksGroup.epochs).toBeGreaterThan(1.5);
    expect(result.shards?.train.tokens).toBeGreaterThan(10_000);
    expect(result.shards?.heldout.documents).toBeGreaterThan(2);
    const report = readFileSync(result.report, "utf8");
    for (const part of [
      "The funnel",
      "Duplicates by near",
      "side by side",
      "in order of score",
      "exam",
      "The mix",
      "Shards",
    ])
      expect(report).toContain(part);
    expect(report).not.toMatch(/(src|href)=/);
    const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
    expect(manifest.inputs.map(({ path }: { path: string }) => path)).toEqual([web, books]);
    expect(manifest.stages.at(-1).files.length).toBeGreaterThan(8);
  });

  it("can trace any token to its document, archive and byte", async () => {
    const shards = join(folder, "one", "shards");
    const { train, heldout, header } = openShards(shards);
    let line = readFileSync(web, "utf8");
    for (const [split, { tokens }] of [
      ["train", train],
      ["heldout", heldout],
    ] as const) {
      for (let i = 0; i < 20; i++) {
        const found = await where(shards, Math.floor((tokens * i) / 20) + i, { split });
        const file = readFileSync(found.archive, "utf8");
        line = file.slice(found.offset, file.indexOf("\n", found.offset));
        const original = JSON.parse(line) as { id: string; text: string };
        expect(original.id).toBe(found.id);
        const [before, text, after] = found.context;
        const bytes = Buffer.from(original.text);
        expect(bytes.subarray(found.byte ?? 0, (found.byte ?? 0) + Buffer.byteLength(text)).toString()).toBe(
          text.replace("<|endoftext|>", ""),
        );
        expect(original.text).toContain(`${before}${text}${after}`.replace("<|endoftext|>", ""));
      }
    }
    expect(header.train.files.length).toBe(1);
    await expect(where(shards, train.tokens)).rejects.toThrow(/has no training token/);
    await expect(where(shards, -1)).rejects.toThrow(/has no training token -1/);
  });

  it("holds out documents by their text alone and trains on no copy of them", async () => {
    const out = join(folder, "more");
    const extra = join(folder, "extra.jsonl");
    writeLines(
      extra,
      Array.from({ length: 40 }, (_, i) => page("extra", i + 3000, GOOD)),
    );
    const { decontaminate: _, quality: __, ...rest } = recipe();
    const plain = { ...rest, mix: {} };
    const held = async (inputs: string[], path: string) => {
      await makeCorpus({ inputs, recipe: plain, out: path, workers: 1 });
      const ids = (name: string) =>
        readFileSync(join(path, "shards", name), "utf8")
          .split("\n")
          .filter(Boolean)
          .map((line) => (JSON.parse(line) as { id: string }).id);
      return { heldout: ids("lineage-heldout.jsonl"), train: ids("lineage-train.jsonl") };
    };
    const few = await held([web, books], join(folder, "few"));
    const more = await held([extra, books, web], out);
    expect(more.heldout).toEqual(expect.arrayContaining(few.heldout));
    expect(more.train.filter((id) => more.heldout.includes(id))).toEqual([]);
  });

  it("is reproducible, resumes, and repeats the stages after a change of the recipe", {
    timeout: 30_000,
  }, async () => {
    const out = join(folder, "two");
    const [inputs, workers] = [[web, books], 2];
    await makeCorpus({ inputs, recipe: recipe(), out, workers });
    const first = tree(out);
    // Another folder and another number of threads: the same data and the same manifest.
    const one = tree(join(folder, "one"));
    const data = Object.keys(first).filter((name) => /documents|shards|^manifest.json|removed/.test(name));
    expect(data.length).toBeGreaterThan(20);
    for (const name of data.filter((each) => !each.startsWith("stages")))
      expect([name, one[name]]).toEqual([name, first[name]]);
    // As after a kill during a stage: that stage and later ones are run again, earlier ones are not.
    rmSync(join(out, "stages", "mix.json"));
    const cut = [".split", "mix/.documents", "stages/.mix.json", ".manifest.json"].map(
      (name) => `${name}.0123456789ab-7.tmp`,
    );
    for (const name of cut) {
      mkdirSync(join(out, name));
      writeFileSync(join(out, name, "00000.jsonl"), "truncated");
    }
    rmSync(join(out, "shards"), { recursive: true });
    const near = statSync(join(out, "deduplicate-3-near", "documents", "00000.jsonl")).mtimeMs;
    await expect(makeCorpus({ inputs, recipe: recipe(), out, workers })).rejects.toThrow(/give --force/);
    await makeCorpus({ inputs, recipe: recipe(), out, workers, force: true });
    expect(tree(out)).toEqual(first);
    expect(statSync(join(out, "deduplicate-3-near", "documents", "00000.jsonl")).mtimeMs).toBe(near);
    const changed = { ...recipe(), mix: { ...recipe().mix, seed: 1 } };
    await makeCorpus({ inputs, recipe: changed, out, workers, force: true });
    const second = tree(out);
    expect(second["decontaminate/removed.jsonl"]).toBe(first["decontaminate/removed.jsonl"]);
    expect(second["mix/documents/00000.jsonl"]).not.toBe(first["mix/documents/00000.jsonl"]);
  });

  it("is made by the command line", async () => {
    const quern = (...words: string[]) =>
      execute(process.execPath, [join(root, "dist", "src", "cli.js"), "data", ...words]);
    const path = join(folder, "corpus.ts");
    const { name: _, ...rest } = recipe();
    writeFileSync(
      path,
      `import { defineCorpus } from "quern/data";\nexport default defineCorpus(${JSON.stringify(rest)});\n`,
    );
    const out = join(folder, "three");
    const { stdout } = await quern("corpus", web, books, "--recipe", path, "--out", out);
    expect(stdout).toMatch(/duplicates: near +\d+ +\d+/);
    const { stdout: found } = await quern("where", join(out, "shards"), "1000");
    expect(found).toMatch(/archive .*\.jsonl, offset \d+/);
  }, 60_000);

  it("resumes after a kill at any moment to the same bytes, and shows cut text side by side", async () => {
    const file = join(folder, "killed.json");
    const deduplicate = (["document", "line", "paragraph", "sentence", "substring"] as const).map((by) => ({ by }));
    const { name: _, ...rest } = recipe();
    writeFileSync(file, JSON.stringify({ ...rest, deduplicate }));
    const start = (out: string) => {
      // --force, because a round may finish before it is killed.
      const words = ["data", "corpus", web, books, "--recipe", file, "--out", out, "--force"];
      return spawn(process.execPath, [join(root, "dist", "src", "cli.js"), ...words], { stdio: "ignore" });
    };
    const [whole, killed] = [join(folder, "whole"), join(folder, "killed")];
    const begun = performance.now();
    expect(await once(start(whole), "exit")).toEqual([0, null]);
    const needed = performance.now() - begun;
    let kills = 0;
    for (let round = 0; round < 4; round++) {
      const child = start(killed);
      const exit = once(child, "exit");
      // Kill the first round as soon as it writes, so that at least one kill succeeds.
      if (round === 0) {
        while (child.exitCode === null && !existsSync(killed)) await new Promise((resolve) => setTimeout(resolve, 1));
        child.kill("SIGKILL");
      }
      const timer = setTimeout(() => child.kill("SIGKILL"), needed * (0.15 + 0.6 * Math.random()));
      const [, signal] = await exit;
      clearTimeout(timer);
      kills += signal === "SIGKILL" ? 1 : 0;
    }
    expect(kills).toBeGreaterThan(0);
    expect(await once(start(killed), "exit")).toEqual([0, null]);
    const [[names, data], [namesOfWhole, dataOfWhole]] = [killed, whole].map((out) => {
      const entries = Object.entries(tree(out));
      // Files about the run contain times and folder names, so compare only the data.
      const isData = ([path]: readonly string[]) => /(documents|shards|heldout)\//.test(path);
      return [entries.map(([path]) => path), entries.filter(isData)];
    });
    expect(names).toEqual(namesOfWhole);
    expect(data).toEqual(dataOfWhole);
    const report = readFileSync(join(killed, "report.html"), "utf8");
    for (const { by } of deduplicate) expect(report).toContain(`Duplicates by ${by}`);
    expect(report).toContain("<b>cut</b>");
  }, 120_000);

  it("reports errors in a recipe", async () => {
    const file = join(folder, "wrong.json");
    const wrong = async (text: string) => {
      writeFileSync(file, text);
      return loadCorpus(file)
        .then((read) => makeCorpus({ inputs: [web], recipe: read, out: join(folder, "wrong"), workers: 1 }))
        .then(String, (error: QuernError) => `${error.exitCode} ${error.message}`);
    };
    expect(await wrong("{")).toMatch(/^2 .*wrong.json is not valid JSON/);
    expect(await wrong('{"qualty": {}}')).toMatch(/^2 .*unknown option qualty in the corpus; did you mean quality/);
    expect(await wrong('{"clean": "as-is", "mix": {"weights": {"web": 0}}}')).toMatch(
      /^2 .*sum to 0; there is nothing to mix/,
    );
    expect(await wrong('{"clean": "as-is", "quality": {"model": "none.bin"}}')).toMatch(
      /^2 .*none.bin: there is no such file/,
    );
    expect(await wrong(`{"clean": "as-is", "decontaminate": {"against": [${JSON.stringify(web)}]}}`)).toMatch(
      /^1 .*all \d+ documents overlap/,
    );
  });
});
