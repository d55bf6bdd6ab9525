import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description: "Find the document that a token of the shards comes from, and its archive and byte offset.",
  options: z.object({
    shards: z
      .string()
      .describe("folder of token shards, from `quern data corpus` or a training run")
      .meta({ value: "SHARDS" }),
    position: z.int().min(0).describe("position of the token, counted from 0").meta({ value: "POSITION" }),
    split: z.enum(["train", "heldout"]).default("train").describe("training or held-out tokens"),
  }),
  positional: ["shards", "position"],
  examples: ["quern data where corpus/shards 1000000", "quern data where runs/speedrun 1000000"],
  async run({ shards, position, split }, { print }) {
    const { where } = await import("../data/shards/where.js");
    const found = await where(shards, position, { split });
    const { id, url, source, archive, offset, row, time, group, copy, document, token, tokens, byte, context } = found;
    print(`document ${document}: ${id}${url === undefined ? "" : `, ${url}`}`);
    print(
      `archive  ${archive}${offset === undefined ? "" : `, offset ${offset}`}${row === undefined ? "" : `, row ${row}`}${time === undefined ? "" : `, fetched ${time}`}`,
    );
    print(
      `source   ${source}${group === undefined || group === source ? "" : `, in the mix as ${group}`}${copy === undefined ? "" : `, copy ${copy + 1}`}`,
    );
    print(`token    ${token} of ${tokens}${byte === null ? "" : `, byte ${byte} of the document's text`}`);
    const [before, text, after] = context.map((part) => part.replace(/\s+/g, " "));
    if (byte !== null) print(`text     …${before}[${text}]${after}…`);
    return found;
  },
});
