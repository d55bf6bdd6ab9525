import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { type ExtractedDocument, extractPages } from "../../../src/data/extract/documents.js";
import { readPages } from "../../../src/documents/index.js";
import { pageWith, prose } from "./page.js";

const folder = mkdtempSync(join(tmpdir(), "quern-extract-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("extractPages", () => {
  it("extracts each page of a folder, in order, and counts the pages", async () => {
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "b.html"), pageWith(`<p>${prose("b")}</p>`));
    writeFileSync(join(folder, "a.html.gz"), gzipSync(pageWith(`<p>${prose("a")}</p>`)));
    writeFileSync(join(folder, "sub", "c.html"), `<div id="app"></div><script>${"draw();".repeat(200)}</script>`);
    writeFileSync(join(folder, "d.txt"), "A text that is one already.");
    writeFileSync(join(folder, "x.png"), "no page");
    const pages = readPages([folder]);
    const documents = extractPages(pages);
    const found: ExtractedDocument[] = [];
    for await (const document of documents) found.push(document);
    expect(found.map(({ id, fields }) => [id, fields.from])).toEqual([
      ["a", "page"],
      ["b", "page"],
      expect.arrayContaining(["text"]),
      ["sub/c", "scripts"],
    ]);
    expect(found[0].text).toContain("Sentence 4 of a");
    expect(documents.counts).toMatchObject({ pages: 4, cut: 0 });
    expect(Object.fromEntries(documents.counts.from)).toEqual({ page: 2, text: 1, scripts: 1 });
    expect(pages.report.skipped).toEqual({ other_kind: 1 });
  });
});
