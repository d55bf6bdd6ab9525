/** @file Checkpoints of reward models: a Hugging Face sequence classifier, or a PEFT adapter with the head beside it. */
import type { Program } from "../backends/index.js";
import {
  type LoraConfig,
  type ModelConfig,
  openAdapter,
  openModel,
  parametersOf,
  SCORE,
  scoreParameter,
  writeAdapter,
  writeModel,
} from "../model/index.js";
import { saveTokenizer, type Tokenizer, tokenizerFromJson, tokenizerToJson } from "../tokenizer/index.js";
import type { CheckpointFormat } from "../train/index.js";

/** What the checkpoints of a reward model hold beside its weights. */
export interface RewardFiles {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  /** Token that pads batches; null for none. */
  readonly padding: number | null;
}

/** Checkpoints that transformers opens as `AutoModelForSequenceClassification`. */
export function classifierFormat(
  program: Program,
  { config, tokenizer, ends, padding }: RewardFiles,
): CheckpointFormat {
  return {
    async write(folder) {
      await writeModel(folder, config, (name) => program.read(name), {
        endOfText: ends,
        padding: padding ?? undefined,
        readScore: () => program.read(SCORE),
      });
      await saveTokenizer(await withPadding(tokenizer, padding), folder);
    },
    async read(folder) {
      const model = await openModel(folder, { classifier: true });
      try {
        for (const { name } of parametersOf(config)) program.write(name, await model.readParameter(name));
        if (model.readScore !== undefined) program.write(SCORE, await model.readScore());
      } finally {
        await model.close();
      }
    },
  };
}

/** Checkpoints that PEFT opens on top of the base: the adapters, and the head as a module that is saved whole. */
export function rewardAdapterFormat(
  program: Program,
  { config, tokenizer, padding }: RewardFiles,
  { lora, base }: { readonly lora: LoraConfig; readonly base: string },
): CheckpointFormat {
  const { name, shape } = scoreParameter(config);
  const head = { name, shape, dtype: "F32" as const, data: async () => program.read(SCORE) };
  return {
    async write(folder) {
      await writeAdapter(folder, config, lora, (each) => program.read(each), {
        ...{ base, taskType: "SEQ_CLS", modulesToSave: ["classifier", "score"], more: [head] },
      });
      await saveTokenizer(await withPadding(tokenizer, padding), folder);
    },
    async read(folder) {
      const adapter = await openAdapter(folder, config);
      try {
        const names = adapter.pairs.flatMap(({ a, b }) => [a.name, b.name]);
        for (const each of names) program.write(each, await adapter.read(each));
        if (adapter.readScore !== undefined) program.write(SCORE, await adapter.readScore());
      } finally {
        await adapter.close();
      }
    },
  };
}

/** The tokenizer with a padding token, which transformers needs for batches. */
async function withPadding(tokenizer: Tokenizer, padding: number | null): Promise<Tokenizer> {
  const { config } = tokenizer.parts;
  if (padding === null || (config?.pad_token ?? null) !== null) return tokenizer;
  const content = [...tokenizer.special].find(([, id]) => id === padding)?.[0];
  if (content === undefined) return tokenizer;
  return tokenizerFromJson(JSON.parse(tokenizerToJson(tokenizer)), { ...config, pad_token: content });
}
