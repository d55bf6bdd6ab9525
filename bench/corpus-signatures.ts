/** @file MinHash signatures of English documents, compared with datatrove: including word splitting, and hashing alone. */
import { join } from "node:path";
import { simplifyText, TextHasher } from "../src/data/index.js";
import { type Row, type Section, sharedDocuments, sharedTexts } from "./corpus-row.js";
import { median, runPeer } from "./measure.js";

export const signatures: Section = {
  name: "signatures",
  async run({ rounds }) {
    const texts = sharedTexts();
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    // The input of datatrove's `hash` case: normalized text whose words are already separated by spaces.
    const simple = texts.map(simplifyText);
    const hasher = new TextHasher();
    const pass = (list: readonly string[]) => {
      const start = performance.now();
      for (const text of list) hasher.signature(text);
      return bytes / 1e3 / (performance.now() - start);
    };
    const python = process.env.QUERN_PYTHON;
    if (python === undefined) console.error("no comparison: QUERN_PYTHON must name a Python with datatrove 0.10");
    const peer = (kind: string, every: number) => {
      if (python === undefined) return undefined;
      const script = join(process.cwd(), "bench", "peers", "corpus_minhash.py");
      const result = runPeer<{ seconds: number; bytes: number }>(python, script, [sharedDocuments(), kind, `${every}`]);
      return result.bytes / 1e6 / result.seconds;
    };
    pass(texts);
    const rates = { whole: [] as number[], hash: [] as number[], spacy: [] as number[], numpy: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      rates.whole.push(pass(texts));
      const spacy = peer("whole", 24);
      if (spacy !== undefined) rates.spacy.push(spacy);
      rates.hash.push(pass(simple));
      const numpy = peer("hash", 4);
      if (numpy !== undefined) rates.numpy.push(numpy);
    }
    const row = (name: string, own: readonly number[], other: readonly number[], peer: string, least: number): Row => {
      const value = median(own);
      const rate = other.length === 0 ? undefined : median(other);
      return {
        name,
        value,
        unit: "MB/s",
        ...(rate === undefined ? {} : { peer: { name: peer, value: rate }, ratio: value / rate, least }),
      };
    };
    return [
      { name: "MinHash signatures, including words", value: median(rates.whole), unit: "MB/s", least: 10 },
      row("MinHash signatures, peer with spaCy's words", rates.whole, rates.spacy, "datatrove", 20),
      row("hashing alone", rates.hash, rates.numpy, "datatrove (NumPy)", 1.5),
    ];
  },
};
