/** @file Suffix array of 64 MiB compared with libdivsufsort, one core each: equal arrays, time and memory. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SuffixText } from "../src/data/deduplicate/substring/suffixes.js";
import { type Section, sharedTexts } from "./corpus-row.js";
import { median } from "./measure.js";

const BYTES = 2 ** 26;

export const suffix: Section = {
  name: "suffix",
  async run({ rounds, folder }) {
    const path = join(folder, "part.txt");
    writeFileSync(path, partText());
    const peer = compilePeer(folder);
    const own: number[] = [];
    const other: number[] = [];
    let memory = 0;
    for (let round = 0; round < rounds; round++) {
      const result = sortOnce(path);
      own.push(result.seconds);
      memory = Math.max(memory, result.memory);
      if (peer === undefined) continue;
      const theirs = JSON.parse(execFileSync(peer, [path], { encoding: "utf8" })) as { seconds: number; sum: number };
      if (theirs.sum !== result.sum) throw new Error("the suffix arrays differ");
      other.push(theirs.seconds);
    }
    const rate = (seconds: readonly number[]) => BYTES / 1e6 / median(seconds);
    const comparison =
      other.length === 0
        ? {}
        : { peer: { name: "libdivsufsort", value: rate(other) }, ratio: rate(own) / rate(other), least: 0.4 };
    return [
      { name: "suffix array of 64 MiB", value: rate(own), unit: "MB/s", ...comparison },
      { name: "its memory, including the text", value: memory / BYTES, unit: "bytes per byte", most: 9 },
    ];
  },
};

/** Random passages of the shared documents, so that the text repeats like a corpus. */
function partText(): Uint8Array {
  const words = sharedTexts().join(" ").split(" ");
  let state = 1;
  const next = (n: number) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  const part = Buffer.alloc(BYTES);
  for (let at = 0; at < BYTES; ) {
    const start = next(words.length - 40);
    at += part.write(`${words.slice(start, start + 3 + next(37)).join(" ")} `, at);
    if (BYTES - at < 4) at = BYTES;
  }
  return part;
}

/** Sorts in a child process, so that memory and compiled code start fresh. */
function sortOnce(path: string): { readonly seconds: number; readonly memory: number; readonly sum: number } {
  const job = [process.execPath, import.meta.filename, path];
  return JSON.parse(execFileSync(job[0], job.slice(1), { encoding: "utf8" }));
}

function compilePeer(folder: string): string | undefined {
  const program = join(folder, "suffix_array");
  const source = join(process.cwd(), "bench", "peers", "suffix_array.c");
  try {
    execFileSync("cc", ["-O3", source, "-ldivsufsort", "-o", program], { stdio: ["ignore", "ignore", "pipe"] });
    return program;
  } catch {
    console.error("no comparison: needs a C compiler and libdivsufsort (Debian: libdivsufsort-dev)");
    return undefined;
  }
}

if (process.argv[1] === import.meta.filename) {
  const before = process.memoryUsage().rss;
  const text = new SuffixText(BYTES, false);
  const file = openSync(process.argv[2], "r");
  for (let at = 0; at < BYTES; ) at += readSync(file, text.text, at, BYTES - at, at);
  closeSync(file);
  const start = performance.now();
  const order = text.sort();
  const seconds = (performance.now() - start) / 1e3;
  const memory = process.resourceUsage().maxRSS * 1024 - before;
  let sum = 0;
  for (let i = 0; i < BYTES; i++) sum = (sum + Math.imul(i + 1, order[i])) >>> 0;
  console.log(JSON.stringify({ seconds, memory, sum }));
}
