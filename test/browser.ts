/** @file Opens a page in the system's Chromium: presses keys, evaluates, waits. */
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

/** For tests in Chromium: on a loaded machine it may be minutes behind. */
export const BROWSER_TIMEOUT = 240_000;

export interface BrowserPage {
  /** The value of an expression in the page. */
  evaluate<T>(expression: string): Promise<T>;
  /** Types text, or presses one key by its name: Enter, Tab, Escape. */
  type(text: string): Promise<void>;
  press(key: "Enter" | "Tab" | "Escape"): Promise<void>;
  /** Waits until an expression is true. */
  until(expression: string): Promise<void>;
  close(): Promise<void>;
}

const launch = (path: string) =>
  chromium.launch({ executablePath: path, args: ["--no-sandbox"], timeout: BROWSER_TIMEOUT / 2 });

/** What the scripts of a page (a file) write into its `#out`. @param dark whether the reader prefers dark pages */
export async function outOf(path: string, file: string, { dark = false } = {}): Promise<string> {
  const browser = await launch(path);
  try {
    const page = await browser.newPage({
      viewport: { width: 1200, height: 900 },
      colorScheme: dark ? "dark" : "light",
    });
    await page.goto(pathToFileURL(file).href);
    const out = page.locator("#out").filter({ hasText: /./ });
    await out.waitFor({ state: "attached", timeout: BROWSER_TIMEOUT / 2 });
    return (await out.textContent()) ?? "";
  } finally {
    await browser.close();
  }
}

/** Opens a page in a new browser. @param path path of Chromium */
export async function openPage(path: string, url: string): Promise<BrowserPage> {
  const browser = await launch(path);
  const page = await browser.newPage();
  page.setDefaultTimeout(BROWSER_TIMEOUT / 2);
  await page.goto(url);
  return {
    evaluate: (expression) => page.evaluate(expression),
    type: (text) => page.keyboard.type(text),
    press: (key) => page.keyboard.press(key),
    async until(expression) {
      // Not `waitForFunction`, which evaluates a string as a script: pages whose policy forbids that are tested too.
      const deadline = Date.now() + BROWSER_TIMEOUT / 2;
      while (!(await page.evaluate(`Boolean(${expression})`))) {
        if (Date.now() > deadline) throw new Error(`never true: ${expression}`);
        await page.waitForTimeout(50);
      }
    },
    close: () => browser.close(),
  };
}
