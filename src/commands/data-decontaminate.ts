import { decontaminateOptions } from "../data/decontaminate/decontaminate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Remove evaluation sets from training text: documents, or spans of them, that share a word n-gram with an example. Writes " +
    "documents/, removed.jsonl (removed text with its example), contamination.jsonl (examples found) and report.html.",
  options: decontaminateOptions,
  positional: ["inputs"],
  resumes: true,
  examples: [
    "quern data decontaminate unique/documents --against gsm8k.jsonl mmlu.jsonl --out safe/",
    "quern data decontaminate unique/documents --against gsm8k.jsonl --ngram 8 --threshold 0.5 --remove span --out safe/",
  ],
  async run(options, { signal, onProgress, print }) {
    const { readLines } = await import("../documents/index.js");
    const { decontaminate } = await import("../data/decontaminate/decontaminate.js");
    const result = await decontaminate({ ...options, signal, onProgress });
    const { documents, kept, cut, bytes, bytesKept, benchmarks } = result;
    for (const { name, examples, found, tooShort, documents: having } of benchmarks) {
      const short = tooShort === 0 ? "" : `, ${tooShort} too short to compare`;
      print(`${name}: ${found} of ${examples} examples found, in ${having} documents${short}`);
    }
    print(`${documents} documents, ${kept} kept, ${documents - kept} removed, ${cut} cut`);
    print(`${(bytes / 1e6).toFixed(1)} MB of text, ${(bytesKept / 1e6).toFixed(1)} kept, in ${options.out}/documents`);
    for (const line of readLines(result)) print(line);
    return result;
  },
});
