import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  calibrate,
  calibrated,
  calibrationError,
  clean,
  fitByRecipe,
  fitClassifier,
  Scorer,
  thresholdTable,
} from "../../src/data/index.js";

let root: string;
let server: Server;
let asked = 0;
let endpoint = "";
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quern-quality-"));
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      asked += 1;
      const { messages } = JSON.parse(body) as { messages: { content: string }[] };
      const text = messages[1].content;
      // Sometimes refuses a request, like a busy server.
      if (asked % 7 === 3) return void response.writeHead(429).end("{}");
      const grade = text.includes("lesson") ? 4 : text.includes("offer") ? 0 : 2;
      response.end(JSON.stringify({ choices: [{ message: { content: `Of 12 facts, some. Grade: ${grade}` } }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

let seed = 1;
const draw = (n: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return (seed >>> 16) % n;
};
/** Generates texts from words specific to a kind and words shared by all kinds. */
const text = (kind: string, own = 0.5) =>
  Array.from({ length: 25 }, () => (draw(100) < 100 * own ? `${kind}${draw(40)}` : `both${draw(60)}`)).join(" ");
let files = 0;
function write(documents: readonly object[]): string {
  const path = join(root, `documents-${files++}.jsonl`);
  writeFileSync(path, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
  return path;
}
const many = (kind: string, count: number, fields: (i: number) => object = () => ({}), own?: number) =>
  write(
    Array.from({ length: count }, (_, i) => ({
      id: `${kind}${i}`,
      text: `${kind === "edu" ? "lesson " : ""}${text(kind, own)}`,
      ...fields(i),
    })),
  );

describe("measures", () => {
  const scored = Array.from({ length: 1000 }, (_, i) => ({ score: (i + 0.5) / 1000, good: (i * 7919) % 1000 < i }));

  it("have a row for each share of kept texts", () => {
    const table = thresholdTable(scored, [0.1, 0.5, 1]);
    expect(table.map(({ keep }) => keep)).toEqual([0.1, 0.5, 1]);
    expect(table[0].precision).toBeCloseTo(0.95, 1);
    expect(table[1].recall).toBeCloseTo(0.75, 1);
    expect(table[2]).toMatchObject({ recall: 1, threshold: 0.0005 });
    const goods = scored.filter(({ good }) => good).length;
    expect(table[2].precision).toBe(goods / 1000);
    // Equal scores are kept or dropped together.
    expect(
      thresholdTable(
        [1, 2, 3, 4].map((i) => ({ score: 0.5, good: i > 2 })),
        [0.25],
      )[0].keep,
    ).toBe(1);
  });

  it("calibrate overconfident scores", () => {
    const sharp = scored.map(({ score, good }) => ({ score: calibrated(score, { slope: 4, offset: 1 }), good }));
    const calibration = calibrate(sharp);
    // The inverse of 4 z + 1, apart from the effect of Platt's targets.
    expect(calibration?.slope).toBeCloseTo(0.25, 1);
    const after = sharp.map(({ score, good }) => ({ score: calibrated(score, calibration), good }));
    expect(calibrationError(sharp)).toBeGreaterThan(0.15);
    expect(calibrationError(after)).toBeLessThan(0.04);
    expect(calibrate(scored.map(({ score }) => ({ score, good: true })))).toBeNull();
  });
});

describe("recipes of classifiers", () => {
  it("distinguish reference-like documents, calibrated, and work as a cleaning step", async () => {
    const [good, rest] = [many("good", 400), many("web", 400)];
    const out = join(root, "reference.bin");
    const result = await fitByRecipe({
      kind: "reference",
      good: [good],
      rest: [rest],
      out,
      dim: 8,
      epoch: 10,
      lr: 0.5,
    });
    expect(result.accuracy).toBeGreaterThan(0.95);
    expect(result.commonest).toBeLessThan(0.65);
    expect(result.trained + result.tested).toBeLessThan(800);
    expect(result.thresholds.find(({ keep }) => keep >= 0.5)?.precision).toBeGreaterThan(0.9);
    expect(result.calibrationError.after).toBeLessThan(0.1);
    const card = JSON.parse(readFileSync(join(root, "reference.json"), "utf8"));
    expect(card).toMatchObject({ label: "good", preparation: "words", accuracy: result.accuracy });
    const scorer = await Scorer.open(out);
    expect(scorer.score("good1 good2 good3 good4 good5")).toBeGreaterThan(0.8);
    const recipe = join(root, "judge.json");
    writeFileSync(recipe, JSON.stringify({ steps: [{ quality: { model: out, least: 0.5 } }] }));
    const { funnel } = await clean({ inputs: [good, rest], recipe, out: join(root, "judged"), workers: 1 });
    expect(Math.abs(funnel.output.documents - 400)).toBeLessThan(30);
    const line = JSON.parse(readFileSync(join(root, "judged", "documents", "00000.jsonl"), "utf8").split("\n")[0]);
    expect(line.quality).toBeGreaterThan(0.5);
  });

  it("train on grades from a file or an endpoint, which grades each document once", async () => {
    const documents = [many("edu", 80), many("offer", 80), many("other", 80)];
    const labels = write([
      ...Array.from({ length: 80 }, (_, i) => ({ id: `edu${i}`, label: 4 })),
      ...Array.from({ length: 80 }, (_, i) => ({ id: `offer${i}`, score: 0 })),
      ...Array.from({ length: 80 }, (_, i) => ({ id: `other${i}`, label: "2" })),
    ]);
    const common = { kind: "educational", documents, dim: 8 } as const;
    const fromFile = await fitByRecipe({ ...common, labels, out: join(root, "file.bin") });
    expect(fromFile.labels).toEqual({ 0: 80, 2: 80, 4: 80 });
    expect(fromFile.accuracy).toBeGreaterThan(0.9);
    const scorer = await Scorer.open(join(root, "file.bin"));
    const score = (kind: string) => scorer.score(Array.from({ length: 20 }, (_, i) => `${kind}${i}`).join(" "));
    expect(score("edu")).toBeGreaterThan(score("other"));
    expect(score("other")).toBeGreaterThan(score("offer"));

    const kept = join(root, "grades.jsonl");
    const asking = { ...common, endpoint, model: "judge", samples: 60, labels: kept };
    const first = await fitByRecipe({ ...asking, out: join(root, "asked.bin") });
    expect(Object.values(first.labels).reduce((sum, count) => sum + count, 0)).toBe(60);
    expect(readFileSync(kept, "utf8").trim().split("\n").length).toBe(60);
    const before = asked;
    await fitByRecipe({ ...asking, out: join(root, "asked.bin"), force: true });
    expect(asked).toBe(before);
  }, 60_000);

  it("recognise languages by characters and topics by words", async () => {
    const letters = { xx: "aeiou", yy: "lmnprst", zz: "äöüßé" };
    const word = (set: string) => Array.from({ length: 6 }, () => [...set][draw([...set].length)]).join("");
    const documents = write(
      Object.entries(letters).flatMap(([language, set]) =>
        Array.from({ length: 100 }, (_, i) => ({
          ...{ id: `${language}${i}`, language, topic: `topic ${i % 2}` },
          text: Array.from({ length: 12 }, () => `${word(set)} t${i % 2}x${draw(9)}`).join(" "),
        })),
      ),
    );
    const languages = await fitByRecipe({ kind: "language", documents: [documents], out: join(root, "language.bin") });
    expect(Object.keys(languages.labels)).toEqual(["xx", "yy", "zz"]);
    expect(languages.accuracy).toBeGreaterThan(0.95);
    const topics = await fitByRecipe({ kind: "topic", documents: [documents], out: join(root, "topic.bin"), dim: 8 });
    expect(topics.labels).toEqual({ "topic-0": 150, "topic-1": 150 });
    expect(topics.accuracy).toBeGreaterThan(0.95);
  });

  it("keep each group in one split, and report labels that occur once", async () => {
    const examples = Array.from({ length: 300 }, (_, i) => ({
      text: `${text(i % 2 ? "a" : "b")} g${i % 30}`,
      label: i % 2 ? "a" : "b",
      group: `g${i % 30}`,
    }));
    examples.push({ text: "alone", label: "c", group: "g1" });
    const result = await fitClassifier({
      examples,
      out: join(root, "groups.bin"),
      good: "a",
      training: { dim: 4, epoch: 2 },
    });
    expect(result.once).toEqual(["c"]);
    expect(result.labels).toEqual({ a: 150, b: 150, c: 1 });
    expect(result.tested % 10).toBe(0); // whole groups of ten texts
  });

  it("report invalid options, labels and cards", async () => {
    const out = join(root, "wrong.bin");
    const [a, b] = [many("a", 40), many("b", 40)];
    await expect(fitByRecipe({ kind: "spam", good: [a], out })).rejects.toThrow(
      /needs --good and --rest; --rest is missing/,
    );
    await expect(fitByRecipe({ kind: "topic", documents: [a], out })).rejects.toThrow(
      /no document has a field "topic"/,
    );
    await expect(
      fitByRecipe({ kind: "topic", documents: [many("a", 40, () => ({ topic: "x" }))], out }),
    ).rejects.toThrow(/all texts have the label x/);
    await expect(
      fitByRecipe({ kind: "educational", documents: [many("a", 40, () => ({ grade: "fine" })), b], out }),
    ).rejects.toThrow(/all texts have the label fine/);
    await expect(fitByRecipe({ kind: "spam", good: [many("a", 1)], rest: [many("b", 1)], out })).rejects.toThrow(
      /none of the .* went to the/,
    );
    const badLabels = join(root, "bad-labels.jsonl");
    writeFileSync(badLabels, '{"id": "a1"}\n');
    await expect(fitByRecipe({ kind: "topic", documents: [a], labels: badLabels, out })).rejects.toThrow(
      /bad-labels.jsonl, line 1/,
    );
    await expect(
      fitByRecipe({ kind: "educational", documents: [a], endpoint: "http://127.0.0.1:9/v1", out }),
    ).rejects.toThrow(/requires --model/);
    writeFileSync(join(root, "wrong.json"), "no card");
    writeFileSync(out, readFileSync(join(root, "groups.bin")));
    await expect(Scorer.open(out)).rejects.toThrow(/is not a classifier's card/);
    await expect(Scorer.open(join(root, "groups.bin"), "nothing")).rejects.toThrow(
      /has no label nothing; its labels are/,
    );
  });
});
