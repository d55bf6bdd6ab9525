import { z } from "zod";
import { readingOptions } from "../documents/reading-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Ask a recipe about each document of a JSONL file, without writing anything: a line a document, with its verdict, and " +
    "for one that is dropped the step and the reason.",
  options: z.object({
    file: z.string().describe("JSONL file of documents, each with a text").meta({ value: "FILE" }),
    ...readingOptions,
    recipe: z
      .string()
      .optional()
      .describe("a TypeScript file that exports defineRecipe(...), or fineweb (the default) or fineweb-2")
      .meta({ value: "FILE" }),
  }),
  positional: ["file"],
  examples: ["quern data check documents.jsonl", "quern data check documents.jsonl.gz --recipe my-recipe.ts"],
  async run({ file, recipe, textField, strict }, { signal, print, log: note }) {
    const { checkDocuments } = await import("../data/clean/check.js");
    const { nothingRead, ReadLog, readLines } = await import("../documents/index.js");
    const log = new ReadLog({ strict });
    let kept = 0;
    let documents = 0;
    for await (const answer of checkDocuments(file, { recipe, textField, log, signal })) {
      documents += 1;
      if (answer.verdict === "keep") kept += 1;
      print(JSON.stringify(answer));
    }
    for (const line of readLines(log.report)) note(line);
    if (log.documents === 0) throw nothingRead([file], log.report);
    return { ...log.report, documents, kept, dropped: documents - kept };
  },
});
