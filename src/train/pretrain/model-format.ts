/** @file Checkpoints of a whole model: a Hugging Face folder with its tokenizer. */
import type { Program } from "../../backends/index.js";
import { type ModelConfig, openModel, parametersOf, writeModel } from "../../model/index.js";
import { saveTokenizer, type Tokenizer } from "../../tokenizer/index.js";
import type { CheckpointFormat } from "../run/checkpoints.js";

/**
 * Stores all parameters of a model. The program's variables must have the names of the parameters.
 * @param endOfText ids that end a text in addition to the tokenizer's, from the base model of continued training
 */
export function modelFormat(
  program: Program,
  config: ModelConfig,
  tokenizer: Tokenizer,
  endOfText: readonly number[] = [],
): CheckpointFormat {
  let ends = [...new Set([tokenizer.endOfText ?? [], endOfText].flat())];
  return {
    write: async (folder) => {
      await writeModel(folder, config, (name) => program.read(name), { endOfText: ends });
      await saveTokenizer(tokenizer, folder);
    },
    read: async (folder) => {
      const model = await openModel(folder);
      try {
        for (const { name } of parametersOf(config)) program.write(name, await model.readParameter(name));
      } finally {
        await model.close();
      }
      ends = [...new Set([tokenizer.endOfText ?? [], model.endOfText].flat())];
    },
  };
}
