import { describe, expect, it } from "vitest";
import { escapeControls, hideCredentials, quoted } from "../src/printable.js";

describe("what others wrote", () => {
  it("steers no terminal", () => {
    expect(escapeControls("a\x1b[2Jb\r\nc\x9b31m\u202ed\x7f")).toBe("a\\x1b[2Jb\\x0d\\x0ac\\x9b31m\\u202ed\\x7f");
    expect(escapeControls("Grüße, 世界 😀")).toBe("Grüße, 世界 😀");
  });

  it("is shown without credentials", () => {
    const shown: [string, string][] = [
      ["http://me:geheim@a.test/x", "http://***@a.test/x"],
      ["cannot read https://geheim@a.test:8443/x?y=1, hf", "cannot read https://***@a.test:8443/x?y=1, hf"],
      ["s3://key:ge@heim@bucket/x", "s3://***@bucket/x"],
      ["https:\\\\me:geheim@a.test", "https:\\\\***@a.test"],
      ["https://a.test/x?a=1&token=geheim&b=2#c", "https://a.test/x?a=1&token=***&b=2#c"],
      ["https://a.test/x?X-Amz-Signature=geheim", "https://a.test/x?X-Amz-Signature=***"],
      ["http://a.test/@me", "http://a.test/@me"],
      ["http://a.test/x?mail=me@b.test", "http://a.test/x?mail=me@b.test"],
      ["write to me@a.test: http://b.test", "write to me@a.test: http://b.test"],
    ];
    for (const [text, expected] of shown) expect(hideCredentials(text)).toBe(expected);
    expect(quoted("http://me:geheim@a.test/\x07")).toBe("http://***@a.test/\\x07");
  });

  it("takes time in proportion to its length", () => {
    for (const piece of ["a", "http://", "http://a", "a:", "?token=", "@"]) {
      expect(hideCredentials(piece.repeat(200_000)).length).toBeGreaterThan(0);
    }
  });
});
