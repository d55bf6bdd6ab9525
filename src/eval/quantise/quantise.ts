/** @file Quantises a model to GGUF files: the library function behind `quern quantise`. */
import type { z } from "zod";
import type { CompileOptions } from "../../backends/index.js";
import { withOutput } from "../../documents/index.js";
import { openTextModel, writeGgufFile } from "../../infer/index.js";
import { countParameters, type FileType } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { type Measured, measureModel, reportText, weightBytes } from "./measure.js";
import { quantiseOptions } from "./quantise-options.js";

export type QuantiseOptions = z.input<typeof quantiseOptions> & {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called with what a file cannot store, or llama.cpp does differently; one sentence each. */
  readonly onWarning?: (warning: string) => void;
};

/** The size of a model's weights, and without `report` nothing else. */
export interface ModelSize extends Partial<Measured> {
  /** Of the files of weights; a GGUF file has the tokenizer too. */
  readonly bytes: number;
  readonly bits_per_weight: number;
}

export interface QuantisedFile extends ModelSize {
  readonly type: FileType;
  readonly gguf: string;
  /** Relative to the model's bits per byte: .01 is 1 % more. */
  readonly bits_per_byte_change?: number;
  /** Relative to the model's tokens per second: 2 is twice as fast. */
  readonly speedup?: number;
}

export interface QuantiseResult {
  readonly model: string;
  readonly family: string;
  readonly parameters: number;
  /** The text of the bits per byte: files, or null for texts sampled from the model. */
  readonly text?: { readonly files: readonly string[] | null; readonly tokens: number; readonly bytes: number };
  readonly before: ModelSize;
  /** One per type, in the order given. */
  readonly after: readonly QuantisedFile[];
  readonly warnings: readonly string[];
}

/**
 * Writes a model as one GGUF file per type. A report compares each file with the model: size, bits per byte of the same text,
 * and tokens per second. Without `text` the model itself samples the text. Then the difference in bits per byte estimates
 * the Kullback–Leibler divergence of the file's predictions from the model's.
 * @throws QuernError for a model that cannot be opened, a setting that GGUF does not have, weights that do not fit the type,
 * or texts without a token
 */
export async function quantiseModel(options: QuantiseOptions): Promise<QuantiseResult> {
  const { target, signal, onProgress, onWarning, ...rest } = options;
  const o = checkOptions(quantiseOptions, rest);
  const types = [...new Set(o.type)];
  const files = types.map((type) => ({ type, gguf: types.length === 1 ? o.out : named(o.out, type) }));
  const warnings: string[] = [];
  const warn = (warning: string) => {
    if (warnings.includes(warning)) return;
    warnings.push(warning);
    onWarning?.(warning);
  };
  const work = async (): Promise<QuantiseResult> => {
    const opened = await openTextModel(o.model);
    const { config, path, basePath } = opened.model;
    try {
      for (const { type, gguf } of files) {
        await writeGgufFile(opened, gguf, { type, signal, onProgress, onWarning: warn });
      }
    } finally {
      await opened.close();
    }
    const parameters = countParameters(config);
    const sizeOf = async (paths: readonly string[]) => {
      const { bytes, weights } = await weightBytes(paths);
      return { bytes, bits_per_weight: (8 * weights) / parameters };
    };
    const facts = { model: path, family: config.family, parameters, warnings };
    const before = await sizeOf(basePath === undefined ? [path] : [path, basePath]);
    const after = await Promise.all(files.map(async (file) => ({ ...file, ...(await sizeOf([file.gguf])) })));
    if (!o.report && o.text.length === 0) return { ...facts, before, after };

    const text = await reportText(o, { target, signal, onProgress });
    try {
      const how = { ...o, text, target, signal, onProgress };
      const { score, ...original } = await measureModel(o.model, how);
      const measured: QuantisedFile[] = [];
      for (const file of after) {
        const { score: _, ...now } = await measureModel(file.gguf, how);
        measured.push({
          ...{ ...file, ...now },
          bits_per_byte_change: now.bits_per_byte / original.bits_per_byte - 1,
          speedup: now.tokens_per_second / original.tokens_per_second,
        });
      }
      const used = { files: o.text.length > 0 ? o.text : null, tokens: score.tokens, bytes: score.bytes };
      return { ...facts, text: used, before: { ...before, ...original }, after: measured };
    } finally {
      await text.remove();
    }
  };
  // Every output is claimed before the first is written.
  const inputs = [o.model, ...o.text];
  const claimed = files.reduceRight(
    (inner, { gguf }) =>
      () =>
        withOutput({ verb: "quantise", out: gguf, inputs, force: o.force }, inner),
    work,
  );
  return claimed();
}

/** model.gguf → model-q8_0.gguf */
const named = (path: string, type: FileType) => `${path.replace(/\.gguf$/, "")}-${type}.gguf`;
