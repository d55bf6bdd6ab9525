/** Example data for pages: a run, a funnel and a corpus, with long names, wide numbers and hostile text. */
import type { CorpusSummary } from "../../src/data/corpus/summary.js";
import type { Funnel, FunnelStep } from "../../src/data/funnel/funnel.js";
import type { Sample } from "../../src/data/funnel/samples.js";
import type { MetricsLine, RunRecord } from "../../src/train/report/report.js";

const LONG = "/data/archives/2026/crawl-00000-of-01024/segment-1234567890.warc.gz";
const prose = Array.from({ length: 40 }, (_, i) => `Line ${i} says that the miller grinds his corn.`).join("\n");

export const runRecord: RunRecord = {
  version: "0.1.0",
  created: "2026-11-23T20:00:00.000Z",
  seed: 1,
  git: "abc1234",
  config: { layers: 4, text: [LONG, "b.txt"], learningRate: 0.003 },
  plan: {
    parameters: 3_300_000,
    model: { width: 192 },
    reasons: { width: "the largest that a budget of 3e14 operations trains well", learningRate: "as given" },
    schedule: { learningRate: 0.0031 },
  },
  machine: { cpu: "Some <CPU> & more", threads: 2 },
  read: { files: 3, documents: 4936, rows: 4000 },
  skipped: { empty: 2 },
  skippedAt: { empty: [LONG] },
  data: { bytes: 26_000_000, largest_file: LONG },
  result: {
    bits_per_byte: 1.987,
    gzip_bits_per_byte: 2.65,
    xz_bits_per_byte: 2.22,
    brotli_bits_per_byte: 2.31,
    ngram_bits_per_byte: 1.905,
    ngram_training_tokens: 5_000_001,
    heldout_bytes: 1_234_567,
    sources: [
      { source: "<novel>", heldout_bytes: 1000, bits_per_byte: 2.345, gzip_bits_per_byte: 3.5 },
      { source: "speeches", heldout_bytes: 2000, bits_per_byte: 1.777, gzip_bits_per_byte: 2.5 },
    ],
    fusion: {
      fused: { launches: 90, flops: 4e9, bytes: 1.5e9, bf16Flops: 0 },
      unfused: { launches: 360, flops: 4e9, bytes: 3e9, bf16Flops: 0 },
      arena_bytes: 3e8,
      unfused_arena_bytes: 4e8,
      kernels: [{ what: "matmul 4096×512×192 + mul, add, silu, mul, add, mul", launches: 4, bytes: 5e8 }],
    },
    samples: [
      { prompt: "My fellow", before: "\u0001\ufffd\ufffd<b>", after: " citizens, the state & union" },
      { prompt: "Call me", before: "x".repeat(300), after: prose },
    ],
  },
};

export const metrics: MetricsLine[] = [
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

const flow = (before: number, out: number) => ({ in: before, out, dropped: before - out, cut: 0, added: 0 });
const amounts = (documents: number) => ({ documents, bytes: 4000 * documents, words: 700 * documents });

function step(name: string, before: number, kept: number, reasons: Readonly<Record<string, number>>): FunnelStep {
  return {
    step: name,
    documents: { in: before, kept, dropped: before - kept, edited: name === "personal-data" ? 31 : 0 },
    bytes: flow(4000 * before, 4000 * kept),
    words: flow(700 * before, 700 * kept),
    reasons: Object.fromEntries(Object.entries(reasons).map(([reason, documents]) => [reason, amounts(documents)])),
    edits: name === "personal-data" ? { email: 60 } : {},
    languages: { en: { in: amounts(before), out: amounts(kept) } },
    domains: { "a-very-long-domain-name.of-a-university.example": { in: amounts(before), out: amounts(kept) } },
    sources: { web: { in: amounts(before), out: amounts(kept) } },
  };
}

const steps = [
  step("language", 120_000, 61_000, { language_de: 50_000, language_score: 9_000 }),
  step("gopher-repetition", 61_000, 40_000, { dup_line_frac: 20_000, top_2_gram: 1_000 }),
  step("gopher-quality", 40_000, 3_000, { gopher_short_doc: 37_000 }),
  step("length", 3_000, 3_000, {}),
  step("personal-data", 3_000, 3_000, {}),
];

const reading = {
  read: { files: 12, documents: 120_000, rows: 119_000 },
  skipped: { damaged_gzip: 1, not_json: 3, "archive: an answer with status 404": 900 },
  skippedAt: { damaged_gzip: [LONG], not_json: [`${LONG}, line 12: Unexpected token`] },
};

export const funnel: Funnel = {
  version: 1,
  recipe: "fineweb",
  inputs: [LONG, "web/"],
  tasks: 64,
  read: 120_000,
  skipped: reading.skipped,
  reading,
  steps,
  output: { documents: 3000, bytes: 12_000_000, words: 2_100_000 },
  idle: ["length"],
  faults: [],
};

export const samples: Sample[] = [
  {
    step: "gopher-repetition",
    verdict: "dropped",
    reason: "dup_line_frac",
    id: "1",
    url: LONG,
    text: `again\n${prose}\nagain`,
  },
  { step: "gopher-repetition", verdict: "dropped", reason: "top_2_gram", id: "2", text: "buy now buy now buy now" },
  { step: "gopher-quality", verdict: "kept", id: "3", text: prose },
  {
    step: "personal-data",
    verdict: "edited",
    id: "4",
    text: "Write to a@b.example now.",
    edited: "Write to |||EMAIL||| now.",
  },
  { step: "language", verdict: "kept", id: "5", text: "x".repeat(500) },
  { step: "language", verdict: "edited", id: "6", text: "", edited: prose, html: "<h1>A page</h1><p>Its text.</p>" },
];

const group = (name: string, share: number) => ({
  name,
  documents: 1500,
  bytes: 6_000_000,
  asked: share,
  share,
  epochs: 1.25,
  capped: name === "books",
  written: 1800,
  bytesWritten: 7_000_000,
});

export const corpusStory = {
  steps,
  funnel,
  duplicates: [
    {
      by: "near",
      clusters: 40,
      pieces: 0,
      pairs: [
        { reason: "near", left: { id: "a", text: prose }, right: { id: "b", url: LONG, text: `${prose} And more.` } },
      ],
    },
  ],
  quality: {
    documents: 3000,
    histogram: Array.from({ length: 50 }, (_, i) => (i * 37) % 101),
    least: 0.4,
    kept: 1800,
    examples: [{ id: "q", score: 0.7, text: prose }],
  },
  contamination: [{ name: "exam", examples: 100, tooShort: 2, found: 3, documents: 4 }],
  mix: {
    ...reading,
    documents: 3000,
    bytes: 12_000_000,
    written: 3600,
    bytesWritten: 14_000_000,
    unjudged: 5,
    groups: [group("web", 0.7), group("books", 0.3)],
  },
  shards: {
    dtype: "uint16",
    vocabSize: 32_000,
    train: { tokens: 3_000_000, documents: 2900, files: ["a"] },
    heldout: { tokens: 30_000, documents: 30, files: ["b"] },
  },
  documents: "mix",
  heldout: "heldout.jsonl",
} as unknown as CorpusSummary;
