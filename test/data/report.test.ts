/**
 * End to end: crawls a site, cleans its archive (and real ones, if QUERN_SHARED is set), checks the totals of the funnel, and
 * renders the report in a browser.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CleanResult, clean, crawl } from "../../src/data/index.js";
import {
  defineRecipe,
  gopherQuality,
  language,
  length,
  normalize,
  personalData,
} from "../../src/data/recipes/recipe-steps.js";
import { BROWSER_TIMEOUT, outOf } from "../browser.js";
import { chromium } from "../chromium.js";
import { type Site, startSite } from "./site.js";

let root: string;
let site: Site;
let result: CleanResult;
const shared = [process.env.QUERN_SHARED ?? "", join(process.env.QUERN_SHARED ?? "", "data")]
  .map((folder) => join(folder, "warc"))
  .find(existsSync);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quern-report-"));
  site = await startSite();
  const out = join(root, "crawl");
  await crawl({ urls: [site.url], out, allowPrivate: true, delay: 0, maxPageBytes: 100_000 });
  result = await clean({
    inputs: [out, ...(shared === undefined ? [] : [shared])],
    out: join(root, "clean"),
    recipe: defineRecipe({
      name: "whole-way",
      steps: [
        language({ keep: ["en"], minScore: 0.3 }),
        length({ minWords: 20 }),
        gopherQuality({ minAlphabeticWords: 0.6, minStopWords: 1 }),
        normalize(),
        personalData(),
      ],
    }),
  });
}, 60_000);
afterAll(async () => {
  await site.close();
  rmSync(root, { recursive: true, force: true });
});

describe("from a site to a report", () => {
  it("turns a crawl into documents with a consistent funnel", () => {
    const { funnel } = result;
    expect(funnel.faults).toEqual([]);
    const [extract] = funnel.steps;
    expect(extract.documents.in).toBeGreaterThan(10);
    expect(funnel.output.documents).toBeGreaterThan(5);
    for (const step of funnel.steps) {
      expect(step.documents.in).toBe(step.documents.kept + step.documents.dropped);
      for (const flow of [step.bytes, step.words]) {
        expect(flow.in).toBe(flow.out + flow.dropped + flow.cut - flow.added);
      }
    }
    const urls = readFileSync(join(result.out, "documents", "00000.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(urls.map(({ url }) => new URL(url).pathname)).toContain("/story/1");
    for (const { origin } of urls)
      expect(origin).toMatchObject({ archive: expect.any(String), offset: expect.any(Number) });
  });

  const browser = chromium();
  it.skipIf(browser === undefined)(
    "renders the funnel, samples, and pages beside their text in Chromium (which must be in the PATH)",
    async () => {
      // A script at the end of the page measures what the browser shows, with all samples unfolded.
      const probe = `<script>
for (const each of document.querySelectorAll("details")) each.open = true;
const boxes = (selector) => [...document.querySelectorAll(selector)].map((each) => each.getBoundingClientRect());
const pair = document.querySelector("article .pair");
const shown = {
  bars: boxes(".funnel i.kept").map(({ width }) => width),
  labels: [...document.querySelectorAll(".funnel .step")].map((each) => each.textContent),
  wide: document.documentElement.scrollWidth - innerWidth,
  samples: [...document.querySelectorAll("summary")].map((each) => each.textContent),
  page: pair.querySelector("iframe").getBoundingClientRect(),
  text: pair.querySelector("pre").getBoundingClientRect(),
  words: pair.querySelector("pre").textContent.length,
  fetched: performance.getEntriesByType("resource").length,
};
document.body.innerHTML = "<pre id=out></pre>";
document.getElementById("out").textContent = JSON.stringify(shown);
</script>`;
      const path = join(root, "probe.html");
      writeFileSync(path, readFileSync(result.report, "utf8").replace("</body>", `${probe}</body>`));
      const shown = JSON.parse(await outOf(browser as string, path));
      const { steps } = result.funnel;
      // The width of each bar is proportional to the documents kept.
      const unit = shown.bars[0] / steps[0].documents.kept;
      const drawn = steps.filter(({ documents }) => documents.kept > 0);
      expect(shown.bars).toHaveLength(drawn.length);
      drawn.forEach(({ documents }, i) => {
        expect(shown.bars[i] / unit).toBeCloseTo(documents.kept, 0);
      });
      for (const { step } of steps) expect(shown.labels).toContain(step);
      expect(shown.wide).toBeLessThanOrEqual(0);
      expect(shown.samples.some((text: string) => text.endsWith("kept"))).toBe(true);
      expect(shown.samples.some((text: string) => text.endsWith("dropped"))).toBe(true);
      // The page and its text are side by side and both visible.
      expect(shown.page.right).toBeLessThanOrEqual(shown.text.left);
      expect(Math.min(shown.page.width, shown.page.height, shown.text.width, shown.text.height)).toBeGreaterThan(40);
      expect(shown.words).toBeGreaterThan(10);
      expect(shown.fetched).toBe(0);
    },
    BROWSER_TIMEOUT,
  );
});
