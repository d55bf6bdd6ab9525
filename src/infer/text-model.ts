/** @file Opens a model together with its tokenizer; generating and scoring text need both. */
import { readdir } from "node:fs/promises";
import { QuernError } from "../errors.js";
import {
  type ModelConfig,
  type OpenModelOptions,
  openAdaptedModel,
  openModel,
  type StoredModel,
} from "../model/index.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/index.js";

export interface TextModel {
  /** The model's folder or file. */
  readonly folder: string;
  readonly model: StoredModel;
  readonly tokenizer: Tokenizer;
  /** Ids that end a text: those named by the model's files, and the tokenizer's end-of-text token. */
  readonly endOfText: readonly number[];
  /**
   * Ids before a text: the tokenizer's beginning-of-text ids, else one end-of-text id; empty if the model has neither.
   */
  readonly beginning: readonly number[];
  close(): Promise<void>;
}

/**
 * Maximum padding of a model's embedding table: 64 rows plus 2 % of the tokenizer's vocabulary. Models round their vocabulary
 * up: 50,257 to 50,304 (GPT-2 in nanoGPT), 151,669 to 151,936 (Qwen 3).
 */
const PADDING = { rows: 64, fraction: 0.02 };

/**
 * Checks that a tokenizer's vocabulary fits a model. Special tokens that never occur in text may have ids beyond the
 * model's vocabulary, such as a padding token that only tokenizer_config.json names.
 * @throws QuernError for a tokenizer with more tokens than the model, or so few that it must belong to another model
 */
export function checkFits(tokenizer: Tokenizer, model: Pick<ModelConfig, "vocabSize">, place: string): void {
  const { vocabSize, parts } = tokenizer;
  const padded = vocabSize * (1 + PADDING.fraction) + PADDING.rows;
  const written = [...(parts.before ?? []), ...(parts.after ?? []), tokenizer.endOfText];
  const spare = tokenizer.added.filter(({ id, special }) => id >= model.vocabSize && special && !written.includes(id));
  if (vocabSize - new Set(spare.map(({ id }) => id)).size <= model.vocabSize && model.vocabSize <= padded) return;
  throw new QuernError(
    `the tokenizer ${place} does not fit the model: it has ${vocabSize} tokens, but the model has ${model.vocabSize}; use ` +
      "the model's own tokenizer",
    { exitCode: 2 },
  );
}

/** The folder of a model's tokenizer. PEFT writes none beside an adapter: it is that of the base. */
async function tokenizerFolder({ path, basePath }: StoredModel): Promise<string> {
  if (basePath === undefined) return path;
  const files = await readdir(path);
  return files.some((name) => name === "tokenizer.json" || name === "vocab.json") ? path : basePath;
}

export interface OpenTextModelOptions extends OpenModelOptions {
  /** Folder of a LoRA adapter, which is merged into the model as it is read. */
  readonly adapter?: string;
}

/**
 * Opens a run, a model folder, a `.gguf` file or an `hf://` address, with its tokenizer.
 * @throws QuernError for a folder without a model, or a tokenizer that does not fit the model
 */
export async function openTextModel(
  path: string,
  { adapter, ...options }: OpenTextModelOptions = {},
): Promise<TextModel> {
  const base = await openModel(path, options);
  const model = adapter === undefined ? base : await adapted(base, adapter);
  const folder = model.path;
  try {
    const tokenizer = await loadTokenizer(await tokenizerFolder(model));
    checkFits(tokenizer, model.config, `in ${folder}`);
    const own = tokenizer.endOfText;
    const endOfText = [...new Set([...model.endOfText, ...(own === undefined ? [] : [own])])];
    const before = tokenizer.parts.before ?? [];
    const separator = own ?? model.endOfText.at(0);
    return {
      folder,
      model,
      tokenizer,
      endOfText,
      beginning: before.length > 0 || separator === undefined ? before : [separator],
      close: () => model.close(),
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function adapted(base: StoredModel, folder: string): Promise<StoredModel> {
  let model: StoredModel;
  try {
    model = await openAdaptedModel(base, folder);
  } catch (error) {
    await base.close();
    throw error;
  }
  if (model.readScore === undefined || base.readScore !== undefined) return model;
  await model.close();
  throw new QuernError(`${folder} is an adapter of a reward model, which has no next tokens`, { exitCode: 2 });
}
