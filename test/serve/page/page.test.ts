/** The chat page in the system's Chromium, against a server with tiny random models. Skipped where there is no Chromium. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { chromium as chromiumPath } from "../../chromium.js";
import { SLOW_BUILD } from "../../model/targets.js";
import { type Answer, startServing, type TestServing, TINY } from "../serving.js";

const path = chromiumPath();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHAT = "/v1/chat/completions";

let folder: string;
let browser: Browser;
let server: TestServing;
let pages: Page[] = [];
/** What a page must never do: requests to others, errors. */
let faults: string[] = [];

/** Opens the page with settings. */
async function open(settings: object = {}, { url = server.url, width = 1000, dark = false } = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height: 760 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  pages.push(page);
  page.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`)) faults.push(request.url());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
  });
  const kept = JSON.stringify({ temperature: 0, maxTokens: 12, seed: 3, ...settings });
  await page.addInitScript(
    `localStorage.getItem("quern.settings") ?? localStorage.setItem("quern.settings", ${JSON.stringify(kept)})`,
  );
  await page.goto(url);
  return page;
}

const isOver = (page: Page) => page.getByRole("button", { name: "Regenerate" }).waitFor();
const textOf = (page: Page) =>
  page
    .locator(".tokens")
    .last()
    .evaluate((each) => each.textContent ?? "");
const isFocused = (page: Page, selector: string) =>
  page.evaluate(`document.activeElement?.matches(${JSON.stringify(selector)})`);

/** Reads the page again until it is as expected: it follows each request and key a moment later. */
const eventually = <T>(read: () => Promise<T>) => expect.poll(read, { timeout: 30_000 });

/** How many tokens the last answer shows; one may have several parts. */
const tokensOf = (page: Page) =>
  page
    .locator(".tokens")
    .last()
    .evaluate(
      (each) => new Set([...each.querySelectorAll("[data-i]")].map((span) => span.getAttribute("data-i"))).size,
    );

/** Effects run after the frame that a key press causes, so the focus follows a moment later. */
const waitForFocus = (page: Page, selector: string) => eventually(() => isFocused(page, selector)).toBe(true);

async function ask(page: Page, text: string): Promise<Answer> {
  await page.getByLabel("Message").fill(text);
  const [request] = await Promise.all([
    page.waitForRequest((each) => each.method() === "POST"),
    page.keyboard.press("Enter"),
  ]);
  return request.postDataJSON();
}

async function violations(page: Page): Promise<string[]> {
  const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
  return (found as Answer).violations.map(
    ({ id, nodes }: Answer) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`,
  );
}

const LOGPROBS = { logprobs: true, top_logprobs: 8, return_token_ids: true };

const isVisible = (bytes: readonly number[]) => bytes.every((byte) => byte > 0x20 && byte < 0x7f);

/** The first visible position of an answer at which its end would have been likely; -1 if there is none. */
const endAt = (answer: Answer): number =>
  answer.choices[0].logprobs.content.findIndex(
    ({ bytes, top_logprobs: top }: Answer) => isVisible(bytes) && top.some(({ ends }: Answer) => ends),
  );

const overflow = (page: Page) =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");

describe.skipIf(path === undefined)("the chat page in Chromium", { timeout: SLOW_BUILD }, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "quern-page-"));
    // A long context, so that an answer can be stopped before it ends; its rotary positions have no table.
    const long = join(folder, "long");
    cpSync(TINY, long, { recursive: true });
    const config = JSON.parse(readFileSync(join(long, "config.json"), "utf8"));
    writeFileSync(join(long, "config.json"), JSON.stringify({ ...config, max_position_embeddings: 20_000 }));
    server = await startServing({ model: [`one=${TINY}`, `two=${long}`], slots: 2 });
    browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox"] });
  }, SLOW_BUILD);
  afterEach(async () => {
    for (const page of pages) await page.context().close();
    const found = faults;
    pages = [];
    faults = [];
    expect(found).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("asks, streams the answer and keeps the conversation", async () => {
    const page = await open({ temperature: 0.7, system: "on" });
    const body = await ask(page, "the other");
    await isOver(page);
    expect(body).toMatchObject({ model: "one", stream: true, temperature: 0.7, seed: 3, max_tokens: 12 });
    expect(body.messages).toEqual([
      { role: "system", content: "on" },
      { role: "user", content: "the other" },
    ]);
    const expected = await server.ok(CHAT, { ...body, stream: false });
    await eventually(() => textOf(page)).toBe(expected.choices[0].message.content);
    await page.getByRole("status").filter({ hasText: "one: " }).waitFor();
    const next = await ask(page, "and");
    expect(next.messages.map(({ role }: Answer) => role)).toEqual(["system", "user", "assistant", "user"]);
    expect(next.messages[2].content).toBe(expected.choices[0].message.content);
    await isOver(page);
    await page.getByRole("button", { name: "New conversation" }).click();
    await eventually(() => page.locator("article").count()).toBe(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await eventually(() => page.locator("article").count()).toBe(4);
  });

  it("goes on from an alternative that is clicked, with the exact ids", async () => {
    const page = await open();
    const first = await ask(page, "the other");
    await isOver(page);
    const whole = await server.ok(CHAT, { ...first, stream: false });
    const tokens = whole.choices[0].logprobs.content as Answer[];
    const at = tokens.findIndex(({ bytes }, i) => i > 0 && isVisible(bytes));
    expect(at).toBeGreaterThan(0);
    await page.locator(`.tokens span[data-i="${at}"]`).hover();
    await page.getByRole("dialog").waitFor();
    await eventually(() => page.locator("#alternatives li").count()).toBe(tokens[at].top_logprobs.length);
    const place = tokens[at].top_logprobs.findIndex(({ id, ends }: Answer) => id !== tokens[at].id && !ends);
    const [request] = await Promise.all([
      page.waitForRequest((each) => each.method() === "POST"),
      page.locator("#alternatives li button").nth(place).click(),
    ]);
    await isOver(page);
    const wanted = [...tokens.slice(0, at), tokens[at].top_logprobs[place]].map(({ id }) => id);
    expect(request.postDataJSON().continue_token_ids).toEqual(wanted);
    const rest = await server.ok(CHAT, { ...request.postDataJSON(), stream: false });
    const bytes = [...tokens.slice(0, at), tokens[at].top_logprobs[place], ...rest.choices[0].logprobs.content];
    const text = Buffer.from(bytes.flatMap((each) => each.bytes)).toString("utf8");
    await eventually(() => textOf(page)).toBe(text);
    await page.locator(`.tokens .chosen[data-i="${at}"]`).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await eventually(() => textOf(page)).toBe(whole.choices[0].message.content);
  });

  it("ends the answer where the end is chosen", async () => {
    // Tokens of a random model: one of the first seeds has the end among the likeliest ones.
    const wanted = { model: "one", temperature: 2, max_tokens: 12, messages: [{ role: "user", content: "the other" }] };
    let seed = 0;
    while (endAt(await server.ok(CHAT, { ...wanted, seed, ...LOGPROBS })) < 1 && seed < 500) seed += 1;
    const page = await open({ temperature: 2, topP: 1, seed });
    const body = await ask(page, "the other");
    await isOver(page);
    const answer = await server.ok(CHAT, { ...body, stream: false });
    const at = endAt(answer);
    expect(at).toBeGreaterThan(0);
    await page.locator(`.tokens span[data-i='${at}']`).click();
    await page.getByRole("button", { name: /^end of answer/ }).click();
    await eventually(() => tokensOf(page)).toBe(at);
    await isOver(page);
  });

  it("stops by Escape and by its button, and goes on later", async () => {
    const page = await open({ model: "two", maxTokens: undefined });
    await ask(page, "the other");
    await page.locator(".tokens span").first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("· stopped").waitFor();
    const stopped = await tokensOf(page);
    expect(stopped).toBeLessThan(19_000);
    await waitForFocus(page, "#message");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("button", { name: "Stop" }).waitFor();
    await eventually(() => tokensOf(page)).toBeGreaterThan(stopped);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("· stopped").waitFor();
    await eventually(async () => (await server.call("/metrics")).body).toMatch(/quern_slots_busy\{model="two"\} 0/);
  });

  it("switches the model, and remembers it", async () => {
    const page = await open();
    await page.getByLabel("Model").selectOption("two");
    expect((await ask(page, "the other")).model).toBe("two");
    await isOver(page);
    await page.locator("article.answer h2").filter({ hasText: "two" }).waitFor();
    await page.getByLabel("Model").selectOption("one");
    const [request] = await Promise.all([
      page.waitForRequest((each) => each.method() === "POST"),
      page.getByRole("button", { name: "Regenerate" }).click(),
    ]);
    expect(request.postDataJSON().model).toBe("one");
    await isOver(page);
    await page.reload();
    await eventually(() => page.getByLabel("Model").inputValue()).toBe("one");
  });

  it("works by keyboard alone", async () => {
    const page = await open();
    await waitForFocus(page, "#message");
    await page.keyboard.type("the other");
    await page.keyboard.press("Control+Enter");
    await isOver(page);
    for (let i = 0; i < 20 && !(await isFocused(page, ".tokens")); i++) await page.keyboard.press("Shift+Tab");
    await waitForFocus(page, ".tokens");
    const outline = () => page.evaluate(`getComputedStyle(document.querySelector(".tokens")).outlineStyle`);
    await eventually(outline).toBe("solid");
    for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"]) await page.keyboard.press(key);
    await page.locator('.tokens .current[data-i="1"]').waitFor();
    await page.getByRole("status").filter({ hasText: "%" }).waitFor();
    await page.keyboard.press("Enter");
    await waitForFocus(page, "#alternatives li:nth-child(1) button");
    await page.keyboard.press("Escape");
    await waitForFocus(page, ".tokens");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    for (const key of ["Home", "ArrowRight", "Enter"]) await page.keyboard.press(key);
    await waitForFocus(page, "#alternatives li:nth-child(1) button");
    await page.keyboard.press("ArrowDown");
    const [request] = await Promise.all([
      page.waitForRequest((each) => each.method() === "POST"),
      page.keyboard.press("Enter"),
    ]);
    expect(request.postDataJSON().continue_token_ids).toHaveLength(2);
    await waitForFocus(page, ".tokens");
    await isOver(page);
    await page.keyboard.press("Home");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.locator("#settings-button").focus();
    await page.keyboard.press("Enter");
    await waitForFocus(page, "#settings-title");
    await page.keyboard.press("Escape");
    await waitForFocus(page, "#settings-button");
  });

  it("sends what the settings say, and no limit or seed where there is none", async () => {
    const page = await open({ maxTokens: undefined, seed: undefined });
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Top k").fill("7");
    await page.getByLabel("Max tokens").fill("5");
    await page.getByLabel("Temperature").fill("1.5");
    await page.getByLabel("Top p").fill("0.5");
    await page.getByLabel("Min p").fill("0.1");
    await page.getByLabel("System prompt").fill("be");
    const body = await ask(page, "on");
    expect(body).toMatchObject({ top_k: 7, max_tokens: 5, temperature: 1.5, top_p: 0.5, min_p: 0.1 });
    expect(body.messages[0]).toEqual({ role: "system", content: "be" });
    expect(body).not.toHaveProperty("seed");
    await isOver(page);
    await page.getByLabel("Max tokens").fill("");
    expect(await ask(page, "on")).not.toHaveProperty("max_tokens");
    await isOver(page);
  });

  it("shows what the server refuses", async () => {
    const page = await open();
    await ask(page, "the ".repeat(200));
    await page
      .getByRole("alert")
      .filter({ hasText: /the prompt has \d+ tokens.*96/ })
      .waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
    // What was never answered is part of the next question, and no empty answer stands between.
    const { messages } = await ask(page, "on");
    expect(messages).toEqual([{ role: "user", content: `${"the ".repeat(200)}\n\non` }]);
  });

  it("formats Markdown, runs no HTML, and keeps every token", async () => {
    const page = await open();
    const text =
      "# Title\n\nA **bold** `x<y` word.\n\n- one\n- two\n\n```js\nlet a;\n```\n<img src=x onerror=alert(1)>";
    const pieces = text.match(/[a-z]+|[^a-z]/gi)!;
    const content = pieces.map((piece, id) => ({
      ...{ token: piece, id, ends: false, logprob: -0.1, bytes: [...Buffer.from(piece)], top_logprobs: [] },
    }));
    const events = content.map((token) => ({ choices: [{ finish_reason: null, logprobs: { content: [token] } }] }));
    const body = [...events.map((event) => JSON.stringify(event)), "[DONE]"]
      .map((each) => `data: ${each}\n\n`)
      .join("");
    await page.route(`**${CHAT}`, (route) => route.fulfill({ contentType: "text/event-stream", body }));
    await ask(page, "the other");
    await isOver(page);
    await eventually(() => textOf(page)).toBe(text);
    await eventually(() => tokensOf(page)).toBe(pieces.length);
    const answer = page.locator(".tokens");
    const shown = (selector: string) =>
      answer.locator(selector).evaluateAll((all) => all.map((each) => each.innerText));
    await eventually(() => shown("h3")).toEqual(["Title"]);
    await eventually(() => shown("strong")).toEqual(["bold"]);
    await eventually(() => shown("p code")).toEqual(["x<y"]);
    await eventually(() => shown("ul li")).toEqual(["one", "two"]);
    await eventually(() => shown("pre")).toEqual(["let a;"]);
    await eventually(() => page.locator("img").count()).toBe(0);
    expect(await violations(page)).toEqual([]);
    // A mark is shown while it is the current token.
    await answer.focus();
    await page.keyboard.press("Home");
    await page.locator(".tokens .mark.current:visible").waitFor();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("Show Markdown as it is written").check();
    await eventually(() => answer.locator("h3, li, pre, .mark").count()).toBe(0);
    await eventually(() => answer.evaluate((each) => each.innerText.trim())).toBe(text);
  });

  it("asks for the API key, and keeps it only if it may", async () => {
    const locked = await startServing({ apiKey: "secret" });
    try {
      const page = await open({}, { url: locked.url });
      await page.getByLabel("API key").fill("wrong");
      await eventually(() => violations(page)).toEqual([]);
      await page.keyboard.press("Enter");
      await page.getByText("does not accept").waitFor();
      await page.getByLabel("API key").fill("secret");
      await page.keyboard.press("Enter");
      await page.getByText("Talk with tiny").waitFor();
      await ask(page, "the other");
      await isOver(page);
      const kept = () => page.evaluate("Object.values(localStorage).join()");
      await eventually(kept).not.toContain("secret");
      await page.reload();
      await page.getByLabel("API key").fill("secret");
      await page.getByLabel("Keep it").check();
      await page.getByRole("button", { name: "Connect" }).click();
      await page.getByText("Talk with tiny").waitFor();
      await eventually(kept).toContain("secret");
      await page.reload();
      await page.getByText("Talk with tiny").waitFor();
    } finally {
      await locked.close();
    }
  });

  it.each([
    [360, false],
    [360, true],
    [1100, false],
    [1100, true],
  ])("is accessible and fits at %i pixels, dark %s", async (width, dark) => {
    const page = await open({ isColoured: true, temperature: 2 }, { width, dark });
    await page.getByText("Talk with one").waitFor();
    await eventually(() => violations(page)).toEqual([]);
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    await eventually(background).toBe(dark ? "rgb(22, 24, 28)" : "rgb(253, 252, 250)");
    await ask(page, `the other ${"o".repeat(60)}`.slice(0, 60));
    await isOver(page);
    await page.locator(".tokens span").filter({ hasText: /\S/ }).first().click();
    await page.getByRole("dialog").waitFor();
    await eventually(() => violations(page)).toEqual([]);
    await eventually(() => overflow(page)).toBe(0);
    const isInside = async () => {
      const box = await page.getByRole("dialog").boundingBox();
      return box !== null && box.x >= 0 && box.x + box.width <= width;
    };
    await eventually(isInside).toBe(true);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Settings" }).click();
    await eventually(() => violations(page)).toEqual([]);
    await eventually(() => overflow(page)).toBe(0);
  });
});
