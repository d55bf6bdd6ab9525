/** `--preview`: examples as the model sees them, with what is learned. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it, vi } from "vitest";
import { previewText, previewTexts } from "../../src/align/data/preview.js";
import { previewDpo, previewSft, sft } from "../../src/align/index.js";
import dpoCommand from "../../src/commands/dpo.js";
import { main } from "../../src/commands/main.js";
import sftCommand from "../../src/commands/sft.js";
import { loadTokenizer } from "../../src/tokenizer/index.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

const chat = [
  { role: "user", content: "Hi\nyou" },
  { role: "assistant", content: "Grüße" },
];
const verbs = [
  { words: "sft", summary: "", load: async () => ({ default: sftCommand }) },
  { words: "dpo", summary: "", load: async () => ({ default: dpoCommand }) },
];

/** Runs a command line; returns what it writes to standard output. */
async function quern(...words: string[]): Promise<string> {
  let out = "";
  const written = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    out += chunk;
    return true;
  });
  try {
    expect(await main(verbs, words)).toBe(0);
  } finally {
    written.mockRestore();
  }
  return out;
}

describe("a preview", () => {
  it("marks the learned tokens, with characters of several tokens whole", async () => {
    const data = [files.jsonl("chat.jsonl", [{ messages: chat }, { messages: chat }])];
    const previews = await previewSft({ model: POLICY, data, out: files.path("none") }, 1);
    expect(previews).toHaveLength(1);
    const [{ tokens }] = previews;
    const text = "<|im_start|>user\nHi\nyou<|im_end|>\n<|im_start|>assistant\nGrüße<|im_end|>";
    expect(tokens.map((token) => token.text).join("")).toBe(text);
    expect(tokens.filter(({ learned }) => learned).map((token) => token.text)).toEqual([
      ...["G", "r", "", "ü", "", "ß", "e", "<|im_end|>"],
    ]);
    expect(previewText(tokens, false)).toBe(
      "<|im_start|>user⏎\nHi⏎\nyou<|im_end|>⏎\n<|im_start|>assistant⏎\n⟦Grüße<|im_end|>⟧",
    );
    const coloured = previewText(tokens, true);
    expect(coloured.startsWith("\u001b[2m<|im_start|>")).toBe(true);
    expect(coloured.endsWith("\u001b[0m\u001b[1;32mGrüße<|im_end|>\u001b[0m")).toBe(true);
    expect(existsSync(files.path("none"))).toBe(false);
  });

  it("lets no control character of the data reach the terminal", async () => {
    const tokenizer = await loadTokenizer(POLICY);
    const ids = tokenizer.encode("a\u001b[31mb");
    const [{ tokens }] = previewTexts([{ ids, learned: new Uint8Array(ids.length) }], 1, tokenizer);
    expect(previewText(tokens, false)).toBe("a\\x1b[31mb");
  });

  it("shows both answers of a pair", async () => {
    const data = [files.jsonl("pairs.jsonl", [{ prompt: "2+2=", chosen: "4", rejected: "5" }])];
    const previews = await previewDpo({ model: POLICY, data, out: files.path("none") }, 3);
    expect(previews.map(({ part, tokens }) => [part, previewText(tokens, false)])).toEqual([
      ["chosen", "2+2=⟦4<|im_end|>⟧"],
      ["rejected", "2+2=⟦5<|im_end|>⟧"],
    ]);
  });
});

describe("--preview", () => {
  it("prints examples, and with --json their tokens", async () => {
    const data = files.jsonl("completions.jsonl", [{ prompt: "a", completion: "b" }]);
    const call = ["sft", "--model", POLICY, "--data", data, "--out", files.path("none"), "--preview", "2"];
    const shown = await quern(...call);
    expect(shown).toContain("example 1: 3 tokens, 2 learned\n");
    expect(shown).toContain("a⟦b<|im_end|>⟧\n");
    const json = JSON.parse(await quern(...call, "--json"));
    expect(json.examples[0].tokens[1]).toEqual({ id: expect.any(Number), text: "b", learned: true });
  });

  it("needs no --out, which a run does", async () => {
    const data = files.jsonl("more.jsonl", [{ prompt: "a", chosen: "b", rejected: "c" }]);
    const call = ["dpo", "--model", POLICY, "--data", data];
    expect(await quern(...call, "--preview", "1")).toContain("a⟦c<|im_end|>⟧\n");
    const written = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    try {
      expect(await main(verbs, call)).toBe(2);
      expect(written.mock.calls.join("")).toContain("--out is missing");
    } finally {
      written.mockRestore();
    }
  });
});

it("is in the record and the report of a run", { timeout: 60_000 }, async () => {
  const data = [files.jsonl("texts.jsonl", [{ prompt: "one", completion: " two <b>" }])];
  await sft({ model: POLICY, data, out: files.path("run"), steps: 1, batch: 1, dtype: "fp32" });
  const record = JSON.parse(readFileSync(files.path("run/run.json"), "utf8"));
  expect(record.preview[0]).toMatchObject({
    example: 1,
    part: "text",
    tokens: expect.arrayContaining([{ text: "o", learned: false }]),
  });
  expect(readFileSync(files.path("run/report.html"), "utf8")).toContain(
    "one<mark> two &#60;b&#62;&#60;|im_end|&#62;</mark>",
  );
});
