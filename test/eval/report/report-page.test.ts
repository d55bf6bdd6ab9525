/** The report in Chromium: every document opens; search, filters, links and keys work. Skipped without Chromium. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareRuns, writeEvaluationReport } from "../../../src/eval/index.js";
import { viewDocuments } from "../../../src/eval/report/sample-view.js";
import { BROWSER_TIMEOUT, type BrowserPage, openPage } from "../../browser.js";
import { chromium } from "../../chromium.js";
import { madeRun } from "./made-runs.js";

const browser = chromium();
const [run, against] = [madeRun(1), madeRun(2)];
const pieces = (text: string) => text.match(/\n\n|\s?\S{1,4}|\s/g) ?? [];
const views = [...run.samples.keys()].flatMap((task) => viewDocuments(run, task).map((view) => ({ task, view })));

describe.skipIf(browser === undefined)("the report in Chromium", { timeout: BROWSER_TIMEOUT }, () => {
  const folder = mkdtempSync(join(tmpdir(), "quern-report-page-"));
  let tab: BrowserPage;
  beforeAll(async () => {
    const path = await writeEvaluationReport(folder, run, { against, pieces });
    tab = await openPage(browser as string, pathToFileURL(path).href);
    await tab.until(`document.body?.dataset.ready === "true"`);
  }, BROWSER_TIMEOUT);
  afterAll(async () => {
    await tab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const text = (selector: string) => tab.evaluate<string>(`document.querySelector("${selector}")?.innerText ?? ""`);
  const choose = (id: string, value: string) =>
    tab.evaluate(
      `(() => { const control = document.getElementById("${id}"); control.value = ${JSON.stringify(value)}; control.onchange(); })()`,
    );
  const reset = async () => {
    await tab.evaluate(`document.getElementById("search").value = ""`);
    for (const id of ["task", "judge", "verdict", "change"]) await choose(id, "");
  };
  const found = async () => Number(/^[\d,]+/.exec(await text("#found"))?.[0].replace(",", ""));
  const press = (key: string) =>
    tab.evaluate(
      `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "${key}", bubbles: true, cancelable: true }))`,
    );

  it(
    "opens every document, by keyboard",
    async () => {
      expect(await found()).toBe(views.length);
      await tab.evaluate(`document.getElementById("list").focus()`);
      await press("Home");
      for (const [i, { task, view }] of views.entries()) {
        if (i > 0) await press("ArrowDown");
        const shown = await tab.evaluate<{ title: string; prompt: string; choices: number; selected: string }>(
          `({ title: document.querySelector("#detail .title").innerText,
            prompt: document.querySelector("#detail .prompt-box").textContent,
            choices: document.querySelectorAll("#detail [aria-label=Choices] tbody tr").length,
            selected: document.querySelector("#list [aria-selected=true]").getAttribute("aria-posinset") })`,
        );
        expect(shown).toEqual({
          title: `${task}, document ${view.docId}`,
          prompt: view.prompt,
          choices: view.choices.length,
          selected: String(i + 1),
        });
      }
      await press("ArrowDown");
      expect(await text("#detail .title")).toBe("texts, document 7");
      expect(await tab.evaluate(`location.hash`)).toBe("#texts/7");
    },
    BROWSER_TIMEOUT,
  );

  it("shows choices with log-probabilities, which is right and which is preferred", async () => {
    await reset();
    await tab.evaluate(`document.getElementById("list").focus()`);
    await press("Home");
    const [{ view }] = views;
    const rows = await tab.evaluate<string[][]>(
      `[...document.querySelectorAll("#detail [aria-label=Choices] tbody tr")].map((row) => [...row.children].map((cell) => cell.innerText))`,
    );
    expect(rows.map((row) => [row[2], row[3], row[4]])).toEqual(
      view.choices.map(({ logLikelihood, characters, bytes }) => [
        logLikelihood.toFixed(3),
        (logLikelihood / Number(characters)).toFixed(4),
        (logLikelihood / Number(bytes)).toFixed(4),
      ]),
    );
    expect(rows.map((row) => /\bright\b/.test(row[1]))).toEqual(rows.map((_, i) => view.right?.includes(i)));
    expect(rows.map((row) => /\bpreferred\b(?! by the other)/.test(row[1]))).toEqual(
      rows.map((_, i) => view.preferred.includes(i)),
    );
    const tokens = await tab.evaluate<string[]>(
      `[...document.querySelectorAll("#detail .prompt-box .token")].map((token) => token.textContent)`,
    );
    expect(tokens).toEqual(pieces(view.prompt));
    expect(await text("#detail")).toContain(`${tokens.length} tokens`);
  });

  it("shows answers as text with control characters visible, and what each filter made of them", async () => {
    await reset();
    await choose("task", "2");
    await tab.until(`document.querySelector("#detail .title")?.innerText === "numbers, document 0"`);
    const shown = await text("#detail");
    expect(shown).toMatch(/<b>bold<\/b> & so \d\ufffd\./);
    expect(shown).toContain("[invalid]");
    expect(await tab.evaluate(`document.querySelectorAll("#detail b:not(.badge)").length`)).toBe(0);
  });

  it("searches prompts, choices, targets and answers, and marks what it found", async () => {
    await reset();
    await press("/");
    expect(await tab.evaluate(`document.activeElement.id`)).toBe("search");
    for (const [query, count] of [
      ["NUMBER 17?", 1],
      ["mühlstein", 40],
      ["Anton 7 times", 1],
      ["& so", 12],
      ["what grinds", 40],
      ["not there", 0],
    ] as const) {
      await tab.evaluate(`document.getElementById("search").value = ""`);
      await tab.type(query);
      await tab.press("Enter");
      expect([query, await found()]).toEqual([query, count]);
      expect(await tab.evaluate(`document.activeElement.id`)).toBe("list");
      expect(await tab.evaluate<number>(`CSS.highlights.get("query").size`)).toBeGreaterThanOrEqual(Math.min(1, count));
      await press("/");
    }
    expect(await text("#detail")).toBe("No document matches.");
  }, 30_000);

  it("filters by task, result and change", async () => {
    await reset();
    const { tests, flipped } = compareRuns(run, against);
    const acc = run.samples.get("questions")?.map((sample) => sample.acc_norm) ?? [];
    await choose("task", "0");
    expect(await found()).toBe(40);
    await choose("judge", "acc_norm,none");
    await choose("verdict", "1");
    expect(await found()).toBe(acc.filter((value) => value === 1).length);
    await choose("verdict", "0");
    expect(await found()).toBe(acc.filter((value) => value === 0).length);
    await choose("verdict", "null");
    expect(await found()).toBe(0);
    await choose("verdict", "");
    for (const change of ["gained", "lost"] as const) {
      await choose("change", change);
      expect(await found()).toBe(flipped.questions["acc_norm,none"][change].length);
    }
    await reset();
    await choose("change", "obstacle");
    expect([await found(), await text("#detail .warning")]).toEqual([
      1,
      "Not comparable with the other run: the prompt differs.",
    ]);
    expect(await text("#detail")).toContain("Prompt of the other run");
    await choose("change", "new");
    expect([await found(), await text("#detail .title")]).toEqual([1, "texts, document 7"]);
    // A number of the comparison's table shows its documents.
    const test = tests.findIndex(({ task, metric }) => task === "questions" && metric === "acc,none");
    await tab.evaluate(
      `document.querySelectorAll("[aria-label='Differences from the other run'] tbody tr")[${test}].querySelector("button").click()`,
    );
    expect(await found()).toBe(flipped.questions["acc,none"].gained.length);
    expect(await tab.evaluate(`document.getElementById("change").value`)).toBe("gained");
  }, 30_000);

  it("moves between list and document by keyboard, and hides token borders", async () => {
    await reset();
    await tab.evaluate(`document.getElementById("list").focus()`);
    await press("End");
    expect(await text("#detail .title")).toBe("texts, document 7");
    await press("k");
    expect(await text("#detail .title")).toBe("texts, document 6");
    await tab.press("Enter");
    expect(await tab.evaluate(`document.activeElement.id`)).toBe("detail");
    await tab.press("Escape");
    expect(await tab.evaluate(`document.activeElement.id`)).toBe("list");
    const background = () =>
      tab.evaluate<string>(`getComputedStyle(document.querySelector("#detail .token")).backgroundColor`);
    expect(await background()).not.toBe("rgba(0, 0, 0, 0)");
    await tab.type("t");
    expect(await background()).toBe("rgba(0, 0, 0, 0)");
    await tab.type("t");
  });

  it("draws only the rows in view", async () => {
    await reset();
    const rows = await tab.evaluate<number>(`document.querySelectorAll("#rows [role=option]").length`);
    expect(rows).toBeGreaterThan(5);
    expect(rows).toBeLessThan(views.length);
    await tab.evaluate(`document.getElementById("list").scrollTop = 1e6`);
    await tab.until(`document.querySelector("#rows [aria-posinset='${views.length}']")`);
  });
});
