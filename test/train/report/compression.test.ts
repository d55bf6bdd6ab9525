import { afterEach, describe, expect, it } from "vitest";
import { compressionBaselines } from "../../../src/train/index.js";

const path = process.env.PATH;
afterEach(() => {
  process.env.PATH = path;
});

describe("compressionBaselines", () => {
  const text = new TextEncoder().encode("the same again and again ".repeat(400));

  it("gives bits a byte", async () => {
    const { gzip, xz, brotli } = await compressionBaselines(text);
    expect(gzip).toBeGreaterThan(brotli);
    expect(gzip).toBeLessThan(0.2);
    expect(xz).toBeGreaterThan(0);
    expect(xz).toBeLessThan(0.2);
  });

  it("knows xz's algorithm where there is no xz", async () => {
    process.env.PATH = "";
    const { xz } = await compressionBaselines(text);
    expect(xz).toBeGreaterThan(0);
    expect(xz).toBeLessThan(0.2);
  });

  it("stops when the signal aborts", async () => {
    await expect(compressionBaselines(text, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  });
});
