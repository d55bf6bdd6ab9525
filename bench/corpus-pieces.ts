/** @file Lines and paragraphs from files to files, one thread and two. */
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Row, runVerb, type Section, sharedTexts } from "./corpus-row.js";
import { median } from "./measure.js";

const COPIES = 10;

export const pieces: Section = {
  name: "pieces",
  async run({ rounds, folder }) {
    const texts = sharedTexts();
    let bytes = 0;
    const inputs = Array.from({ length: COPIES }, (_, copy) => {
      const path = join(folder, `pieces-${copy}.jsonl`);
      // Every second line is this copy's own, so that half of all repeats.
      const lines = texts.map((text, id) => {
        const own = text
          .split("\n")
          .map((line, i) => (i % 2 === 0 ? line : `${line} ${copy}`))
          .join("\n");
        bytes += Buffer.byteLength(own);
        return JSON.stringify({ id: `${copy}-${id}`, text: own });
      });
      writeFileSync(path, `${lines.join("\n")}\n`);
      return path;
    });
    const out = join(folder, "out");
    const once = async (by: string, workers: number) => {
      const call = ["data", "deduplicate", ...inputs, "--out", out, "--by", by, "--workers", String(workers)];
      const { seconds } = runVerb(call);
      await rm(out, { recursive: true });
      return seconds;
    };
    const rows: Row[] = [];
    for (const by of ["line", "paragraph", "near"]) {
      const [one, two]: number[][] = [[], []];
      for (let round = 0; round < rounds; round++) {
        one.push(await once(by, 1));
        two.push(await once(by, 2));
      }
      const name = by === "near" ? "the near-duplicate pass" : `${by}s`;
      const rate = { value: bytes / 1e6 / median(one), unit: "MB/s", ...(by === "near" ? {} : { least: 20 }) };
      rows.push({ name: `${name}, from files to files, one thread`, ...rate });
      const gain = median(one) / median(two);
      rows.push({ name: `${name}: two threads`, value: gain, unit: "× one", least: 1.8 });
    }
    return rows;
  },
};
