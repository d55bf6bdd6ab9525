/**
 * @file One measurement of bench/tokenizer.ts in a process of its own: the job as JSON in argv, one JSON line out. Texts
 * come as files with a JSON array of strings.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { loadTokenizer, openShards, publishedTokenizer, trainTokenizer, writeShards } from "../src/tokenizer/index.js";

export type Job =
  | {
      readonly work: "quern";
      readonly tokenizer: string;
      readonly first: string;
      readonly second: string;
      readonly as: "typed" | "array";
    }
  | { readonly work: "gpt-tokenizer" | "tiktoken-wasm"; readonly first: string; readonly second: string }
  | { readonly work: "quern-decode" | "tiktoken-wasm-decode"; readonly first: string }
  | { readonly work: "quern-load" }
  | {
      readonly work: "quern-train";
      readonly first: string;
      readonly vocabSize: number;
      readonly threads: number;
      readonly repeat?: number;
    }
  | { readonly work: "quern-shards"; readonly first: string; readonly out: string; readonly threads: number };

const require = createRequire(import.meta.url);

function pieces(path: string): string[] {
  return JSON.parse(readFileSync(path, "utf8")) as string[];
}

/** MB of UTF-8 a second, and how many tokens came out. */
function rate(path: string, encode: (texts: readonly string[]) => number): { rate: number; tokens: number } {
  const texts = pieces(path);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const start = performance.now();
  const tokens = encode(texts);
  return { rate: bytes / 1e3 / (performance.now() - start), tokens };
}

function coldAndWarm(
  job: { readonly first: string; readonly second: string },
  encode: (text: string) => ArrayLike<number>,
) {
  const all = (texts: readonly string[]): number => {
    let tokens = 0;
    for (const text of texts) tokens += encode(text).length;
    return tokens;
  };
  return { cold: rate(job.first, all), warm: rate(job.second, all) };
}

async function wasm() {
  const { Tiktoken } = await import("tiktoken/lite");
  const { bpe_ranks, special_tokens, pat_str } = JSON.parse(
    readFileSync(require.resolve("tiktoken/encoders/cl100k_base.json"), "utf8"),
  );
  return new Tiktoken(bpe_ranks, special_tokens, pat_str);
}

async function run(job: Job): Promise<object> {
  switch (job.work) {
    case "quern": {
      const tokenizer = job.tokenizer.includes("/")
        ? await loadTokenizer(job.tokenizer)
        : await publishedTokenizer(job.tokenizer as "cl100k");
      if (job.as === "typed") return coldAndWarm(job, (text) => tokenizer.encode(text));
      return coldAndWarm(job, (text) => {
        const ids = tokenizer.encode(text);
        const array = new Array<number>(ids.length);
        for (let i = 0; i < ids.length; i++) array[i] = ids[i];
        return array;
      });
    }
    case "gpt-tokenizer": {
      const { encode } = await import("gpt-tokenizer/encoding/cl100k_base");
      return coldAndWarm(job, (text) => encode(text));
    }
    case "tiktoken-wasm": {
      const encoding = await wasm();
      return coldAndWarm(job, (text) => encoding.encode_ordinary(text));
    }
    case "quern-decode":
    case "tiktoken-wasm-decode": {
      const tokenizer = await publishedTokenizer("cl100k");
      const texts = pieces(job.first);
      const ids = texts.map((text) => tokenizer.encode(text));
      const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      const encoding = job.work === "quern-decode" ? undefined : await wasm();
      const text = new TextDecoder();
      const decode = (list: Uint32Array) =>
        encoding === undefined ? tokenizer.decode(list) : text.decode(encoding.decode(list));
      for (const list of ids) decode(list);
      const start = performance.now();
      for (const list of ids) decode(list);
      return { rate: bytes / 1e3 / (performance.now() - start) };
    }
    case "quern-load": {
      const start = performance.now();
      const tokenizer = await publishedTokenizer("cl100k");
      tokenizer.encode("a");
      const load = performance.now() - start;
      const short = "The quick brown fox jumps over the lazy dog, 13 times!";
      for (let i = 0; i < 200_000; i++) tokenizer.encode(short);
      const begin = performance.now();
      for (let i = 0; i < 200_000; i++) tokenizer.encode(short);
      const microseconds = (performance.now() - begin) / 200;
      const letters = performance.now();
      tokenizer.encode("a".repeat(1_000_000));
      return { load, microseconds, letters: performance.now() - letters };
    }
    case "quern-train": {
      const texts = pieces(job.first);
      const { vocabSize, threads, repeat = 1 } = job;
      function* documents() {
        for (let round = 0; round < repeat; round++) {
          // Letters are moved along, so that each round has words of its own.
          for (const text of texts) yield round === 0 ? text : shifted(text, round);
        }
      }
      const start = performance.now();
      const tokenizer = await trainTokenizer(documents(), { vocabSize, threads });
      return {
        seconds: (performance.now() - start) / 1e3,
        merges: tokenizer.vocabSize - 257,
        memory: process.resourceUsage().maxRSS * 1024,
      };
    }
    case "quern-shards": {
      const tokenizer = await publishedTokenizer("cl100k");
      const texts = pieces(job.first);
      const start = performance.now();
      await writeShards(job.out, { tokenizer, train: texts, threads: job.threads });
      const seconds = (performance.now() - start) / 1e3;
      const shards = openShards(job.out);
      const { bytes, tokens } = shards.header.train;
      shards.close();
      return { rate: bytes / 1e6 / seconds, tokens };
    }
    default:
      return job satisfies never;
  }
}

/** The text with each ASCII letter moved along the alphabet by its word's length and the round. */
function shifted(text: string, round: number): string {
  return text.replaceAll(/[a-z]+/g, (word) => {
    let moved = "";
    for (let i = 0; i < word.length; i++) {
      moved += String.fromCharCode(97 + ((word.charCodeAt(i) - 97 + round * (1 + ((i * word.length) % 7))) % 26));
    }
    return moved;
  });
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2]) as Job)));
