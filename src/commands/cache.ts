import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Show what Quern keeps in its cache (compiled programs, fetched data packages), or remove it. All of it can be made or " +
    "fetched again; QUERN_CACHE names another folder.",
  options: z.object({
    clear: z.boolean().default(false).describe("remove everything, or the part that --part names"),
    part: z.string().optional().describe("a part of the cache, such as programs").meta({ value: "NAME" }),
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
