/** @file Scaling laws: the table of runs that a fit reads, and law.json, which predictions read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fitScalingLaw, predictRun, readRuns } from "../../../src/scale/index.js";
import { readLaw } from "../../../src/train/index.js";
import { type Json, jsonText, mutateJson, mutateText, several } from "../mutations.js";
import type { Target } from "../target.js";

/** Losses of E + A/N^α + B/D^β at four sizes and five budgets. */
const RUNS = [1e12, 3e12, 1e13, 3e13, 1e14].flatMap((flops, budget) =>
  [0.3, 0.6, 1.2, 2.4].map((factor, size) => {
    const params = factor * Math.sqrt(flops / 120);
    const tokens = flops / (6 * params);
    const loss = 1.9 + 30 / params ** 0.3 + 60 / tokens ** 0.35;
    const unique = budget === 4 ? tokens / 6 : tokens;
    return [
      `b${budget}-s${size}`,
      "finished",
      params,
      tokens,
      unique,
      flops,
      loss,
      loss * 0.35,
      0.003 / (size + 1),
      4096,
    ];
  }),
);
const TABLE = [
  "run,status,params,tokens,unique_tokens,flops,loss,bits_per_byte,learning_rate,batch,accuracy",
  ...RUNS.map((cells, i) => `${cells.join(",")},${(0.3 + 0.02 * i).toFixed(2)}`),
  'x,diverged,1e6,2e7,2e7,1.2e14,NaN,,0.1,4096,"0.3"',
].join("\n");
const WORDS = ["NaN", "-1", "0", "1e308", "1e-308", "70B", '"', ",", "\r\n", "finished", "failed"];

/** The parametric fit of 4,500 starts is left to the command line. */
const APPROACHES = ["isoflop", "envelope", "kaplan"] as const;

const power = (coefficient: number, exponent: number) => ({ coefficient, exponent });
const LAW: Json = {
  ...{ format: "quern scaling law", approach: "parametric", counting: "all" },
  ...{ A: 30, B: 60, E: 1.9, alpha: 0.3, beta: 0.35, kaplan: null, objective: 1e-5, frontier_loss: null },
  frontier: { params: power(0.2, 0.54), tokens: power(0.8, 0.46) },
  draws: [1, 2, 3].map((i) => [29 + i, 58 + i, 1.9, 0.3, 0.35]),
  residuals: [0.001, -0.002, 0.0005],
  range: { params: [1e4, 1e7], tokens: [1e6, 1e9], flops: [1e12, 1e14], loss: [2, 4] },
  ...{ bits_per_byte_per_nat: 0.35, learning_rate: power(0.3, -0.12), batch: power(40, 0.2) },
  downstream: { floor: 0.25, top: 0.9, slope: 4, midpoint: 2.6 },
  without_embeddings: { A: 25, B: 60, E: 1.9, alpha: 0.29, beta: 0.35 },
};

export function open(): Target {
  return {
    make(random) {
      const table = random.chance(0.85)
        ? several(TABLE, random, (text) => mutateText(text, random, WORDS))
        : TABLE.replaceAll("\n", "\r\n");
      const law = random.chance(0.8) ? several<Json>(LAW, random, (value) => mutateJson(value, random)) : LAW;
      // One fit per input keeps them fast.
      return { "runs.csv": table, "law.json": jsonText(law, random), approach: random.pick(APPROACHES) };
    },
    async read(folder, reached) {
      const at = (name: string) => join(folder, name);
      const approach = readFileSync(at("approach"), "utf8") as (typeof APPROACHES)[number];
      for (const work of [
        () => readRuns(at("runs.csv")),
        () => readLaw(at("law.json")),
        () => fitScalingLaw({ runs: at("runs.csv"), approach, bootstrap: 2, out: at("law") }),
        () => predictRun({ law: at("law.json"), flops: 3e14, vocabSize: 512 }),
        () => predictRun({ law: at("law.json"), params: 1e6, tokens: 2e7, vocabSize: 512, served: 1e9 }),
      ]) {
        try {
          await work();
          reached();
        } catch (error) {
          if ((error as Error).name !== "QuernError") throw error;
        }
      }
    },
    command: () => ["scale", "fit", "runs.csv", "--bootstrap", "20", "--out", "parametric"],
  };
}
