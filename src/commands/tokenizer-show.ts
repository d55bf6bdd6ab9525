import { z } from "zod";
import { QuernError } from "../errors.js";
import { forceOption, readingOptions } from "../options.js";
import { defineCommand } from "./command.js";
import { readStandardInput } from "./standard-input.js";

export default defineCommand({
  description:
    "Show the tokens of a text in colour with their ids and bytes, or write them as an HTML page. The text comes from --text, " +
    "a file or standard input.",
  options: z.object({
    file: z.string().optional().describe("text file to show").meta({ value: "FILE" }),
    tokenizer: z
      .string()
      .describe("folder or file of the tokenizer (also .gguf), or gpt2, cl100k, o200k")
      .meta({ value: "DIR|NAME" }),
    ...readingOptions,
    text: z.string().optional().describe("text to show"),
    html: z.string().optional().describe("write an HTML page to this file instead").meta({ value: "FILE" }),
    force: forceOption,
    list: z.int().min(0).default(100).describe("number of tokens to list with ids and bytes").meta({ value: "N" }),
    special: z
      .enum(["text", "allow"])
      .default("text")
      .describe("how to encode special tokens in the text: as ordinary text, or as special tokens"),
  }),
  positional: ["file"],
  examples: [
    'quern tokenizer show --tokenizer cl100k --text "Hello, world"',
    "quern tokenizer show notes.md --tokenizer gpt2 --html tokens.html",
  ],
  async run(
    { file, tokenizer: name, text: given, html, force, list, special, textField, strict },
    { signal, print, write, log },
  ) {
    const { openTokenizer, showTokens, tokensAsHtml, tokensAsText, hexBytes } = await import("../tokenizer/index.js");
    const { readDocuments, readLines, withOutput, writeFileAtomic } = await import("../documents/index.js");
    if (file !== undefined && given !== undefined)
      throw new QuernError("give a file or --text, not both", { exitCode: 2 });
    const tokenizer = await openTokenizer(name, { signal });
    let text = given ?? "";
    const reader = file === undefined ? undefined : readDocuments([file], { textField, strict, signal });
    if (reader !== undefined) {
      for await (const document of reader) text += document.text;
      for (const line of readLines(reader.report).slice(1)) log(line);
    } else if (given === undefined) text = await readStandardInput();
    const tokens = showTokens(tokenizer, text, { special });
    const bytes = tokens.reduce((sum, token) => sum + token.bytes.length, 0);
    if (html !== undefined) {
      const inputs = file === undefined ? [] : [file];
      await withOutput({ verb: "tokenizer show", out: html, inputs, force }, () =>
        writeFileAtomic(html, tokensAsHtml(tokens, `${tokens.length} tokens of ${name}`)),
      );
      print(`${tokens.length} tokens of ${bytes} bytes written to ${html}`);
    } else {
      // `print` would escape the colour codes.
      write(`${tokensAsText(tokens, process.stdout.isTTY === true && process.env.NO_COLOR === undefined)}\n`);
      if (list > 0) print();
      const width = String(tokenizer.vocabSize).length;
      for (const token of tokens.slice(0, list)) {
        print(`${String(token.id).padStart(width)}  ${hexBytes(token.bytes).padEnd(24)}  ${token.label}`);
      }
      if (list > 0 && tokens.length > list) print(`… ${tokens.length - list} more`);
      print(`${tokens.length} tokens, ${bytes} bytes`);
    }
    return {
      ...reader?.report,
      tokens: tokens.map(({ id, bytes: own, label }) => ({ id, bytes: hexBytes(own), text: label })),
    };
  },
});
