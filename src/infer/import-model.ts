/** @file Converts a GGUF file to a Hugging Face folder: the library function behind `quern import`. */
import type { z } from "zod";
import { withOutput, writeFileAtomic } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { countParameters, isGguf, openGgufModel, writeModel } from "../model/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { loadTokenizer, saveTokenizer, Tokenizer } from "../tokenizer/index.js";
import { importOptions } from "./import-options.js";
import { checkFits } from "./text-model.js";

export type ImportModelOptions = z.input<typeof importOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface ImportedModel {
  readonly out: string;
  readonly family: string;
  readonly parameters: number;
  readonly dtype: "f32" | "f16" | "bf16";
  readonly vocab_size: number;
  readonly chat_template: boolean;
}

/** The smallest value that rounds to infinity in f16; the largest f16 number is 65,504. */
const F16_OVERFLOW = 65_520;

const LAYOUT = {
  writes: (path: string) =>
    /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json$|^model(-\d+-of-\d+)?\.safetensors$|^model\.safetensors\.index\.json$/.test(
      path,
    ),
};

/**
 * Writes the model and the tokenizer of a GGUF file as a Hugging Face folder, which transformers loads with the same logits.
 * @throws QuernError for a file that is not a GGUF model, or an architecture that Quern does not support
 */
export async function importModel(options: ImportModelOptions): Promise<ImportedModel> {
  const { signal, onProgress, ...rest } = options;
  const { file, out, force, dtype: wanted } = checkOptions(importOptions, rest);
  return withOutput({ verb: "import", out, inputs: [file], layout: LAYOUT, force }, async () => {
    if (!/\.gguf$/i.test(file) && !(await isGguf(file))) {
      throw new QuernError(`${file} is not a GGUF file; commands read other models directly, without an import`, {
        exitCode: 2,
      });
    }
    const model = await openGgufModel(file);
    try {
      const tokenizer = await loadTokenizer(file);
      checkFits(tokenizer, model.config, `in ${file}`);
      const { parts } = tokenizer;
      const config = { ...parts.config, model_max_length: model.config.sequence };
      await saveTokenizer(new Tokenizer({ ...parts, config }), out);
      const named = Object.entries(config).filter(
        ([key, value]) => key.endsWith("_token") && typeof value === "string",
      );
      await writeFileAtomic(
        `${out}/special_tokens_map.json`,
        `${JSON.stringify(Object.fromEntries(named), null, 2)}\n`,
      );
      const idOf = (role: string) => {
        const text = named.find(([key]) => key === role)?.[1];
        return typeof text === "string" ? tokenizer.idOf(text) : undefined;
      };
      const dtype = wanted?.toUpperCase() as "F32" | "F16" | "BF16" | undefined;
      const exact = dtype ?? (await model.exactType());
      const total = countParameters(model.config);
      let done = 0;
      const readParameter = async (name: string) => {
        const values = await model.readParameter(name);
        if (exact === "F16" && values.some((value) => Math.abs(value) >= F16_OVERFLOW)) {
          throw new QuernError(`the weights ${name} in ${file} are too large for f16; use --dtype bf16 or f32`);
        }
        done += values.length;
        onProgress?.({ task: "write weights", done, total, unit: "parameter" });
        return values;
      };
      await writeModel(out, model.config, readParameter, {
        ...{ endOfText: model.endOfText, beginOfText: idOf("bos_token") ?? null, padding: idOf("pad_token") },
        ...{ dtype: exact, signal },
      });
      return {
        ...{
          out,
          family: model.config.family,
          parameters: total,
          dtype: exact.toLowerCase() as "f32" | "f16" | "bf16",
        },
        ...{ vocab_size: tokenizer.vocabSize, chat_template: parts.config?.chat_template !== undefined },
      };
    } finally {
      await model.close();
    }
  });
}
