/** The table of published runs in docs/scaling.md is what the planner says. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { publishedTable } from "../../src/scale/index.js";

const path = join(import.meta.dirname, "..", "..", "docs", "scaling.md");
const TABLE = /\| run \| FLOPs [\s\S]*?\|\n(?!\|)/;

it("shows the planner's figures beside the published ones", async () => {
  const text = readFileSync(path, "utf8");
  const table = `${await publishedTable()}\n`;
  if (process.env.UPDATE_DOCS === "1")
    writeFileSync(
      path,
      text.replace(TABLE, () => table),
    );
  expect(TABLE.exec(process.env.UPDATE_DOCS === "1" ? readFileSync(path, "utf8") : text)?.[0]).toBe(table);
});
