/**
 * @file Peak memory of `quern pretrain --text` on a long text, compared with a text ten times shorter. It covers the whole process:
 * reading, held-out split, tokenizer, shards, a few steps and the evaluation. The text consists of random sentences of real
 * documents, with occasional new words as in real text. Half of it is JSONL, half text files.
 *   npm run bench pretrain-memory -- --megabytes 200 --times 10
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStarterCorpus } from "../src/documents/index.js";
import { flags, machineLine } from "./measure.js";

const { megabytes, times } = flags({ megabytes: 200, times: 10 });

const sentences = (await readStarterCorpus()).flatMap(({ text }) => text.split(/(?<=[.;!?])\s+/)).filter(Boolean);

/** Random numbers in [0, 1), the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Writes about `size` MB of text to a folder. */
function makeText(folder: string, size: number): void {
  mkdirSync(folder, { recursive: true });
  const random = generator(size);
  const draw = () => {
    const sentence = sentences[Math.floor(random() * sentences.length)];
    // An occasional new word: real text never runs out of names and numbers.
    return random() < 0.02 ? `${sentence} ${Math.floor(random() * 2 ** 30).toString(36)}` : sentence;
  };
  const document = () => Array.from({ length: 5 + Math.floor(random() * 40) }, draw).join(random() < 0.3 ? "\n" : " ");
  const write = (name: string, bytes: number, line: () => string) => {
    const file = openSync(join(folder, name), "w");
    for (let written = 0; written < bytes; ) {
      const lines: string[] = [];
      for (let length = 0; length < 1 << 20; length += lines[lines.length - 1].length) lines.push(line());
      written += writeSync(file, lines.join(""));
    }
    closeSync(file);
  };
  write("documents.jsonl", (size * 1e6) / 2, () => `${JSON.stringify({ text: document() })}\n`);
  for (let i = 0; i < 4; i++) write(`text-${i}.txt`, (size * 1e6) / 8, () => `${document()}\n\n`);
}

/** Runs `quern pretrain` on a text; returns its peak memory in MiB and its seconds. */
async function measure(text: string, out: string): Promise<{ readonly peak: number; readonly seconds: number }> {
  const program = join(import.meta.dirname, "measured-verb.js");
  const sizes = "--layers 2 --width 64 --vocab-size 4096 --sequence 256 --batch 8 --accumulate 1 --steps 20".split(" ");
  const started = performance.now();
  const child = spawn(process.execPath, [program, "pretrain", "--text", text, "--out", out, ...sizes], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    log = (log + piece).slice(-10_000);
  });
  const [code] = await once(child, "close");
  const peak = /MAXRSS (\d+)/.exec(log)?.[1];
  if (code !== 0 || peak === undefined) throw new Error(`quern pretrain ended with ${code}: ${log}`);
  return { peak: Number(peak) / 1024, seconds: (performance.now() - started) / 1000 };
}

const folder = mkdtempSync(join(tmpdir(), "quern-pretrain-memory-"));
try {
  const results: { peak: number; seconds: number }[] = [];
  for (const size of [megabytes, megabytes * times]) {
    const text = join(folder, `text-${size}`);
    makeText(text, size);
    console.log(`${size} MB of text: ${execFileSync("du", ["-sh", text], { encoding: "utf8" }).split("\t")[0]}`);
    const result = await measure(text, join(folder, `run-${size}`));
    console.log(`  peak ${result.peak.toFixed(0)} MiB, ${result.seconds.toFixed(0)} s`);
    results.push(result);
    rmSync(text, { recursive: true });
    rmSync(join(folder, `run-${size}`), { recursive: true });
  }
  const [short, long] = results;
  console.log(
    JSON.stringify({
      bench: "pretrain-memory",
      machine: await machineLine(),
      megabytes: [megabytes, megabytes * times],
      peak_mib: [Math.round(short.peak), Math.round(long.peak)],
      seconds: [Math.round(short.seconds), Math.round(long.seconds)],
      ratio: Number((long.peak / short.peak).toFixed(3)),
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
