/** @file The record of a post-training run: a new one, or that of a run that is resumed, with its options. */
import { examineMachine } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { type RunRecord, readRunRecord } from "../train/index.js";
import { version } from "../version.js";
import type { AlignOptions } from "./options.js";
import type { AlignPlan } from "./task.js";

/** The record of the run that is resumed; null for a new one. */
export async function recordOf(now: AlignOptions, algorithm: string, dryRun: boolean): Promise<RunRecord | null> {
  const found = await readRunRecord(now.out);
  if (found === null) {
    if (!now.resume) return null;
    throw new QuernError(`${now.out} contains no run to resume; check --out`, { exitCode: 2 });
  }
  if (!now.resume) {
    if (dryRun || now.force) return null;
    throw new QuernError(`${now.out} already contains a run; resume it with --resume, or choose another folder`, {
      exitCode: 2,
    });
  }
  const own = found.plan?.algorithm;
  if (own === algorithm) return found;
  throw new QuernError(`${now.out} contains a run of ${own ?? "pretrain"}, not of ${algorithm}`, { exitCode: 2 });
}

/** Options that belong to one call, or that may differ from call to call. */
const FREE = ["out", "force", "resume", "threads", "zero", "saveEvery", "keep", "strict", "reportTo"];

/** The flag of an option. */
const flagOf = (key: string) =>
  key === "learningRate" ? "--lr" : `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The options of a run, with those that were given now and may differ. @throws QuernError for one that may not */
export function resumedOptions({ config = {} }: RunRecord, now: AlignOptions): AlignOptions {
  for (const [key, value] of Object.entries(now)) {
    if (value === undefined || FREE.includes(key)) continue;
    if (JSON.stringify(config[key]) === JSON.stringify(value)) continue;
    const was = config[key] === undefined ? "was not given" : `was ${JSON.stringify(config[key])}`;
    throw new QuernError(
      `a resumed run keeps its plan: ${flagOf(key)} ${was} there, and is ${JSON.stringify(value)} now`,
      {
        exitCode: 2,
      },
    );
  }
  const given = Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined));
  return { ...config, ...given } as AlignOptions;
}

export async function firstRecord(o: AlignOptions, plan: AlignPlan): Promise<RunRecord> {
  const machine = await examineMachine({ measure: false });
  return {
    version,
    created: new Date().toISOString(),
    config: o,
    plan: { ...plan },
    seed: plan.seed,
    machine: {
      line: machine.line,
      processor: machine.processor,
      cores: machine.cores,
      compiler: machine.compiler?.version ?? machine.clang,
    },
  };
}
