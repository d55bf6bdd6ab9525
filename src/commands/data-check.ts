import { z } from "zod";
import { readingOptions } from "../options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Show what a recipe would do with each document of a JSONL file, without writing anything. Prints one JSON line per " +
    "document: keep or drop, and for a dropped document the step and the reason.",
  options: z.object({
    file: z.string().describe("JSONL file with one document per line").meta({ value: "FILE" }),
    ...readingOptions,
    recipe: z
      .string()
      .optional()
      .describe("a TypeScript file that exports defineRecipe(...), or fineweb or fineweb-2 (default fineweb)")
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
