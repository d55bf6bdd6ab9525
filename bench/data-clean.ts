/**
 * @file FineWeb's filters compared with datatrove's, called directly on the same English documents: with words from a regular
 * expression and from spaCy. Then language identification, one and two worker threads, and memory. Two independent one-worker
 * processes with half of the files each show the machine's limit for two workers.
 *   QUERN_SHARED=… QUERN_PYTHON=… npm run bench data-clean
 * QUERN_SHARED is the folder that contains data/documents, QUERN_PYTHON a Python with datatrove 0.10 and spaCy 3.8. `--copies 700`
 * makes the last part's input 10 GB.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { Chain } from "../src/data/clean/chain.js";
import {
  c4Quality,
  finewebQuality,
  gopherQuality,
  gopherRepetition,
  language,
  Passage,
  type Step,
} from "../src/data/index.js";
import { flags, machineLine, median, runPeer } from "./measure.js";

const { rounds, copies } = flags({ rounds: 3, copies: 6 });
const shared = process.env.QUERN_SHARED;
if (shared === undefined) throw new Error("QUERN_SHARED must name the folder that contains data/documents");
const file = join(shared, "data", "documents", "web.en.jsonl.gz");
const lines = gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n");
const texts = lines.map((line) => (JSON.parse(line) as { text: string }).text);
const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

const fineweb = (): Step[] => [
  gopherRepetition(),
  gopherQuality(),
  c4Quality({ requireTerminalMark: false }),
  finewebQuality(),
];

/** Throughput of one pass in MB/s, and the number of documents kept. */
async function pass(steps: readonly Step[]): Promise<{ readonly speed: number; readonly kept: number }> {
  const chain = new Chain(steps);
  await chain.prepare();
  const start = performance.now();
  let kept = 0;
  for (const [index, text] of texts.entries()) {
    if (chain.run({ id: String(index), source: "web", passage: new Passage(text) }).keep) kept += 1;
  }
  return { speed: bytes / 1e3 / (performance.now() - start), kept };
}

const peer = (words: string, every: number) => {
  if (!process.env.QUERN_PYTHON) return undefined;
  const script = join(process.cwd(), "bench", "peers", "data_clean.py");
  const result = runPeer<{ seconds: number; bytes: number; kept: number }>(process.env.QUERN_PYTHON, script, [
    file,
    words,
    String(every),
  ]);
  return result.bytes / 1e6 / result.seconds;
};

console.log(await machineLine());
await pass(fineweb());
await pass([language(), ...fineweb()]);
const own: number[] = [];
const withLanguage: number[] = [];
const regex: number[] = [];
const spacy: number[] = [];
let kept = 0;
for (let round = 0; round < rounds; round++) {
  const result = await pass(fineweb());
  kept = result.kept;
  own.push(result.speed);
  withLanguage.push((await pass([language(), ...fineweb()])).speed);
  const byRegex = peer("regex", 2);
  if (byRegex !== undefined) regex.push(byRegex);
  const bySpacy = peer("spacy", 24);
  if (bySpacy !== undefined) spacy.push(bySpacy);
}

const folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
const seconds = { one: [] as number[], two: [] as number[], apart: [] as number[] };
let memory = 0;
try {
  const inputs = await writeInputs(folder);
  for (let round = 0; round < rounds; round++) {
    seconds.one.push((await cleanOnce(inputs, 1)).seconds);
    const both = await cleanOnce(inputs, 2);
    seconds.two.push(both.seconds);
    memory = Math.max(memory, both.memory);
    const half = Math.ceil(inputs.length / 2);
    const pair = await Promise.all([cleanOnce(inputs.slice(0, half), 1), cleanOnce(inputs.slice(half), 1)]);
    seconds.apart.push(Math.max(...pair.map((each) => each.seconds)));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Writes copies of the corpus to files of equal size; a number at its end makes each document unique. */
async function writeInputs(into: string): Promise<string[]> {
  const paths: string[] = [];
  for (let copy = 0; copy < copies; copy++) {
    const path = join(into, `part-${copy}.jsonl`);
    const out = createWriteStream(path);
    for (const [index, text] of texts.entries()) {
      const line = `${JSON.stringify({ id: `${copy}-${index}`, text: `${text} ${copy}.` })}\n`;
      if (!out.write(line)) await once(out, "drain");
    }
    out.end();
    await once(out, "finish");
    paths.push(path);
  }
  return paths;
}

/** Runs `data clean` in a child process; returns its seconds, including startup, and its peak resident memory in MB. */
async function cleanOnce(inputs: readonly string[], workers: number): Promise<{ seconds: number; memory: number }> {
  const cli = pathToFileURL(join(import.meta.dirname, "..", "src", "cli.js")).href;
  const code = `process.on("exit", () => console.error("MAXRSS " + process.resourceUsage().maxRSS)); await import(${JSON.stringify(cli)});`;
  const own = await mkdtemp(join(folder, "run-"));
  const main = join(own, "main.mjs");
  writeFileSync(main, code);
  const call = ["data", "clean", ...inputs, "--out", join(own, "out"), "--workers", String(workers)];
  const start = performance.now();
  const child = spawn(process.execPath, [main, ...call], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    log += piece;
  });
  const [status] = await once(child, "close");
  const elapsed = (performance.now() - start) / 1e3;
  rmSync(own, { recursive: true, force: true });
  if (status !== 0) throw new Error(log);
  return { seconds: elapsed, memory: Number(/MAXRSS (\d+)/.exec(log)?.[1]) / 1024 };
}

const speed = {
  filters: median(own),
  withLanguage: median(withLanguage),
  regex: regex.length > 0 ? median(regex) : null,
  spacy: spacy.length > 0 ? median(spacy) : null,
};
const ratio = (peerSpeed: number | null) => (peerSpeed === null ? "" : `${(speed.filters / peerSpeed).toFixed(1)} ×`);
console.log(
  `FineWeb's filters, ${texts.length} documents, ${(bytes / 1e6).toFixed(1)} MB, ${kept} kept; one core, MB/s:`,
);
console.log(`  Quern ${speed.filters.toFixed(1)}`);
if (speed.regex !== null)
  console.log(`  datatrove with regular-expression words ${speed.regex.toFixed(2)}: ${ratio(speed.regex)}`);
if (speed.spacy !== null)
  console.log(`  datatrove with spaCy's words ${speed.spacy.toFixed(3)}: ${ratio(speed.spacy)}`);
console.log(`  Quern with language identification ${speed.withLanguage.toFixed(1)}`);
const [one, two, apart] = [median(seconds.one), median(seconds.two), median(seconds.apart)];
console.log(
  `the whole recipe, ${copies} files: one worker ${one.toFixed(1)} s, two ${two.toFixed(1)} s: ${(one / two).toFixed(2)} ×; ` +
    `two processes, half of the files each, ${apart.toFixed(1)} s: ${(one / apart).toFixed(2)} ×`,
);
console.log(`peak memory with two workers ${memory.toFixed(0)} MB`);
console.log(
  JSON.stringify({
    bench: "data-clean",
    ...speed,
    workers: { one, two, apart, gain: one / two },
    memoryMB: memory,
  }),
);
