/**
 * @file The model that post-training changes: opened with its chat template, as variables of a graph with or without LoRA, and as
 * checkpoints.
 */
import type { Program } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import type { TextModel } from "../infer/index.js";
import {
  type ForwardOptions,
  initialLora,
  type LoraConfig,
  loraPairs,
  type ModelConfig,
  type ModelVariables,
  modelVariables,
  openAdapter,
  parametersOf,
  projectionNames,
  withLora,
  writeAdapter,
} from "../model/index.js";
import { type Tensor, type TensorType, variable } from "../tensor/index.js";
import { saveTokenizer, type Tokenizer } from "../tokenizer/index.js";
import {
  type CheckpointFormat,
  modelFormat,
  type TrainableParameter,
  trainable,
  trainableParameters,
} from "../train/index.js";
import { endOfCompletion, withTemplate } from "./data/templates.js";
import type { AlignOptions } from "./options.js";

/** A model in a graph. */
export interface Policy {
  readonly config: ModelConfig;
  readonly weights: ModelVariables;
  readonly trainable: readonly TrainableParameter[];
  /** Null where all parameters learn. */
  readonly lora: LoraConfig | null;
}

/** A policy of which all parameters learn, or the adapters alone. */
export function createPolicy(config: ModelConfig, lora: LoraConfig | null = null): Policy {
  const weights = modelVariables(config);
  if (lora === null) return { config, weights, trainable: trainableParameters(config, weights), lora };
  const adapted = withLora(config, weights, lora);
  const learning = loraPairs(config, lora).flatMap(({ a, b }) =>
    [a, b].map(({ name }) => trainable(adapted.get(name) as Tensor, { kind: "projection" })),
  );
  return { config, weights: adapted, trainable: learning, lora };
}

/** A value model in a graph: it estimates the return from each token on. */
export interface Value {
  readonly config: ModelConfig;
  readonly weights: ModelVariables;
  /** (1,C) */
  readonly head: Tensor;
  readonly trainable: readonly TrainableParameter[];
  readonly lora: LoraConfig | null;
}

/** What the names of a value model's own variables begin with. */
export const VALUE_PREFIX = "value.";
const VALUE_HEAD = `${VALUE_PREFIX}score.weight`;

/** A value model beside a policy: a model of its own, or with LoRA adapters of its own on the policy's variables. */
export function createValue(policyConfig: ModelConfig, lora: LoraConfig | null = null): Value {
  const config = { ...policyConfig, tiedHead: true }; // it has no head that predicts tokens
  const head = variable(VALUE_HEAD, [1, config.width]);
  const own = trainable(head, { kind: "table" });
  if (lora === null) {
    const weights = modelVariables(config, VALUE_PREFIX);
    return { config, weights, head, trainable: [...trainableParameters(config, weights), own], lora };
  }
  const weights = withLora(config, modelVariables(config), lora, VALUE_PREFIX);
  const adapters = loraPairs(config, lora).flatMap(({ a, b }) =>
    [a, b].map(({ name }) => trainable(weights.get(name) as Tensor, { kind: "projection" })),
  );
  return { config, weights, head, trainable: [...adapters, own], lora };
}

/**
 * Writes the first values of a value model's own variables: those of another model, such as the policy or a reward model.
 * @param score the head (C); zeros by default, so that every value is 0
 */
export async function writeValue(
  program: Program,
  { config, lora }: Value,
  { read, score, seed }: { readonly read: ReadParameter; readonly score?: Float32Array; readonly seed: number },
): Promise<void> {
  if (lora === null) {
    for (const { name } of parametersOf(config)) program.write(VALUE_PREFIX + name, await read(name));
  } else {
    for (const { a, b } of loraPairs(config, lora)) {
      program.write(VALUE_PREFIX + a.name, initialLora({ ...a, name: VALUE_PREFIX + a.name }, seed));
      program.write(VALUE_PREFIX + b.name, (values) => void values.fill(0));
    }
  }
  program.write(VALUE_HEAD, score ?? ((values) => void values.fill(0)));
}

/** Inputs of a batch that decide which inputs of adapters are dropped; none without dropout. */
export function dropoutInputs({ lora }: Policy): Readonly<Record<string, TensorType>> {
  if (lora === null || lora.dropout === 0) return {};
  const seed = { shape: [], dtype: "i32" } as const;
  return { dropout_rate: { shape: [], dtype: "f32" }, dropout_seed: seed, dropout_step: seed };
}

/** How the policy's texts go through the model in a batch that has `dropoutInputs`. */
export function policyOptions(batch: Readonly<Record<string, Tensor>>): Pick<ForwardOptions, "adapterDropout"> {
  const { dropout_rate: rate, dropout_seed: seed, dropout_step: step } = batch;
  return rate === undefined ? {} : { adapterDropout: { rate, seed, step } };
}

/** The values of `dropoutInputs` in a batch of training; without a number for evaluation, where nothing is dropped. */
export function dropoutValues({ lora }: Policy, seed: number, batch?: number): Readonly<Record<string, number>> {
  if (lora === null || lora.dropout === 0) return {};
  return {
    dropout_rate: batch === undefined ? 0 : lora.dropout,
    dropout_seed: seed % 2 ** 31,
    dropout_step: batch ?? 0,
  };
}

type ReadParameter = (name: string) => Promise<Float32Array>;

/** A model that is open for post-training. */
export interface OpenPolicy extends Policy {
  readonly tokenizer: Tokenizer;
  /** Token that ends a completion; undefined where the tokenizer has none. */
  readonly endOfText: number | undefined;
  /** All tokens that end a text. */
  readonly ends: readonly number[];
  readonly read: ReadParameter;
  /** Writes the first values of all variables of the policy. */
  writeWeights(program: Program): Promise<void>;
  /** Checkpoints: a Hugging Face folder, or a PEFT adapter. */
  format(program: Program): CheckpointFormat;
}

/**
 * Opens the model of a run with the chat template that its data needs.
 * @param isChat whether the data has conversations
 * @throws QuernError for a template that cannot be used, or LoRA targets that the model does not have
 */
export async function openPolicy(
  base: TextModel,
  o: AlignOptions,
  { isChat, note }: { readonly isChat: boolean; readonly note: (line: string) => void },
): Promise<OpenPolicy> {
  const lora = loraOf(o, base.model.config);
  const chosen =
    o.template ??
    (lora !== null && base.tokenizer.parts.config?.chat_template === undefined && isChat ? "zephyr" : undefined);
  const { tokenizer, added, template } = await withTemplate(base.tokenizer, chosen, isChat);
  if (template !== null)
    note(`chat template ${template}${added.length > 0 ? `, ${counted(added.length, "token")} added` : ""}`);
  if (lora !== null && added.length > 0) {
    const tokens = added.map(({ content }) => content).join(" and ");
    throw new QuernError(
      `the template adds the tokens ${tokens}, whose embeddings LoRA does not train; choose --template zephyr or alpaca, or train without --lora`,
      { exitCode: 2 },
    );
  }
  const { config, read } = withTokenRows(
    base.model.config,
    (name) => base.model.readParameter(name),
    added.map(({ id }) => id),
  );
  const policy = createPolicy(config, lora);
  const endOfText = endOfCompletion(tokenizer);
  const ends = [...new Set([...(endOfText === undefined ? [] : [endOfText]), ...base.endOfText])];
  return {
    ...policy,
    ...{ tokenizer, endOfText, ends, read },
    async writeWeights(program) {
      for (const { name } of parametersOf(config)) program.write(name, await read(name));
      if (lora === null) return;
      for (const { a, b } of loraPairs(config, lora)) {
        program.write(a.name, initialLora(a, o.seed ?? 0));
        program.write(b.name, (values) => void values.fill(0));
      }
    },
    format: (program) =>
      lora === null
        ? modelFormat(program, config, tokenizer, ends)
        : adapterFormat(
            program,
            policy as Policy & { readonly lora: LoraConfig },
            tokenizer,
            adapterBaseOf(base, o.model as string),
          ),
  };
}

/**
 * The base that an adapter names: the folder of the checkpoint, which PEFT can open, and not the run around it; or the name of
 * a model on the hub.
 */
export const adapterBaseOf = ({ model }: TextModel, name: string) => (/^\w+:\/\//.test(name) ? name : model.path);

/** Checkpoints that hold the adapters alone. */
export function adapterFormat(
  program: Program,
  { config, lora }: Policy & { readonly lora: LoraConfig },
  tokenizer: Tokenizer,
  base: string,
): CheckpointFormat {
  return {
    write: async (folder) => {
      await writeAdapter(folder, config, lora, (name) => program.read(name), { base });
      await saveTokenizer(tokenizer, folder);
    },
    read: async (folder) => {
      const adapter = await openAdapter(folder, config);
      try {
        for (const { name } of adapter.pairs.flatMap(({ a, b }) => [a, b]))
          program.write(name, await adapter.read(name));
      } finally {
        await adapter.close();
      }
    },
  };
}

/** The adapters that the options ask for; null for none. */
function loraOf(o: AlignOptions, config: ModelConfig): LoraConfig | null {
  const { lora: rank, loraAlpha, loraTargets, loraDropout = 0, rslora = false } = o;
  if (rank === undefined) {
    const other = (["loraAlpha", "loraTargets", "loraDropout", "rslora"] as const).find((key) => o[key] !== undefined);
    if (other !== undefined)
      throw new QuernError(
        `--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs --lora with a rank`,
        { exitCode: 2 },
      );
    return null;
  }
  const targets = loraTargets ?? projectionNames(config);
  return { rank, alpha: loraAlpha ?? 2 * rank, targets, dropout: loraDropout, rankStabilized: rslora };
}

/**
 * A model with further rows in its embedding table and head, for tokens that were added to the vocabulary. Each new row is
 * the mean of the old ones (Hewitt, "Initializing new word embeddings for pretrained language models", 2021).
 * @param added ids of the new tokens; rows of padding that the model already has are used
 */
export function withTokenRows(
  config: ModelConfig,
  read: ReadParameter,
  added: readonly number[],
): { readonly config: ModelConfig; readonly read: ReadParameter } {
  if (added.length === 0) return { config, read };
  const { vocabSize, width } = config;
  const first = Math.min(...added);
  const grown = { ...config, vocabSize: Math.max(vocabSize, ...added.map((id) => id + 1)) };
  const isTable = new Set(
    parametersOf(config).flatMap(({ name, kind }) => (kind === "table" && !name.endsWith("wpe.weight") ? [name] : [])),
  );
  return {
    config: grown,
    async read(name) {
      const values = await read(name);
      if (!isTable.has(name)) return values;
      const table = new Float32Array(grown.vocabSize * width);
      table.set(values);
      const mean = new Float64Array(width);
      for (let row = 0; row < first; row++) {
        for (let c = 0; c < width; c++) mean[c] += values[row * width + c] / first;
      }
      for (const id of added) table.set(mean, id * width);
      return table;
    },
  };
}
