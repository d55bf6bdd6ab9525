/** `npm start -- --fast --stage pretrain` as it is run, on text of its own so that it needs no network, in a quarter of a minute. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PretrainResult } from "../../src/train/index.js";

const execute = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const words = [
  ["The sailor", "An old captain", "My brother", "The white whale", "A boy from Nantucket"],
  ["saw", "followed", "remembered", "sank", "painted"],
  ["the ship", "a storm", "the harbour", "three boats", "his harpoon"],
  ["at night.", "without a word.", "before the rain came.", "and wept.", "as the bell rang."],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-speedrun-"));
  let state = 1;
  const sentence = () =>
    words.map((list) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return list[(state >>> 16) % list.length];
    });
  const text = Array.from({ length: 8000 }, () => sentence().join(" ")).join("\n");
  await writeFile(join(folder, "stories.txt"), text);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the speedrun", () => {
  it("goes from text to a model that generates, and prints its results", async () => {
    const run = join(folder, "run");
    const recipe = join(root, "dist", "recipes", "speedrun.js");
    const options = [
      "--fast",
      "--minutes",
      "0.25",
      "--stage",
      "pretrain",
      "--text",
      join(folder, "stories.txt"),
      "--out",
      run,
      "--json",
    ];
    const { stdout } = await execute(process.execPath, [recipe, ...options], { cwd: folder });
    const done = JSON.parse(stdout.trimEnd().split("\n").at(-1) as string) as PretrainResult;
    expect(done.result.bits_per_byte).toBeLessThan(8);
    expect(done.result.gzip_bits_per_byte).toBeGreaterThan(0);
    expect(done.result.samples?.length).toBeGreaterThan(0);
    const report = await readFile(join(run, "report.html"), "utf8");
    for (const part of ["gzip -9", "xz -9e", "5-gram", "The plan and its reasons", "What fusion saved"]) {
      expect(report).toContain(part);
    }
    expect(done.result.ngram_bits_per_byte).toBeGreaterThan(0);
    expect(report).not.toMatch(/(src|href)=|https?:\/\//);
    const metrics = (await readFile(join(run, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    expect(metrics.length).toBeGreaterThan(1);
    for (const line of metrics) expect(JSON.parse(line).step).toBeGreaterThan(0);
  }, 180_000);
});
