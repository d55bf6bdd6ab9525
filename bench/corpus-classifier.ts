/**
 * @file Compares the text classifier with Debian's `fasttext`: same lines and settings, one thread each, alternating. The task is to
 * predict which web document a passage is from, using words and bigrams.
 *
 *     QUERN_SHARED=… npm run bench:corpus -- --only classifier      # or alone: npm run bench corpus-classifier
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  type Classifier,
  predictFile,
  readClassifier,
  testClassifier,
  trainClassifier,
  writeClassifier,
} from "../src/data/index.js";
import type { Section } from "./corpus-row.js";
import { machineLine, median } from "./measure.js";

const SETTINGS = { dim: 100, epoch: 5, lr: 0.5, wordNgrams: 2, bucket: 200_000, loss: "softmax" } as const;
const DOCUMENTS = 120;
const PASSAGE = 25;
const COPIES = 10;

export const classifier: Section = {
  name: "classifier",
  async run({ rounds, folder }) {
    const [train, test, many, none] = ["train", "test", "many", "none"].map((name) => join(folder, `${name}.txt`));
    const lines = passages();
    writeFileSync(train, lines.filter((_, i) => i % 5 !== 0).join(""));
    const tested = lines.filter((_, i) => i % 5 === 0).join("");
    writeFileSync(test, tested);
    writeFileSync(many, tested.repeat(COPIES));
    writeFileSync(none, "");
    const words = tested.repeat(COPIES).split(/\s+/).length;
    const hasPeer = spawnSync("fasttext").error === undefined;
    if (!hasPeer) console.error("no comparison: fasttext is not installed (Debian: apt install fasttext)");
    const own = { train: [] as number[], predict: [] as number[] };
    const other = { train: [] as number[], predict: [] as number[] };
    let right = { own: Number.NaN, other: Number.NaN, exchanged: Number.NaN };
    for (let round = 0; round < rounds; round++) {
      const result = await trainClassifier(train, { ...SETTINGS, threads: 1 });
      own.train.push(result.tokensPerSecond);
      const model = join(folder, "own.bin");
      await writeClassifier(model, result.classifier, result.record);
      const read = await readClassifier(model);
      own.predict.push(words / (await secondsOf(read, many)));
      right = { ...right, own: (await testClassifier(read, test)).precision };
      if (!hasPeer) continue;
      other.train.push(trainPeer(train, join(folder, "peer")));
      const peer = join(folder, "peer.bin");
      const seconds = (file: string) => {
        const start = performance.now();
        call(["predict", peer, file]);
        return (performance.now() - start) / 1e3;
      };
      other.predict.push(words / (seconds(many) - seconds(none)));
      const theirs = precisionOf(call(["test", peer, test]));
      const here = (await testClassifier(await readClassifier(peer), test)).precision;
      const there = precisionOf(call(["test", model, test]));
      right = {
        own: right.own,
        other: theirs,
        exchanged: Math.max(Math.abs(here - theirs), Math.abs(there - right.own)),
      };
    }
    const comparison = (name: "train" | "predict") =>
      hasPeer
        ? {
            peer: { name: "fasttext", value: median(other[name]) / 1e6 },
            ratio: median(own[name]) / median(other[name]),
            least: 0.6,
          }
        : {};
    return [
      {
        name: "classifier, training, one thread",
        value: median(own.train) / 1e6,
        unit: "M words/s",
        ...comparison("train"),
      },
      { name: "classifier, prediction", value: median(own.predict) / 1e6, unit: "M words/s", ...comparison("predict") },
      {
        ...{ name: "classifier, P@1", value: right.own, unit: "" },
        ...(hasPeer ? { peer: { name: "fasttext", value: right.other } } : {}),
      },
      ...(hasPeer
        ? [
            { name: "P@1 below fasttext's", value: 100 * (right.other - right.own), unit: "points", most: 0.3 },
            {
              name: "P@1 of a model in the other's program, difference",
              value: 100 * right.exchanged,
              unit: "points",
              most: 0.1,
            },
          ]
        : []),
    ];
  },
};

/** Lines `__label__7 twenty-five words`, in a random but fixed order. */
function passages(): string[] {
  const shared = process.env.QUERN_SHARED;
  if (shared === undefined) throw new Error("QUERN_SHARED must name the folder that contains data/documents");
  const compressed = readFileSync(join(shared, "data", "documents", "web.en.jsonl.gz"));
  const texts = gunzipSync(compressed)
    .toString("utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { text: string }).text)
    .sort((a, b) => b.length - a.length)
    .slice(0, DOCUMENTS);
  const lines = texts.flatMap((text, label) => {
    const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    const count = Math.min(300, Math.floor(words.length / PASSAGE));
    return Array.from(
      { length: count },
      (_, i) => `__label__${label} ${words.slice(i * PASSAGE, (i + 1) * PASSAGE).join(" ")}\n`,
    );
  });
  let state = 1;
  for (let i = lines.length - 1; i > 0; i--) {
    state = (state * 48271) % 2147483647;
    const j = state % (i + 1);
    [lines[i], lines[j]] = [lines[j], lines[i]];
  }
  return lines;
}

async function secondsOf(model: Classifier, file: string): Promise<number> {
  const start = performance.now();
  for await (const _ of predictFile(model, file)) {
    // Only the predictions are timed.
  }
  return (performance.now() - start) / 1e3;
}

function call(args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync("fasttext", args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`fasttext ${args[0]}: ${stderr}`);
  return `${stdout}\n${stderr}`;
}

/** Trains fasttext; returns its last reported words per second and thread. */
function trainPeer(input: string, output: string): number {
  const { dim, epoch, lr, wordNgrams, bucket, loss } = SETTINGS;
  const options = { input, output, dim, epoch, lr, wordNgrams, bucket, loss, thread: 1 };
  const log = call(["supervised", ...Object.entries(options).flatMap(([name, value]) => [`-${name}`, String(value)])]);
  const rates = [...log.matchAll(/words\/sec\/thread:\s*(\d+)/g)].map(([, rate]) => Number(rate));
  return rates.at(-1) ?? Number.NaN;
}

const precisionOf = (log: string) => Number(/P@1\s+([\d.]+)/.exec(log)?.[1]);

if (process.argv[1] === import.meta.filename) {
  console.log(await machineLine());
  const folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
  try {
    const rows = await classifier.run({ rounds: 3, folder });
    for (const row of rows) console.log(`  ${JSON.stringify(row)}`);
    console.log(JSON.stringify({ bench: "corpus-classifier", rows }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
