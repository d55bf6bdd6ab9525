import { z } from "zod";
import { QuernError } from "../errors.js";
import { defineCommand } from "./command.js";
import { readStandardInput } from "./standard-input.js";

export default defineCommand({
  description: "Decode a JSON array of token ids from standard input into text on standard output.",
  options: z.object({
    tokenizer: z
      .string()
      .describe("folder or file of the tokenizer (also .gguf), or gpt2, cl100k, o200k")
      .meta({ value: "DIR|NAME" }),
    skipSpecial: z.boolean().default(false).describe("omit special tokens from the text"),
  }),
  examples: ["echo [9906,1917] | quern tokenizer decode --tokenizer cl100k"],
  async run({ tokenizer: name, skipSpecial }, { signal, write }) {
    const { openTokenizer } = await import("../tokenizer/index.js");
    const tokenizer = await openTokenizer(name, { signal });
    const text = tokenizer.decode(parseIds(await readStandardInput()), { skipSpecial });
    write(text);
    return { text };
  },
});

function parseIds(input: string): number[] {
  let ids: unknown;
  try {
    ids = JSON.parse(input);
  } catch (error) {
    throw new QuernError("standard input is not a JSON array of ids, such as [1, 2, 3]", { cause: error });
  }
  if (!Array.isArray(ids)) throw new QuernError("standard input is not a JSON array of ids, such as [1, 2, 3]");
  const wrong = ids.findIndex((id) => !Number.isInteger(id) || (id as number) < 0);
  if (wrong >= 0)
    throw new QuernError(`element ${wrong} of the array is ${JSON.stringify(ids[wrong])}, which is not a token id`);
  return ids as number[];
}
