/** @file The folder of an evaluation: results and samples, compared with a sound run and shown in a report. */
import { compareRuns, evaluationReport, readRun } from "../../../src/eval/index.js";
import { madeRun } from "../../eval/report/made-runs.js";
import { type Json, jsonText, mutateJson, mutateList, mutateText, several } from "../mutations.js";
import type { Random } from "../random.js";
import type { Target } from "../target.js";

const run = madeRun(1);
const results = JSON.parse(JSON.stringify(run.results)) as Json;
const samples = [...run.samples].map(([task, list]) => [task, JSON.parse(JSON.stringify(list.slice(0, 6)))] as const);

const changed = (value: Json, random: Random): Json => several<Json>(value, random, (each) => mutateJson(each, random));

export function open(): Target {
  return {
    make(random) {
      // One sample is damaged in most inputs: a file of which each line were damaged would never be read to its end.
      const damaged = random.chance(0.7) ? random.below(samples.length) : -1;
      const lines = (list: readonly Json[], isDamaged: boolean) => {
        const at = isDamaged ? random.below(list.length) : -1;
        const texts = list.map((value, i) =>
          i === at ? JSON.stringify(changed(value, random)) : JSON.stringify(value),
        );
        if (!isDamaged || random.chance(0.7)) return `${texts.join("\n")}\n`;
        if (random.chance(0.5)) texts[at] = jsonText(list[at], random);
        return random.chance(0.5)
          ? mutateText(`${texts.join("\n")}\n`, random)
          : `${mutateList<Json>(texts, random).join("\n")}\n`;
      };
      const suffix = random.pick(["", "_2025-01-02T03-04-05.678901"]);
      const whole = JSON.stringify(results);
      const given = random.chance(0.6)
        ? whole
        : random.chance(0.8)
          ? JSON.stringify(changed(results, random))
          : jsonText(results, random);
      return Object.fromEntries([
        [`results${suffix}.json`, given],
        ...samples.map(([task, list], i) => [`samples_${task}${suffix}.jsonl`, lines(list, i === damaged)]),
      ]);
    },
    async read(folder, reached) {
      const read = await readRun(folder);
      reached();
      compareRuns(read, run);
      evaluationReport(run, { against: read });
      evaluationReport(read, { against: run, pieces: (text) => text.split(/(?= )/) });
    },
  };
}
