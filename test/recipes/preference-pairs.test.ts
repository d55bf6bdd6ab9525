/** Pairs of dialogues as conversations, and their split. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isHeldOut, preferencePair, readPreferencePairs, turnsOf } from "../../recipes/preference-pairs.js";

const dialogue = (...turns: readonly string[]) =>
  turns.map((text, i) => `\n\n${i % 2 === 0 ? "Human" : "Assistant"}: ${text}`).join("");

describe("pairs of dialogues", () => {
  it("part at the first answer that differs", () => {
    const pair = preferencePair(dialogue("Hi", "Hello", "How?", "So."), dialogue("Hi", "Hello", "How?", "Not so."));
    expect(pair).toEqual({
      prompt: turnsOf(dialogue("Hi", "Hello", "How?")),
      chosen: [{ role: "assistant", content: "So." }],
      rejected: [{ role: "assistant", content: "Not so." }],
    });
  });

  it("keep paragraphs within a turn", () => {
    expect(turnsOf("\n\nHuman: a\n\nb\n\nAssistant: c")).toEqual([
      { role: "user", content: "a\n\nb" },
      { role: "assistant", content: "c" },
    ]);
  });

  it("are none if they are equal, end empty, or part at a question", () => {
    expect(preferencePair(dialogue("a", "b"), dialogue("a", "b"))).toBeNull();
    expect(preferencePair(dialogue("a", "b"), dialogue("a", ""))).toBeNull();
    expect(preferencePair(dialogue("a", "b", "c", "d"), dialogue("a", "b", "x", "y"))).toBeNull();
    expect(preferencePair("", "")).toBeNull();
  });

  it("are split by conversation, always in the same way", async () => {
    const folder = await mkdtemp(join(tmpdir(), "quern-pairs-"));
    const rows = Array.from({ length: 600 }, (_, i) => ({
      // Three pairs of each conversation, of different lengths
      chosen: dialogue(`question ${i % 200}`, ...Array(2 * (i % 3)).fill("more"), `good ${i}`),
      rejected: dialogue(`question ${i % 200}`, ...Array(2 * (i % 3)).fill("more"), `bad ${i}`),
    }));
    const path = join(folder, "pairs.jsonl");
    await writeFile(path, `${[...rows, { chosen: "", rejected: "" }].map((row) => JSON.stringify(row)).join("\n")}\n`);
    const { train, heldOut, skipped } = await readPreferencePairs(path);
    await rm(folder, { recursive: true });
    expect(skipped).toBe(1);
    expect(train.length + heldOut.length).toBe(600);
    expect(heldOut.length).toBeGreaterThan(60);
    expect(heldOut.length).toBeLessThan(180);
    const first = new Set(train.map(({ prompt }) => prompt[0].content));
    expect(heldOut.filter(({ prompt }) => first.has(prompt[0].content))).toEqual([]);
    expect(heldOut.every(isHeldOut)).toBe(true);
  });
});
