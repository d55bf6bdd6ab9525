/** Forms of examples, implicit prompts and packing, the last two against TRL. */
import { describe, expect, it } from "vitest";
import { examplesOf, packTexts, rowsOf } from "../../src/align/data/batches.js";
import { type Content, exampleOf, formOf, withoutPrompt } from "../../src/align/data/examples.js";
import { truncate } from "../../src/align/data/truncate.js";
import { readFixture } from "./fixtures.js";

interface TrlData {
  readonly packing: readonly {
    readonly lengths: readonly number[];
    readonly seq_length: number;
    readonly strategy: string;
    readonly rows: readonly { readonly seq_lengths: readonly number[] | null }[];
  }[];
  readonly extract_prompt: readonly {
    readonly in: { readonly chosen: Content; readonly rejected: Content };
    readonly out: object;
  }[];
}
const trl = readFixture<TrlData>("trl-data.json");

describe("the form of a row", () => {
  const form = (fields: Record<string, unknown>) =>
    formOf({ fields, place: "a.jsonl, line 3" }, [
      "preference",
      "unpaired",
      "completion",
      "messages",
      "prompt",
      "text",
    ]);

  it("follows from its keys", () => {
    expect(form({ prompt: "p", chosen: "a", rejected: "b", id: 3 })).toBe("preference");
    expect(form({ chosen: "a", rejected: "b" })).toBe("preference");
    expect(form({ prompt: "p", completion: "c", label: false })).toBe("unpaired");
    expect(form({ prompt: "p", completion: "c", label: null })).toBe("completion");
    expect(form({ messages: [] })).toBe("messages");
    expect(form({ prompt: "p", answer: "4" })).toBe("prompt");
    expect(form({ text: "t" })).toBe("text");
  });

  it("is refused by what is missing, with the key that may be meant", () => {
    const row = { fields: { prompt: "p", completions: "c" }, place: "a.jsonl, line 3" };
    expect(() => formOf(row, ["completion", "messages"])).toThrow(
      'a.jsonl, line 3: the row is a prompt example; its keys are prompt, completions, and needed are prompt, completion; or messages; rename "completions" to "completion"',
    );
  });

  it.each([
    [{ messages: [{ content: "no role" }] }, "messages", "message 1 of messages is not an object with a role"],
    [{ messages: "hello" }, "messages", 'messages must be a list of messages, not "hello"'],
    [{ prompt: "p", completion: "c", label: "yes" }, "unpaired", 'label must be true or false, not "yes"'],
    [{ prompt: 3, completion: "c" }, "completion", "prompt must be a text or a list of messages, not 3"],
    [
      { chosen: "a", rejected: [{ role: "assistant", content: "b" }] },
      "preference",
      "must both be texts or both be messages",
    ],
    [{ chosen: "a", rejected: "b", margin: "big" }, "preference", 'margin must be a number, not "big"'],
  ] as const)("refuses wrong values: %j", (fields, form, message) => {
    expect(() => exampleOf({ fields, place: "row 1" }, form)).toThrow(message);
  });
});

describe("a preference without a prompt", () => {
  it.each(trl.extract_prompt)("is divided as TRL divides it: $in.chosen", ({ in: { chosen, rejected }, out }) => {
    expect(withoutPrompt(chosen, rejected)).toEqual(out);
  });
});

describe("packing", () => {
  it.each(trl.packing.filter(({ strategy }) => strategy === "bfd"))(
    "gives TRL's rows: $lengths in $seq_length",
    ({ lengths, seq_length, rows }) => {
      const cut = lengths.map((length) => Math.min(length, seq_length));
      const packed = packTexts(cut, seq_length).map((row) => row.map((text) => cut[text]));
      expect(packed).toEqual(rows.map((row) => row.seq_lengths));
    },
  );
});

describe("rows", () => {
  const text = (ids: number[], learned: number[]) => ({ ids, learned: Uint8Array.from(learned) });

  it("have the next token as target where it is learned, and padding after the text", () => {
    const { ids, targets } = rowsOf([text([5, 6, 7], [1, 0, 1]), text([8], [1])], 4);
    expect(Array.from(ids)).toEqual([5, 6, 7, 0, 8, 0, 0, 0]);
    expect(Array.from(targets)).toEqual([-100, 7, -100, -100, -100, -100, -100, -100]);
  });

  it("of a longer text keep its beginning or its end", () => {
    const long = text([1, 2, 3, 4], [0, 0, 1, 1]);
    expect(truncate(long, 3, "right")).toEqual(text([1, 2, 3], [0, 0, 1]));
    expect(truncate(long, 3, "left")).toEqual(text([2, 3, 4], [0, 1, 1]));
    expect(truncate(long, 3, "drop")).toBeNull();
    expect(truncate(long, 4, "drop")).toBe(long);
  });
});

it("takes every example once in an epoch, in another order in the next one", () => {
  const order = { order: "shuffled", seed: 3 } as const;
  const epoch = (first: number) => [0, 1, 2, 3, 4].flatMap((i) => examplesOf(first + i, 2, 10, order));
  expect(epoch(0).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect([...epoch(5)].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(epoch(5)).not.toEqual(epoch(0));
});
