/**
 * @file A scaling law of our own, on the starter corpus: about 40 small runs, the fit, and three runs beyond the data that are predicted
 * before they start. About an hour on two quiet cores; a killed call continues when it is repeated.
 *
 *     node dist/recipes/scaling.js --out runs/scaling
 *     node dist/recipes/scaling.js --out runs/scaling --flops 3e11,1e12,3e12 --checks 2     smaller
 *
 * The sweep → the fit with intervals → the predictions, in a file with its time → the predicted runs: at 2 and at 4 times the largest
 * budget, and at 2 times with another size than the law's (that of the dial's built-in constants, if it differs) → how far each
 * prediction was off, whether the dial's constants or the law choose better, and what repeated data did → a picture.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { writeFileAtomic } from "../src/documents/index.js";
import { fitScalingLaw, type Prediction, type PredictionCheck, predictRun, sweepRuns } from "../src/scale/index.js";
import { readLaw } from "../src/train/index.js";
import { dialSize, lawPicture, lossByEpochs } from "./scaling-law.js";

/** Eight budgets over a hundredfold range. */
const BUDGETS = [3e11, 5.8e11, 1.1e12, 2.2e12, 4.2e12, 8e12, 1.55e13, 3e13];

/** Budgets of the predicted runs, in units of the largest of the sweep; the last has the dial's size. */
const CHECKS = [2, 4] as const;
/** A size is off the optimum from this factor on. */
const OFF = 1.4;
const LAW = "2 ×";
const DIAL = "2 ×, the dial's size";

interface HeldOut {
  readonly name: string;
  readonly flops: number;
  readonly params?: number;
}

const scaling = defineCommand({
  description:
    "Fit a scaling law to small runs on the starter corpus, predict three larger runs, train them, and compare the law with the dial.",
  options: z.object({
    out: z
      .string()
      .default("runs/scaling")
      .describe("folder of the sweep, the law and the results")
      .meta({ value: "DIR" }),
    flops: z
      .array(z.number().min(1e6))
      .min(2)
      .default(BUDGETS)
      .describe("training budgets in FLOPs")
      .meta({ value: "F,F,…", separator: "," }),
    sizes: z.int().min(3).max(20).default(5).describe("model sizes per budget").meta({ value: "N" }),
    checks: z.int().min(0).max(3).default(3).describe("predicted runs to train, cheapest first").meta({ value: "N" }),
    workers: z.int().min(1).optional().describe("runs at the same time (default: cores)").meta({ value: "N" }),
    threads: z.int().min(1).optional().describe("threads of a predicted run (default: cores)").meta({ value: "N" }),
    bootstrap: z.int().min(1).default(4000).describe("bootstrap refits").meta({ value: "N" }),
  }),
  async run({ out, flops, sizes, checks, workers, threads, bootstrap }, { print, log, signal, onProgress }) {
    const calls = { signal, onProgress };
    const paths = { sweep: join(out, "sweep"), law: join(out, "law"), predictions: join(out, "predictions.json") };

    // 1. The sweep. Its text is the starter corpus.
    const resume = existsSync(join(paths.sweep, "sweep.json"));
    const swept = await sweepRuns({ flops, sizes, out: paths.sweep, workers, resume, ...calls, onNotice: log });
    const share = swept.training_share === null ? "" : `, ${(100 * swept.training_share).toFixed(0)} % of it training`;
    print(`${swept.finished} of ${swept.runs.length} runs in ${(swept.seconds / 60).toFixed(1)} minutes${share}`);

    // 2. The fit.
    const fit = await fitScalingLaw({ runs: paths.sweep, out: paths.law, force: true, bootstrap, ...calls });
    for (const warning of fit.warnings) log(`warning: ${warning}`);
    for (const key of ["A", "B", "E", "alpha", "beta"] as const) {
      const [low, high] = fit.intervals?.[key] ?? [Number.NaN, Number.NaN];
      print(
        `${key.padEnd(6)} ${Number(fit[key]).toPrecision(4)}   95 %: ${low.toPrecision(4)} to ${high.toPrecision(4)}`,
      );
    }
    const lawFile = join(paths.law, "law.json");
    const law = await readLaw(lawFile);

    // 3. What the law says about runs beyond its data, written before they start.
    const largest = Math.max(
      ...swept.runs.map((run) => (run.status === undefined || run.status === "finished" ? Number(run.flops) : 0)),
    );
    const vocabSize = Number(swept.runs[0].vocab_size);
    const predict = (run: HeldOut, check: boolean) =>
      predictRun({
        law: lawFile,
        flops: run.flops,
        params: run.params,
        sweep: paths.sweep,
        vocabSize,
        threads,
        check,
        ...calls,
      });
    const heldOut = heldOutRuns(largest, await predict({ name: "", flops: 2 * largest }, false), vocabSize);
    const predicted = await Promise.all(heldOut.map((run) => predict(run, false)));
    if (!existsSync(paths.predictions)) {
      const content = {
        written: new Date().toISOString(),
        law: { A: fit.A, B: fit.B, E: fit.E, alpha: fit.alpha, beta: fit.beta },
        runs: heldOut.map((run, i) => ({ ...run, ...predicted[i].planned })),
      };
      await writeFileAtomic(paths.predictions, `${JSON.stringify(content, null, 1)}\n`);
    }

    // 4. The runs.
    const checked: (PredictionCheck & HeldOut)[] = [];
    for (const run of heldOut.toSorted((a, b) => a.flops - b.flops).slice(0, checks)) {
      const { check } = await predict(run, true);
      if (check === null) throw new Error("a checked prediction has no result");
      checked.push({ ...check, ...run });
      const verdict = check.held ? "within the interval" : "outside of the interval";
      const error = `${(100 * check.error).toFixed(2)} %`;
      print(
        `${run.name}: predicted ${check.predicted.toFixed(4)}, measured ${check.loss.toFixed(4)}: ${error}, ${verdict}`,
      );
    }

    // 5. The dial's constants or the law: the same budget, with either size.
    const [byLaw, byDial] = [checked.find(({ name }) => name === LAW), checked.find(({ name }) => name === DIAL)];
    if (byLaw !== undefined && byDial !== undefined) {
      const better = byLaw.loss < byDial.loss ? "the law" : "the dial";
      print(
        `at ${byLaw.flops.toExponential(1)} FLOPs ${better} is better: ${byLaw.params} params by the law reach ${byLaw.loss.toFixed(4)}, ` +
          `${byDial.params} by the dial's constants ${byDial.loss.toFixed(4)}`,
      );
    }

    // 6. Repeated text: how far its runs are from a law that was fitted to at most four epochs.
    const repeated = lossByEpochs(law, swept.runs);
    print("epochs    runs   loss / law − 1");
    for (const { from, to, runs, excess } of repeated) {
      print(`${from} to ${to}`.padEnd(10) + String(runs).padStart(4) + `${(100 * excess).toFixed(2)} %`.padStart(17));
    }

    await writeFileAtomic(join(out, "law.svg"), lawPicture(law, swept.runs, checked));
    const result = { fit, checked, repeated, seconds: swept.seconds, training_share: swept.training_share };
    await writeFileAtomic(join(out, "result.json"), `${JSON.stringify(result, null, 1)}\n`);
    print(`written: ${join(out, "result.json")}, ${join(out, "law.svg")}, ${join(paths.law, "report.html")}`);
    return result;
  },
});

function heldOutRuns(largest: number, twice: Prediction, vocabSize: number): HeldOut[] {
  const flops = 2 * largest;
  const dial = dialSize(flops, vocabSize);
  const isOff = Math.abs(Math.log(dial / twice.planned.params)) > Math.log(OFF);
  return [
    ...CHECKS.map((times): HeldOut => ({ name: `${times} ×`, flops: times * largest })),
    isOff
      ? { name: DIAL, flops, params: dial }
      : { name: "2 ×, twice the size", flops, params: 2 * twice.planned.params },
  ];
}

await runProcess(
  [
    {
      words: "scaling",
      summary: "fit and check a scaling law on the starter corpus",
      load: async () => ({ default: scaling }),
    },
  ],
  ["scaling", ...process.argv.slice(2)],
);
