/** @file Reads an existing plan, from the run to resume or from the `run.json` to repeat. */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { readJsonFile } from "../../json-file.js";
import { defineModel, type ModelSizes } from "../../model/index.js";
import { TEXT_ORDERS } from "../data/loader.js";
import { runPlanFields, validationInterval } from "../run/plan.js";
import { checkRecord, type RunRecord } from "../run/run-record.js";
import type { PretrainPlan } from "./plan.js";
import { BUDGETS, type CheckedPretrainOptions } from "./pretrain-options.js";

/** The fields of a plan that pretraining reads; the others are informative. */
const planSchema = z.looseObject({
  ...runPlanFields,
  model: z.looseObject({}),
  candidates: z.int().min(1).optional(),
  recompute: z.boolean(),
  packed: z.literal(true),
  order: z.enum(TEXT_ORDERS).default("shuffled"),
  dataset: z.string(),
});

/** Options that belong to one invocation, not to the run. */
const PER_INVOCATION = ["out", "force", "resume", "plan"];

/** Options that may differ between invocations: the location of the text, the hardware use, and what is kept. */
const MAY_DIFFER = [
  ...PER_INVOCATION,
  "text",
  "textField",
  "strict",
  "data",
  "from",
  "tokenizer",
  "threads",
  "zero",
  "saveEvery",
  "keep",
];

/** Options and plan of an earlier run. */
export interface Planned {
  readonly options: CheckedPretrainOptions;
  readonly plan: PretrainPlan;
}

/**
 * Returns the plan in a record and the options it was made from. Options given now override those that may differ.
 * @param path name of the file in error messages
 * @throws QuernError for options that would change the plan, or a record without a complete plan
 */
export function plannedBefore(record: RunRecord, path: string, now: CheckedPretrainOptions): Planned {
  const parsed = planSchema.safeParse(record.plan);
  if (!parsed.success) {
    const [{ path: key, message }] = parsed.error.issues;
    throw new QuernError(
      `${path} contains no complete plan: ${["plan", ...key].join(".")}: ${message}; start the run again`,
    );
  }
  defineModel(parsed.data.model as ModelSizes); // throws for inconsistent sizes
  const config = (record.config ?? {}) as Partial<CheckedPretrainOptions>;
  for (const [key, value] of Object.entries(now)) {
    if (value === undefined || MAY_DIFFER.includes(key)) continue;
    const planned = config[key as keyof CheckedPretrainOptions];
    if (planned === value) continue;
    const was = planned === undefined ? "was not given" : `was ${planned}`;
    throw new QuernError(`a resumed or repeated run keeps its plan: ${key} ${was} and cannot change to ${value}`, {
      exitCode: 2,
    });
  }
  const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !PER_INVOCATION.includes(key)));
  const given = Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined));
  const options = { ...kept, ...given } as CheckedPretrainOptions;
  // Text given now replaces the shards of the earlier run, and vice versa.
  if (now.text !== undefined && now.data === undefined) delete options.data;
  if (now.data !== undefined && now.text === undefined) delete options.text;
  const { steps, validate_every = validationInterval(steps) } = parsed.data;
  const save_every = options.saveEvery ?? parsed.data.save_every;
  return { options, plan: { ...parsed.data, validate_every, save_every } as unknown as PretrainPlan };
}

/** Reads the `run.json` of `--plan`. */
export async function readPlanFile(path: string, now: CheckedPretrainOptions): Promise<Planned> {
  return plannedBefore(checkRecord(await readJsonFile(path, { exitCode: 2 }), path), path, now);
}

/** @throws QuernError for budgets, texts or sizes that contradict each other */
export function checkBudgets(o: CheckedPretrainOptions): void {
  const given = BUDGETS.filter((key) => o[key] !== undefined);
  if (given.length > 1) {
    throw new QuernError(`${given.join(" and ")} are both training budgets; give only one`, { exitCode: 2 });
  }
  if (o.text !== undefined && o.data !== undefined) {
    throw new QuernError("text and data are both training data; give only one", { exitCode: 2 });
  }
  if (o.depth !== undefined && o.layers !== undefined && o.layers !== o.depth) {
    throw new QuernError(`depth ${o.depth} and layers ${o.layers} contradict each other; give one of them`, {
      exitCode: 2,
    });
  }
  if (o.from === undefined) return;
  const sizes = (["family", "layers", "width", "heads", "keyValueHeads", "hidden", "vocabSize", "depth"] as const).find(
    (key) => o[key] !== undefined,
  );
  if (sizes !== undefined) {
    throw new QuernError(`${sizes} cannot be changed when training continues from a model; remove it`, { exitCode: 2 });
  }
}
