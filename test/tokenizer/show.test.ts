import { describe, expect, it } from "vitest";
import {
  compareTokenizers,
  hexBytes,
  mistype,
  publishedTokenizer,
  showTokens,
  tokensAsHtml,
  tokensAsText,
} from "../../src/tokenizer/index.js";

const cl100k = await publishedTokenizer("cl100k");

describe("showing tokens", () => {
  it("makes white space and parts of characters visible in labels", () => {
    const tokens = showTokens(cl100k, "Hi 猫\n\t\u200b<b>");
    expect(tokens.map(({ bytes }) => hexBytes(bytes)).join(" ")).toBe("48 69 20 e7 8c ab 0a 09 e2 80 8b 3c 62 3e");
    expect(tokens[0]).toMatchObject({ id: 13347, label: "Hi", special: false });
    expect(tokens[1].label).toBe("⟨20 e7⟩");
    expect(tokens.some(({ label }) => label.includes("⏎"))).toBe(true);
  });

  it("marks special tokens", () => {
    expect(showTokens(cl100k, "<|endoftext|>", { special: "allow" })).toMatchObject([{ id: 100257, special: true }]);
  });

  it("prints with and without colour", () => {
    const tokens = showTokens(cl100k, "Hello world\nnext");
    expect(tokensAsText(tokens, false)).toBe("Hello|·world|⏎\nnext");
    expect(tokensAsText(tokens, true)).toContain("\u001b[48;5;153m\u001b[38;5;16mHello\u001b[0m");
  });

  it("writes a page that escapes the text", () => {
    const page = tokensAsHtml(showTokens(cl100k, '<script>"&'), "a <title>");
    expect(page).toMatch(/>&#60;[^<]*<\/span>/);
    expect(page).not.toContain('<script>"');
    expect(page).toContain("a &#60;title&#62;");
    expect(page).toMatch(/title="\d+ · 3c/);
  });
});

describe("comparing tokenizers", () => {
  it("counts by group and in total", async () => {
    const gpt2 = await publishedTokenizer("gpt2");
    const texts = [
      { group: "en", text: "The quick brown fox jumps over the lazy dog. ".repeat(20) },
      { group: "ja", text: "吾輩は猫である。名前はまだ無い。".repeat(20) },
      { group: "en", text: "Some more English words are here." },
    ];
    const rows = await compareTokenizers(
      texts,
      new Map([
        ["cl100k", cl100k],
        ["gpt2", gpt2],
      ]),
    );
    expect(rows.map(({ group, tokenizer }) => `${group} ${tokenizer}`)).toEqual(
      ["en", "ja", "all"].flatMap((group) => [`${group} cl100k`, `${group} gpt2`]),
    );
    const [english, , , , all] = rows;
    expect(english).toMatchObject({ documents: 2, tokens: cl100k.count(texts[0].text) + cl100k.count(texts[2].text) });
    expect(all.tokens).toBe(texts.reduce((sum, { text }) => sum + cl100k.count(text), 0));
    expect(english.bytesPerToken).toBeCloseTo(english.bytes / english.tokens);
    expect(english.typoCost[0]).toBeGreaterThan(0);
    expect(english.typoCost[2]).toBeGreaterThan(english.typoCost[0]);
    await expect(compareTokenizers([], new Map())).rejects.toThrow(/no text/);
  });

  it("mistypes about the requested share, and the same characters for the same seed", () => {
    const text = "abcdefghij ".repeat(2000);
    expect(mistype(text, 0.05, 7)).toBe(mistype(text, 0.05, 7));
    expect(mistype(text, 0.05, 7)).not.toBe(mistype(text, 0.05, 8));
    expect(mistype(text, 0, 7)).toBe(text);
    expect(mistype("123 !?", 0.5, 7)).toBe("123 !?");
    const kept = mistype(text, 0.05, 7)
      .split(" ")
      .filter((word) => word === "abcdefghij").length;
    // Ten of eleven characters are letters, and only letters are mistyped.
    expect(kept / 2000).toBeGreaterThan((1 - 0.055) ** 10 - 0.05);
    expect(kept / 2000).toBeLessThan((1 - 0.055) ** 10 + 0.06);
    // A quarter of the letters is about 5 % of the characters here.
    const words = Array.from({ length: 2000 }, (_, i) => `${String.fromCharCode(97 + (i % 26))}123`);
    const unchanged = mistype(words.join(" "), 0.05, 7)
      .split(" ")
      .filter((word, i) => word === words[i]).length;
    expect(unchanged / 2000).toBeGreaterThan(0.72);
    expect(unchanged / 2000).toBeLessThan(0.8);
  });
});
