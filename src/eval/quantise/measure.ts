/** @file What a report of `quern quantise` measures: size, bits per byte, and tokens per second. */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CompileOptions } from "../../backends/index.js";
import { writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { CheckpointModel, openTextModel } from "../../infer/index.js";
import { openGguf } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import { perplexity, type TextScore } from "../perplexity.js";
import { decodingSpeed } from "./decoding-speed.js";

export interface Measured {
  readonly bits_per_byte: number;
  /** Greedy decoding of one text. */
  readonly tokens_per_second: number;
}

interface Running {
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Text to measure bits per byte on. */
export interface ReportText {
  readonly files: readonly string[];
  readonly textField: string;
  /** Deletes the files if they are temporary. */
  readonly remove: () => Promise<void>;
}

/** Tokens of a sampled text. */
const SAMPLE_TOKENS = 128;

const compiling = ({ target }: Running, threads: number | undefined): CompileOptions => ({
  ...target,
  cpu: { threads, ...target?.cpu },
});

/**
 * Returns the given text; if there is none, writes texts that the model samples to a temporary file.
 * @throws QuernError if the model samples no text
 */
export async function reportText(
  options: {
    readonly model: string;
    readonly text: readonly string[];
    readonly textField: string;
    readonly samples: number;
    readonly seed: number;
    readonly threads?: number;
  },
  running: Running,
): Promise<ReportText> {
  const { model: name, text, textField, samples, seed, threads } = options;
  const { signal, onProgress } = running;
  if (text.length > 0) return { files: text, textField, remove: async () => {} };
  const opened = await openTextModel(name);
  await using model = new CheckpointModel(opened, compiling(running, threads));
  if (opened.beginning.length === 0) {
    throw new QuernError(
      `${name} has no token that begins a text, so it cannot sample text for the report; name held-out text with --text`,
      { exitCode: 2 },
    );
  }
  const [{ completions }] = await model.generate([""], {
    ...{ tokens: SAMPLE_TOKENS, n: samples, seed, temperature: 1, topK: 0, topP: 1, minP: 0 },
    ...{ signal, onProgress },
  });
  const texts = completions.flatMap(({ text }) => (text === "" ? [] : [text]));
  if (texts.length === 0) {
    throw new QuernError(`${name} samples only empty texts; name held-out text with --text`, { exitCode: 2 });
  }
  const folder = await mkdtemp(join(tmpdir(), "quern-quantise-"));
  const path = join(folder, "samples.jsonl");
  await writeFileAtomic(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  return { files: [path], textField: "text", remove: () => rm(folder, { recursive: true }) };
}

export async function measureModel(
  name: string,
  {
    text,
    strict,
    tokens,
    threads,
    ...running
  }: Running & {
    readonly text: ReportText;
    readonly strict: boolean;
    /** Tokens to decode. */
    readonly tokens: number;
    readonly threads?: number;
  },
): Promise<Measured & { readonly score: TextScore }> {
  const { files, textField } = text;
  const { target, signal, onProgress } = running;
  const { total } = await perplexity({
    ...{ model: name, files: [...files], textField, strict, threads },
    ...{ target, signal, onProgress },
  });
  const opened = await openTextModel(name);
  try {
    const speed = await decodingSpeed(opened, { tokens, target: compiling(running, threads), signal });
    return { score: total, bits_per_byte: total.bits_per_byte, tokens_per_second: speed };
  } finally {
    await opened.close();
  }
}

/** Returns the bytes of files and of the weights in model folders, and those of the weights alone. */
export async function weightBytes(
  paths: readonly string[],
): Promise<{ readonly bytes: number; readonly weights: number }> {
  let bytes = 0;
  let weights = 0;
  for (const path of paths) {
    if ((await stat(path)).isFile()) {
      bytes += (await stat(path)).size;
      const file = await openGguf(path);
      for (const { begin, end } of file.tensors.values()) weights += end - begin;
      await file.close();
      continue;
    }
    for (const name of await readdir(path)) {
      if (!/^(adapter_)?model.*\.safetensors$/.test(name)) continue;
      const { size } = await stat(join(path, name));
      bytes += size;
      weights += size;
    }
  }
  return { bytes, weights };
}
