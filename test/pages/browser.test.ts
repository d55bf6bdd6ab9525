/**
 * Every kind of page in a browser: no serious or critical axe violation in light or dark mode, no horizontal scrolling at 360
 * pixels, no request. Skipped without Chromium.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { renderCorpusReport } from "../../src/data/corpus/report.js";
import { renderReport as renderFunnel } from "../../src/data/funnel/report.js";
import { ReadLog } from "../../src/documents/index.js";
import { arenaPage } from "../../src/eval/arena/arena-page.js";
import { leaderboardPage } from "../../src/eval/arena/leaderboard-page.js";
import type { Ranking } from "../../src/eval/arena/rank.js";
import { evaluationReport } from "../../src/eval/report/report.js";
import { escapeHtml, page } from "../../src/pages/index.js";
import { fitScalingLaw, formatRuns } from "../../src/scale/index.js";
import { tokensAsHtml } from "../../src/tokenizer/index.js";
import { renderReport as renderRun } from "../../src/train/report/report.js";
import { BROWSER_TIMEOUT, outOf } from "../browser.js";
import { chromium } from "../chromium.js";
import { madeRun } from "../eval/report/made-runs.js";
import { everyColumn } from "../scale/runs-fixtures.js";
import { corpusStory, funnel, metrics, runRecord, samples } from "./examples.js";

const folder = mkdtempSync(join(tmpdir(), "quern-pages-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PROBE = `
for (const each of document.querySelectorAll("details")) each.open = true;
axe.run(document, { resultTypes: ["violations"], iframes: false }).then(({ violations }) => {
  parent.document.getElementById("out").textContent = JSON.stringify({
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    wide: [...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && each.closest(".wide,pre,svg") === null).map((each) => each.outerHTML.slice(0, 120)),
    fetched: performance.getEntriesByType("resource").map(({ name }) => name),
    small: [...document.querySelectorAll("svg text")].map((each) => each.getBoundingClientRect().height).filter((height) => height < 9).length,
    violations: violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 160) + " " + failureSummary.slice(0, 200)).join(" | ")),
  });
});`;

/** Puts the page into a frame of a phone's width, which reports to the outer page. */
function inFrame(html: string, width: number): string {
  const probed = html.replace("</body>", () => `<script>${axe}</script><script>${PROBE}</script></body>`);
  return `<!doctype html><pre id="out"></pre><iframe style="width:${width}px;height:800px;border:0" srcdoc="${escapeHtml(probed)}"></iframe>`;
}

const token = (id: number, text: string) => ({
  id,
  bytes: new TextEncoder().encode(text),
  label: text,
  special: id === 0,
});
const words = Array.from({ length: 300 }, (_, i) => token(i % 17, ["the", "·miller", "⏎", "·grinds"][i % 4]));

const START = Float64Array.of(Math.log(480), Math.log(2100), Math.log(1.8), 0.35, 0.37);

async function lawPage(): Promise<string> {
  const runs = join(folder, "runs.csv");
  writeFileSync(runs, formatRuns(everyColumn()));
  const { report } = await fitScalingLaw({
    runs,
    starts: [START],
    bootstrap: 100,
    threads: 1,
    out: join(folder, "law"),
  });
  return readFileSync(report as string, "utf8");
}

const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  run: () => renderRun(runRecord, metrics, "a-run"),
  funnel: () => renderFunnel(funnel, samples, { "gopher-quality": { minWords: 50 } }),
  corpus: () => renderCorpusReport(corpusStory, { mix: { order: "shuffled", phases: 4 } } as never, ["web/"]),
  leaderboard: () => leaderboardPage(ranking(), new ReadLog().report),
  arena: arenaPage,
  evaluation: () =>
    evaluationReport(madeRun(1), { against: madeRun(2), pieces: (text) => text.match(/\s?\S{1,4}|\s/g) ?? [] }),
  law: once(lawPage),
  tokens: () => tokensAsHtml(words, "Tokens of a text"),
};

/** Renders a page of several tests once. */
function once<T>(render: () => Promise<T>): () => Promise<T> {
  let rendered: Promise<T> | undefined;
  return () => {
    rendered ??= render();
    return rendered;
  };
}

const ranking = (): Ranking => ({
  ...{ method: "bt", confidence: 0.95, intervals: "sandwich", votes: 400, warnings: ["a warning"] },
  models: ["a model with a rather long name", "owner/another-model-1.5b-instruct", "c"].map((model, i) => ({
    ...{ model, rating: 1000 - 40 * i, lower: 950 - 40 * i, upper: 1050 - 40 * i, rank: 1, votes: 200 },
  })),
  neighbours: [{ above: "a", below: "b", difference: 40, lower: -5, upper: 85, more_votes: 1234 }],
  style: [{ feature: "length", points: 12, lower: 3, upper: 21 }],
  pairs: [{ model_a: "c", model_b: "a model with a rather long name", wins_a: 3, wins_b: 5, ties: 2 }],
});

const browser = chromium();

/** Returns the probe's findings for a page. */
async function look(name: string, html: string, width: number, dark: boolean) {
  const path = join(folder, `${name}-${width}-${dark}.html`);
  writeFileSync(path, inFrame(html, width));
  return JSON.parse(await outOf(browser as string, path, { dark }));
}

for (const [name, render] of Object.entries(PAGES)) {
  it.skipIf(browser === undefined).each([
    [360, false],
    [360, true],
    [1100, false],
  ])(
    `${name}: readable and accessible at %i pixels, dark %s (needs Chromium in the PATH)`,
    async (width, dark) => {
      const clean = { dark, width, overflow: 0, wide: [], fetched: [], small: 0, violations: [] };
      expect(await look(name, await render(), width, dark)).toEqual(clean);
    },
    BROWSER_TIMEOUT,
  );
}

it.skipIf(browser === undefined)(
  "the probe finds low contrast and content that is too wide",
  async () => {
    const faint = '<p style="color:#ddd;background:#fff">faint</p><div style="width:500px">wide</div>';
    const found = await look("broken", page({ title: "broken", sections: [faint] }), 360, false);
    expect(found.violations.join()).toContain("color-contrast");
    expect(found.overflow).toBeGreaterThan(100);
    expect(found.wide).toHaveLength(1);
  },
  BROWSER_TIMEOUT,
);
