/** @file Tokens of real text for benchmarks. Random ones cost the same in most kernels, but no model learns from them. */
import { type Document, readDocuments, readStarterCorpus } from "../../documents/index.js";
import type { TokenSource } from "../data/loader.js";
import type { Preset } from "./presets.js";

export interface RealTokensOptions {
  /** Files or folders; by default Moby-Dick, which is downloaded once. */
  readonly text?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Reads the texts of files, or Moby-Dick. */
export async function readTexts({ text, signal }: RealTokensOptions): Promise<string[]> {
  if (text === undefined) {
    return (await readStarterCorpus({ sources: ["moby-dick"], signal })).map((document) => document.text);
  }
  const documents: Document[] = [];
  for await (const document of readDocuments(text, { signal })) documents.push(document);
  return documents.map((document) => document.text);
}

/** Encodes the texts with the preset's tokenizer. */
export async function realTokens(preset: Preset, options: RealTokensOptions): Promise<TokenSource> {
  const texts = await readTexts(options);
  const tokenizer = await preset.tokenizer(texts, options.signal);
  const parts = texts.map((text) => tokenizer.encode(text));
  const ids = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return { tokens: ids.length, read: (offset, length) => ids.subarray(offset, offset + length) };
}
