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
    // The machine may have no xz.
    if (xz !== undefined) expect(xz).toBeLessThan(0.2);
  });

  it("leaves xz out where there is no such program", async () => {
    process.env.PATH = "";
    const { gzip, xz } = await compressionBaselines(text);
    expect(gzip).toBeGreaterThan(0);
    expect(xz).toBeUndefined();
  });

  it("stops when the signal aborts", async () => {
    await expect(compressionBaselines(text, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  });
});
