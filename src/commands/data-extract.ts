import { once } from "node:events";
import { extractOptions } from "../data/extract/extract-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Extract the main text of web pages with its headings, lists, tables, code, quotes and formulas, without menus, " +
    "notices and teasers. Prints one document per page, in input order.",
  options: extractOptions,
  positional: ["inputs"],
  examples: [
    "quern data extract page.html --format markdown",
    "quern data extract crawls/example --jsonl > documents.jsonl",
  ],
  async run({ inputs, format, focus, jsonl, textField, strict }, { signal, onProgress, write, log, json }) {
    const { documentLine, readLines, readPages } = await import("../documents/index.js");
    const { extractPages } = await import("../data/index.js");
    const pages = readPages(inputs, { textField, strict, signal });
    const documents = extractPages(pages, { format, focus, signal, onProgress });
    const lines = jsonl || process.stdout.isTTY !== true;
    for await (const document of documents) {
      if (lines) write(`${documentLine(document)}\n`);
      else write(`${[document.fields.title, document.text].filter(Boolean).join("\n\n")}\n\n`);
      // Wait for a slow reader instead of buffering in memory.
      if (!json && process.stdout.writableNeedDrain) await once(process.stdout, "drain", { signal });
    }
    const { counts } = documents;
    const empty = [...counts.from].filter(([from]) => from === "scripts" || from === "none");
    for (const [from, count] of empty) {
      log(`${count} pages without text: ${from === "scripts" ? "only scripts would produce it" : "they contain none"}`);
    }
    if (counts.cut > 0) log(`${counts.cut} pages were too long; only their beginning was read`);
    for (const line of readLines(pages.report)) log(line);
    return {
      pages: counts.pages,
      bytes: counts.bytes,
      from: Object.fromEntries(counts.from),
      types: Object.fromEntries(counts.types),
      cut: counts.cut,
      ...pages.report,
    };
  },
});
