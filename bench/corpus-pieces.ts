/**
 * @file Deduplication of lines, paragraphs and near-duplicates, from files to files. Compares one thread, two threads, and two
 * independent one-thread processes with half of the files each, which show the machine's limit for two threads.
 */
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Row, type Section, sharedTexts, startVerb } from "./corpus-row.js";
import { median } from "./measure.js";

const COPIES = 10;

export const pieces: Section = {
  name: "pieces",
  async run({ rounds, folder }) {
    const texts = sharedTexts();
    let bytes = 0;
    const inputs = Array.from({ length: COPIES }, (_, copy) => {
      const path = join(folder, `pieces-${copy}.jsonl`);
      // Every second line is unique to this copy, so that half of the lines repeat.
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
    const once = async (by: string, workers: number, ...parts: readonly (readonly string[])[]) => {
      const call = ["data", "deduplicate", "--by", by, "--workers", String(workers)];
      const start = performance.now();
      await Promise.all(parts.map((files, i) => startVerb([...call, ...files, "--out", `${out}-${i}`])));
      const seconds = (performance.now() - start) / 1e3;
      for (const i of parts.keys()) await rm(`${out}-${i}`, { recursive: true });
      return seconds;
    };
    const rows: Row[] = [];
    for (const by of ["line", "paragraph", "near"]) {
      const [one, two, halves]: number[][] = [[], [], []];
      for (let round = 0; round < rounds; round++) {
        one.push(await once(by, 1, inputs));
        two.push(await once(by, 2, inputs));
        halves.push(await once(by, 1, inputs.slice(0, COPIES / 2), inputs.slice(COPIES / 2)));
      }
      const name = by === "near" ? "the near-duplicate pass" : `${by}s`;
      const rate = { value: bytes / 1e6 / median(one), unit: "MB/s", ...(by === "near" ? {} : { least: 20 }) };
      rows.push({ name: `${name}, from files to files, one thread`, ...rate });
      const gain = (seconds: readonly number[]) => median(one) / median(seconds);
      const peer = { name: "two processes with half of the files each", value: gain(halves) };
      rows.push({ name: `${name}: two threads`, value: gain(two), unit: "× one", peer, least: 1.8 });
    }
    return rows;
  },
};
