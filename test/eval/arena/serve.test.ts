import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Arena, arenaServe, openArena, rankVotes, readVotes } from "../../../src/eval/index.js";
import { type FakeModel, fakeModel } from "./fake-model.js";

let folder: string;
let arena: Arena;
let models: FakeModel[];
let errors: string[];
let file: string;
let number = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-arena-serve-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  number += 1;
  file = join(folder, `${number}`, "votes.jsonl");
  errors = [];
});
afterEach(() => arena?.close());

async function open(words: Readonly<Record<string, readonly string[]>> = { red: ["r ", "ed"], blue: ["blue"] }) {
  models = Object.entries(words).map(([name, own]) => fakeModel(name, own, () => sleep(5)));
  arena = await openArena(
    models.map((model) => ({ name: model.name, model })),
    { votes: file, port: 0, host: "127.0.0.1", onError: (message) => errors.push(message) },
  );
}
const post = (path: string, body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) =>
  fetch(`${arena.url}api/${path}`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
type Event = { battle?: string; side?: "a" | "b"; text?: string; done?: true; error?: string };
async function ask(message: string, battle?: string) {
  const response = await post("answers", { battle, message });
  const events = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);
  const textOf = (side: "a" | "b") => events.map((event) => (event.side === side ? event.text : "")).join("");
  return {
    status: response.status,
    events,
    battle: events[0].battle,
    a: textOf("a"),
    b: textOf("b"),
    last: events.at(-1),
  };
}
const voteOn = async (battle: string | undefined, winner: string) => {
  const response = await post("votes", { battle, winner });
  return {
    status: response.status,
    ...((await response.json()) as { model_a?: string; model_b?: string; error?: string }),
  };
};
const lines = () =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("the arena's server", () => {
  it("streams two unnamed answers, and reveals the names after the vote", async () => {
    await open();
    const html = await (await fetch(arena.url)).text();
    expect(html).toContain("<textarea");
    expect(html).not.toMatch(/\bred\b|\bblue\b/);
    const battle = await ask("hello");
    expect(battle.last).toEqual({ done: true });
    expect([battle.a, battle.b].sort()).toEqual(["blue", "r ed"]);
    expect(JSON.stringify(battle.events)).not.toContain('"red"');
    const again = await ask("and more?", battle.battle);
    expect(again.battle).toBe(battle.battle);
    const { status, model_a, model_b } = await voteOn(battle.battle, "tie (bothbad)");
    expect(status).toBe(200);
    expect([model_a, model_b]).toEqual(battle.a === "blue" ? ["blue", "red"] : ["red", "blue"]);
    const [vote] = lines();
    expect(vote).toMatchObject({ model_a, model_b, winner: "tie (bothbad)" });
    expect(vote.conversation_a).toEqual([
      { role: "user", content: "hello" },
      { role: "assistant", content: battle.a },
      { role: "user", content: "and more?" },
      { role: "assistant", content: battle.a },
    ]);
    expect(Math.abs(vote.tstamp - Date.now() / 1000)).toBeLessThan(60);
    expect(await voteOn(battle.battle, "model_a")).toMatchObject({
      status: 409,
      error: expect.stringContaining("a vote already"),
    });
    expect((await post("answers", { battle: battle.battle, message: "x" })).status).toBe(409);
    expect(arena.votes).toBe(1);
  });

  it("serves several people at once, each model one at a time, on both sides", async () => {
    await open({ red: ["red"], blue: ["blue"], green: ["green"] });
    const battles = await Promise.all(Array.from({ length: 24 }, (_, i) => ask(`message ${i}`)));
    expect(new Set(battles.map(({ battle }) => battle)).size).toBe(24);
    for (const { a, b } of battles) expect(a).not.toBe(b);
    expect(new Set(battles.map(({ a }) => a)).size).toBe(3);
    expect(models.map(({ most }) => most)).toEqual([1, 1, 1]);
    await Promise.all(battles.map(({ battle, a }) => voteOn(battle, a === "red" ? "model_a" : "tie")));
    expect(lines()).toHaveLength(24);
    const votes = await readVotes([file]);
    expect(votes.report.skipped).toEqual({});
    expect((await rankVotes(votes)).votes).toBe(24);
  });

  it("appends after a line that a kill cut off, and refuses a file of something else", async () => {
    await open();
    await voteOn((await ask("one")).battle, "model_a");
    await arena.close();
    expect(models.every(({ disposed }) => disposed)).toBe(true);
    writeFileSync(file, `${readFileSync(file, "utf8")}{"model_a": "red", "mod`);
    await open();
    await voteOn((await ask("two")).battle, "model_b");
    const votes = await readVotes([file]);
    expect([votes.outcome.length, votes.report.skipped]).toEqual([2, { not_json: 1 }]);
    await arena.close();
    writeFileSync(file, "a diary\n");
    await expect(open()).rejects.toThrow("something other than votes");
    expect(readFileSync(file, "utf8")).toBe("a diary\n");
  });

  it("refuses wrong requests", async () => {
    await open();
    expect(await voteOn("no such battle", "tie")).toMatchObject({
      status: 409,
      error: expect.stringContaining("no such battle"),
    });
    const { battle } = await ask("hello");
    expect(await voteOn(battle, "model_c")).toMatchObject({ status: 400 });
    for (const message of ["", "  ", 5, "x".repeat(40_000)])
      expect((await post("answers", { message })).status).toBe(400);
    expect((await post("votes", "{")).status).toBe(400);
    expect((await post("votes", "[]")).status).toBe(400);
    expect((await post("votes", "{}", { "content-type": "text/plain" })).status).toBe(415);
    expect((await post("votes", "x".repeat(300_000))).status).toBe(413);
    expect((await fetch(`${arena.url}api/votes`)).status).toBe(405);
    expect((await fetch(`${arena.url}etc/passwd`)).status).toBe(404);
    // Another site's name that points to this machine.
    const status = await new Promise((resolve) => {
      request(arena.url, { headers: { host: "evil.example" } }, (response) => resolve(response.statusCode)).end();
    });
    expect(status).toBe(403);
    expect(arena.votes).toBe(0);
  });

  it("hides which model failed, and takes no vote on it", async () => {
    await open({ red: ["r", "FAIL"], blue: ["blue"] });
    const { battle, last } = await ask("hello");
    expect(last?.error).toContain("A model failed");
    expect(JSON.stringify(last)).not.toContain("red");
    expect(errors).toEqual(["red is broken"]);
    expect(await voteOn(battle, "tie")).toMatchObject({ status: 409 });
  });

  it("stops the models when the reader leaves, and when it closes", async () => {
    await open({ red: Array(2000).fill("r"), blue: Array(2000).fill("b") });
    const left = new AbortController();
    const response = await fetch(`${arena.url}api/answers`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"message":"hello"}',
      signal: left.signal,
    });
    await response.body?.getReader().read();
    left.abort();
    const open2 = await post("answers", { message: "next" });
    const reader = open2.body?.getReader();
    await reader?.read();
    await arena.close();
    expect(errors).toEqual([]);
  });
});

describe("arenaServe", () => {
  it("refuses a single model, equal models and missing ones", async () => {
    await expect(arenaServe({ models: ["x"], votes: file })).rejects.toThrow("two or more different models");
    await expect(arenaServe({ models: ["x", "x"], votes: file })).rejects.toThrow("two or more different models");
    await expect(arenaServe({ models: [join(folder, "none"), join(folder, "no")], votes: file })).rejects.toThrow(
      /none/,
    );
  });
});
