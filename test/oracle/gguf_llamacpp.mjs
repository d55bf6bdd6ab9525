/**
 * Runs llama.cpp on the files of gguf_fixtures.py: token ids of TEXTS for each pre-tokenizer name, and greedy tokens of each
 * model. NODE_LLAMA_CPP is a folder in which `npm i node-llama-cpp@3.22.1` was run.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [home, vocabularies] = process.argv.slice(2);
const entry = createRequire(join(resolve(home), "x.js")).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry).href);
const llama = await getLlama({
  build: "never",
  gpu: false,
  skipDownload: true,
  logLevel: "error",
  progressLogs: false,
});
const folder = join(import.meta.dirname, "fixtures", "gguf");
const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));

const found = { release: llama.llamaCppRelease.release, ids: {}, models: {} };
for (const file of readdirSync(vocabularies).sort()) {
  const modelPath = join(vocabularies, file);
  try {
    const model = await llama.loadModel({ modelPath, vocabOnly: true });
    found.ids[file.replace(/\.gguf$/, "")] = expected.texts.map((text) => model.tokenize(text, false));
    await model.dispose();
  } catch (error) {
    console.log(file, String(error));
  }
}
for (const [name, { prompt }] of Object.entries(expected.models)) {
  const model = await llama.loadModel({ modelPath: join(folder, `${name}.gguf`) });
  const context = await model.createContext({ contextSize: 64, threads: 2 });
  const greedy = [];
  for await (const token of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    greedy.push(token);
    if (greedy.length === 24) break;
  }
  const ids = expected.texts.map((text) => model.tokenize(text, true));
  found.models[name] = { ids, greedy };
  console.log(name, greedy.join(), "\n", expected.models[name].greedy.join());
}
writeFileSync(join(folder, "llamacpp.json"), `${JSON.stringify(found)}\n`);
process.exit(0);
