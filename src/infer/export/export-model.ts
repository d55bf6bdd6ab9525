/** @file Converts a model to a GGUF file, alone or with Ollama's Modelfile: the library function behind `quern export`. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { withOutput, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { countParameters, type FileType, writeGgufModel } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { tokenizerToGguf } from "../../tokenizer/index.js";
import { openTextModel, type TextModel } from "../text-model.js";
import { exportOptions } from "./export-options.js";
import { ollamaTemplate } from "./go-template.js";

export type ExportModelOptions = z.input<typeof exportOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called with what the file cannot store, or llama.cpp does differently; one sentence each. */
  readonly onWarning?: (warning: string) => void;
};

export interface ExportedModel {
  readonly gguf: string;
  /** The Modelfile; absent without `ollama`. */
  readonly modelfile?: string;
  readonly family: string;
  readonly parameters: number;
  readonly type: FileType;
  readonly bytes: number;
  readonly vocab_size: number;
  /** `tokenizer.ggml.pre` */
  readonly pre_tokenizer: string;
  readonly chat_template: boolean;
  readonly warnings: readonly string[];
}

/**
 * Writes a model with its tokenizer as a GGUF file, which llama.cpp loads.
 * @throws QuernError for a model that cannot be opened, or a setting that GGUF or llama.cpp does not have
 */
export async function exportModel(options: ExportModelOptions): Promise<ExportedModel> {
  const { signal, onProgress, onWarning, ...rest } = options;
  const { model: name, gguf, ollama, type, force } = checkOptions(exportOptions, rest);
  const writing = { type, signal, onProgress, onWarning };
  if (ollama !== undefined && gguf === undefined) {
    return withOutput({ verb: "export", out: ollama, inputs: [name], layout: OLLAMA_LAYOUT, force }, async () => {
      await using opened = disposable(await openTextModel(name));
      return await exportForOllama(opened.model, ollama, writing);
    });
  }
  if (gguf === undefined || ollama !== undefined) {
    const what = gguf === undefined ? "gguf FILE or ollama DIR" : "gguf or ollama, not both";
    throw new QuernError(`give ${what}`, { exitCode: 2 });
  }
  return withOutput({ verb: "export", out: gguf, inputs: [name], force }, async () => {
    await using opened = disposable(await openTextModel(name));
    return await writeGgufFile(opened.model, gguf, writing);
  });
}

const disposable = (model: TextModel) => ({ model, [Symbol.asyncDispose]: () => model.close() });

const OLLAMA_LAYOUT = { writes: (path: string) => path === "model.gguf" || path === "Modelfile" };

/** Writes model.gguf and a Modelfile, for `ollama create NAME -f Modelfile`. */
async function exportForOllama(opened: TextModel, folder: string, options: WriteOptions): Promise<ExportedModel> {
  const { tokenizer, model } = opened;
  // Before the weights, since it may be refused.
  const { template, warnings } = await ollamaTemplate(tokenizer, tokenizer.parts.before?.length === 1);
  const exported = await writeGgufFile(opened, join(folder, "model.gguf"), options);
  for (const warning of warnings) options.onWarning?.(warning);
  const stops = opened.endOfText
    .filter((id) => id < model.config.vocabSize && tokenizer.has(id))
    .map((id) => `PARAMETER stop ${JSON.stringify(Buffer.from(tokenizer.tokenBytes(id)).toString("utf8"))}`);
  const lines = [
    ...["FROM ./model.gguf", `TEMPLATE """${template}"""`],
    ...[`PARAMETER num_ctx ${model.config.sequence}`, ...stops],
  ];
  const modelfile = join(folder, "Modelfile");
  await writeFileAtomic(modelfile, `${lines.join("\n")}\n`);
  return { ...exported, modelfile, warnings: [...exported.warnings, ...warnings] };
}

type WriteOptions = Pick<ExportModelOptions, "signal" | "onProgress" | "onWarning"> & { readonly type: FileType };

/** Writes an open model to a GGUF file that the caller has claimed. */
export async function writeGgufFile(
  { model, tokenizer }: TextModel,
  path: string,
  { type, signal, onProgress, onWarning }: WriteOptions,
): Promise<ExportedModel> {
  const { config, endOfText, padding } = model;
  const { entries, warnings: lost } = await tokenizerToGguf(tokenizer, { size: config.vocabSize, endOfText, padding });
  const warnings = [...model.warnings, ...lost];
  const total = countParameters(config);
  let done = 0;
  const types = await writeGgufModel(path, model, {
    ...{ type, tokenizer: entries, signal },
    onParameter: (values) => {
      done += values;
      onProgress?.({ task: "write weights", done, total, unit: "parameter" });
    },
  });
  const whole = [...types].filter(([, each]) => each === "F16");
  if (type !== "f16" && whole.length > 0) {
    warnings.push(
      `the rows of ${whole.length} matrices, such as ${whole[0][0]}, fill no blocks of ${type}; they are f16`,
    );
  }
  for (const warning of warnings) onWarning?.(warning);
  const pre = entries.find(([key]) => key === "tokenizer.ggml.pre")?.[2] as string;
  return {
    ...{ gguf: path, family: config.family, parameters: total, type, bytes: (await stat(path)).size },
    ...{ vocab_size: config.vocabSize, pre_tokenizer: pre },
    ...{ chat_template: tokenizer.parts.config?.chat_template !== undefined, warnings },
  };
}
