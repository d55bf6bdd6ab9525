/**
 * @file Generation with a GGUF file, compared with llama.cpp: prompts, one text, and several at once. Both use the same file and
 * threads, and alternate.
 *   QUERN_LLAMA=FOLDER npm run bench:inference -- --threads 2 model-f32.gguf model-q8_0.gguf model-q4_0.gguf
 * FOLDER contains node_modules/node-llama-cpp (3.x) with its program for this system.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { examineMachine } from "../src/backends/index.js";
import { createDecoder, type Decoder, typedWeights } from "../src/infer/index.js";
import { openModel, type StoredModel } from "../src/model/index.js";
import { machineLine, median } from "./measure.js";

const numbers: Record<string, number> = { rounds: 5, prompt: 512, tokens: 64, streams: 8, threads: 0 };
const files: string[] = [];
for (let args = process.argv.slice(2); args.length > 0; args = args.slice(args[0].startsWith("--") ? 2 : 1)) {
  const name = args[0].replace(/^--/, "");
  if (!args[0].startsWith("--")) files.push(resolve(args[0]));
  else if (name in numbers && Number(args[1]) > 0) numbers[name] = Number(args[1]);
  else throw new Error(`unknown flag ${args[0]}; known, each with a number: ${Object.keys(numbers).join(", ")}`);
}
if (files.length === 0) {
  console.error("quern: give the .gguf files to measure, as in npm run bench:inference -- model-q8_0.gguf");
  process.exit(2);
}
const threads = numbers.threads || (await examineMachine({ measure: false })).threads;

/** One way to run a model. Each call gets ids that no earlier call had, so that no cache helps. */
interface Engine {
  /** Seconds until the token after a prompt is known. */
  prefill(prompt: readonly number[]): Promise<number>;
  /** Tokens per second of all texts together, each continued by `tokens` tokens. */
  decode(prompts: readonly (readonly number[])[], tokens: number): Promise<number>;
  close(): Promise<void>;
}

let made = 0;
const prompt = (length: number, vocabulary: number) => {
  made += 1;
  return Array.from({ length }, (_, i) => (i * 997 + made * 31) % vocabulary);
};

async function openQuern(model: StoredModel): Promise<Engine> {
  const { types, source } = typedWeights(model, "stored");
  const sequence = numbers.prompt + numbers.tokens + 8;
  const decoders = new Map<number, Decoder>();
  const decoderFor = (slots: number) => {
    const decoder =
      decoders.get(slots) ?? createDecoder(model.config, source, { types, slots, sequence, cpu: { threads } });
    decoders.set(slots, decoder);
    return decoder;
  };
  const request = { temperature: 0, topK: 0, seed: 0, endOfText: [] };
  return {
    async prefill(prompt) {
      const start = performance.now();
      await decoderFor(1).generate({ ...request, prompt, tokens: 1 });
      return (performance.now() - start) / 1000;
    },
    async decode(prompts, tokens) {
      const times: number[] = [];
      let drawn = 0;
      const onToken = () => {
        drawn += 1;
        if (drawn % prompts.length === 0) times.push(performance.now());
        return false;
      };
      const decoder = decoderFor(prompts.length);
      await Promise.all(
        prompts.map((prompt) => decoder.generate({ ...request, prompt, tokens: tokens + 1 }, { onToken })),
      );
      return (1000 * prompts.length * tokens) / (times[times.length - 1] - times[0]);
    },
    async close() {
      for (const decoder of decoders.values()) decoder.dispose();
    },
  };
}

// The parts of node-llama-cpp that are used here.
interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options?: object): AsyncGenerator<number>;
}
interface LlamaContext {
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>;
  dispose(): Promise<void>;
}
interface Llama {
  loadModel(options: object): Promise<LlamaModel>;
}

async function loadLlama(): Promise<Llama | null> {
  const folder = process.env.QUERN_LLAMA;
  const entry = folder && join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  if (!entry || !existsSync(entry)) {
    console.error("no comparison: QUERN_LLAMA must name a folder with node_modules/node-llama-cpp");
    return null;
  }
  const { getLlama } = (await import(pathToFileURL(entry).href)) as { getLlama(options: object): Promise<Llama> };
  return getLlama({ build: "never", skipDownload: true, gpu: false, maxThreads: threads, logLevel: "error" });
}

async function openLlama(llama: Llama, path: string): Promise<Engine> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const contexts = new Map<number, { context: LlamaContext; sequences: LlamaSequence[] }>();
  const contextFor = async (count: number) => {
    const known = contexts.get(count);
    if (known) return known.sequences;
    const contextSize = numbers.prompt + numbers.tokens + 8;
    const context = await model.createContext({ contextSize, sequences: count, threads, batchSize: numbers.prompt });
    const sequences = Array.from({ length: count }, () => context.getSequence());
    contexts.set(count, { context, sequences });
    return sequences;
  };
  const greedy = { temperature: 0, yieldEogToken: true };
  return {
    async prefill(prompt) {
      const [sequence] = await contextFor(1);
      await sequence.clearHistory();
      const start = performance.now();
      await sequence.evaluate(prompt, greedy).next();
      return (performance.now() - start) / 1000;
    },
    async decode(prompts, tokens) {
      const sequences = await contextFor(prompts.length);
      for (const sequence of sequences) await sequence.clearHistory();
      const times: number[] = [];
      let drawn = 0;
      await Promise.all(
        prompts.map(async (prompt, i) => {
          let count = 0;
          for await (const _ of sequences[i].evaluate(prompt, greedy)) {
            drawn += 1;
            if (drawn % prompts.length === 0) times.push(performance.now());
            if (++count > tokens) break;
          }
        }),
      );
      return (1000 * prompts.length * tokens) / (times[times.length - 1] - times[0]);
    },
    async close() {
      for (const { context } of contexts.values()) await context.dispose();
      await model.dispose();
    },
  };
}

/** The library of llama.cpp's CPU kernels in this process, such as libggml-cpu-sapphirerapids.so. */
function loadedVariant(): string | null {
  if (!existsSync("/proc/self/maps")) return null;
  const path = /\S*libggml-cpu\S*/.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
  return path === undefined ? null : basename(path);
}

const llama = await loadLlama();
const results = [];
for (const path of files) {
  const model = await openModel(path);
  const { vocabSize } = model.config;
  const engines = new Map([["quern", await openQuern(model)]]);
  if (llama) engines.set("llama.cpp", await openLlama(llama, path));
  const figures = new Map(
    [...engines.keys()].map((name) => [name, { prefill: [], decode: [], streams: [] } as Record<string, number[]>]),
  );
  for (let round = -1; round < numbers.rounds; round++) {
    for (const [name, engine] of engines) {
      const long = await engine.prefill(prompt(numbers.prompt, vocabSize));
      const one = await engine.decode([prompt(8, vocabSize)], numbers.tokens);
      const texts = Array.from({ length: numbers.streams }, () => prompt(8, vocabSize));
      const many = await engine.decode(texts, numbers.tokens);
      if (round < 0) continue; // warms up and compiles
      figures.get(name)?.prefill.push(numbers.prompt / long);
      figures.get(name)?.decode.push(one);
      figures.get(name)?.streams.push(many);
    }
  }
  for (const engine of engines.values()) await engine.close();
  await model.close();
  const row: Record<string, unknown> = { file: basename(path) };
  for (const what of ["prefill", "decode", "streams"]) {
    const [ours, theirs] = ["quern", "llama.cpp"].map((name) => figures.get(name)?.[what]);
    const rate = median(ours as number[]);
    const peer = theirs ? median(theirs) : null;
    row[what] = { tokens_per_second: rate, llama_cpp: peer, ratio: peer === null ? null : rate / peer };
    const title = { prefill: `prefill of ${numbers.prompt}`, decode: "decode", streams: `${numbers.streams} streams` }[
      what
    ];
    const beside = peer === null ? "" : `, llama.cpp ${peer.toFixed(1)}: ${(rate / peer).toFixed(2)} ×`;
    console.log(`${basename(path)}, ${title}: ${rate.toFixed(1)} tokens/s${beside}`);
  }
  results.push(row);
}
const variant = llama ? loadedVariant() : null;
if (variant !== null) console.log(`llama.cpp's kernels: ${variant}`);
console.log(await machineLine());
console.log(JSON.stringify({ bench: "inference", ...numbers, threads, llama_cpp_variant: variant, results }));
process.exit(0); // node-llama-cpp keeps the process alive
