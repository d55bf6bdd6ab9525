/**
 * Compares `quern export` with llama.cpp, through node-llama-cpp 3.22.1, and writes fixtures/gguf/exported.json for
 * test/infer/export/llama-cpp.test.ts: for each model of llama-cpp-models.ts the SHA-256 of its F32 file, llama.cpp's ids of
 * TEXTS, and its greedy tokens with log-probabilities. NODE_LLAMA_CPP is a folder in which
 * `npm i node-llama-cpp@3.22.1` was run. With text or JSONL files, compares ids of all their text under three tokenizers too.
 *
 *     NODE_LLAMA_CPP=DIR npx jiti test/oracle/gguf_export.ts [FILE…]
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { readDocuments } from "../../src/documents/index.js";
import { exportModel } from "../../src/infer/index.js";
import { defineModel, initialValues, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { LLAMA_CPP_MODELS, TEXTS, writeLlamaCppModel } from "../infer/export/llama-cpp-models.js";

const home = resolve(process.env.NODE_LLAMA_CPP ?? "");
const entry = createRequire(join(home, "x.js")).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry).href);
const llama = await getLlama({
  ...{ build: "never", gpu: false, skipDownload: true, logLevel: "error", progressLogs: false },
});
const folder = mkdtempSync(join(tmpdir(), "quern-oracle-"));

/** Greedy tokens after the prompt. */
const COUNT = 64;
/** Number of tokens before the positions whose log-probabilities are kept. */
const KEPT = [0, 21, 63];

async function runModel(name: string) {
  const gguf = join(folder, `${name}.gguf`);
  await exportModel({ model: await writeLlamaCppModel(name, folder), gguf });
  const sha256 = createHash("sha256").update(readFileSync(gguf)).digest("hex");
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({
    ...{ contextSize: 128, threads: 1, flashAttention: false },
    ...{ experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" },
  });
  const ids = TEXTS.map((text) => model.tokenize(text, false) as number[]);
  const special = model.tokenize(`<|im_start|>user\n${TEXTS[0]}<|im_end|>`, true) as number[];
  const prompt = ids[0].slice(0, 20);
  const greedy: number[] = [];
  const logprobs: number[][] = [];
  const sequence = context.getSequence();
  for (let input = prompt; greedy.length < COUNT; input = [greedy[greedy.length - 1]]) {
    const items = input.map((id, i) => (i === input.length - 1 ? [id, { generateNext: { probabilities: true } }] : id));
    const probabilities: Map<number, number> = (await sequence.controlledEvaluate(items)).at(-1).next.probabilities;
    if (KEPT.includes(greedy.length)) {
      const all = Array.from({ length: probabilities.size }, (_, id) => Math.log(probabilities.get(id) as number));
      logprobs.push(all.map((value) => Number(value.toFixed(5))));
    }
    greedy.push([...probabilities].reduce((best, each) => (each[1] > best[1] ? each : best))[0]);
  }
  await model.dispose();
  console.log(name, sha256.slice(0, 12), greedy.slice(0, 12).join());
  return { sha256, ids, special, prompt, greedy, kept: KEPT, logprobs };
}

/** Compares the ids of all text in the files. */
async function compareIds(files: readonly string[], pattern: string): Promise<void> {
  const documents: string[] = [];
  for await (const { text } of readDocuments(files)) documents.push(text);
  const tokenizer: Tokenizer = await trainTokenizer(documents, { vocabSize: 32_000, pattern });
  const path = join(folder, `ids-${pattern}`);
  const config = defineModel({ layers: 1, width: 8, heads: 1, sequence: 64, vocabSize: tokenizer.vocabSize });
  await saveTokenizer(tokenizer, path);
  const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 1)]));
  await writeModel(path, config, (name) => values.get(name) as Float32Array, { endOfText: 0 });
  const gguf = `${path}.gguf`;
  const { warnings, pre_tokenizer } = await exportModel({ model: path, gguf });
  const model = await llama.loadModel({ modelPath: gguf, vocabOnly: true });
  let [bytes, tokens, different] = [0, 0, 0];
  for (const text of documents) {
    const [ours, theirs] = [tokenizer.encode(text), model.tokenize(text, false) as number[]];
    bytes += Buffer.byteLength(text);
    tokens += ours.length;
    const at = ours.findIndex((id, i) => id !== theirs[i]);
    if (at < 0 && ours.length === theirs.length) continue;
    if (different === 0)
      console.log(JSON.stringify(tokenizer.decode(ours.slice(at, at + 5))), theirs.slice(at, at + 5));
    different += 1;
  }
  console.log(`${pattern} as ${pre_tokenizer}: ${documents.length} documents, ${bytes} bytes, ${tokens} tokens,`);
  console.log(`    ${different} documents with other ids`, warnings);
  await model.dispose();
}

const models: Record<string, unknown> = {};
for (const name of Object.keys(LLAMA_CPP_MODELS)) models[name] = await runModel(name);
const out = join(import.meta.dirname, "fixtures", "gguf", "exported.json");
writeFileSync(out, `${JSON.stringify({ release: llama.llamaCppRelease.release, models })}\n`);
const files = process.argv.slice(2);
if (files.length > 0) for (const pattern of ["llama3", "gpt2", "qwen2", "o200k"]) await compareIds(files, pattern);
rmSync(folder, { recursive: true });
process.exit(0);
