/** @file A model with its own tokenizer, opened together: what speaks and what judges text needs both. */
import { QuernError } from "../errors.js";
import { type ModelConfig, openModel, type StoredModel } from "../model/index.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/index.js";

export interface TextModel {
  /** The folder or file that holds the model. */
  readonly folder: string;
  readonly model: StoredModel;
  readonly tokenizer: Tokenizer;
  /** Ids that end a text: what the model's own files say, and the tokenizer's end-of-text token. */
  readonly endOfText: readonly number[];
  /** What stands before a text: the tokenizer's own beginning, or the end of the text before it; empty where neither is. */
  readonly beginning: readonly number[];
  close(): Promise<void>;
}

/**
 * Models are padded to round numbers of tokens, by up to so many rows and so large a part of the tokenizer's: 50,257 to 50,304
 * (GPT-2 in nanoGPT), 151,669 to 151,936 (Qwen 3).
 */
const PADDING = { rows: 64, part: 0.02 };

/**
 * Special tokens that stand in no text, such as one for padding that only tokenizer_config.json names, may lie beyond the
 * model's.
 * @throws QuernError for a tokenizer that has more tokens than the model, or so few that it must be another model's
 */
export function checkFits(tokenizer: Tokenizer, model: Pick<ModelConfig, "vocabSize">, place: string): void {
  const { vocabSize, parts } = tokenizer;
  const padded = vocabSize * (1 + PADDING.part) + PADDING.rows;
  const written = [...(parts.before ?? []), ...(parts.after ?? []), tokenizer.endOfText];
  const spare = tokenizer.added.filter(({ id, special }) => id >= model.vocabSize && special && !written.includes(id));
  if (vocabSize - new Set(spare.map(({ id }) => id)).size <= model.vocabSize && model.vocabSize <= padded) return;
  throw new QuernError(
    `the tokenizer ${place} does not fit the model: it has ${vocabSize} tokens and the model ${model.vocabSize}; use the ` +
      "model's own",
    { exitCode: 2 },
  );
}

/**
 * Opens any model that a user may name, with its tokenizer.
 * @throws QuernError for a folder that holds no model, or a tokenizer that is not the model's
 */
export async function openTextModel(path: string): Promise<TextModel> {
  const model = await openModel(path);
  const folder = model.path;
  try {
    const tokenizer = await loadTokenizer(folder);
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
