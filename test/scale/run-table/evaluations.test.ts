import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accuracyAt } from "../../../src/scale/fit/downstream.js";
import { type FitOptions, fitScalingLaw, formatRuns } from "../../../src/scale/index.js";
import { BUDGETS, isoFlopRuns, SIZES } from "../runs-fixtures.js";

let root: string;
let runs: string;
const made = isoFlopRuns(BUDGETS, SIZES);
const law = { floor: 0.25, top: 0.9, slope: 4, midpoint: 2.6 };

/** A results.json in lm-eval's layout. */
function evaluation(folder: string, model: string, results: object): void {
  mkdirSync(join(root, folder), { recursive: true });
  const configs = { quiz: { metadata: { chance: 0.25 } } };
  const file = { results, configs, config: { model_args: `pretrained=${model}` }, model_name: model };
  writeFileSync(join(root, folder, "results.json"), JSON.stringify(file));
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-evals-"));
  runs = join(root, "runs.csv");
  writeFileSync(runs, formatRuns(made.map((run, i) => ({ run: `runs/r${i}`, ...run }))));
  made.slice(0, 30).forEach(({ loss }, i) => {
    // Half of the folders have other names; the evaluated model tells whose they are.
    const results = { quiz: { "acc,none": accuracyAt(law, loss), "acc_stderr,none": 0.01, "bits,none": 3 } };
    evaluation(
      `evals/${i % 2 === 0 ? `r${i}` : `x${i}`}`,
      i % 2 === 0 ? "elsewhere" : `/data/sweep/runs/r${i}/`,
      results,
    );
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fitEvals = (options: Partial<FitOptions> = {}) =>
  fitScalingLaw({ runs, approach: "isoflop", bootstrap: 0, evals: join(root, "evals"), ...options });

describe("evaluations of a sweep", () => {
  it("give the accuracy over loss, and name runs without one", async () => {
    const { downstream, warnings } = await fitEvals();
    expect(downstream).toMatchObject({ task: "quiz", metric: "acc,none", runs: 30 });
    expect(downstream?.midpoint).toBeCloseTo(2.6, 1);
    expect(downstream?.top).toBeCloseTo(0.9, 1);
    expect(warnings.join()).toContain("5 runs have no evaluation of quiz: runs/r30, runs/r31");
  });

  it("refuse what they cannot answer", async () => {
    const refused = (options: Partial<FitOptions>) => fitEvals(options).then(String, (error: Error) => error.message);
    expect(await refused({ task: "quizz" })).toContain("no evaluation of quizz; did you mean quiz?");
    expect(await refused({ metric: "f1" })).toContain("no metric f1; they have acc,none");
    expect(await refused({ evals: join(root, "none") })).toContain("no such");
    expect(await refused({ evals: undefined, task: "quiz" })).toContain("--task and --metric need --evals");
    evaluation("strangers/a", "b", { quiz: { "acc,none": 0.5 } });
    expect(await refused({ evals: join(root, "strangers") })).toContain("none of the 1 evaluations");
    evaluation("several/r0", "b", { quiz: { "acc,none": 0.5 }, exam: { "acc,none": 0.5 } });
    expect(await refused({ evals: join(root, "several") })).toContain("choose one with --task: quiz, exam");
    mkdirSync(join(root, "empty"));
    expect(await refused({ evals: join(root, "empty") })).toContain("contains no evaluations; write one per run");
  });
});
