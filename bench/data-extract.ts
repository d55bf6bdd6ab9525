/**
 * @file Quality of extraction on the two sets of pages in QUERN_SHARED, and speed compared with Readability (with linkedom) and
 * trafilatura 2 (standard and fast): medians of alternating runs.
 *
 *     npm run bench data-extract -- [--rounds 3] [--every 6]
 *
 * QUERN_SHARED is the folder whose data/extraction contains the pages; its README explains the scores. QUERN_PYTHON is a Python
 * with trafilatura; without it, the rows of trafilatura are omitted. Speed is measured on every sixth page, because the peers
 * are slow.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Readability } from "@mozilla/readability";
import { parseHTML } from "linkedom";
import { type Extraction, extract } from "../src/data/index.js";
import { articleFigure, mean, type Page, readSets, scoreOf } from "./extraction-sets.js";
import { flags, machineLine, median, runPeer } from "./measure.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = here.includes(join(".cache", "bench")) ? join(here, "..", "..", "..") : join(here, "..");
const { rounds, every } = flags({ rounds: 3, every: 6 });
const python = process.env.QUERN_PYTHON ?? "";
if (python === "") console.error("QUERN_PYTHON is not set to a Python with trafilatura; its rows are omitted");

function readability(bytes: Uint8Array): string {
  try {
    const { document } = parseHTML(Buffer.from(bytes).toString("utf8"));
    return new Readability(document).parse()?.textContent ?? "";
  } catch {
    // linkedom fails on some pages; count them as without text.
    return "";
  }
}

const all = readSets();
const articles = all.filter(({ set }) => set === "articles");
const pages = all.filter(({ set }) => set === "pages");

// Quality, and the slowest page. Times the second run of each page, because the first includes compilation.
const run = (page: Page): Extraction => extract(page.bytes);
const found = new Map(all.map((page) => [page, run(page)]));
const textOf = (page: Page): string => found.get(page)?.text ?? "";
let slowest = { id: "", milliseconds: 0 };
for (const page of all) {
  const start = performance.now();
  run(page);
  const milliseconds = performance.now() - start;
  if (milliseconds > slowest.milliseconds) slowest = { id: page.id, milliseconds };
}
const scores = pages.map((page) => scoreOf(page, textOf(page)).f1);
const byType = (type: string): number => mean(scores.filter((_, i) => pages[i].type === type));
const quality = [
  {
    name: "articles, 4-word shingles F1",
    quern: articleFigure(articles.map((page) => scoreOf(page, textOf(page)))).f1,
    least: 0.965,
  },
  { name: "pages, mean word F1", quern: mean(scores), least: 0.8 },
  ...(
    [
      ["article", 0.95],
      ["documentation", 0.95],
      ["forum", 0.78],
      ["product", 0.69],
      ["listing", 0.69],
      ["collection", 0.69],
      ["service", 0.85],
    ] as const
  ).map(([type, least]) => ({ name: `  ${type}`, quern: byType(type), least })),
];
console.log(`${await machineLine()}\n`);
for (const { name, quern, least } of quality) {
  console.log(`${name.padEnd(44)} ${quern.toFixed(3)}  at least ${least}  ${quern >= least ? "ok" : "MISSED"}`);
}
console.log(
  `${"slowest page, ms".padEnd(44)} ${slowest.milliseconds.toFixed(0).padStart(5)}  at most 500  (${slowest.id})\n`,
);

// Speed: in each round, Quern and the peers alternate.
const sample = all.filter((_, i) => i % every === 0);
const megabytes = sample.reduce((sum, { bytes }) => sum + bytes.length, 0) / 1e6;
const folder = mkdtempSync(join(tmpdir(), "quern-bench-"));
const files = sample.map(({ id, bytes }) => {
  const path = join(folder, `${id}.html`);
  writeFileSync(path, bytes);
  return path;
});

function timeOf(work: (page: Page) => unknown): number {
  const start = performance.now();
  for (const page of sample) work(page);
  return (performance.now() - start) / 1000;
}

const peers: { readonly name: string; readonly least: number; readonly seconds: () => number }[] = [
  { name: "Readability + linkedom", least: 5, seconds: () => timeOf((page) => readability(page.bytes)) },
];
if (python !== "") {
  const script = join(root, "bench", "peers", "extract_trafilatura.py");
  const trafilatura = (fast: boolean): number =>
    runPeer<{ readonly seconds: number }>(python, script, [JSON.stringify({ pages: files, fast, texts: false })])
      .seconds;
  peers.push({ name: "trafilatura, standard", least: 5, seconds: () => trafilatura(false) });
  peers.push({ name: "trafilatura, fast", least: 2.5, seconds: () => trafilatura(true) });
}
const own: number[] = [];
const theirs = peers.map((): number[] => []);
const ratios = peers.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  peers.forEach((peer, i) => {
    const mine = timeOf(run);
    const other = peer.seconds();
    own.push(mine);
    theirs[i].push(other);
    ratios[i].push(other / mine);
  });
}
rmSync(folder, { recursive: true });
const rate = (seconds: readonly number[]): number => sample.length / median(seconds);
console.log(`${sample.length} pages, ${megabytes.toFixed(1)} MB     documents/s     MB/s    Quern is`);
console.log(
  `${"Quern".padEnd(28)} ${rate(own).toFixed(1).padStart(9)} ${(megabytes / median(own)).toFixed(1).padStart(9)}`,
);
const speed = peers.map(({ name, least }, i) => {
  const ratio = median(ratios[i]);
  console.log(
    `${name.padEnd(28)} ${rate(theirs[i]).toFixed(1).padStart(9)} ${(megabytes / median(theirs[i])).toFixed(1).padStart(9)} ` +
      `${ratio.toFixed(1).padStart(9)} ×  at least ${least}  ${ratio >= least ? "ok" : "MISSED"}`,
  );
  return { name, documentsPerSecond: rate(theirs[i]), ratio, least };
});
console.log(
  JSON.stringify({
    bench: "data-extract",
    machine: await machineLine(),
    quality: quality.map(({ name, quern, least }) => ({ name: name.trim(), quern, least })),
    slowest,
    speed: { pages: sample.length, megabytes, documentsPerSecond: rate(own), peers: speed },
  }),
);
