/**
 * @file One measurement of bench/tokenizer.ts in its own process: the job is JSON in argv, the output one JSON line. Texts are
 * files with a JSON array of strings.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type DocumentReader, readDocuments } from "../src/documents/index.js";
import { encodeCorpus, loadTokenizer, publishedTokenizer, trainTokenizer } from "../src/tokenizer/index.js";

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
    }
  | { readonly work: "quern-train-files"; readonly files: string; readonly vocabSize: number; readonly threads: number }
  | { readonly work: "quern-train-stream"; readonly bytes: number; readonly distinct: number; readonly threads: number }
  | { readonly work: "quern-files"; readonly files: string }
  | { readonly work: "quern-shards"; readonly files: string; readonly out: string; readonly threads: number };

const require = createRequire(import.meta.url);

function pieces(path: string): string[] {
  return JSON.parse(readFileSync(path, "utf8")) as string[];
}

/** Throughput in MB/s of UTF-8, and the number of tokens. */
function encodingRate(
  texts: readonly string[],
  encode: (texts: readonly string[]) => number,
): { rate: number; tokens: number } {
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
  return { cold: encodingRate(pieces(job.first), all), warm: encodingRate(pieces(job.second), all) };
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
      for (let pass = 0; pass < 3; pass++) for (const list of ids) decode(list);
      const start = performance.now();
      for (let pass = 0; pass < 5; pass++) for (const list of ids) decode(list);
      return { rate: (bytes * 5) / 1e3 / (performance.now() - start) };
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
      return training(texts, job.vocabSize, job.threads);
    }
    case "quern-train-files":
      return trainingFiles(job.files, job.vocabSize, job.threads);
    case "quern-train-stream":
      return training(stream(job.bytes, job.distinct), 32_000, job.threads);
    case "quern-files": {
      const tokenizer = await publishedTokenizer("cl100k");
      const texts: string[] = [];
      for await (const { text } of readDocuments([job.files])) texts.push(text);
      return encodingRate(texts, (list) => list.reduce((sum, text) => sum + tokenizer.encode(text).length, 0));
    }
    case "quern-shards": {
      const tokenizer = await publishedTokenizer("cl100k");
      const start = performance.now();
      const { header } = await encodeCorpus([job.files], job.out, { tokenizer, threads: job.threads });
      const seconds = (performance.now() - start) / 1e3;
      return { rate: header.train.bytes / 1e6 / seconds, tokens: header.train.tokens };
    }
    default:
      return job satisfies never;
  }
}

async function training(
  documents: Iterable<string> | AsyncIterable<string> | DocumentReader,
  vocabSize: number,
  threads: number,
) {
  const start = performance.now();
  const tokenizer = await trainTokenizer(documents, { vocabSize, threads, pattern: "o200k" });
  return {
    seconds: (performance.now() - start) / 1e3,
    merges: tokenizer.vocabSize - 257,
    memory: process.resourceUsage().maxRSS * 1024,
  };
}

function trainingFiles(folder: string, vocabSize: number, threads: number) {
  return training(readDocuments([folder]), vocabSize, threads);
}

/** Generates `bytes` of text: every fourth word is one of `distinct` synthetic ones, the others one of 5,000. */
function* stream(bytes: number, distinct: number): Generator<string> {
  const letters = "etaoinshrdlucmfwypvbgkjqxz";
  const word = (id: number): string => {
    let text = "";
    for (let rest = id + 676; rest > 0; rest = Math.floor(rest / 26)) text += letters[rest % 26];
    return `${text}zq`;
  };
  let state = 12345;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const common = Array.from({ length: 5000 }, (_, id) => word(id * 4001));
  for (let done = 0; done < bytes; ) {
    const words = Array.from({ length: 8000 }, (_, i) => (i % 4 === 0 ? word(random(distinct)) : common[random(5000)]));
    const text = words.join(" ");
    done += text.length;
    yield text;
  }
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2]) as Job)));
