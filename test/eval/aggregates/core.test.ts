/** CORE and Extended of a published model under both tables of chance, and what wrong files say. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { coreScores } from "../../../src/eval/index.js";

const published = JSON.parse(
  readFileSync(new URL("../../fixtures/eval/dclm-core.json", import.meta.url), "utf8"),
) as Record<"Core_v1" | "Core_v2" | "Extended_v1" | "Extended_v2", number> & {
  readonly model: string;
  readonly tasks: readonly {
    readonly task: string;
    readonly category: string;
    readonly accuracy: number;
    readonly chance_v1: number;
    readonly chance_v2: number;
  }[];
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-core-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = async (name: string, content: string) => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};

const HEADER = "Eval Task,Task Category,Random baseline,Description";
const table = (version: "v1" | "v2") =>
  [
    HEADER,
    ...published.tasks.map(
      (row) => `${row.task},${row.category},${row[`chance_${version}`]},"A ""task"", over\ntwo lines"`,
    ),
  ].join("\r\n");
const results = (change: Record<string, unknown> = {}, model: string | undefined = published.model) => {
  const accuracies = Object.fromEntries(published.tasks.map(({ task, accuracy }) => [task, accuracy]));
  return JSON.stringify({ model, eval_metrics: { icl: { ...accuracies, ...change } } });
};

describe("CORE", () => {
  it("equals DCLM's figures under both tables", async () => {
    const file1 = await file("model.json", results());
    for (const version of ["v1", "v2"] as const) {
      const meta = await file(`${version}.csv`, table(version));
      const [row] = await coreScores({ results: [file1], meta });
      expect(row.model).toBe(published.model);
      expect(row.core).toBeCloseTo(published[`Core_${version}`], 13);
      expect(row.extended).toBeCloseTo(published[`Extended_${version}`], 13);
      expect(row.missing).toEqual([]);
    }
  });

  it("is null when a task is missing, and Extended on its own too", async () => {
    const meta = await file("v2.csv", table("v2"));
    const core = await file("core.json", results({ coqa: Number.NaN }));
    const other = await file("other.json.x.json", JSON.stringify({ eval_metrics: { icl: { copa: 1 } } }));
    const rows = await coreScores({ results: [core, await file("m.json", results({ bbq: undefined })), other], meta });
    expect(rows[0]).toMatchObject({ core: null, extended: null, missing: ["coqa"] });
    expect(rows[1].core).toBeCloseTo(published.Core_v2, 13);
    expect(rows[1]).toMatchObject({ extended: null, missing: ["bbq"] });
    expect(rows[2]).toMatchObject({ model: "other.json.x", core: null, categories: { "commonsense reasoning": 1 } });
  });

  it("says what is wrong with a file", async () => {
    const good = await file("good.json", results());
    const wrongTable = async (content: string, message: string) =>
      expect(coreScores({ results: [good], meta: await file("bad.csv", content) })).rejects.toThrow(message);
    await wrongTable("", "bad.csv is empty");
    await wrongTable("a,b\n1,2", 'has no column "Eval Task"');
    await wrongTable(`${HEADER}\ncopa,x,50`, "line 2 of");
    await wrongTable(`${HEADER}\ncopa,x,50,"open`, "never closes");
    await wrongTable(`${HEADER}\ncopa,x,100,`, "must be at least 0 and below 100, not 100");
    await wrongTable(`${HEADER}\ncopa,x,,`, 'must be a number, not ""');
    await wrongTable(`${HEADER}\ncopa,x,50,`, "has no row for the CORE tasks hellaswag_zeroshot,");
    await wrongTable(`${HEADER}\ncopa,x,50,\ncopa,x,50,`, "line 3 of");
    const meta = await file("v2.csv", table("v2"));
    const wrong = async (content: string, message: string) =>
      expect(coreScores({ results: [await file("bad.json", content)], meta })).rejects.toThrow(message);
    await wrong("{}", 'no accuracies by task in "eval_metrics.icl"');
    await wrong("[1", "bad.json is not JSON");
    await wrong(results({ copa: 74 }), "the accuracy of copa in");
    await wrong(results({ copa: "x" }), 'must be a number from 0 to 1, not "x"');
  });
});
