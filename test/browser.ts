/** @file Drives the system's Chromium through its DevTools protocol: opens a page, presses keys, evaluates. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "undici";

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

const CODES = { Enter: 13, Tab: 9, Escape: 27 };

/** Opens a page in a new browser. @param browser path of Chromium */
export async function openPage(browser: string, url: string): Promise<BrowserPage> {
  const profile = mkdtempSync(join(tmpdir(), "quern-browser-"));
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-port=0",
    `--user-data-dir=${profile}`,
  ];
  // A process group of its own, so that its other processes can be ended with it.
  const child = spawn(browser, [...flags, "about:blank"], { detached: true, stdio: ["ignore", "ignore", "pipe"] });
  const socket = new WebSocket(await addressOf(child));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  let last = 0;
  const waiting = new Map<number, (message: { result?: unknown; error?: { message: string } }) => void>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data));
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  };
  const send = (method: string, params: object, sessionId?: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      last += 1;
      waiting.set(last, ({ result, error }) =>
        error === undefined ? resolve(result as Record<string, unknown>) : reject(new Error(error.message)),
      );
      socket.send(JSON.stringify({ id: last, method, params, sessionId }));
    });
  const { targetId } = await send("Target.createTarget", { url });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method: string, params: object) => send(method, params, sessionId as string);
  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  const press = async (params: object) => {
    await call("Input.dispatchKeyEvent", { type: "keyDown", ...params });
    await call("Input.dispatchKeyEvent", { type: "keyUp", ...params });
  };
  return {
    evaluate,
    async type(text) {
      for (const key of text) await press({ key, text: key });
    },
    press: (key) =>
      press({ key, code: key, windowsVirtualKeyCode: CODES[key], ...(key === "Enter" ? { text: "\r" } : {}) }),
    async until(expression) {
      for (let tries = 0; tries < 400; tries++) {
        if (await evaluate<boolean>(`Boolean(${expression})`)) return;
        await sleep(50);
      }
      throw new Error(`never true: ${expression}`);
    },
    async close() {
      socket.close();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      process.kill(-(child.pid as number), "SIGKILL");
      await ended;
      // A process that is slow to end can still write here. What it leaves is no fault of the page under test.
      await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }).catch(() => {});
    },
  };
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error("the browser has no standard error");
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /^DevTools listening on (\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    // Keeps reading, so that the browser's messages do not fill the pipe.
    child.stderr.resume();
    return address;
  }
  throw new Error("the browser ended before it listened");
}
