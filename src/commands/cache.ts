import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Show or clear the cache of compiled programs, fetched data and models, and lists of tasks. Quern rebuilds or fetches " +
    "again whatever you remove. QUERN_CACHE names another folder.",
  options: z.object({
    clear: z.boolean().default(false).describe("remove everything, or only the part named by --part"),
    part: z
      .string()
      .optional()
      .describe("show or clear only this part of the cache, such as programs")
      .meta({ value: "NAME" }),
  }),
  examples: ["quern cache", "quern cache --clear --part programs"],
  async run({ clear, part }, { print }) {
    const { clearCache, inspectCache } = await import("../cache.js");
    const { folder, parts } = clear ? await clearCache(part) : await inspectCache(part);
    print(folder);
    for (const { name, entries, bytes } of parts) {
      print(`  ${name.padEnd(12)}  ${entries} entries  ${(bytes / 1e6).toFixed(1)} MB${clear ? "  removed" : ""}`);
    }
    if (parts.length === 0) print("  empty");
    return { folder, cleared: clear, parts };
  },
});
