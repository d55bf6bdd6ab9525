/** @file Folds a LoRA adapter into its base model: the library function behind `quern merge`. */
import type { z } from "zod";
import { withOutput } from "../documents/index.js";
import { QuernError } from "../errors.js";
import {
  adapterBase,
  countParameters,
  findModel,
  isAdapter,
  openAdaptedModel,
  openModel,
  writeModel,
} from "../model/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import { loadTokenizer, saveTokenizer } from "../tokenizer/index.js";
import { endOfCompletion } from "./data/templates.js";
import { mergeOptions } from "./merge-options.js";

export type MergeOptions = z.input<typeof mergeOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface MergeResult {
  readonly out: string;
  /** The model that the adapter was folded into. */
  readonly model: string;
  readonly adapter: string;
  readonly parameters: number;
}

const LAYOUT = {
  writes: (path: string) =>
    /^(config|generation_config|tokenizer|tokenizer_config)\.json$|^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/.test(
      path,
    ),
};

/**
 * Writes a model with an adapter folded into its weights as a Hugging Face folder.
 * @throws QuernError for what is no adapter, or one of another model
 */
export async function merge(options: MergeOptions): Promise<MergeResult> {
  const { signal, onProgress, ...rest } = options;
  const { model, adapter, out, force, dtype = "f32" } = checkOptions(mergeOptions, rest);
  const inputs = [model, adapter].filter((path) => path !== undefined && !/^\w+:\/\//.test(path)) as string[];
  return withOutput({ verb: "merge", out, inputs, layout: LAYOUT, force }, async () => {
    const folder = await findModel(adapter);
    if (!(await isAdapter(folder))) {
      throw new QuernError(`${folder} is no LoRA adapter: it has no adapter_config.json`, { exitCode: 2 });
    }
    const base = model ?? (await adapterBase(folder));
    if (base === null) throw new QuernError(`${folder} names no base model; give it with --model`, { exitCode: 2 });
    const opened = await openModel(base, { classifier: true });
    const merged = await openAdaptedModel(opened, folder).catch(async (error: unknown) => {
      await opened.close();
      throw error;
    });
    try {
      // Training keeps the tokenizer beside the adapter; other programs do not.
      const tokenizer = await loadTokenizer(folder).catch(() => loadTokenizer(opened.path));
      const end = endOfCompletion(tokenizer);
      const endOfText = [...new Set([...(end === undefined ? [] : [end]), ...merged.endOfText])];
      const total = countParameters(merged.config);
      let done = 0;
      const read = async (name: string) => {
        const values = await merged.readParameter(name);
        done += values.length;
        onProgress?.({ task: "merge", done, total, unit: "parameter" });
        return values;
      };
      await saveTokenizer(tokenizer, out);
      const stored = dtype.toUpperCase() as "F32" | "F16" | "BF16";
      const { readScore, padding } = merged;
      const options = { endOfText, dtype: stored, signal, readScore, padding: padding ?? undefined };
      await writeModel(out, merged.config, read, options);
      return { out, model: base, adapter: folder, parameters: total };
    } finally {
      await merged.close();
    }
  });
}
