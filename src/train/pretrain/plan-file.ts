/** @file Reads an existing plan: that of a resumed run, or of a `run.json` to repeat. */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { readJsonFile } from "../../json-file.js";
import { defineModel, type ModelSizes } from "../../model/index.js";
import { TEXT_ORDERS } from "../data/loader.js";
import { runPlanFields, validationInterval } from "../run/plan.js";
import { checkRecord, type RunRecord } from "../run/run-record.js";
import type { PretrainPlan } from "./plan.js";
import { BUDGETS, type CheckedPretrainOptions } from "./pretrain-options.js";

/** What pretraining reads of a plan; the rest is for people. */
const planSchema = z.looseObject({
  ...runPlanFields,
  model: z.looseObject({}),
  recompute: z.boolean(),
  packed: z.literal(true),
  order: z.enum(TEXT_ORDERS).default("shuffled"),
  dataset: z.string(),
});

/** Options that belong to one invocation, not to the run. */
const OF_THE_CALL = ["out", "force", "resume", "plan"];

/** Where the text lies, how it is computed and what is kept may differ from call to call. */
const FREE = [
  ...OF_THE_CALL,
  "text",
  "textField",
  "strict",
  "data",
  "from",
  "tokenizer",
  "threads",
  "saveEvery",
  "keep",
];

/** Options and plan of a run that was planned before. */
export interface Planned {
  readonly options: CheckedPretrainOptions;
  readonly plan: PretrainPlan;
}

/**
 * The plan in a record, with the options that it was made from; those given now that may differ win.
 * @param path names the file in messages
 * @throws QuernError for options that would change the plan, or a record without a whole plan
 */
export function plannedBefore(record: RunRecord, path: string, now: CheckedPretrainOptions): Planned {
  const parsed = planSchema.safeParse(record.plan);
  if (!parsed.success) {
    const [{ path: key, message }] = parsed.error.issues;
    throw new QuernError(`${path} has no whole plan: ${["plan", ...key].join(".")}: ${message}; start the run again`);
  }
  defineModel(parsed.data.model as ModelSizes); // sizes that do not fit each other are refused by name
  const config = (record.config ?? {}) as Partial<CheckedPretrainOptions>;
  for (const [key, value] of Object.entries(now)) {
    if (value === undefined || FREE.includes(key)) continue;
    const planned = config[key as keyof CheckedPretrainOptions];
    if (planned === value) continue;
    const was = planned === undefined ? "was not given" : `was ${planned}`;
    throw new QuernError(`a resumed or repeated run keeps its plan: ${key} ${was} there, and is ${value} now`, {
      exitCode: 2,
    });
  }
  const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !OF_THE_CALL.includes(key)));
  const given = Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined));
  const options = { ...kept, ...given } as CheckedPretrainOptions;
  // Text given now stands for shards that were given then, and the other way round.
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

/** Refuses budgets that contradict each other. */
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
