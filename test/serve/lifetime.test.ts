/** How requests end: clients that leave, too many at once, a server that stops; and quern serve as a process. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SLOW_BUILD } from "../model/targets.js";
import { startServing, type TestServing, TINY } from "./serving.js";

const cli = join(import.meta.dirname, "..", "..", "dist", "src", "cli.js");
/** Ids that end the text. */
const ban = { 0: -100, 1: -100, 2: -100 };
const long = { prompt: "the", max_tokens: 90, logit_bias: ban, temperature: 0 };

const metric = async (server: TestServing, start: string): Promise<number> => {
  const { body } = await server.call("/metrics");
  const line = (body as string)
    .split("\n")
    .find((each) => each.startsWith(`${start} `) || each.startsWith(`${start}{`));
  return Number(line?.split(" ").at(-1) ?? 0);
};

/** Calls and hangs up: after the first event of a stream, or at once. */
async function leave(server: TestServing, body: object, isStreaming: boolean): Promise<void> {
  const hangUp = new AbortController();
  const options = { method: "POST", body: JSON.stringify({ ...body, stream: isStreaming }), signal: hangUp.signal };
  const sent = fetch(`${server.url}/v1/completions`, options);
  if (isStreaming) {
    const reader = (await sent).body!.getReader();
    await reader.read();
    hangUp.abort();
    await expect(reader.read()).rejects.toThrow();
    return;
  }
  await expect.poll(() => metric(server, "quern_slots_busy"), { timeout: 20_000, interval: 1 }).toBeGreaterThan(0);
  hangUp.abort();
  await expect(sent).rejects.toThrow();
}

describe("a client that leaves", { timeout: SLOW_BUILD }, () => {
  it.each([true, false])("ends its generation and frees the slots (stream: %s)", async (isStreaming) => {
    const server = await startServing({ slots: 2 });
    const whole = await server.ok("/v1/completions", long);
    expect(whole.usage.completion_tokens).toBe(90);
    const before = await metric(server, "quern_generated_tokens_total");
    // 64 completions on two slots take long enough to leave in the middle.
    await leave(server, { ...long, n: 64, temperature: 1 }, isStreaming);
    await expect.poll(() => metric(server, "quern_slots_busy"), { timeout: 20_000 }).toBe(0);
    expect(await metric(server, "quern_queue")).toBe(0);
    expect((await metric(server, "quern_generated_tokens_total")) - before).toBeLessThan(64 * 90);
    expect(await metric(server, "quern_aborted_total")).toBe(1);
    expect((await server.ok("/v1/completions", long)).choices).toEqual(whole.choices);
    await server.close();
  });
});

describe("a server", { timeout: SLOW_BUILD }, () => {
  it("refuses more requests than it may hold, with the time to wait", async () => {
    const server = await startServing({ concurrency: 2, slots: 1 });
    const running = [1, 2].map((seed) => server.ok("/v1/completions", { ...long, n: 8, temperature: 1, seed }));
    await expect.poll(() => metric(server, "quern_slots_busy"), { timeout: 20_000, interval: 1 }).toBeGreaterThan(0);
    const { status, headers, body } = await server.call("/v1/completions", long);
    expect([status, headers.get("retry-after"), body.error.code]).toEqual([429, "1", "too_many_requests"]);
    expect((await server.call("/health")).status).toBe(200);
    await Promise.all(running);
    expect((await server.call("/v1/completions", long)).status).toBe(200);
    await server.close();
  });

  it("finishes what runs when it closes", async () => {
    const server = await startServing();
    const running = server.ok("/v1/completions", { ...long, n: 8 });
    await expect.poll(() => metric(server, "quern_slots_busy"), { timeout: 20_000, interval: 1 }).toBeGreaterThan(0);
    await server.close();
    expect((await running).choices).toHaveLength(8);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });
});

describe("quern serve", { timeout: SLOW_BUILD }, () => {
  it("prints its address first, finishes what runs on SIGTERM, and exits with 0", async () => {
    const child = spawn(process.execPath, [cli, "serve", "--model", `tiny=${TINY}`, "--port", "0", "--threads", "1"]);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    await expect.poll(() => stdout, { timeout: 60_000 }).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n/);
    const url = stdout.split("\n")[0];
    const body = JSON.stringify({ ...long, n: 32, temperature: 1, stream: true });
    const response = await fetch(`${url}/v1/completions`, { method: "POST", body });
    const reader = response.body!.getReader();
    let text = new TextDecoder().decode((await reader.read()).value);
    child.kill("SIGTERM");
    await sleep(50);
    for (let next = await reader.read(); !next.done; next = await reader.read())
      text += new TextDecoder().decode(next.value);
    expect(text.match(/"finish_reason":"length"/g)).toHaveLength(32);
    expect(text).toMatch(/data: \[DONE\]\n\n$/);
    expect(await ended).toBe(0);
    expect(stdout).toBe(`${url}\n`);
    expect(stderr).toMatch(/stopping/);
  });

  it.each<[string[], RegExp]>([
    [["--model", TINY, "--host", "0.0.0.0"], /other machines can reach 0\.0\.0\.0, .*--api-key/],
    [["--model", "nowhere"], /nowhere/],
    [[], /needs --model/],
    [["--model", TINY, "--port", "99999"], /--port must be at most 65535/],
  ])("refuses a wrong call: %j", async (args, message) => {
    const child = spawn(process.execPath, [cli, "serve", ...args]);
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});
