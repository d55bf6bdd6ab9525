/**
 * Compares greedy texts of a GGUF file with llama.cpp, through node-llama-cpp 3.22.1: 20 prompts, 64 tokens each. At the first
 * different token of a prompt, prints how far apart the two tokens are, in nats, in each of the two models.
 * NODE_LLAMA_CPP is a folder in which `npm i node-llama-cpp@3.22.1` was run.
 *
 *     NODE_LLAMA_CPP=DIR npx jiti test/oracle/gguf_greedy.ts FILE.gguf [stored|f32] [threads]
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createDecoder, openTextModel, typedWeights } from "../../src/infer/index.js";

const PROMPTS = [
  "The capital of France is",
  "Once upon a time, in a village by the sea,",
  "Water boils at a temperature of",
  "def fibonacci(n):\n    ",
  "The three primary colours are",
  "In 1969, the first human being",
  "To bake bread, you need flour,",
  "The mitochondrion is the part of the cell that",
  "Dear Sir or Madam,\n\nI am writing to",
  "SELECT name, COUNT(*) FROM orders",
  "The theory of evolution was first",
  "Shakespeare wrote plays such as",
  "A prime number is a number that",
  "<html>\n<head>\n<title>",
  "Der schnelle braune Fuchs",
  "My favourite season is autumn because",
  "Question: What is 17 + 25?\nAnswer:",
  "The Pacific Ocean is the largest",
  "Photosynthesis turns sunlight into",
  '{"name": "Alice", "age":',
];
const COUNT = 64;
const [file, weights = "stored", threads = "1"] = process.argv.slice(2);
if (file === undefined || (weights !== "stored" && weights !== "f32"))
  throw new Error("give a .gguf file, then stored or f32");

const { model, tokenizer } = await openTextModel(resolve(file));
const { types, source } = typedWeights(model, weights);
const decoder = createDecoder(model.config, source, {
  types,
  sequence: 256,
  slots: 8,
  cpu: { threads: Number(threads) },
});
const prompts = PROMPTS.map((text) => [...tokenizer.encode(text)]);
const ours = await Promise.all(
  prompts.map(async (prompt) => {
    const request = { prompt, tokens: COUNT, temperature: 0, topK: 0, seed: 0, endOfText: [], topLogprobs: 20 };
    const [{ tokens }] = await decoder.generate(request);
    return tokens;
  }),
);
decoder.dispose();

const home = resolve(process.env.NODE_LLAMA_CPP ?? "");
const entry = createRequire(join(home, "x.js")).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry).href);
const llama = await getLlama({
  ...{ build: "never", gpu: false, skipDownload: true, logLevel: "error", progressLogs: false },
});
const theirs = await llama.loadModel({ modelPath: resolve(file), gpuLayers: 0 });
const context = await theirs.createContext({ contextSize: 256, threads: Number(threads), flashAttention: false });
const sequence = context.getSequence();
let equal = 0;
for (const [i, prompt] of prompts.entries()) {
  await sequence.clearHistory();
  const greedy: number[] = [];
  for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    greedy.push(id);
    if (greedy.length === COUNT) break;
  }
  const at = greedy.findIndex((id, k) => id !== ours[i][k]?.id);
  if (at < 0) {
    equal += 1;
    continue;
  }
  await sequence.clearHistory();
  const text = [...prompt, ...greedy.slice(0, at)];
  const items = text.map((id, k) => (k === text.length - 1 ? [id, { generateNext: { probabilities: true } }] : id));
  const probabilities: Map<number, number> = (await sequence.controlledEvaluate(items)).at(-1).next.probabilities;
  const { id, logprob, top = [] } = ours[i][at];
  const own = logprob - (top.find((each) => each.id === greedy[at])?.logprob ?? Number.NEGATIVE_INFINITY);
  const other = Math.log((probabilities.get(greedy[at]) as number) / (probabilities.get(id) as number));
  const name = (token: number) => JSON.stringify(tokenizer.decode([token]));
  console.log(
    `${JSON.stringify(PROMPTS[i])}: token ${at + 1} is ${name(id)} here, by ${own.toFixed(4)} nats, and ` +
      `${name(greedy[at])} in llama.cpp, by ${other.toFixed(4)}`,
  );
}
console.log(`${equal} of ${prompts.length} texts of ${COUNT} tokens are equal, weights ${weights}`);
process.exit(0); // node-llama-cpp keeps the process alive
