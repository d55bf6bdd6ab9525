/** @file A hash that identifies a tokenizer. */
import { createHash } from "node:crypto";
import { listMerges } from "./formats/vocabulary.js";
import type { Tokenizer, TokenizerParts } from "./tokenizer.js";

/**
 * Returns the SHA-256 of a tokenizer's contents in hexadecimal; equal tokenizers have equal hashes, whatever file they came from.
 * It hashes the tables, because writing a large vocabulary as JSON takes half a second.
 */
export function tokenizerHash({ parts }: Tokenizer): string {
  return parts.hash ?? computedHash(parts);
}

/** Computes the hash even if `parts.hash` is set. This takes a third of a second if merges follow from ranks. */
export function computedHash({ model, json, plainKeys }: TokenizerParts): string {
  const { tokens } = model;
  const lengths = tokens.lengths.subarray(0, tokens.size);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  for (let id = 0, at = 0; id < tokens.size; at += lengths[id++]) bytes.set(tokens.get(id), at);
  const { left, right } = listMerges(model);
  const hash = createHash("sha256").update(JSON.stringify([json, ...(plainKeys ?? [])]));
  for (const numbers of [lengths, left, right]) hash.update(`;${numbers.length};`).update(numbers);
  return hash.update(bytes).digest("hex");
}
