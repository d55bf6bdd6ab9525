/**
 * @file LoRA adapters on disk, in PEFT's format:
 *
 *     adapter_config.json          rank, alpha, targets, and the base model
 *     adapter_model.safetensors    base_model.model.<projection>.lora_A.weight and lora_B.weight; of a reward model also
 *                                  base_model.model.score.weight
 */
import { stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { readJsonFile } from "../json-file.js";
import { quoted } from "../printable.js";
import type { ModelConfig } from "./config.js";
import { type LoraConfig, type LoraPair, loraPairs, loraScale, mergeLora, projectionNames } from "./lora.js";
import { openSafetensors, type SafetensorsFile, type TensorToWrite, writeSafetensors } from "./safetensors.js";
import { SCORE, withoutHead } from "./sequence-classifier.js";
import type { StoredModel } from "./stored-model.js";

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";
const PREFIX = "base_model.model.";

/** PEFT settings that Quern does not support, with the only accepted values. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  bias: ["none"],
  use_dora: [false],
  rank_pattern: [{}],
  alpha_pattern: [{}],
  layers_to_transform: [null],
  lora_bias: [false],
  megatron_config: [null],
  exclude_modules: [null],
  target_parameters: [null, []],
  trainable_token_indices: [null],
  alora_invocation_tokens: [null],
};

const configSchema = z.looseObject({
  peft_type: z.literal("LORA"),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().min(1),
  lora_alpha: z.number(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.union([z.string(), z.array(z.string()).min(1)]),
  use_rslora: z.boolean().nullish(),
  modules_to_save: z.array(z.string()).nullish(),
});

/** The task of a reward model, and PEFT's names of its head. */
const REWARD_TASK = "SEQ_CLS";
const REWARD_MODULES = ["score", "classifier"];

export interface StoredAdapter {
  readonly path: string;
  /** The base model: a path or a name on the hub. */
  readonly base: string | null;
  readonly lora: LoraConfig;
  readonly pairs: readonly LoraPair[];
  /** Reads a matrix by its name in `pairs`. */
  read(name: string): Promise<Float32Array>;
  /** Whether it makes its base a reward model. */
  readonly isReward: boolean;
  /** Reads the head (1,C) of a reward model; absent if the adapter has none. */
  readonly readScore?: () => Promise<Float32Array>;
  close(): Promise<void>;
}

export const isAdapter = (folder: string): Promise<boolean> =>
  stat(join(folder, CONFIG)).then(
    () => true,
    () => false,
  );

/** Whether an adapter makes its base a reward model. */
export const isRewardAdapter = async (folder: string): Promise<boolean> =>
  (await readConfig(folder)).task_type === REWARD_TASK;

/** Returns the base model that an adapter names, or null. */
export async function adapterBase(folder: string): Promise<string | null> {
  const { base_model_name_or_path: base } = await readConfig(folder);
  if (base === undefined || base === null || base === "") return null;
  if (isAbsolute(base) || /^\w+:\/\//.test(base)) return base;
  for (const path of [resolve(folder, base), resolve(base)]) if (await exists(path)) return path;
  return /^[\w.-]+\/[\w.-]+$/.test(base) ? `hf://${base}` : base;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

async function readConfig(folder: string): Promise<z.output<typeof configSchema>> {
  const path = join(folder, CONFIG);
  const json = await readJsonFile(path);
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    const [{ path: key, message }] = parsed.error.issues;
    throw new QuernError(`${path} is not a LoRA adapter that Quern can read: ${key.join(".")}: ${message}`);
  }
  for (const [key, allowed] of Object.entries(UNSUPPORTED)) {
    const value = parsed.data[key];
    if (value === undefined || allowed.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue;
    if (value === null) continue;
    throw new QuernError(`${path} has ${key} ${JSON.stringify(value)}, which Quern does not support`);
  }
  return parsed.data;
}

/**
 * Opens an adapter of a model.
 * @throws QuernError for an adapter of another model, or one with unsupported settings
 */
export async function openAdapter(folder: string, config: ModelConfig): Promise<StoredAdapter> {
  const settings = await readConfig(folder);
  const { target_modules } = settings;
  const targets =
    target_modules === "all-linear"
      ? projectionNames(config)
      : typeof target_modules === "string"
        ? matching(target_modules, config)
        : target_modules;
  const lora: LoraConfig = {
    rank: settings.r,
    alpha: settings.lora_alpha,
    targets,
    dropout: settings.lora_dropout,
    rankStabilized: settings.use_rslora ?? false,
  };
  const pairs = loraPairs(config, lora);
  const isReward = settings.task_type === REWARD_TASK;
  const whole = settings.modules_to_save?.find((name) => !isReward || !REWARD_MODULES.includes(name));
  if (whole !== undefined) {
    throw new QuernError(`${folder} replaces the whole module ${quoted(whole)}, which Quern does not support`);
  }
  const file = await openSafetensors(join(folder, WEIGHTS));
  const head = file.tensors.get(PREFIX + SCORE);
  try {
    checkShapes(file, pairs);
    if (head !== undefined && head.shape.join() !== `1,${config.width}`) {
      throw new QuernError(
        `${file.path} has a score of shape (${head.shape.slice(0, 8).join(",")}), and the model needs (1,${config.width})`,
      );
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    path: folder,
    base: await adapterBase(folder),
    lora,
    pairs,
    read: (name) => file.readFloats(PREFIX + name),
    isReward,
    ...(isReward && head !== undefined && { readScore: () => file.readFloats(PREFIX + SCORE) }),
    close: () => file.close(),
  };
}

/** Returns the projections whose whole names match a pattern, as in PEFT. */
function matching(pattern: string, config: ModelConfig): readonly string[] {
  const whole = new RegExp(`^(?:${pattern})$`);
  const all = loraPairs(config, {
    rank: 1,
    alpha: 1,
    targets: projectionNames(config),
    dropout: 0,
    rankStabilized: false,
  });
  return all.map(({ projection }) => projection.name.slice(0, -".weight".length)).filter((name) => whole.test(name));
}

function checkShapes(file: SafetensorsFile, pairs: readonly LoraPair[]): void {
  const expected = new Map(pairs.flatMap(({ a, b }) => [a, b]).map(({ name, shape }) => [PREFIX + name, shape]));
  for (const [name, shape] of expected) {
    const tensor = file.tensors.get(name);
    if (tensor === undefined) throw new QuernError(`${file.path} has no ${name}: the adapter belongs to another model`);
    if (tensor.shape.join() === shape.join()) continue;
    throw new QuernError(
      `${file.path} has ${name} of shape (${tensor.shape.join(",")}), but the model needs (${shape.join(",")}): ` +
        "the adapter belongs to another model",
    );
  }
  const other = [...file.tensors.keys()].find((name) => !expected.has(name) && /\.lora_[AB]\./.test(name));
  if (other !== undefined) throw new QuernError(`${file.path} has ${other}, for which the model has no projection`);
}

export interface WriteAdapterOptions {
  /** The base model of the adapter. */
  readonly base: string;
  readonly taskType?: "CAUSAL_LM" | "SEQ_CLS";
  /** Modules that are stored completely, next to the adapter, such as the `score` of a reward model. */
  readonly modulesToSave?: readonly string[];
  /** Their tensors, by the name after `base_model.model.`. */
  readonly more?: readonly TensorToWrite[];
}

/** Writes an adapter that PEFT can load. */
export async function writeAdapter(
  folder: string,
  config: ModelConfig,
  lora: LoraConfig,
  read: (name: string) => Float32Array | Promise<Float32Array>,
  { base, taskType = "CAUSAL_LM", modulesToSave, more = [] }: WriteAdapterOptions,
): Promise<void> {
  const matrices = loraPairs(config, lora).flatMap(({ a, b }) => [a, b]);
  const tensors: TensorToWrite[] = matrices.map(({ name, shape }) => ({
    ...{ name: PREFIX + name, shape, dtype: "F32" as const },
    data: () => read(name),
  }));
  const others = more.map((tensor) => ({ ...tensor, name: PREFIX + tensor.name }));
  await writeSafetensors(join(folder, WEIGHTS), [...tensors, ...others]);
  const settings = {
    peft_type: "LORA",
    task_type: taskType,
    base_model_name_or_path: /^\w+:\/\//.test(base) ? base.replace(/^hf:\/\//, "") : resolve(base),
    r: lora.rank,
    lora_alpha: lora.alpha,
    lora_dropout: lora.dropout,
    target_modules: lora.targets,
    use_rslora: lora.rankStabilized,
    bias: "none",
    fan_in_fan_out: config.family === "gpt2",
    modules_to_save: modulesToSave ?? null,
    init_lora_weights: true,
    inference_mode: true,
  };
  // Written last: a folder with it is complete.
  await writeFileAtomic(join(folder, CONFIG), `${JSON.stringify(settings, null, 2)}\n`);
}

/** Opens a model with an adapter, which is merged into each parameter when it is read. */
export async function openAdaptedModel(base: StoredModel, folder: string): Promise<StoredModel> {
  const adapter = await openAdapter(folder, base.config);
  const scale = loraScale(adapter.lora);
  const pairs = new Map(adapter.pairs.map((pair) => [pair.projection.name, pair]));
  const readScore = adapter.readScore ?? base.readScore;
  if (adapter.isReward && readScore === undefined) {
    await adapter.close();
    throw new QuernError(`${folder} is an adapter of a reward model, but neither it nor its base has a ${SCORE}`);
  }
  return {
    ...base,
    ...(adapter.isReward && { config: withoutHead(base.config) }),
    readScore,
    path: folder,
    basePath: base.path,
    async readParameter(name) {
      const values = await base.readParameter(name);
      const pair = pairs.get(name);
      if (pair !== undefined)
        mergeLora(values, pair, await adapter.read(pair.a.name), await adapter.read(pair.b.name), scale);
      return values;
    },
    async close() {
      await adapter.close();
      await base.close();
    },
  };
}
