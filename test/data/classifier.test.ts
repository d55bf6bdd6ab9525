import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { labelName, readClassifier, writeClassifier } from "../../src/data/classifier/file.js";
import { LabelWords, treeOfLabels } from "../../src/data/classifier/label-tree.js";
import { Predictor, predictFile, testClassifier } from "../../src/data/classifier/predict.js";
import { type TrainClassifierOptions, trainClassifier, wholeLines } from "../../src/data/classifier/train.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-classifier-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);
const file = async (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  await writeFile(path, data);
  return path;
};

/** Generates lines in two invented languages that share some words. */
function lines(count: number, seed: number): string {
  let state = seed;
  const next = (n: number) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  return Array.from({ length: count }, () => {
    const label = next(2);
    const words = Array.from({ length: 8 }, () => (next(4) === 0 ? `both${next(20)}` : `${"ab"[label]}${next(200)}`));
    return `__label__${["alpha", "beta"][label]} ${words.join(" ")}\n`;
  }).join("");
}

describe("fastText models", () => {
  it.each(["fasttext-hs.bin", "fasttext-quantised.ftz"])("%s predicts the same as fastText", async (name) => {
    const model = await readClassifier(fixture(name));
    const expected = (await readFile(fixture(name.replace(/\.\w+$/, ".expected.txt")), "utf8")).trimEnd().split("\n");
    let number = 0;
    for await (const { predictions } of predictFile(model, fixture("fasttext-lines.txt"), { k: 2 })) {
      const [first, p, second, q] = (expected[number] ?? "").split(" ");
      expect(`__label__${predictions[0].label}`).toBe(first);
      // The order of labels with almost no probability is arbitrary.
      if (Number(q) > 1e-3) expect(`__label__${predictions[1].label}`).toBe(second);
      // fastText adds 1e-5 inside its logarithms.
      expect(predictions[0].probability).toBeCloseTo(Number(p), 4);
      expect(predictions[1].probability).toBeCloseTo(Number(q), 4);
      number += 1;
    }
    expect(number).toBe(expected.length);
  });

  it("are written back byte for byte", async () => {
    const path = join(folder, "again.bin");
    await writeClassifier(path, await readClassifier(fixture("fasttext-hs.bin")), { epoch: 5, minCount: 12 });
    const [again, original] = [await readFile(path), await readFile(fixture("fasttext-hs.bin"))];
    expect(again.equals(original)).toBe(true);
  });

  it("are rejected if not a model, truncated, or with wrong sizes", async () => {
    const whole = await readFile(fixture("fasttext-hs.bin"));
    await expect(readClassifier(join(folder, "none.bin"))).rejects.toThrow(/there is no such file/);
    await expect(readClassifier(await file("a.bin", "hello there"))).rejects.toThrow(/it is not a fastText model/);
    await expect(readClassifier(await file("b.bin", ""))).rejects.toThrow(/it is truncated/);
    for (const length of [20, 90, 300, whole.length - 1]) {
      await expect(readClassifier(await file("c.bin", whole.subarray(0, length)))).rejects.toThrow(/as a classifier: /);
    }
    const vectors = Buffer.from(whole);
    vectors.writeInt32LE(1, 8 + 4 * 7);
    await expect(readClassifier(await file("d.bin", vectors))).rejects.toThrow(/word vectors, not a classifier/);
    const huge = Buffer.from(whole);
    huge.writeInt32LE(2 ** 30, 8 + 4 * 8);
    await expect(readClassifier(await file("e.bin", huge))).rejects.toThrow(/wrong size|4 GiB/);
  });

  it("with a damaged header allocate no memory and raise a clear error", async () => {
    for (const name of ["fasttext-hs.bin", "fasttext-quantised.ftz"]) {
      const whole = await readFile(fixture(name));
      const names = [
        "dim",
        "ws",
        "epoch",
        "minCount",
        "neg",
        "wordNgrams",
        "loss",
        "model",
        "bucket",
        "minn",
        "maxn",
        "lr",
      ];
      const fields = [...names.map((_, i) => 8 + 4 * i), 64, 68, 72, 76, 80, 84, 88, whole.length >> 1];
      for (const at of fields) {
        for (const value of [-1, 7, 65536, 2 ** 28, 2 ** 31 - 1]) {
          const bytes = Buffer.from(whole);
          bytes.writeInt32LE(value, at);
          const path = await file("field.bin", bytes);
          try {
            const model = await readClassifier(path);
            expect(model.memory.buffer.byteLength).toBeLessThan(2 ** 29);
            for await (const { predictions } of predictFile(model, fixture("fasttext-lines.txt"))) {
              for (const { probability } of predictions) expect(probability).toBeLessThanOrEqual(1.001);
            }
          } catch (error) {
            expect((error as Error).name).toBe("QuernError");
            expect((error as Error).message).toMatch(/^cannot read .*field\.bin as a classifier: /);
          }
        }
      }
    }
  });

  it("are rejected for non-finite weights, invalid label counts, and unterminated words", async () => {
    const whole = await readFile(fixture("fasttext-hs.bin"));
    const weights = Buffer.from(whole);
    weights.writeFloatLE(Number.NaN, whole.length - 8);
    await expect(readClassifier(await file("i.bin", weights))).rejects.toThrow(/a weight is not a finite number/);
    const counts = Buffer.from(whole);
    counts.writeBigInt64LE(2n ** 50n, whole.indexOf(0, whole.indexOf("__label__")) + 1);
    await expect(readClassifier(await file("j.bin", counts))).rejects.toThrow(/its label counts are invalid/);
    const endless = Buffer.concat([whole.subarray(0, 92), Buffer.alloc(5 * 2 ** 20, "a")]);
    await expect(readClassifier(await file("k.bin", endless))).rejects.toThrow(/a word does not end/);
  });

  it("keep names that are not valid UTF-8 as bytes", async () => {
    const whole = await readFile(fixture("fasttext-hs.bin"));
    const at = whole.indexOf("__label__") + "__label__".length;
    whole[at] = 0xff;
    const model = await readClassifier(await file("g.bin", whole));
    expect(model.vocabulary.labels.map(labelName).some((name) => name.startsWith("\ufffd"))).toBe(true);
    const path = join(folder, "h.bin");
    await writeClassifier(path, model, { epoch: 5, minCount: 12 });
    expect((await readFile(path)).equals(whole)).toBe(true);
  });

  it("raise only QuernError if damaged", async () => {
    const whole = await readFile(fixture("fasttext-quantised.ftz"));
    const path = join(folder, "f.ftz");
    await fc.assert(
      fc.asyncProperty(fc.nat(2000), fc.uint8Array({ minLength: 1, maxLength: 8 }), async (at, noise) => {
        const bytes = Buffer.from(whole);
        bytes.set(noise, at);
        await writeFile(path, bytes);
        try {
          await readClassifier(path);
        } catch (error) {
          expect((error as Error).name).toBe("QuernError");
        }
      }),
      // minn greater than maxn disables character n-grams, as in fastText.
      { numRuns: 60, examples: [[44, Uint8Array.of(0, 0, 0, 1, 1)]] },
    );
  });
});

describe("training a classifier", () => {
  it.each<[string, TrainClassifierOptions]>([
    ["words", {}],
    ["n-grams of words and characters", { wordNgrams: 2, minn: 2, maxn: 4, bucket: 5000 }],
    ["hierarchical softmax", { loss: "hs" }],
    ["two threads", { threads: 2 }],
  ])("learns with %s", { timeout: 20_000 }, async (_, options) => {
    const train = await file("train.txt", lines(2000, 1));
    const test = await file("test.txt", lines(300, 2));
    const { classifier, record, loss, words, labels } = await trainClassifier(train, { dim: 10, lr: 0.3, ...options });
    expect([labels, words > 400, loss < 0.6]).toEqual([2, true, true]);
    const result = await testClassifier(classifier, test);
    expect(result.examples).toBe(300);
    expect(result.precision).toBeGreaterThan(0.97);
    const path = join(folder, "model.bin");
    await writeClassifier(path, classifier, record);
    expect(await testClassifier(await readClassifier(path), test)).toEqual(result);
    expect(new Predictor(classifier).text("a1 a2 a3 a4")[0].label).toBe("alpha");
  });

  it("is reproducible to the bit with one thread, and depends on the seed", async () => {
    const train = await file("train.txt", lines(500, 1));
    const models = await Promise.all([0, 0, 1].map((seed) => trainClassifier(train, { dim: 8, seed })));
    const [a, b, c] = models.map(({ classifier }) => Buffer.from(classifier.input.slice().buffer).toString("hex"));
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  it("learns similar labels by hierarchical softmax nearly as well as by full softmax", async () => {
    // Twenty labels in five families; labels of a family share three of four words.
    let state = 3;
    const next = (n: number) => {
      state = (state * 48271) % 2147483647;
      return state % n;
    };
    const line = () => {
      const label = next(20);
      const words = Array.from({ length: 6 }, () =>
        next(4) === 0 ? `own${label}x${next(30)}` : `family${label % 5}x${next(60)}`,
      );
      return `__label__l${label} ${words.join(" ")}\n`;
    };
    const train = await file("train.txt", Array.from({ length: 3000 }, line).join(""));
    const test = await file("test.txt", Array.from({ length: 1000 }, line).join(""));
    const precision: Record<string, number> = {};
    for (const loss of ["softmax", "hs"] as const) {
      const { classifier } = await trainClassifier(train, { dim: 16, epoch: 10, lr: 0.5, loss });
      precision[loss] = (await testClassifier(classifier, test)).precision;
    }
    expect(precision.softmax).toBeGreaterThan(0.7);
    expect(precision.hs).toBeGreaterThan(precision.softmax - 0.03);
  });

  it("assigns label counts whose Huffman tree groups similar labels", () => {
    const labels = Array.from({ length: 8 }, (_, i) => ({ bytes: `__label__${i}`, count: 100 - i }));
    const words = new LabelWords(labels.length);
    for (const [i] of labels.entries()) {
      for (let j = 0; j < 40; j++) words.add(i, `pair${i % 4}x${j}`, 1);
      for (let j = 0; j < 40; j++) words.add(i, `half${i % 2}x${j}`, 1);
      for (let j = 0; j < 5; j++) words.add(i, `own${i}x${j}`, 1);
    }
    const tree = treeOfLabels(labels, words);
    expect(tree.map(({ count }) => count)).toEqual(tree.map(({ count }) => count).sort((a, b) => b - a));
    // The simplest Huffman algorithm: joins the two lightest nodes, the oldest first among equals.
    let nodes = tree.map(({ was, count }) => ({ leaves: [was], count }));
    const joined: number[][] = [];
    while (nodes.length > 1) {
      nodes.sort((a, b) => a.count - b.count);
      const [a, b, ...rest] = nodes;
      const both = { leaves: [...a.leaves, ...b.leaves].sort(), count: a.count + b.count };
      joined.push(both.leaves);
      nodes = [...rest, both];
    }
    for (const pair of [
      [0, 4],
      [1, 5],
      [2, 6],
      [3, 7],
      [0, 2, 4, 6],
      [1, 3, 5, 7],
    ])
      expect(joined).toContainEqual(pair);
    // Edge cases: one label, labels without words, and labels whose tree is too deep for counts.
    expect(treeOfLabels(labels.slice(0, 1), words)[0].was).toBe(0);
    expect(
      treeOfLabels(labels, new LabelWords(8))
        .map(({ was }) => was)
        .sort(),
    ).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const steep = Array.from({ length: 60 }, (_, i) => ({
      bytes: `__label__${i}`,
      count: 2 ** (50 - Math.min(i, 50)),
    }));
    expect(treeOfLabels(steep, new LabelWords(60)).map(({ count }) => count)).toEqual(steep.map(({ count }) => count));
  });

  it("reports labels that occur once", async () => {
    const path = await file("once.txt", `${lines(200, 1)}__label__rare one two\n__label__other three\n`);
    const { once, labels } = await trainClassifier(path, { dim: 4 });
    expect([...once].sort()).toEqual(["other", "rare"]);
    expect(labels).toBe(4);
  });

  it("reports invalid files and options", async () => {
    await expect(trainClassifier(await file("a.txt", ""))).rejects.toThrow(/has no labelled line/);
    await expect(trainClassifier(await file("b.txt", "no label\n"))).rejects.toThrow(/has no labelled line/);
    await expect(trainClassifier(await file("c.txt", "__label__x"))).rejects.toThrow(/nothing to train on/);
    // A model with NaN weights would silently predict nothing.
    await expect(trainClassifier(await file("e.txt", lines(200, 1)), { lr: 1e9, dim: 8 })).rejects.toThrow(
      /training diverged.*lower --lr \(1000000000\)/,
    );
    await expect(trainClassifier(await file("d.txt", lines(9, 1)), { minn: 3, maxn: 2 })).rejects.toThrow(
      /greater than --maxn/,
    );
    await expect(
      trainClassifier(await file("e.txt", lines(9, 1)), { wordNgrams: 2, dim: 4096, bucket: 2 ** 29 }),
    ).rejects.toThrow(/GiB, more than the limit of 4 GiB: lower --bucket/);
    await expect(trainClassifier(join(folder, "none.txt"))).rejects.toThrow(/there is no such file/);
  });

  it("reads lines of any length", async () => {
    const long = [
      `__label__a ${"a".repeat(3 * 2 ** 20)}\n__label__b x y\n`,
      `__label__a ${"a ".repeat(1.2 * 2 ** 20)}\n__label__b x y\n`,
      `__label__b x\n__label__a ${"é".repeat(0.7 * 2 ** 20)}\n__label__b x y\n${"\0".repeat(2 ** 21)}`,
    ];
    for (const text of long) {
      const path = await file("long.txt", text);
      const { classifier, labels } = await trainClassifier(path, {
        dim: 4,
        minn: 1,
        maxn: 3,
        wordNgrams: 3,
        bucket: 100,
        epoch: 1,
      });
      expect(labels).toBe(2);
      expect((await testClassifier(classifier, path)).examples).toBeGreaterThan(1);
    }
  });

  it("assigns each line of a file to exactly one thread", async () => {
    const text = lines(300, 5);
    const path = await file("lines.txt", text);
    for (const parts of [1, 2, 3, 7, 40]) {
      let all = "";
      for (let i = 0; i < parts; i++) {
        const [from, to] = [Math.floor((text.length * i) / parts), Math.floor((text.length * (i + 1)) / parts)];
        for await (const piece of wholeLines(path, from, to)) all += Buffer.from(piece).toString();
      }
      expect(all).toBe(text);
    }
  });
});
