import { afterEach, describe, expect, it } from "vitest";
import { compressionBaselines } from "../../../src/train/index.js";

const path = process.env.PATH;
afterEach(() => {
  process.env.PATH = path;
});

describe("compressionBaselines", () => {
  const text = new TextEncoder().encode("the same again and again ".repeat(400));

  it("returns bits per byte", async () => {
    const { gzip, xz, brotli } = await compressionBaselines(text);
    expect(gzip).toBeGreaterThan(brotli);
    expect(gzip).toBeLessThan(0.2);
    // xz may not be installed.
    if (xz !== undefined) expect(xz).toBeLessThan(0.2);
  });

  it("omits xz if it is not installed", async () => {
    process.env.PATH = "";
    const { gzip, xz } = await compressionBaselines(text);
    expect(gzip).toBeGreaterThan(0);
    expect(xz).toBeUndefined();
  });

  it("stops when the signal aborts", async () => {
    await expect(compressionBaselines(text, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  });
});
