import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arena, openArena } from "../../../src/eval/index.js";
import { BROWSER_TIMEOUT, type BrowserPage, openPage } from "../../browser.js";
import { chromium } from "../../chromium.js";
import { fakeModel } from "./fake-model.js";

const browser = chromium();

describe.skipIf(browser === undefined)(
  "the arena's page in Chromium, by keyboard",
  { timeout: BROWSER_TIMEOUT },
  () => {
    let folder: string;
    let arena: Arena;
    let tab: BrowserPage;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "quern-arena-page-"));
      const models = [
        fakeModel("red", ["<b>or", "ange</b>"], () => sleep(20)),
        fakeModel("blue", ["sky"], () => sleep(20)),
      ];
      arena = await openArena(
        models.map((model) => ({ name: `the ${model.name} one`, model })),
        { votes: join(folder, "votes.jsonl"), port: 0, host: "127.0.0.1", onError: () => {} },
      );
      tab = await openPage(browser as string, arena.url);
    }, BROWSER_TIMEOUT);
    afterAll(async () => {
      await tab?.close();
      await arena?.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const votes = () =>
      readFileSync(join(folder, "votes.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    const text = (id: string) => tab.evaluate<string>(`document.getElementById("${id}").innerText`);

    it(
      "asks, votes with each key and with Enter, and shows the names only after the vote",
      async () => {
        await tab.until(`document.activeElement?.id === "message"`);
        const rounds = [
          ["a", "model_a"],
          ["b", "model_b"],
          ["t", "tie"],
          ["x", "tie (bothbad)"],
          ["Enter", "model_a"],
        ] as const;
        for (const [i, [key, winner]] of rounds.entries()) {
          await tab.type(`What colour ${i}?`);
          await tab.press("Enter");
          await tab.until(`document.activeElement?.dataset?.winner === "model_a"`);
          expect(await text("status")).toBe("Which answer is better?");
          const shown = [await text("a"), await text("b")];
          expect(shown.map((each) => each.replace(`What colour ${i}?`, "").trim()).sort()).toEqual([
            "<b>orange</b>",
            "sky",
          ]);
          expect(await tab.evaluate(`document.body.innerText.includes("the red one")`)).toBe(false);
          if (key === "Enter") await tab.press("Enter");
          else await tab.type(key);
          await tab.until(`document.activeElement?.id === "next"`);
          const orange = shown[0].includes("orange") ? "a" : "b";
          expect(await text(`name-${orange}`)).toMatch(/: the red one$/);
          expect(await text("status")).toContain("the blue one");
          expect(votes().at(-1)).toMatchObject({
            winner,
            [`model_${orange}`]: "the red one",
            [`model_${orange === "a" ? "b" : "a"}`]: "the blue one",
          });
          if (i % 2 === 0) await tab.press("Enter");
          else await tab.type("n");
          await tab.until(`document.activeElement?.id === "message"`);
          expect([await text("a"), await text("name-a")]).toEqual(["", "Answer A"]);
        }
        expect(votes()).toHaveLength(rounds.length);
      },
      BROWSER_TIMEOUT,
    );
  },
);
