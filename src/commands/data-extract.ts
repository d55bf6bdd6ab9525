import { once } from "node:events";
import { extractOptions } from "../data/extract/extract-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Extract the text of web pages: headings, lists, tables, code, quotes and mathematics of what each page is about, " +
    "without menus, notices and teasers. One document a page, in the order of the input.",
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
      // What a slow reader has not taken yet waits here, not in memory.
      if (!json && process.stdout.writableNeedDrain) await once(process.stdout, "drain", { signal });
    }
    const { counts } = documents;
    const empty = [...counts.from].filter(([from]) => from === "scripts" || from === "none");
    for (const [from, count] of empty) {
      log(`${count} pages without text: ${from === "scripts" ? "it comes only from scripts" : "they hold none"}`);
    }
    if (counts.cut > 0) log(`${counts.cut} pages were too long; their beginning was read`);
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
