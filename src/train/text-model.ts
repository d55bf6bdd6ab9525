/** @file A model with its own tokenizer, opened together: what speaks and what judges text needs both. */
import { QuernError } from "../errors.js";
import { openModel } from "../model/index.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/index.js";
import { findModelFolder } from "./run-folder.js";

export interface TextModel {
  readonly folder: string;
  readonly model: Awaited<ReturnType<typeof openModel>>;
  readonly tokenizer: Tokenizer;
  /** Ids that end a text: what the model's configuration says, and the tokenizer's end-of-text token. */
  readonly endOfText: readonly number[];
  /** What stands before a text: the tokenizer's own beginning, or the end of the text before it; empty where neither is. */
  readonly beginning: readonly number[];
  close(): Promise<void>;
}

/**
 * Opens a run's newest checkpoint, or a Hugging Face model folder.
 * @throws QuernError for a folder that holds no model, or a tokenizer that is not the model's
 */
export async function openTextModel(path: string): Promise<TextModel> {
  const folder = await findModelFolder(path);
  const model = await openModel(folder);
  try {
    const tokenizer = await loadTokenizer(folder);
    if (tokenizer.vocabSize > model.config.vocabSize) {
      throw new QuernError(
        `the tokenizer in ${folder} has ${tokenizer.vocabSize} tokens and the model ${model.config.vocabSize}; they are ` +
          "not of one model",
      );
    }
    const own = tokenizer.endOfText;
    const endOfText = [...model.endOfText, ...(own === undefined ? [] : [own])];
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
