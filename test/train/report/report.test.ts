import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { renderReport, writeReport } from "../../../src/train/report/report.js";

const record = {
  version: "0.1.0",
  created: "2026-11-23T20:00:00.000Z",
  seed: 1,
  git: "abc1234",
  config: { layers: 4, text: ["a.txt", "b.txt"], learningRate: 0.003 },
  plan: {
    parameters: 3_300_000,
    model: { width: 192 },
    reasons: { width: "a width & a reason", learningRate: "as given" },
    schedule: { learningRate: 0.0031 },
  },
  machine: { cpu: "Some <CPU> & more", threads: 2 },
  result: {
    bits_per_byte: 1.987,
    gzip_bits_per_byte: 2.65,
    xz_bits_per_byte: 2.22,
    brotli_bits_per_byte: 2.31,
    ngram_bits_per_byte: 2.105,
    ngram_training_tokens: 5_000_001,
    heldout_bytes: 1_234_567,
    sources: [
      { source: "<novel>", heldout_bytes: 1000, bits_per_byte: 2.345, gzip_bits_per_byte: 3.5 },
      { source: "speeches", heldout_bytes: 2000, bits_per_byte: 1.777, gzip_bits_per_byte: 2.5 },
    ],
    fusion: {
      fused: { launches: 90, flops: 4e9, bytes: 1.5e9 },
      unfused: { launches: 360, flops: 4e9, bytes: 3e9 },
      arena_bytes: 3e8,
      unfused_arena_bytes: 4e8,
      kernels: [{ what: "matmul 4096×512×192 + mul, add", launches: 4, bytes: 5e8 }],
    },
    samples: [{ prompt: "My fellow", before: "\u0001<b>", after: " citizens, the state & union" }],
  },
};
const metrics = [
  ...Array.from({ length: 1000 }, (_, step) => ({
    step: step + 1,
    loss: 3 + 6 * Math.exp(-step / 150) + 0.3 * Math.sin(step * 7.3),
    learning_rate: Math.min(step / 50, 1) * 0.003,
    gradient_norm: 1 + Math.abs(Math.sin(step)),
    tokens: (step + 1) * 4096,
    tokens_per_second: 9000 + 300 * Math.sin(step / 9),
    peak_share: 0.41 + 0.02 * Math.sin(step / 9),
    seconds: step * 0.18,
  })),
  ...[250, 500, 750, 1000].map((step) => ({
    step,
    validation_loss: 3.1 + 6 * Math.exp(-step / 150),
    bits_per_byte: 2,
  })),
  { step: 500, samples: [{ prompt: "My fellow", text: " <i>words</i>" }] },
];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-report-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("writeReport", () => {
  it("writes one self-contained page", async () => {
    await writeFile(join(folder, "run.json"), JSON.stringify(record));
    // The last line is incomplete, as a killed run leaves it.
    await writeFile(
      join(folder, "metrics.jsonl"),
      `${metrics.map((line) => JSON.stringify(line)).join("\n")}\n{"step": 10`,
    );
    expect(await writeReport(folder)).toBe(join(folder, "report.html"));
    expect((await readdir(folder)).sort()).toEqual(["metrics.jsonl", "report.html", "run.json"]);
    const html = await readFile(join(folder, "report.html"), "utf8");
    expect(html).not.toMatch(/(src|href)=|url\(|https?:\/\//);
    expect(html.length).toBeLessThan(500_000);
    for (const part of [
      "1.987",
      "gzip -9",
      "2.650",
      "brotli",
      "validation",
      "1,234,567",
      "learningRate",
      "model.width",
      "xz -9e",
      "2.220",
      "5-gram",
      "2.105",
      "5,000,001",
      "&#60;novel&#62;",
      "1.777",
      "step 500",
      "&#60;i&#62;words",
      "a width &#38; a reason",
      "0.0031",
      "−75 %", // kernels
      "−50 %", // bytes
      "3.00 GB",
      "matmul 4096×512×192 + mul, add",
    ]) {
      expect(html).toContain(part);
    }
    expect(html).toContain("Some &#60;CPU&#62; &#38; more");
    expect(html).not.toContain("<b>\u0001");
    expect(html.match(/<svg/g)).toHaveLength(5);
  });

  it("refuses a folder without a run, and names an invalid line", async () => {
    await expect(writeReport(folder)).rejects.toThrow(/cannot read .*run\.json: there is no such file/);
    await writeFile(join(folder, "run.json"), "{}");
    await writeFile(join(folder, "metrics.jsonl"), '{"step": 1}\n{"step": }\n{"step": 3}\n');
    await expect(writeReport(folder)).rejects.toThrow(/metrics\.jsonl, line 2, is not JSON/);
  });
});

describe("renderReport", () => {
  it("leaves out unknown values", () => {
    const html = renderReport({}, [], "empty");
    expect(html).not.toContain("undefined");
    expect(html).not.toContain("<svg");
    const young = renderReport({}, [{ step: 1, loss: 9 }], "young");
    expect(young).toContain("9.000");
    expect(young).not.toMatch(/undefined|NaN/);
  });
});

it("shows a reward model's calibration and what rollouts cost", () => {
  const bins = [
    { from: 0.5, to: 0.55, pairs: 0 },
    { from: 0.55, to: 0.6, pairs: 40, confidence: 0.58, accuracy: 0.525 },
    { from: 0.6, to: 0.65, pairs: 60, confidence: 0.63, accuracy: 0.7 },
  ];
  const html = renderReport({ result: { calibration_error: 0.064, reliability: bins } }, [], "reward");
  expect(html).toContain("On average, this one is wrong by 6.4 %.");
  expect(html).toContain("55 % to 60 %");
  expect(html).toContain("52.5 %");
  expect(html).not.toMatch(/50 % to 55 %|NaN|undefined/);
  const timed = renderReport({ result: { time_shares: { rollouts: 0.25, updates: 0.75 } } }, [], "grpo");
  expect(timed).toMatch(/rollouts.*25 %.*updates.*75 %/s);
});

describe("a hostile run folder", () => {
  const attack = '<img src=x onerror="alert(1)">';
  const page = async (hostile: object, line: object = { step: 1, loss: 2 }) => {
    await writeFile(join(folder, "run.json"), JSON.stringify(hostile));
    await writeFile(join(folder, "metrics.jsonl"), `${JSON.stringify(line)}\n`);
    return readFile(await writeReport(folder), "utf8");
  };

  it.each([
    [{ result: { bits_per_byte: attack } }, {}, /run\.json was not written by a run: result\.bits_per_byte/],
    [{ result: { ...record.result, heldout_bytes: attack } }, {}, /result\.heldout_bytes/],
    [{ result: { ...record.result, fusion: { ...record.result.fusion, arena_bytes: attack } } }, {}, /arena_bytes/],
    [{ created: { slice: 1 } }, {}, /created/],
    [[], {}, /run\.json was not written by a run: Invalid input/],
    [{}, { step: attack }, /metrics\.jsonl, line 1, was not written by a run: step/],
    [{}, { step: 1, tokens: attack }, /tokens/],
    [{}, { step: 1, samples: [{ prompt: 1 }] }, /samples\.0\.prompt/],
  ])("is refused with the name of the invalid field: %j %j", async (hostile, more, message) => {
    await expect(page(hostile, { step: 1, loss: 2, ...more })).rejects.toThrow(message);
    await expect(page(hostile, { step: 1, loss: 2, ...more })).rejects.toMatchObject({ name: "QuernError" });
  });

  it("adds no tags to the page, whichever field contains HTML", async () => {
    const everywhere = {
      ...{ version: attack, created: attack, git: attack, machine: { [attack]: attack } },
      config: { [attack]: [attack, { [attack]: attack }] },
      plan: { model: { [attack]: attack }, schedule: { kind: attack }, reasons: { [attack]: attack, kind: attack } },
      result: {
        ...record.result,
        sources: [{ source: attack, bits_per_byte: 1 }],
        fusion: { ...record.result.fusion, kernels: [{ what: attack, launches: 1, bytes: 1 }] },
        samples: [{ prompt: attack, before: attack, after: attack }],
        time_shares: { [attack]: 1 },
      },
    };
    const html = await page(everywhere, { step: 1, loss: 2, samples: [{ prompt: attack, text: attack }] });
    expect(html).toContain("&#60;img");
    expect(html).not.toContain("<img");
  });
});
