import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Ask a recipe about each document of a JSONL file, without writing anything: a line a document, with its verdict, and " +
    "for one that is dropped the step and the reason.",
  options: z.object({
    file: z.string().describe("JSONL file of documents, each with a text").meta({ value: "FILE" }),
    recipe: z
      .string()
      .optional()
      .describe("a TypeScript file that exports defineRecipe(...), or fineweb (the default) or fineweb-2")
      .meta({ value: "FILE" }),
  }),
  positional: ["file"],
  examples: ["quern data check documents.jsonl", "quern data check documents.jsonl.gz --recipe my-recipe.ts"],
  async run({ file, recipe }, { signal, print }) {
    const { checkDocuments } = await import("../data/clean/check.js");
    let kept = 0;
    let documents = 0;
    for await (const answer of checkDocuments(file, { recipe, signal })) {
      documents += 1;
      if (answer.verdict === "keep") kept += 1;
      print(JSON.stringify(answer));
    }
    return { documents, kept, dropped: documents - kept };
  },
});
